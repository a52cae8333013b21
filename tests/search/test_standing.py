"""Who leads by the folds that are done."""

from __future__ import annotations

import math

import pytest
from support.fakes import record, task

from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.score import Objective, ScoreRule
from tuner_app.search.standing import Standing

RULE = ScoreRule((Objective("val_accuracy", "max"),))


def folds(*scores: float) -> list[FoldResult]:
    return [record(task(fold, "0001"), scores={"val_accuracy": score}) for fold, score in enumerate(scores)]


def whole(*scores: float) -> Candidate:
    return Candidate.of("0001", {}, folds(*scores), RULE, n_fits=len(scores))


@pytest.mark.parametrize(
    ("begun", "rival"),
    [
        ({}, None),
        ({"0002": folds(0.3)}, None),
        ({"0002": folds(0.7)}, "0002"),  # ahead on the fold that both have, though below the other's mean
        ({"0002": folds(0.7), "0003": folds(0.8, 0.99)}, "0003"),
        ({"0002": folds(0.5)}, None),  # of equals the first
        ({"0000": folds(0.5)}, "0000"),
        ({"0002": folds(math.nan)}, None),
    ],
)
def test_candidates_are_compared_on_the_folds_that_both_have(begun: dict[str, list[FoldResult]], rival: str) -> None:
    assert Standing(RULE).rival(whole(0.5, 0.9, 0.9), begun) == rival


def test_before_any_is_whole_the_best_of_the_begun_leads() -> None:
    standing = Standing(RULE)
    begun = {"0002": folds(0.5), "0003": folds(0.7)}
    assert standing.rival(None, begun) == "0003"
    begun["0003"] = folds(0.7, 0.1)
    begun["0002"] = folds(0.5, 0.8)
    assert standing.rival(None, begun) == "0002"
