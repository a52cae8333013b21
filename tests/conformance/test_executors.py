"""What every executor must do: the promises of `execution.base.Executor`, for all of them at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from support.fakes import record

from tuner_app.execution.base import Ended, Executor, FoldStopped, IsStopped
from tuner_app.execution.threads import ThreadExecutor
from tuner_app.records.results import FoldResult
from tuner_app.records.tasks import FoldTask

ROWS = np.arange(3)
PATIENCE_SECONDS = 10.0
EXECUTORS = {
    "threads, one job": lambda: ThreadExecutor(1),
    "threads, two jobs": lambda: ThreadExecutor(2),
    "threads, all cores": lambda: ThreadExecutor(None),
}
"""What the class below is run for: a line for each executor."""

Make = Callable[[], Executor]


def task(number: int) -> FoldTask:
    return FoldTask(
        trial_id="0000", fold=number, execution=0, values={"a": 1}, seed=0, train_rows=ROWS, validation_rows=ROWS
    )


def fit(task: FoldTask, is_stopped: IsStopped) -> FoldResult:
    return record(task, final_epoch=task.fold + 1)


def slow_fit(task: FoldTask, is_stopped: IsStopped) -> FoldResult:
    """Takes longer than to hand it over, so that an executor has no reason to gather such fits."""
    time.sleep(0.002)
    return record(task)


def endless_fit(task: FoldTask, is_stopped: IsStopped) -> FoldResult:
    """Fits epoch by epoch until it is told to stop."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if is_stopped():
            raise FoldStopped
        time.sleep(0.001)
    return record(task)


def wait_for_one(executor: Executor) -> Ended:
    ended = executor.wait(PATIENCE_SECONDS)
    assert ended is not None
    return ended


def run_all(executor: Executor, count: int) -> list[Ended]:
    """Run tasks as a search does: submit while there is room, and again what came back without having begun."""
    waiting, running, ended = [task(number) for number in range(count)], 0, []
    while waiting or running:
        while waiting and executor.room:
            executor.submit(waiting.pop(0))
            running += 1
        one = wait_for_one(executor)
        running -= 1
        if one.record is None and one.error is None:
            waiting.append(one.task)
        else:
            ended.append(one)
    return ended


@pytest.fixture(name="kept")
def kept_fixture() -> list[FoldResult]:
    """The records that were kept, in the order of keeping."""
    return []


@pytest.fixture(name="start", params=EXECUTORS.values(), ids=EXECUTORS.keys())
def start_fixture(request: pytest.FixtureRequest, kept: list[FoldResult]) -> Iterator[Callable[..., Executor]]:
    """Makes an executor that runs a fit; it is stopped and closed when the test is over."""
    executors = []

    def start(fit: Any = fit, keep: Any = None) -> Executor:
        executor = request.param()
        executors.append(executor)
        executor.start(fit, keep or (lambda task, record, seconds: kept.append(record)))
        return executor

    yield start
    for executor in executors:
        executor.stop()
        executor.close()


