"""Where fold tasks run: the interface between a search and what carries out its fits.

Owns the promises that a search relies on. What a fit is belongs to `training`; which task comes next, to `search`.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable

from tuner_app.records.results import FoldResult
from tuner_app.records.tasks import FoldTask

IsStopped = Callable[[], bool]
"""Asked by a fit at the end of each epoch: whether nobody wants the fit any more."""

Fit = Callable[[FoldTask, IsStopped], FoldResult]
"""A fold task's way to its record; it raises `FoldStopped` soon after it is told to stop."""

Keep = Callable[[FoldTask, FoldResult, float], None]
"""Puts a record where it outlives the process; told the seconds that the fit took on the clock."""


class FoldStopped(BaseException):
    """Raised in a fit's thread when nobody wants the fit any more: the fold is dropped."""


@dataclasses.dataclass(frozen=True, eq=False)
class Ended:
    """A task that is over.

    Attributes:
        task: The task.
        record: What came of it, kept already; None where there is nothing.
        error: What it was ended by; None too where it was not begun at all, and is to be submitted again.
    """

    task: FoldTask
    record: FoldResult | None = None
    error: BaseException | None = None


class Executor(abc.ABC):
    """Runs fold tasks side by side.

    All methods are called from one thread, the search's. A fit runs somewhere else: in a thread, or in another process.

    Attributes:
        n_jobs: How many fits run side by side.
    """

    n_jobs: int

    @abc.abstractmethod
    def start(self, fit: Fit, keep: Keep) -> None:
        """Say what a task is run by, once, before the first `submit`.

        Args:
            fit: Called with each task. Only an executor in threads may be given one that cannot be pickled.
            keep: Called with each record before `wait` tells of it, by one thread at a time for a task.
        """

    @property
    @abc.abstractmethod
    def room(self) -> int:
        """How many more tasks it takes now. At least one while nothing is under way."""

    @abc.abstractmethod
    def submit(self, task: FoldTask) -> None:
        """Take a task, which begins now or when a job is free. Never waits for it.

        To be called only while there is `room`.
        """

    @abc.abstractmethod
    def wait(self, seconds: float) -> Ended | None:
        """Wait for any task to end. Every submitted task is told of exactly once, in any order.

        A fit's exception, whatever it is, ends only its own task. Behind one that failed, or that raised, tasks that
        were not begun may come back without a record: to be submitted again, or not.

        Args:
            seconds: After which None is the answer.
        """

    @abc.abstractmethod
    def cancel(self, task: FoldTask) -> None:
        """Have a task's fit stop at the end of its epoch. Nothing happens where it is over."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Have every fit stop at the end of its epoch; what is submitted later stops, too. Does not wait."""

    @abc.abstractmethod
    def close(self) -> None:
        """No more tasks will come: what serves them ends, each after what it is at. Does not wait."""
