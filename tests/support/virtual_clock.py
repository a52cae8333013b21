"""A search on a clock that nobody waits for: each fit takes the seconds that a function says, and none in truth."""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Callable, Mapping
from typing import Any

from tuner_app.execution.base import Ended, Executor, Fit, FoldStopped, Keep
from tuner_app.records.results import FoldResult
from tuner_app.records.tasks import FoldTask

Seconds = Callable[[FoldTask], float]


class VirtualExecutor(Executor):
    """Runs fits on a clock of its own; one that is cancelled ends with its epoch.

    Args:
        n_jobs: How many fits run side by side.
        seconds: How long a task takes.
        score: The validation accuracy of a candidate's fold.
        epochs: Of how many equal epochs a fit consists.
    """

    def __init__(
        self, n_jobs: int, seconds: Seconds, score: Callable[[Mapping[str, Any], int], float], epochs: int = 15
    ) -> None:
        self.n_jobs, self.epochs = n_jobs, epochs
        self._seconds, self._score = seconds, score
        self._running: list[_Running] = []
        self.now = self.busy = 0.0
        self.tasks: list[FoldTask] = []
        self.spans: list[tuple[float, float, FoldTask]] = []

    def clock(self) -> float:
        return self.now

    def start(self, fit: Fit, keep: Keep) -> None:
        self._keep = keep

    @property
    def room(self) -> int:
        return self.n_jobs - len(self._running)

    def submit(self, task: FoldTask) -> None:
        assert self.room > 0
        self.tasks.append(task)
        end = self.now + self._seconds(task)
        heapq.heappush(self._running, _Running(end, len(self.tasks), self.now, task))

    def wait(self, seconds: float) -> Ended | None:
        if not self._running:
            return None
        one = heapq.heappop(self._running)
        self.now = one.end
        self.busy += one.end - one.began
        self.spans.append((one.began, one.end, one.task))
        if one.is_cancelled:
            return Ended(one.task, None, FoldStopped())
        record = self._record(one)
        self._keep(one.task, record, one.end - one.began)
        return Ended(one.task, record)

    def _record(self, one: _Running) -> FoldResult:
        task = one.task
        return task.record(
            history={"val_accuracy": [self._score(task.values, task.fold)] * self.epochs},
            final_epoch=self.epochs,
            fit_seconds=one.end - one.began,
        )

    def cancel(self, task: FoldTask) -> None:
        for one in self._running:
            if one.task is task:
                epoch = (one.end - one.began) / self.epochs
                one.end = min(one.end, one.began + epoch * (1 + (self.now - one.began) // epoch))
                one.is_cancelled = True
        heapq.heapify(self._running)

    def stop(self) -> None:
        for task in [one.task for one in self._running]:
            self.cancel(task)

    def close(self) -> None:
        pass


@dataclasses.dataclass(order=True)
class _Running:
    end: float
    number: int
    began: float = dataclasses.field(compare=False)
    task: FoldTask = dataclasses.field(compare=False)
    is_cancelled: bool = dataclasses.field(default=False, compare=False)
