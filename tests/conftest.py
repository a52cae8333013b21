"""What several test files share: a fold fitter whose scores are known, and searches that use it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tuner_app.folds import FoldTask
from tuner_app.results import FoldResult

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

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


def record(task: FoldTask, **changes: Any) -> FoldResult:
    """The record of a task, with times."""
    return FoldResult(
        trial_id=task.trial_id,
        fold=task.fold,
        execution=task.execution,
        values=dict(task.values),
        seed=task.seed,
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


@pytest.fixture(name="make_tuner")
def make_tuner_fixture(tmp_path: Path) -> Callable[..., Any]:
    """Makes a `GridSearchCV` in the test's folder, quiet, with the fake fitter unless told otherwise."""

    def make(space: Any = None, **options: Any) -> Any:
        from tuner_app.tuner import GridSearchCV

        cls = options.pop("cls", GridSearchCV)
        hypermodel = space if callable(space) or hasattr(space, "build") else space_of(space or {"a": [1, 2, 3]})
        chosen = {"objective": "val_accuracy", "seed": 0, "directory": tmp_path, "project_name": "search"}
        chosen |= {"observers": [], "verbose": 0, "fold_fitter": FakeFitter()} | options
        return cls(hypermodel, **chosen)

    return make


@pytest.fixture(name="data", scope="session")
def data_fixture() -> tuple[Any, Any]:
    """24 rows of 3 features, of two classes that a straight line can tell apart."""
    random = np.random.default_rng(0)
    x = random.normal(size=(24, 3)).astype(np.float32)
    y = (x[:, 0] + 0.1 * x[:, 1] > 0).astype(np.int64)
    return x, y
