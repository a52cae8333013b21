"""What the records of the folds make of a refit."""

from __future__ import annotations

import math
from typing import Any

from tuner_app.records.refit_plan import RefitPlan, StagePlan, refit_plan
from tuner_app.records.results import FoldResult
from tuner_app.records.score import ScoreRule

LAST = ScoreRule((("val_accuracy", "max"),))
BEST = ScoreRule((("val_accuracy", "max"),), "best")


def fold(curve: list[float], **changes: Any) -> FoldResult:
    options = {"trial_id": "0000", "fold": 0, "values": {}, "seed": 1, "final_epoch": len(curve)}
    return FoldResult(**{**options, "history": {"val_accuracy": curve} if curve else {}, **changes})


def epochs(plan: RefitPlan) -> list[int | None]:
    return [stage.epochs for stage in plan.stages]


def test_each_stage_trains_for_the_mean_of_the_folds() -> None:
    folds = [fold([0.1] * 3, stage_epochs=[10, 3], scored_stage=1), fold([0.1] * 6, stage_epochs=[5, 6, 1])]
    assert epochs(refit_plan(LAST, folds)) == [8, 4, 1]
    assert refit_plan(LAST, folds).epochs == 13
    assert refit_plan(LAST, folds).stage(3) == StagePlan()


def test_the_chosen_epoch_is_one_of_the_stage_that_was_scored() -> None:
    folds = [fold([0.1, 0.9, 0.2], stage_epochs=[10, 3], scored_stage=1)] * 2
    assert epochs(refit_plan(BEST, folds)) == [10, 2]


def test_records_without_stages_are_of_one() -> None:
    folds = [fold([0.1] * 9, final_epoch=3), fold([0.1] * 6), fold([], error="ValueError")]
    assert epochs(refit_plan(LAST, folds)) == [LAST.refit_epochs(folds)] == [4]
    assert epochs(refit_plan(BEST, [fold([0.1, 0.9, 0.2])])) == [2]


def test_folds_that_tell_no_epochs_leave_them_to_the_fit() -> None:
    assert refit_plan(LAST, [fold([], scores={"val_accuracy": 0.5})]).epochs is None
    assert epochs(refit_plan(LAST, [fold([], scores={"val_accuracy": 0.5}, stage_epochs=[4])])) == [4]
    assert refit_plan(LAST, [fold([], error="ValueError")]) == RefitPlan()


def test_a_rate_is_the_geometric_mean_of_the_folds_that_trained_and_the_last_one_of_those_that_stopped() -> None:
    one = fold([0.1] * 3, stage_epochs=[3], stage_rates=[[0.1, 0.1, 0.001]])
    other = fold([0.1] * 2, stage_epochs=[2], stage_rates=[[0.1, 0.001]])
    rates = refit_plan(LAST, [one, other]).stages[0].rates
    assert rates[0] == 0.1
    assert [round(rate, 12) for rate in rates[1:]] == [0.01, 0.001]


def test_rates_of_records_without_stages_are_in_the_history() -> None:
    history = {"val_accuracy": [0.1, 0.2], "learning_rate": [0.3, 0.1]}
    assert refit_plan(LAST, [fold([0.1, 0.2], history=history)]).stages == (StagePlan(2, (0.3, 0.1)),)


def test_only_epochs_that_were_measured_are_chosen() -> None:
    folds = [fold([math.nan, 0.2, math.nan, 0.3, math.nan], stage_epochs=[5])] * 2
    assert epochs(refit_plan(BEST, folds)) == [4]
