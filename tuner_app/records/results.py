"""The records of a search: one finished fit, and a candidate with the fits of its folds.

Owns what is known of a fit, whatever became of it. How histories become scores is said in `score`, the table is made in
`tables`; reading and writing belongs to `storage`. Needs no TensorFlow.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Any

History = dict[str, list[float]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FoldResult:
    """One finished fit of one candidate on one fold: the record that everything else is made from.

    Attributes:
        trial_id: The candidate's Keras Tuner trial.
        fold: The fold's number, from 0.
        execution: Which of `executions_per_trial` repetitions, from 0.
        values: The hyperparameters' values.
        seed: The seed of this fit.
        history: Per metric one number per epoch; validation metrics begin with `val_`. NaN where an epoch was not
            measured (`validation_freq`).
        final_epoch: After how many epochs the weights were taken that the model ended with.
            The number of epochs that were run, or less where `EarlyStopping` restored its best weights.
        measured_epochs: The epochs, from 1, of each metric in the history that not every epoch has.
        stage_epochs: `final_epoch` of each call of `model.fit`, a stage of the fit, in their order; empty in records of
            versions that did not keep it, and where the fit called none.
        scored_stage: Which of them the history is of, from 0.
        stage_rates: The learning rates of each stage's epochs, as its history shows them; empty where none does.
        scores: What a `HyperModel.fit` returned, where that is not a History; else empty.
        train_scores: Metrics on the training rows after the fit, where asked for; else empty.
        confusion: Validation rows counted by true class (row) and predicted class (column),
            where the model is a classifier of few classes; else None.
        started: When the fit began, in seconds since 1970.
        fit_seconds: Building and training, in seconds, without compiling.
        score_seconds: Validation, all epochs, in seconds.
        compile_seconds: Tracing and compiling the programs that fits share, and waiting for another fit that does it,
            in seconds. Whichever fit comes first pays it, so it says nothing of the candidate. 0 where `model.fit`
            trains, which cannot tell it apart: there it is a part of `fit_seconds`.
        error: The traceback of a failed fit; None for a good one.
        declared: What the fit declared beyond the search space, as `space` and `values` of Keras Tuner's
            `HyperParameters.get_config()`; empty for nothing, None where an earlier version did not keep it.
    """

    trial_id: str
    fold: int
    values: dict[str, Any]
    seed: int
    execution: int = 0
    history: History = dataclasses.field(default_factory=dict)
    final_epoch: int = 0
    scores: dict[str, float] = dataclasses.field(default_factory=dict)
    train_scores: dict[str, float] = dataclasses.field(default_factory=dict)
    confusion: list[list[int]] | None = None
    started: float = 0.0
    fit_seconds: float = 0.0
    score_seconds: float = 0.0
    compile_seconds: float = 0.0
    error: str | None = None
    declared: dict[str, Any] | None = None
    measured_epochs: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    stage_epochs: list[int] = dataclasses.field(default_factory=list)
    scored_stage: int = 0
    stage_rates: list[list[float]] = dataclasses.field(default_factory=list)

    @property
    def total_seconds(self) -> float:
        """What the fit took on the clock, compiling included."""
        return self.fit_seconds + self.score_seconds + self.compile_seconds

    def at_epoch(self, epoch: int | None = None) -> dict[str, float]:
        """The metrics after an epoch.

        Args:
            epoch: Counted from 1; None is the epoch whose weights the model ended with. A fit that
                stopped before `epoch` answers with its final epoch, a metric that was not measured after it with
                the last epoch before that was.
        """
        if not self.history:
            return dict(self.scores)
        wanted = self.final_epoch if epoch is None else min(epoch, self.final_epoch)
        return {name: self._value(name, wanted) for name, values in self.history.items() if values}

    def _value(self, name: str, epoch: int) -> float:
        values, measured = self.history[name], self.measured_epochs.get(name)
        if measured is not None:
            epoch = max((one for one in measured if one <= epoch), default=epoch)
        return values[min(epoch, len(values)) - 1]


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One point of the grid with the records of its folds.

    Attributes:
        trial_id: The candidate's Keras Tuner trial.
        values: The hyperparameters' values.
        folds: The finished fits, ordered by fold and execution.
    """

    trial_id: str
    values: dict[str, Any]
    folds: tuple[FoldResult, ...]
    # Its score by rule, computed once: several observers ask for it.
    _scores: dict[Any, tuple[float, float]] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def errors(self) -> list[str]:
        """The tracebacks of the failed fits."""
        return [fold.error for fold in self.folds if fold.error is not None]

    def mean_curves(self) -> History:
        """Each metric's mean over the fits by epoch, as far as every fit trained."""
        return mean_history([fold.history for fold in self.folds if fold.history])


def mean_history(histories: Sequence[History]) -> History:
    """The mean over several histories by epoch, cut to the shortest, for the metrics that all have."""
    if not histories:
        return {}
    shared = [name for name in histories[0] if all(name in history for history in histories)]
    return {
        name: [statistics.fmean(values) for values in zip(*(h[name] for h in histories), strict=False)]
        for name in shared
    }
