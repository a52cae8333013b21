"""The refit's thread: its model, its failure, and its end before time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from support.fakes import record

from tuner_app.errors import SearchError
from tuner_app.execution.base import FoldStopped
from tuner_app.records.refit_plan import RefitPlan, StagePlan
from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.tasks import FoldTask
from tuner_app.search.refit import REFIT_FOLD, Refit

CANDIDATE = Candidate("0003", {"nodes": 32}, ())


PLAN = RefitPlan((StagePlan(7),))
Fit = Callable[[FoldTask, RefitPlan, Callable[[], None]], Any]


class Fitter:
    def __init__(self, fit: Fit) -> None:
        self._fit = fit

    def __call__(self, task: FoldTask, is_stopped: Callable[[], bool]) -> FoldResult:
        def check() -> None:
            if is_stopped():
                raise FoldStopped

        assert task.plan is not None
        self.model = self._fit(task, task.plan, check)
        return record(task)

    def take_model(self, trial_id: str) -> Any:
        return self.model


def begin(fit: Fit) -> Refit:
    fitter: Any = Fitter(fit)
    return Refit(fitter, CANDIDATE, rows=5, seed=11, plan=PLAN, space=(), is_stopped=lambda: False)


def test_it_trains_the_candidate_on_all_rows_for_its_epochs() -> None:
    seen: list[Any] = []

    def fit(task: FoldTask, plan: RefitPlan, check: Callable[[], None]) -> str:
        seen.extend([task.trial_id, task.fold, task.values, task.seed, task.train_rows.tolist(), plan])
        assert task.validation_rows is None
        return "model"

    refit = begin(fit)
    assert refit.wait() == "model"
    assert not refit.running
    assert seen == ["0003", REFIT_FOLD, {"nodes": 32}, 11, [0, 1, 2, 3, 4], PLAN]


def test_a_failure_is_one_error_with_its_traceback() -> None:
    def fit(task: FoldTask, plan: RefitPlan, check: Callable[[], None]) -> Any:
        raise ValueError("no room for the model")

    with pytest.raises(SearchError, match=r"(?s)The refit of the best candidate.*ValueError: no room for the model"):
        begin(fit).wait()


def test_one_that_nobody_wants_ends_at_its_next_epoch() -> None:
    started = threading.Event()

    def fit(task: FoldTask, plan: RefitPlan, check: Callable[[], None]) -> str:
        started.set()
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            check()
            time.sleep(0.005)
        return "a whole model"

    refit = begin(fit)
    assert started.wait(5)
    assert refit.running
    refit.cancel()
    with pytest.raises(FoldStopped):
        refit.wait()
