"""The seam between a search and everything that watches it.

A search tells its observers what happened, in the main thread, after the journal has it. Progress on
the screen, TensorBoard's files and `results.csv` are observers; none of them can change a result.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.score import ScoreRule
from tuner_app.storage.project import Project


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchPlan:
    """What a search is about to do.

    Attributes:
        project: The folder.
        space: Each hyperparameter's name with the values of the grid, in the order of the space.
        rule: How histories become scores.
        n_splits: The number of folds.
        executions: The repetitions per fold.
        n_candidates: The number of candidates known at the start.
        n_jobs: How many fits run side by side.
        finished: The records that the journal already held when the search began (a resumed search).
        classes: The class labels in the order of the model's outputs; None for no classifier.
    """

    project: Project
    space: Mapping[str, Sequence[Any]]
    rule: ScoreRule
    n_splits: int
    executions: int
    n_candidates: int
    n_jobs: int
    finished: tuple[FoldResult, ...] = ()
    classes: tuple[Any, ...] | None = None


class SearchObserver:
    """Does nothing; subclasses override what they want to know.

    All events come in the main thread. Folds and candidates are told of in the order of their ends, which the clock
    decides: what an observer leaves behind must not depend on it. Of what an earlier run finished it is not told; that
    stands in `SearchPlan.finished`. An observer may watch one search after another.

    It changes nothing that it is handed, and has closed what it opened when `search_ended` returns (which a search that
    ends in an error never calls). What it raises ends the search, so it does without what it cannot do.
    """

    def search_begun(self, plan: SearchPlan) -> None:
        """Once, before the first fit."""

    def fold_begun(self, trial_id: str, values: Mapping[str, Any], fold: int, execution: int) -> None:
        """A fit starts."""

    def fold_ended(self, result: FoldResult) -> None:
        """A fit is over, good or failed, and journalled."""

    def candidate_ended(self, candidate: Candidate) -> None:
        """The last fold of a candidate is over."""

    def search_ended(self, candidates: Sequence[Candidate], *, table: Mapping[str, Any], interrupted: bool) -> None:
        """The search is over, or was stopped.

        Args:
            candidates: The whole candidates, in the order of the grid.
            table: Their `cv_results_`.
            interrupted: Whether the search was stopped.
        """
