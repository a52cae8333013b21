"""What is counted, and the time that is left."""

from __future__ import annotations

import dataclasses

import pytest
from support.terminals import candidate, fold_result, plain_console, plan_for

from tuner_app.records.results import FoldResult
from tuner_app.views.terminal.progress import Progress
from tuner_app.views.terminal.tally import RunningFit, Tally


def test_only_whole_candidates_compete_and_nan_never_wins() -> None:
    shown = Progress(verbosity=0, console=plain_console())
    good, lost = candidate(1, 0.5), candidate(2, float("nan"))
    begun = dataclasses.replace(candidate(3, 0.9), folds=candidate(3, 0.9).folds[:2])
    shown.search_begun(plan_for(4, finished=(*lost.folds, *good.folds, *begun.folds)))
    assert shown._tally.best == "0.510000 (0.008165) with learning_rate=0.001, nodes=1"
    shown.candidate_ended(candidate(4, 0.4))
    assert "nodes=1" in str(shown._tally.best)
    shown.candidate_ended(candidate(5, 0.6))
    assert "nodes=5" in str(shown._tally.best)


def test_time_left_follows_the_candidates_own_fits() -> None:
    def quick(trial: int, fold: int, seconds: float) -> FoldResult:
        return fold_result(trial, {}, fold, fit_seconds=seconds, score_seconds=0.0)

    tally = Tally.of(plan_for(3, n_jobs=2))
    assert tally.seconds_left(0.0) is None
    for fold in range(3):
        tally.count(quick(0, fold, 1.0))
    tally.count(quick(1, 0, 9.0))
    mean = 12 / 4
    assert tally.seconds_left(0.0) == pytest.approx((2 * 9.0 + 3 * mean) / 2)
    tally.running["0001", 1, 0] = RunningFit("", 100.0)
    assert tally.seconds_left(102.0) == pytest.approx((2 * 9.0 + 3 * mean - 2) / 2)
    for trial, fold in ((1, 1), (1, 2), (2, 0), (2, 1), (2, 2)):
        tally.count(quick(trial, fold, 5.0))
    assert tally.seconds_left(0.0) == 0.0
    assert tally.begun == {}


def test_more_candidates_than_were_known() -> None:
    tally = Tally.of(plan_for(1))
    for each in (candidate(1, 0.5), candidate(2, 0.6)):
        for fold in each.folds:
            tally.count(fold)
    assert (tally.done, tally.total) == (6, 6)
