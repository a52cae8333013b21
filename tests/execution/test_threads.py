"""Threads as an executor: `n_jobs`, the threads themselves, and batches of short fits. See also `conformance`."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.fakes import record

from tuner_app.errors import InputError
from tuner_app.execution import threads
from tuner_app.execution.base import Ended
from tuner_app.execution.threads import ThreadExecutor, count_jobs
from tuner_app.records.results import FoldResult
from tuner_app.records.tasks import FoldTask

ROWS = np.arange(3)


def task(number: int) -> FoldTask:
    return FoldTask(
        trial_id="0", fold=number, execution=0, values={"a": 1}, seed=0, train_rows=ROWS, validation_rows=ROWS
    )


def start(executor: ThreadExecutor, fit: Callable[[FoldTask], Any]) -> list[FoldTask]:
    """The executor begun with a fit that makes an empty record; what it keeps is collected."""
    kept: list[FoldTask] = []

    def run(one: FoldTask, is_stopped: Callable[[], bool]) -> FoldResult:
        fit(one)
        return record(one)

    executor.start(run, lambda one, made, seconds: kept.append(one))
    return kept


def test_n_jobs_is_a_number_or_all_cores() -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert [count_jobs(n) for n in (None, -1, 1, 7)] == [cores, cores, 1, 7]
    assert ThreadExecutor(3).n_jobs == 3


@pytest.mark.parametrize("n_jobs", [0, -2, 1.5, "2", True])
def test_other_counts_are_refused(n_jobs: Any) -> None:
    with pytest.raises(InputError, match=rf"n_jobs must be a whole number from 1, or -1 .*Received: {n_jobs!r}"):
        ThreadExecutor(n_jobs)


def test_a_running_task_does_not_keep_the_process_alive() -> None:
    executor, served = ThreadExecutor(1), []
    start(executor, lambda one: served.append((threading.current_thread().daemon, threading.current_thread().name)))
    executor.submit(task(0))
    assert executor.wait(10.0) is not None
    executor.close()
    assert served == [(True, "trial 0 fold 0")]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_no_more_threads_than_jobs_serve_all_tasks_and_end_when_it_is_closed(n_jobs: int) -> None:
    executor, served = ThreadExecutor(n_jobs), set()
    start(executor, lambda one: served.add(threading.current_thread()))
    for number in range(20):
        executor.submit(task(number))
        assert executor.wait(10.0) is not None
    executor.close()
    assert len(served) <= n_jobs
    for thread in served:
        thread.join(10.0)
        assert not thread.is_alive()


class TestBatches:
    """Fits that take less time than to hand them over are handed over together."""

    @pytest.fixture(name="executor")
    def executor_fixture(self, monkeypatch: pytest.MonkeyPatch) -> ThreadExecutor:
        """One whose first fit has counted as short."""
        monkeypatch.setattr(threads, "HAND_OVER_SECONDS", math.inf)
        executor = ThreadExecutor(2)
        self.kept = start(executor, self.fit)
        assert executor.room == 2
        executor.submit(task(0))
        assert executor.wait(10.0) is not None
        return executor

    def fit(self, one: FoldTask) -> None:
        if one.fold == 3:
            raise MemoryError("the third")

    def all_of(self, executor: ThreadExecutor, count: int) -> list[Ended]:
        return [ended for _ in range(count) if (ended := executor.wait(10.0)) is not None]

    def test_one_thread_takes_as_many_as_it_may(self, executor: ThreadExecutor) -> None:
        assert executor.room == threads.BATCH
        for number in range(10, 10 + threads.BATCH):
            executor.submit(task(number))
        assert executor.room == 0
        assert {ended.task.fold for ended in self.all_of(executor, threads.BATCH)} == set(range(10, 10 + threads.BATCH))
        assert executor.room == threads.BATCH

    def test_behind_a_failure_the_others_come_back_unfitted(self, executor: ThreadExecutor) -> None:
        for number in range(1, 6):
            executor.submit(task(number))
        ended = {one.task.fold: one for one in self.all_of(executor, 5)}
        assert isinstance(ended[3].error, MemoryError)
        assert [ended[number].record is None for number in range(1, 6)] == [False, False, True, True, True]
        assert [ended[number].error for number in (4, 5)] == [None, None]
        assert [one.fold for one in self.kept] == [0, 1, 2]
