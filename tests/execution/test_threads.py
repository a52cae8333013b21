"""What every executor must do, and what `n_jobs` means."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tuner_app.errors import InputError
from tuner_app.execution.base import Executor
from tuner_app.execution.threads import ThreadExecutor, count_jobs
from tuner_app.records.tasks import FoldTask

ROWS = np.arange(3)
EXECUTORS = {
    "threads, one job": lambda: ThreadExecutor(1),
    "threads, two jobs": lambda: ThreadExecutor(2),
    "threads, all cores": lambda: ThreadExecutor(None),
}


def task(number: int) -> FoldTask:
    return FoldTask(
        trial_id="0", fold=number, execution=0, values={"a": 1}, seed=0, train_rows=ROWS, validation_rows=ROWS
    )


def run_all(executor: Executor, work: Callable[[FoldTask], Any], count: int) -> list[Any]:
    """Keep `n_jobs` tasks running, each a batch, as a search does."""
    waiting, running, outcomes = [task(number) for number in range(count)], 0, []
    while waiting or running:
        while waiting and running < executor.n_jobs:
            executor.submit(lambda batch: work(*batch), [waiting.pop(0)])
            running += 1
        outcome = executor.wait(10.0)
        assert outcome is not None
        [one], result, error = outcome
        outcomes.append((one, result, error))
        running -= 1
    executor.close()
    return outcomes


@pytest.mark.parametrize("make", EXECUTORS.values(), ids=EXECUTORS.keys())
class TestConformance:
    def test_every_task_has_one_outcome(self, make: Callable[[], Executor]) -> None:
        outcomes = run_all(make(), lambda one: one.fold * 2, 20)
        assert sorted((one.fold, result) for one, result, _ in outcomes) == [(n, 2 * n) for n in range(20)]
        assert all(error is None for _, _, error in outcomes)

    @pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, BaseException])
    def test_an_exception_is_handed_over_and_ends_nothing_else(
        self, make: Callable[[], Executor], kind: type[BaseException]
    ) -> None:
        def work(one: FoldTask) -> int:
            if one.fold == 1:
                raise kind("Boom")
            return one.fold

        outcomes = {one.fold: (result, error) for one, result, error in run_all(make(), work, 4)}
        assert isinstance(outcomes[1][1], kind)
        assert outcomes[1][1].args == ("Boom",)
        assert {fold: result for fold, (result, _) in outcomes.items()} == {0: 0, 1: None, 2: 2, 3: 3}

    def test_waiting_for_nothing_ends(self, make: Callable[[], Executor]) -> None:
        began = time.monotonic()
        assert make().wait(0.01) is None
        assert time.monotonic() - began < 5

    def test_submitting_does_not_wait_for_the_task(self, make: Callable[[], Executor]) -> None:
        executor, go = make(), threading.Event()
        executor.submit(lambda one: go.wait(10.0), [task(0)])
        assert executor.wait(0.01) is None
        go.set()
        outcome = executor.wait(10.0)
        executor.close()
        assert outcome is not None
        assert outcome[1] is True

    def test_as_many_tasks_as_jobs_run_side_by_side(self, make: Callable[[], Executor]) -> None:
        executor = make()
        together = threading.Barrier(executor.n_jobs, timeout=10.0)
        outcomes = run_all(executor, lambda one: together.wait(), executor.n_jobs)
        assert [error for _, _, error in outcomes] == [None] * executor.n_jobs

    def test_a_batch_is_handed_to_one_thread_and_comes_back_whole(self, make: Callable[[], Executor]) -> None:
        executor, batch = make(), [task(number) for number in range(6)]
        executor.submit(lambda given: [one.fold for one in given], batch)
        outcome = executor.wait(10.0)
        executor.close()
        assert outcome == (batch, list(range(6)), None)

    def test_no_more_threads_than_jobs_serve_all_tasks_and_end_when_it_is_closed(
        self, make: Callable[[], Executor]
    ) -> None:
        executor = make()
        served = {thread for _, thread, _ in run_all(executor, lambda one: threading.current_thread(), 20)}
        assert len(served) <= executor.n_jobs
        for thread in served:
            thread.join(10.0)
            assert not thread.is_alive()

    def test_closing_lets_what_was_submitted_end(self, make: Callable[[], Executor]) -> None:
        executor, go = make(), threading.Event()
        executor.submit(lambda one: go.wait(10.0), [task(0)])
        executor.close()
        go.set()
        assert executor.wait(10.0) is not None


def test_n_jobs_is_a_number_or_all_cores() -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert [count_jobs(n) for n in (None, -1, 1, 7)] == [cores, cores, 1, 7]
    assert ThreadExecutor(3).n_jobs == 3


@pytest.mark.parametrize("n_jobs", [0, -2, 1.5, "2", True])
def test_other_counts_are_refused(n_jobs: Any) -> None:
    with pytest.raises(InputError, match=rf"n_jobs must be a whole number from 1, or -1 .*Received: {n_jobs!r}"):
        ThreadExecutor(n_jobs)


def test_a_running_task_does_not_keep_the_process_alive() -> None:
    executor = ThreadExecutor(1)
    executor.submit(lambda one: (threading.current_thread().daemon, threading.current_thread().name), [task(0)])
    outcome = executor.wait(10.0)
    executor.close()
    assert outcome is not None
    assert outcome[1] == (True, "trial 0 fold 0")
