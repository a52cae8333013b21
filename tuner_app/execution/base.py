"""Where fold tasks run: the interface between a search and what carries out its fits."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any

from tuner_app.records.tasks import FoldTask


class FoldStopped(BaseException):
    """Raised in a fit's thread when the search is to stop: the fold is dropped."""


Batch = Sequence[FoldTask]


Work = Callable[[Batch], Any]


Outcome = tuple[Batch, Any, BaseException | None]


class Executor(abc.ABC):
    """Runs batches of tasks; the search submits them and waits for outcomes, in any order.

    Attributes:
        n_jobs: How many batches run side by side.
    """

    n_jobs: int

    @abc.abstractmethod
    def submit(self, work: Work, batch: Batch) -> None:
        """Start a batch of at least one task. The caller keeps at most `n_jobs` batches running."""

    @abc.abstractmethod
    def wait(self, seconds: float) -> Outcome | None:
        """Wait for any running batch: the batch, what came of it, and the exception that it ended with (or None).

        Args:
            seconds: After which None is the answer.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """No more batches will come: what serves them ends, each after the batch that it is at. Does not wait."""
