"""Which fold task runs next: first what tells how long things take, then the longest.

A long fit that starts last leaves the other cores idle at the end. How long a fit takes is learnt from the fits that
are done, as an additive effect of each hyperparameter's value on the logarithm of the seconds. The order never changes
a result, only the time of the whole.
"""

from __future__ import annotations

import math
from collections import defaultdict

from tuner_app.records.tasks import FoldTask


class Schedule:
    """The tasks that wait."""

    def __init__(self) -> None:
        self._waiting: list[FoldTask] = []
        self._seconds: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
        self._total = [0.0, 0.0]
        self._news = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, task: FoldTask) -> None:
        """A task more, behind those that wait."""
        self._waiting.append(task)

    def learn(self, task: FoldTask, seconds: float) -> None:
        """A task took so many seconds."""
        logarithm = math.log(max(seconds, 1e-6))  # A clock may stand still.
        for sums in (self._total, *(self._seconds[key] for key in _keys(task))):
            sums[0] += logarithm
            sums[1] += 1
        self._news += 1

    def next(self) -> FoldTask:
        """Take out the task to run next."""
        if self._news > len(self._waiting) // 8:  # Sorting at each step would cost more the longer the queue.
            self._sort()
        return self._waiting.pop(0)

    def remaining_seconds(self) -> float:
        """How long the waiting tasks will take, one after another."""
        return sum(self.expected_seconds(task) for task in self._waiting)

    def expected_seconds(self, task: FoldTask) -> float:
        """How long a task will take; infinite while a value of its hyperparameters was never seen."""
        if not self._total[1]:
            return math.inf
        mean = self._total[0] / self._total[1]
        logarithm = mean
        for key in _keys(task):
            sums = self._seconds.get(key)
            if sums is None:  # Fitted first, since it tells most.
                return math.inf
            logarithm += sums[0] / sums[1] - mean
        return math.exp(min(logarithm, 50.0))  # Beyond, every fit is the longest one.

    def _sort(self) -> None:
        """The longest first; a candidate's folds, which are expected to take the same, are looked up once."""
        candidates = {task.trial_id: task for task in self._waiting}
        expected = {trial_id: self.expected_seconds(task) for trial_id, task in candidates.items()}
        self._waiting.sort(key=lambda task: -expected[task.trial_id])
        self._news = 0


def _keys(task: FoldTask) -> list[tuple[str, str]]:
    return [(name, repr(value)) for name, value in task.values.items()]
