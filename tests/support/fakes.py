"""A fold fitter whose scores are known, and search spaces for it: a whole search in milliseconds."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tuner_app.records.results import FoldResult
from tuner_app.records.tasks import FoldTask

Score = Callable[[Mapping[str, Any], int], float]


def weigh(values: Mapping[str, Any], fold: int) -> float:
    """A score that tells candidates and folds apart: the sum of the numbers, less a little per fold."""
    return sum(float(value) for value in values.values() if not isinstance(value, str)) / 10 - fold / 100


class FakeFitter:
    """Fits nothing; its score is a known function of the values and the fold.

    Args:
        score: The last epoch's `val_accuracy`; an exception it raises becomes the record's error.
        epochs: The epochs of the history; the curve climbs to the score by 0.01 an epoch.
        before: Called with each task first, outside the record: what it raises ends the fit as a crash would.
    """

    def __init__(
        self, score: Score = weigh, *, epochs: int = 2, before: Callable[[FoldTask], None] | None = None
    ) -> None:
        self.score, self.epochs, self.before = score, epochs, before
        self.tasks: list[FoldTask] = []
        self._lock = threading.Lock()

    def __call__(self, task: FoldTask) -> FoldResult:
        with self._lock:
            self.tasks.append(task)
        if self.before is not None:
            self.before(task)
        try:
            score = self.score(task.values, task.fold)
        except ArithmeticError as error:
            return record(task, error=f"Traceback\n{type(error).__name__}: {error}\n")
        curve = [score - 0.01 * (self.epochs - 1 - epoch) for epoch in range(self.epochs)]
        return record(
            task,
            history={"loss": [1 - v for v in curve], "val_accuracy": curve, "val_loss": [1 - v for v in curve]},
            final_epoch=self.epochs,
            train_scores={"accuracy": score + 0.05, "loss": 0.5},
        )

    @property
    def keys(self) -> list[tuple[str, int, int]]:
        """Trial, fold and execution of each task that was fitted."""
        return [(task.trial_id, task.fold, task.execution) for task in self.tasks]


def late(fitter: FakeFitter) -> Callable[[FoldTask], FoldResult]:
    """A fitter whose fits declare `late`, 10 or 20, beyond the search space, as a `HyperModel.fit` can."""
    import keras_tuner

    def fit(task: FoldTask) -> FoldResult:
        hp = keras_tuner.HyperParameters()
        hp.values = dict(task.values)
        hp.Choice("late", [10, 20])
        values = {name: value for name, value in hp.values.items() if name not in task.values}
        return dataclasses.replace(fitter(task), declared={"space": hp.get_config()["space"], "values": values})

    return fit


def task(fold: int = 0, trial_id: str = "", **values: Any) -> FoldTask:
    """A fold of a candidate, which is named by its values where it has no other name."""
    rows, trial_id = np.arange(3), trial_id or str(values)
    return FoldTask(
        trial_id=trial_id, fold=fold, execution=0, values=values, seed=0, train_rows=rows, validation_rows=rows
    )


def record(task: FoldTask, **changes: Any) -> FoldResult:
    """The record of a task, with times."""
    return task.record(
        fit_seconds=0.5,
        score_seconds=0.1,
        **changes,
    )


def space_of(choices: Mapping[str, Sequence[Any]]) -> Callable[[Any], None]:
    """A hypermodel that declares choices and builds nothing: enough for a fake fitter."""

    def build(hp: Any) -> None:
        for name, values in choices.items():
            hp.Choice(name, list(values))

    return build
