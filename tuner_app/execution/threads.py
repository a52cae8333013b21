"""Runs fold tasks side by side, in threads, and gives back what came of them.

Threads, because a compiled epoch releases Python's lock: one copy of the data, nothing is pickled, and
hypermodels from a notebook or a lambda work. A thread serves many tasks, since starting one costs about as
much as all other bookkeeping of a fold; what Keras keeps per thread is `training`'s to clean. Tasks come in
batches, of one nearly always: to wake a thread and be woken by it takes longer than a fit that does nothing.
"""

from __future__ import annotations

import os
import queue
import threading

from tuner_app.errors import InputError
from tuner_app.execution.base import Batch, Executor, Outcome, Work
from tuner_app.process.fit_threads import at_a_fit

_IDLE = "waits for a fold"


class ThreadExecutor(Executor):
    """One thread a job; threads start when they are needed first.

    Args:
        n_jobs: How many batches run side by side; None or -1 is the number of cores.

    Raises:
        InputError: `n_jobs` is 0, below -1, or no whole number.
    """

    def __init__(self, n_jobs: int | None = None) -> None:
        self.n_jobs = count_jobs(n_jobs)
        self._batches: queue.SimpleQueue[tuple[Work, Batch] | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._threads = 0

    def submit(self, work: Work, batch: Batch) -> None:
        """Start a batch in a thread that dies with the process."""
        self._batches.put((work, batch))
        if self._threads < self.n_jobs:
            self._threads += 1
            threading.Thread(target=self._serve, name=_IDLE, daemon=True).start()

    def wait(self, seconds: float) -> Outcome | None:
        """Wait for any running batch, at most so many seconds."""
        try:
            return self._outcomes.get(timeout=seconds)
        except queue.Empty:
            return None

    def close(self) -> None:
        """End the threads, each after the batch that it is at."""
        for _ in range(self._threads):
            self._batches.put(None)
        self._threads = 0

    def _serve(self) -> None:
        while (given := self._batches.get()) is not None:
            self._run(*given)
            del given

    def _run(self, work: Work, batch: Batch) -> None:
        result, failure = None, None
        with at_a_fit(f"trial {batch[0].trial_id} fold {batch[0].fold}"):
            try:
                result = work(batch)
            except BaseException as error:  # handed over to the waiting thread, whatever it is
                failure = error
        self._outcomes.put((batch, result, failure))
        del result, failure  # the exception's traceback knows this frame: a circle that would keep the model alive


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
