"""The one rule that turns the histories of folds into scores: objectives, their sign, the epoch at which they are read.

Here a score is always so that higher is better, and back in the metric's own sign for a reader: nowhere else is a sign
turned, but where Keras Tuner's oracles are spoken to. Tables of scores are made in `tables`.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tuner_app.errors import InputError
from tuner_app.records import metric_values
from tuner_app.records.results import FoldResult, mean_history


class Objective(NamedTuple):
    """A metric that decides, and where better lies.

    Attributes:
        name: The metric's name, with Keras's `val_` where it is one of the validation.
        direction: `"max"` or `"min"`.
    """

    name: str
    direction: str

    def __repr__(self) -> str:
        """As the pair that it is: messages show objectives as `search.json` and users write them."""
        return repr(tuple(self))

    def signed(self, value: float) -> float:
        """The metric in the direction "higher is better"."""
        return -float(value) if self.direction == "min" else float(value)

    def natural(self, score: float) -> float:
        """A score in the metric's own sign and unit: a loss is positive again."""
        return self.signed(score)


@dataclasses.dataclass(frozen=True)
class ScoreRule:
    """How histories become scores: the objective, and the epoch at which it is read.

    Averaging each fold's *own* best epoch, as Keras Tuner does, promises more than a refit can keep.
    Both rules here name one epoch for all folds, and the refit trains for as long.

    Attributes:
        objectives: What decides, at least one; pairs of name and direction become `Objective`.
        epoch: `"last"` reads what the model ended with; `"best"` reads the epoch at which the
            mean curve over the folds is best.
        error_score: The score of a failed fit (NaN by default).
    """

    objectives: tuple[Objective, ...]
    epoch: str = "last"
    error_score: float = float("nan")

    def __post_init__(self) -> None:
        if self.epoch not in ("last", "best"):
            raise InputError(f"score_epoch must be 'last' or 'best'. Received: {self.epoch!r}.")
        object.__setattr__(self, "objectives", tuple(Objective(*pair) for pair in self.objectives))

    @property
    def names(self) -> list[str]:
        """The objectives' names for column names: without Keras's `val_`, but where that would make two of one name."""
        short = [name.removeprefix("val_") for name, _ in self.objectives]
        # With several objectives a column of the name "score" is their sum.
        taken = Counter([*short, "score"] if len(short) > 1 else short)
        return [name if taken[bare] > 1 else bare for (name, _), bare in zip(self.objectives, short, strict=True)]

    def label(self, name: str) -> str:
        """How the columns of one objective end in `cv_results_`: `score` where it is the only one.

        Args:
            name: The objective's name, with or without Keras's `val_`.

        Raises:
            InputError: No objective has this name.
        """
        # Both spellings: `refit="val_loss"` as Keras names it, `refit="loss"` as the columns do.
        full = [full for full, _ in self.objectives]
        if not isinstance(name, str) or name not in {*full, *self.names}:
            raise InputError(f"refit must be True, False, a function or one of {full}. Received: {name!r}.")
        position = full.index(name) if name in full else self.names.index(name)
        return "score" if len(full) == 1 else self.names[position]

    def value(self, metrics: Mapping[str, float]) -> float:
        """The objective in the direction "higher is better"; several objectives are summed, as in Keras Tuner.

        Raises:
            InputError: A metric is missing.
        """
        # Not `sum`: from Python 3.12 on it compensates for rounding, and the last bit decides ties.
        total = 0.0
        for objective in self.objectives:
            total += self.signed(metrics, objective)
        return total

    def signed(self, metrics: Mapping[str, float], objective: Objective) -> float:
        """One metric in the direction "higher is better".

        Raises:
            InputError: It is missing.
        """
        if objective.name not in metrics:
            self.check_names(metrics)
        return objective.signed(metrics[objective.name])

    def natural(self, score: float) -> float:
        """A score as a reader knows it: in the sign of the metric, where a single one decides.

        Several decide by their sum, each in the direction "higher is better": that stays.
        """
        return self.objectives[0].natural(score) if len(self.objectives) == 1 else score

    def check_names(self, metrics: Iterable[str]) -> None:
        """Refuse objectives that are not among the metrics of the fits.

        Raises:
            InputError: One of them is not.
        """
        present = sorted(metrics)
        for name, _ in self.objectives:
            if name in present:
                continue
            if parts := metric_values.parts_of(name, present):
                raise InputError(
                    f"The objective must be one number. Received: {name!r}, which has {len(parts)}. Give the metric an "
                    f"average (average='macro', say), or name one of {parts}."
                )
            raise InputError(
                f"The objective must be one of the metrics of the fits, {present}. Received: {name!r}. "
                "Name one of these, or compile the model with the metric that you want."
            )

    def chosen_epoch(self, folds: Sequence[FoldResult]) -> int | None:
        """The epoch, from 1, at which all folds are scored; None means each fold's final epoch."""
        # A failed fit may have a history up to its error; it must not shorten the mean curve of the others.
        histories = [fold.history for fold in folds if fold.error is None and fold.history]
        if self.epoch == "last" or not histories:
            return None
        mean = mean_history(histories)
        epochs = min((len(values) for values in mean.values()), default=0)
        curve = [self.value({name: values[i] for name, values in mean.items()}) for i in range(epochs)]
        # NumPy takes NaN for the largest of all.
        finite = [value if np.isfinite(value) else -np.inf for value in curve]
        return int(np.argmax(finite)) + 1 if curve else None

    def refit_epochs(self, folds: Sequence[FoldResult]) -> int | None:
        """For how many epochs the refit trains; None where the folds kept no history."""
        chosen = self.chosen_epoch(folds)
        if chosen is not None:
            return chosen
        finals = [fold.final_epoch for fold in folds if fold.error is None and fold.history]
        return max(1, round(statistics.mean(finals))) if finals else None

    def fold_metrics(self, folds: Sequence[FoldResult]) -> list[dict[str, float] | None]:
        """The metrics of each fit at the epoch of the rule; None for a failed fit."""
        epoch = self.chosen_epoch(folds)
        return [None if fold.error is not None else fold.at_epoch(epoch) for fold in folds]

    def __call__(self, folds: Sequence[FoldResult], objective: int | None = None) -> list[float]:
        """The score of each fit, higher is better, `error_score` for a failed one.

        Args:
            folds: The fits of one candidate.
            objective: Which objective; None for their sum.
        """
        scores = []
        for metrics in self.fold_metrics(folds):
            if metrics is None:
                scores.append(self.error_score)
            elif objective is None:
                scores.append(self.value(metrics))
            else:
                scores.append(self.signed(metrics, self.objectives[objective]))
        # A number that ran away is no score either: one infinity would make a mean that wins, or a deviation of NaN.
        return [score if math.isfinite(score) else self.error_score for score in scores]
