"""Which folds of the open candidates are fitted next.

A policy judges records alone, never the clock or the order in which fits ended, so that any number of jobs and a resume
fit the same.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence

from tuner_app.records.results import FoldResult

FoldKey = tuple[int, int]
"""The numbers of a fold and of an execution."""


class FoldPolicy(abc.ABC):
    """Says what is left to fit of a candidate."""

    @property
    @abc.abstractmethod
    def most_fits(self) -> int:
        """How many fits a candidate has at most: more are none of this search's."""

    @abc.abstractmethod
    def missing(self, records: Sequence[FoldResult]) -> list[FoldKey]:
        """What is to be fitted before the candidate can be judged; nothing where it has ended.

        Args:
            records: What is known of the candidate.
        """


@dataclasses.dataclass(frozen=True)
class AllFolds(FoldPolicy):
    """Every candidate is fitted on every fold.

    Attributes:
        n_splits: The number of folds.
        executions: The repetitions per fold.
    """

    n_splits: int
    executions: int = 1

    @property
    def most_fits(self) -> int:
        """The number of all fits of a candidate."""
        return self.n_splits * self.executions

    def missing(self, records: Sequence[FoldResult]) -> list[FoldKey]:
        """The fits without a record, fold by fold."""
        present = {(record.fold, record.execution) for record in records}
        keys = ((fold, execution) for fold in range(self.n_splits) for execution in range(self.executions))
        return [key for key in keys if key not in present]
