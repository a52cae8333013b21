"""How a refit is to train, made from the folds' records: for how many epochs and at which learning rates, by stage.

A stage is one call of `model.fit`: most fits have one, fine-tuning has two. Owns how the folds become one plan. How a
plan is kept while a model trains is the business of `stages`; which epoch a score is read at is that of `score`.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from typing import TypeVar

from tuner_app.records.results import FoldResult
from tuner_app.records.score import ScoreRule

_Item = TypeVar("_Item")


@dataclasses.dataclass(frozen=True)
class StagePlan:
    """What one call of `model.fit` is to do in a refit.

    Attributes:
        epochs: For how many epochs it trains at most; None leaves that to the fit.
        rates: The learning rate of each epoch in the folds; empty where they kept none.
    """

    epochs: int | None = None
    rates: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class RefitPlan:
    """What the calls of `model.fit` are to do in a refit, in their order.

    Attributes:
        stages: A plan for each call; a call beyond them does as it likes.
    """

    stages: tuple[StagePlan, ...] = ()

    @property
    def epochs(self) -> int | None:
        """The epochs of all stages; None where the folds told none."""
        epochs = [stage.epochs for stage in self.stages if stage.epochs is not None]
        return sum(epochs) if epochs else None

    @property
    def knows_rates(self) -> bool:
        """Whether the folds kept their learning rates."""
        return any(stage.rates for stage in self.stages)

    def stage(self, number: int) -> StagePlan:
        """The plan of a stage, counted from 0."""
        return self.stages[number] if number < len(self.stages) else StagePlan()


def refit_plan(rule: ScoreRule, folds: Sequence[FoldResult]) -> RefitPlan:
    """The plan of a candidate's refit.

    Each stage trains for the mean number of epochs (rounded) after which the folds took the weights that the stage
    ended with; the stage that was scored follows `ScoreRule.chosen_epoch` where that names an epoch. The learning rate
    of an epoch is the geometric mean over the folds, of which one that has stopped counts with its last rate.

    Args:
        rule: How the candidate was scored.
        folds: Its fits.
    """
    good = [fold for fold in folds if fold.error is None]
    # The epoch that the score was read at, so that the refit is the model that was scored and no longer trained one.
    chosen = rule.chosen_epoch(good)
    epochs = [_stage_epochs(fold, chosen) for fold in good]
    rates = [_stage_rates(fold) for fold in good]
    return RefitPlan(
        tuple(
            StagePlan(_mean_epochs(_present(epochs, number)), _mean_rates(_present(rates, number)))
            for number in range(max(map(len, epochs), default=0))
        )
    )


def _stage_epochs(fold: FoldResult, chosen: int | None) -> list[int]:
    """A fold's epochs by stage; one stage where the record is older than stages are."""
    if not fold.stage_epochs:
        return [chosen or fold.final_epoch] if fold.history else []
    return [
        chosen if chosen is not None and number == fold.scored_stage else epochs
        for number, epochs in enumerate(fold.stage_epochs)
    ]


def _stage_rates(fold: FoldResult) -> list[list[float]]:
    # A record without stages has its only stage's rates in the history, where Keras's own callbacks put them.
    return fold.stage_rates or [fold.history.get("learning_rate", [])]


def _present(stages: Sequence[Sequence[_Item]], number: int) -> list[_Item]:
    return [stage[number] for stage in stages if number < len(stage)]


def _mean_epochs(epochs: Sequence[int]) -> int:
    return max(1, round(statistics.mean(epochs)))


def _mean_rates(rates: Sequence[Sequence[float]]) -> tuple[float, ...]:
    # A fold may have stopped early, but the refit trains on: its last rate stands for the epochs that it did not see.
    folds = [fold for fold in rates if fold]
    longest = max(map(len, folds), default=0)
    return tuple(_geometric_mean([fold[min(epoch, len(fold) - 1)] for fold in folds]) for epoch in range(longest))


def _geometric_mean(rates: Sequence[float]) -> float:
    # Rates are compared by their ratio: of 0.1 and 0.001 the middle is 0.01, not 0.05.
    if min(rates) == max(rates):
        return rates[0]  # to the last bit, which a logarithm and back is not
    return math.exp(statistics.fmean(map(math.log, rates))) if min(rates) > 0 else 0.0
