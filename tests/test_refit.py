"""The refit's thread: its model, its failure, and its end before time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tuner_app.errors import SearchError
from tuner_app.folds import FoldTask
from tuner_app.refit import REFIT_FOLD, Refit
from tuner_app.results import Candidate

CANDIDATE = Candidate("0003", {"nodes": 32}, ())


class Fitter:
    def __init__(self, fit: Callable[[FoldTask, Sequence[Any]], Any]) -> None:
        self._fit = fit

    def fit(self, task: FoldTask, *, callbacks: Sequence[Any] = ()) -> Any:
        return self._fit(task, callbacks)


def begin(fit: Callable[[FoldTask, Sequence[Any]], Any], epochs: int | None = 7) -> Refit:
    return Refit(Fitter(fit), CANDIDATE, rows=5, seed=11, epochs=epochs)  # type: ignore[arg-type]


def test_it_trains_the_candidate_on_all_rows_for_its_epochs() -> None:
    seen: list[Any] = []

    def fit(task: FoldTask, callbacks: Sequence[Any]) -> str:
        seen.extend([task.trial_id, task.fold, task.values, task.seed, task.train_rows.tolist(), callbacks[0].epochs])
        assert task.validation_rows is None
        return "model"

    refit = begin(fit)
    assert refit.wait() == "model"
    assert not refit.running
    assert seen == ["0003", REFIT_FOLD, {"nodes": 32}, 11, [0, 1, 2, 3, 4], 7]


def test_a_failure_is_one_error_with_its_traceback() -> None:
    def fit(task: FoldTask, callbacks: Sequence[Any]) -> Any:
        raise ValueError("no room for the model")

    with pytest.raises(SearchError, match=r"(?s)The refit of the best candidate.*ValueError: no room for the model"):
        begin(fit).wait()


def test_one_that_nobody_wants_ends_at_its_next_epoch() -> None:
    started = threading.Event()

    def fit(task: FoldTask, callbacks: Sequence[Any]) -> str:
        started.set()
        while callbacks[0].epochs > 0:
            time.sleep(0.005)
        return "half a model"

    refit = begin(fit, None)
    assert started.wait(5)
    assert refit.running
    refit.cancel()
    assert refit.wait() == "half a model"
