"""Which fold task runs next: first one fold of each value that was never tried, then the longest.

A long fit that starts last leaves the other cores idle at the end. What must follow a fit counts with it: the folds of
the candidate that leads come before others of their length, since its refit waits for them. The order never changes a
result, only the time of the whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from time import perf_counter

from tuner_app.records.results import FoldResult
from tuner_app.records.tasks import FoldTask
from tuner_app.search.durations import Durations

# To look at a waiting task takes about so long; the order is made anew where that is little of the time of the fits.
_LOOK_SECONDS = 5e-6
_SHARE_OF_FITS = 0.02


class Schedule:
    """The tasks that wait, and since when the others run.

    Args:
        n_jobs: How many fits run side by side. One job takes as long in any order: tasks run as they come.
    """

    def __init__(self, n_jobs: int) -> None:
        self._n_jobs, self._is_ordered = n_jobs, n_jobs > 1
        self._waiting: list[FoldTask] = []
        self._durations = Durations()
        self._expected: dict[str, float] = {}  # By trial: the seconds of a fold, as of the last sorting.
        self._running: dict[FoldTask, float] = {}
        self._leader: tuple[str | None, float] = None, 0.0
        self._added, self._seconds_since = 0, 0.0  # Since the last sorting.

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, task: FoldTask) -> None:
        """A task more, behind those that wait."""
        self._waiting.append(task)
        self._added += 1

    def next(self) -> FoldTask:
        """Take out the task to run next: it runs from now on."""
        self._refresh()
        task = self._waiting.pop(0)
        self._running[task] = perf_counter()
        if self._is_ordered:
            self._durations.begin(task)
        return task

    def end(self, task: FoldTask) -> None:
        """A task runs no longer, whatever came of it."""
        self._running.pop(task, None)

    def learn(self, task: FoldTask | FoldResult, seconds: float) -> None:
        """A task took so many seconds; one of an earlier run is known by its record."""
        if self._is_ordered:
            self._durations.learn(task, seconds)
            self._seconds_since += seconds

    def favour(self, trial_id: str | None, seconds: float) -> None:
        """Say which candidate leads (None: no waiting one), and how long what comes after its folds will take."""
        self._leader = trial_id, seconds

    def seconds_waiting(self) -> float:
        """How long the waiting tasks will take, one after another; infinite while one of them is unknown."""
        self._refresh()
        return sum(self._expected.get(task.trial_id, math.inf) for task in self._waiting)

    def seconds_running(self) -> list[float]:
        """How long each of the running tasks will still take; infinite for an unknown one."""
        return [max(self._durations.expected(task) - seconds, 0.0) for task, seconds in self._seconds_so_far()]

    def _seconds_so_far(self) -> list[tuple[FoldTask, float]]:
        now = perf_counter()
        return [(task, now - began) for task, began in self._running.items()]

    def _refresh(self) -> None:
        if not self._is_ordered or not (self._added or self._seconds_since):
            return
        cost, passed = len(self._waiting) * _LOOK_SECONDS, self._seconds_since / self._n_jobs
        # Fits of seconds are worth a look after each of them; those of a millisecond, with hundreds waiting, are not.
        if passed * _SHARE_OF_FITS >= cost or self._added > len(self._waiting) // 2:
            self._sort()

    def _sort(self) -> None:
        """The longest first; a candidate's folds, which are expected to take the same, are looked up once."""
        firsts: dict[str, FoldTask] = {}
        for task in self._waiting:
            firsts.setdefault(task.trial_id, task)
        self._expected = {trial_id: self._durations.expected(task) for trial_id, task in firsts.items()}
        for task, seconds in self._seconds_so_far():  # A fold that runs longer than expected tells of the others.
            if task.trial_id in firsts:
                self._expected[task.trial_id] = max(self._expected[task.trial_id], seconds)
        urgency = {trial_id: self._urgency(task) for trial_id, task in firsts.items()}
        self._waiting.sort(key=lambda task: urgency[task.trial_id], reverse=True)
        if probes := self._probes(sorted(firsts.values(), key=lambda task: urgency[task.trial_id], reverse=True)):
            self._waiting.sort(key=lambda task: task not in probes)
        self._added, self._seconds_since = 0, 0.0

    def _urgency(self, task: FoldTask) -> tuple[float, float]:
        expected = self._expected[task.trial_id]
        if task.trial_id == self._leader[0]:
            expected += self._leader[1]
        # What may be the longest of all comes first, and of such the one that is likely to be.
        return expected, self._durations.guess(task) if math.isinf(expected) else 0.0

    def _probes(self, tasks: Iterable[FoldTask]) -> set[FoldTask]:
        """One task for each value that was never tried: a second one would tell no more, and the first tells most."""
        probes: list[FoldTask] = []
        for task in tasks:
            if self._durations.tells_more(task, probes):
                probes.append(task)
        return set(probes)
