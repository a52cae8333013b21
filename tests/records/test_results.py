"""Fits, and candidates with where they stand and what they score."""

from __future__ import annotations

import math

import pytest
from support.records import ACCURACY, candidate, failed, fold

from tuner_app.errors import InputError
from tuner_app.records import results
from tuner_app.records.results import Candidate, FoldResult, Status
from tuner_app.records.score import ScoreRule


class TestMeanHistory:
    def test_it_is_cut_to_the_shortest_and_to_what_all_have(self) -> None:
        mean = results.mean_history([{"a": [1.0, 2.0, 3.0], "b": [1.0]}, {"a": [3.0, 4.0]}])
        assert mean == {"a": [2.0, 3.0]}

    def test_failed_fits_are_left_out_of_the_curves(self) -> None:
        assert candidate({}, fold(0, [0.2, 0.4]), failed(1)).mean_curves()["val_accuracy"] == [0.2, 0.4]
        assert candidate({}, failed(0)).mean_curves() == {}


class TestCandidate:
    def test_it_is_scored_once_by_fold_in_the_order_of_the_folds(self) -> None:
        fits = [fold(1, [0.9], execution=1), fold(0, [0.2]), fold(1, [0.7]), fold(0, [0.4], execution=1)]
        whole = Candidate.of("7", {"a": 1}, fits, ACCURACY, n_fits=4)
        assert [(fit.fold, fit.execution) for fit in whole.folds] == [(0, 0), (0, 1), (1, 0), (1, 1)]
        assert whole.status is Status.COMPLETE
        assert whole.score is not None
        assert whole.score.folds == pytest.approx((0.3, 0.8))
        assert (whole.score.mean, whole.score.std) == pytest.approx((0.55, 0.25))

    def test_it_runs_without_a_score_until_its_last_fit(self) -> None:
        running = Candidate.of("0", {}, [fold(0)], ACCURACY, n_fits=2)
        assert (running.status, running.score, running.is_whole) == (Status.RUNNING, None, False)

    def test_one_that_is_dropped_has_the_score_of_the_folds_it_has(self) -> None:
        dropped = Candidate.of("0", {}, [fold(0, [0.25])], ACCURACY, n_fits=2, dropped=True)
        assert dropped.score is not None
        assert (dropped.status, dropped.score.folds, dropped.is_whole) == (Status.DROPPED, (0.25,), False)
        assert Candidate.of("0", {}, [], ACCURACY, n_fits=2, dropped=True).status is Status.DROPPED

    @pytest.mark.parametrize(
        ("folds", "error_score", "status"),
        [
            ([fold(0), failed(1)], math.nan, Status.FAILED),
            ([fold(0), failed(1)], 0.0, Status.COMPLETE),
            ([failed(0), failed(1)], 0.0, Status.FAILED),
            ([fold(0), fold(1, [math.nan])], math.nan, Status.FAILED),
        ],
    )
    def test_it_has_failed_without_a_good_fit_or_without_a_score(
        self, folds: list[FoldResult], error_score: float, status: Status
    ) -> None:
        rule = ScoreRule((("val_accuracy", "max"),), error_score=error_score)
        candidate = Candidate.of("0", {}, folds, rule, n_fits=2)
        assert candidate.status is status
        assert candidate.is_whole

    def test_an_objective_that_no_fit_has_is_told(self) -> None:
        with pytest.raises(InputError, match="must be one of the metrics of the fits"):
            Candidate.of("0", {}, [fold(0)], ScoreRule((("val_f1", "max"),)), n_fits=1)


def test_an_epoch_past_the_end_is_the_final_one() -> None:
    one = fold(0, [0.1, 0.2, 0.3], final_epoch=2)
    assert [one.at_epoch(epoch)["val_accuracy"] for epoch in (1, 2, 3, None)] == [0.1, 0.2, 0.2, 0.2]


def test_an_epoch_without_validation_answers_with_the_last_one_that_has_it() -> None:
    gaps = {"loss": [0.9, 0.8, 0.7], "val_accuracy": [math.nan, 0.5, math.nan]}
    one = fold(0, history=gaps, final_epoch=3, measured_epochs={"val_accuracy": [2]})
    assert one.at_epoch() == {"loss": 0.7, "val_accuracy": 0.5}
    assert math.isnan(one.at_epoch(1)["val_accuracy"])
    diverged = fold(0, history=gaps, final_epoch=3)
    assert math.isnan(diverged.at_epoch()["val_accuracy"])