class TestExecutor:
    def test_every_task_is_told_of_once_with_its_record(self, start: Callable[..., Executor]) -> None:
        ended = run_all(start(), 100)
        assert sorted(one.task.fold for one in ended) == list(range(100))
        assert all(one.record is not None and one.record.final_epoch == one.task.fold + 1 for one in ended)
        assert all(one.error is None for one in ended)

    def test_a_record_is_kept_before_it_is_told_of(
        self, start: Callable[..., Executor], kept: list[FoldResult]
    ) -> None:
        executor = start()
        for number in range(5):
            executor.submit(task(number))
            assert wait_for_one(executor).record is kept[-1]
        assert len(kept) == 5

    def test_keeping_is_told_the_seconds_of_the_fit(self, start: Callable[..., Executor]) -> None:
        seconds: list[float] = []
        executor = start(slow_fit, lambda task, record, took: seconds.append(took))
        executor.submit(task(0))
        wait_for_one(executor)
        assert 0.002 <= seconds[0] < PATIENCE_SECONDS

    @pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, BaseException])
    def test_what_a_fit_raises_ends_its_own_task_alone(
        self, start: Callable[..., Executor], kept: list[FoldResult], kind: type[BaseException]
    ) -> None:
        def failing(task: FoldTask, is_stopped: IsStopped) -> FoldResult:
            if task.fold == 1:
                raise kind("Boom")
            return fit(task, is_stopped)

        ended = {one.task.fold: one for one in run_all(start(failing), 4)}
        assert isinstance(ended[1].error, kind)
        assert ended[1].error.args == ("Boom",)
        assert ended[1].record is None
        assert [ended[number].error for number in (0, 2, 3)] == [None] * 3
        assert sorted(record.fold for record in kept) == [0, 2, 3]

    def test_what_cannot_be_kept_has_no_record(self, start: Callable[..., Executor]) -> None:
        def full(task: FoldTask, record: FoldResult, seconds: float) -> None:
            raise OSError("No space left on device")

        executor = start(fit, full)
        executor.submit(task(0))
        ended = wait_for_one(executor)
        assert isinstance(ended.error, OSError)
        assert ended.record is None

    def test_a_failed_fit_is_a_record_like_any_other(self, start: Callable[..., Executor]) -> None:
        def failed(task: FoldTask, is_stopped: IsStopped) -> FoldResult:
            return record(task, error="Traceback\n")

        ended = run_all(start(failed), 40)
        assert len(ended) == 40
        assert all(one.record is not None and one.record.error for one in ended)

    def test_waiting_for_nothing_ends(self, start: Callable[..., Executor]) -> None:
        executor = start()
        began = time.monotonic()
        assert executor.wait(0.0) is None
        assert executor.wait(0.01) is None
        assert time.monotonic() - began < PATIENCE_SECONDS / 2

    def test_neither_submitting_nor_a_short_wait_waits_for_the_fit(self, start: Callable[..., Executor]) -> None:
        executor = start(endless_fit)
        began = time.monotonic()
        executor.submit(task(0))
        assert executor.wait(0.01) is None
        assert time.monotonic() - began < PATIENCE_SECONDS / 2

    def test_there_is_room_while_nothing_runs_and_no_more_than_there_are_jobs_for_real_fits(
        self, start: Callable[..., Executor]
    ) -> None:
        executor = start(endless_fit)
        assert executor.room >= 1
        submitted = 0
        while executor.room:
            executor.submit(task(submitted))
            submitted += 1
        assert submitted == executor.n_jobs
        executor.stop()
        for _ in range(submitted):
            wait_for_one(executor)
        assert executor.room >= 1

    def test_as_many_fits_as_jobs_run_side_by_side(self, start: Callable[..., Executor]) -> None:
        together: list[threading.Barrier] = []

        def meeting(task: FoldTask, is_stopped: IsStopped) -> FoldResult:
            together[0].wait(PATIENCE_SECONDS)
            return record(task)

        executor = start(meeting)
        together.append(threading.Barrier(executor.n_jobs))
        for number in range(executor.n_jobs):
            executor.submit(task(number))
        assert [wait_for_one(executor).error for _ in range(executor.n_jobs)] == [None] * executor.n_jobs

    def test_a_fit_that_is_cancelled_stops_and_leaves_no_record(
        self, start: Callable[..., Executor], kept: list[FoldResult]
    ) -> None:
        executor, unwanted = start(endless_fit), task(0)
        executor.submit(unwanted)
        assert executor.wait(0.01) is None
        executor.cancel(unwanted)
        ended = wait_for_one(executor)
        assert ended.task is unwanted
        assert isinstance(ended.error, FoldStopped)
        assert kept == []

    def test_to_cancel_one_stops_no_other(self, start: Callable[..., Executor]) -> None:
        def patient(task: FoldTask, is_stopped: IsStopped) -> FoldResult:
            return endless_fit(task, is_stopped) if task.fold == 0 else slow_fit(task, is_stopped)

        executor, unwanted = start(patient), task(0)
        executor.submit(unwanted)
        executor.cancel(unwanted)
        assert isinstance(wait_for_one(executor).error, FoldStopped)
        executor.cancel(unwanted)  # Over already.
        executor.submit(task(1))
        assert wait_for_one(executor).record is not None

    def test_stopping_stops_what_runs_and_what_comes_later(
        self, start: Callable[..., Executor], kept: list[FoldResult]
    ) -> None:
        executor = start(endless_fit)
        executor.submit(task(0))
        assert executor.wait(0.01) is None
        executor.stop()
        assert isinstance(wait_for_one(executor).error, FoldStopped)
        executor.submit(task(1))
        assert isinstance(wait_for_one(executor).error, FoldStopped)
        assert kept == []

    def test_closing_lets_what_was_submitted_end(self, start: Callable[..., Executor]) -> None:
        executor = start(slow_fit)
        executor.submit(task(0))
        executor.close()
        assert wait_for_one(executor).record is not None
