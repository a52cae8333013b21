"""Fold tasks in threads of this process.

Threads, because a compiled epoch releases Python's lock: one copy of the data, nothing is pickled, and hypermodels from
a notebook or a lambda work. A thread serves many tasks, since starting one costs about as much as all other bookkeeping
of a fold; what Keras keeps per thread is `training`'s to clean.

Tasks are handed over in batches, of one nearly always: to wake a thread and be woken by it takes longer than a fit that
does nothing, so such fits are handed over together.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import os
import queue
import threading
import time
from collections.abc import Sequence

from tuner_app.errors import InputError
from tuner_app.execution.base import Ended, Executor, Fit, FoldStopped, Keep
from tuner_app.process.fit_threads import at_a_fit
from tuner_app.records.tasks import FoldTask

_IDLE = "waits for a fold"
# Two threads wake each other and are back within this time; fits that take less come in batches.
HAND_OVER_SECONDS = 0.0005
BATCH = 32


@dataclasses.dataclass(frozen=True)
class _Served:
    """A batch that a thread is done with, and the seconds of its slowest fit."""

    ended: Sequence[Ended]
    slowest: float


class ThreadExecutor(Executor):
    """One thread a job; threads start when they are needed first, and die with the process.

    Args:
        n_jobs: How many fits run side by side; None or -1 is the number of cores.

    Raises:
        InputError: `n_jobs` is 0, below -1, or no whole number.
    """

    def __init__(self, n_jobs: int | None = None) -> None:
        self.n_jobs = count_jobs(n_jobs)
        self._batches: queue.SimpleQueue[Sequence[FoldTask] | None] = queue.SimpleQueue()
        self._served: queue.SimpleQueue[_Served] = queue.SimpleQueue()
        self._gathered: list[FoldTask] = []
        self._ended: collections.deque[Ended] = collections.deque()
        self._threads = self._running = 0
        self._slowest = math.inf
        self._stopped = False
        self._under_way: set[FoldTask] = set()
        self._cancelled: set[FoldTask] = set()

    def start(self, fit: Fit, keep: Keep) -> None:
        """Say what a task is run by."""
        self._fit, self._keep = fit, keep

    @property
    def room(self) -> int:
        """How many more tasks it takes now.

        Fits that are shorter than a hand-over want nothing but Python's lock: one thread takes a batch of them.
        """
        if self._slowest < HAND_OVER_SECONDS:
            # One batch at a time: two threads of such fits would only take the lock from each other.
            return 0 if self._running else BATCH - len(self._gathered)
        return self.n_jobs - self._running

    def submit(self, task: FoldTask) -> None:
        """Take a task; short ones are gathered until a batch is full or the search waits."""
        self._under_way.add(task)
        self._gathered.append(task)
        if self._slowest >= HAND_OVER_SECONDS or len(self._gathered) >= BATCH:
            self._hand_over()

    def wait(self, seconds: float) -> Ended | None:
        """Wait for any task to end, at most so many seconds."""
        self._hand_over()
        if not self._ended:
            try:
                served = self._served.get(timeout=seconds) if seconds > 0 else self._served.get_nowait()
            except queue.Empty:
                return None
            self._running -= 1
            # The newest batch decides: the first fit of an architecture, which compiles, is slow.
            self._slowest = served.slowest
            self._ended.extend(served.ended)
        ended = self._ended.popleft()
        self._under_way.discard(ended.task)
        self._cancelled.discard(ended.task)
        return ended

    def cancel(self, task: FoldTask) -> None:
        """Have a task's fit stop at the end of its epoch."""
        if task in self._under_way:
            self._cancelled.add(task)

    def stop(self) -> None:
        """Have every fit stop at the end of its epoch."""
        self._stopped = True

    def close(self) -> None:
        """End the threads, each after the batch that it is at."""
        self._hand_over()
        for _ in range(self._threads):
            self._batches.put(None)
        self._threads = 0

    def _hand_over(self) -> None:
        if not self._gathered:
            return
        self._batches.put(self._gathered)
        self._gathered = []
        self._running += 1
        if self._threads < self.n_jobs:
            self._threads += 1
            # A daemon: a process that is to end at once must not wait for an epoch.
            threading.Thread(target=self._serve, name=_IDLE, daemon=True).start()

    # In the fits' threads --------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while (batch := self._batches.get()) is not None:
            self._served.put(self._serve_batch(batch))
            del batch  # While this thread waits, it would keep the tasks' rows alive.

    def _serve_batch(self, batch: Sequence[FoldTask]) -> _Served:
        """One after another. A failed fit is the last one, since it may end the search; the others come back."""
        ended: list[Ended] = []
        slowest = -math.inf
        for task in batch:
            began = time.perf_counter()
            ended.append(self._run(task))
            slowest = max(slowest, time.perf_counter() - began)
            if ended[-1].record is None or ended[-1].record.error is not None:
                break
        rest = [Ended(task) for task in batch[len(ended) :]]
        return _Served([*ended, *rest], slowest if ended[-1].record is not None else math.inf)

    def _run(self, task: FoldTask) -> Ended:
        began = time.perf_counter()
        try:
            with at_a_fit(f"trial {task.trial_id} fold {task.fold}"):
                if self._is_stopped(task):
                    raise FoldStopped
                # Read without a lock: a flag that is set a moment later is seen at the next epoch.
                record = self._fit(task, lambda: self._is_stopped(task))
                self._keep(task, record, time.perf_counter() - began)
            return Ended(task, record)
        except BaseException as error:  # handed over to the waiting thread, whatever it is
            return Ended(task, None, error)

    def _is_stopped(self, task: FoldTask) -> bool:
        return self._stopped or task in self._cancelled


def count_jobs(n_jobs: int | None) -> int:
    """The number of fits side by side that `n_jobs` means on this machine.

    Raises:
        InputError: `n_jobs` is 0, below -1, or no whole number.
    """
    if n_jobs is None or n_jobs == -1:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs < 1:
        raise InputError(f"n_jobs must be a whole number from 1, or -1 for all cores. Received: {n_jobs!r}.")
    return n_jobs
