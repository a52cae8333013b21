"""What a search is given, and what it gives back.

Owns the two records between a tuner and the loop. The loop sees nothing of a tuner but this.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tuner_app.execution.base import Executor, Fit
from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.tasks import FoldTask, Index
from tuner_app.search.observers import SearchObserver, SearchPlan
from tuner_app.search.policy import FoldPolicy
from tuner_app.search.refit import ModelKeeper
from tuner_app.search.strategy import Strategy
from tuner_app.storage.journal import Journal


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SearchSpec:
    """Everything that one search is made of.

    Attributes:
        plan: What the observers are told at the start: project, rule, numbers.
        splits: Pairs of row numbers, training and validation: the folds.
        rows: The number of all rows.
        seed: The seed of the search; 0 is a seed.
        journal: Where finished fits are kept, open for this search.
        records: The finished fits that the journal holds already.
        strategy: Proposes candidates.
        policy: Says which fits a candidate still needs.
        fit: From a task to its record.
        fits_ended: Called once when no fold is left to fit.
        executor: Runs the fits.
        observers: Are told what happens, in this order.
        stops_at_a_failure: Whether a failed fit ends the search.
        return_train_score: Whether the table has scores on the training rows.
        select: The row of the table that is the best candidate.
        selects_by_score: Whether it is the row of the best mean score, so that a refit may begin before the end.
        keeper: What becomes of the refit model; None for no refit.
    """

    plan: SearchPlan
    splits: Sequence[tuple[Index, Index]]
    rows: int
    seed: int
    journal: Journal
    records: Sequence[FoldResult]
    strategy: Strategy
    policy: FoldPolicy
    fit: Fit
    fits_ended: Callable[[], None]
    executor: Executor
    observers: Sequence[SearchObserver]
    stops_at_a_failure: bool
    return_train_score: bool
    select: Callable[[Mapping[str, Any]], int]
    selects_by_score: bool
    keeper: ModelKeeper | None

    def tell(self, event: str, *arguments: Any, **options: Any) -> None:
        """Tell all observers of an event, in the main thread."""
        for observer in self.observers:
            getattr(observer, event)(*arguments, **options)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class SearchOutcome:
    """What a search has found.

    Attributes:
        candidates: The whole candidates, in the order of the table.
        table: Their `cv_results_`.
        best_index: The best one's row.
        failures: What to say about failed fits; None where none failed.
        model: The refit model; None where there is none.
        refit_seconds: How long its training took.
        refit_failure: Why there is no model though one was asked for; else None.
        refit_task: Gives the task that trains one of the candidates on all rows.
    """

    candidates: Sequence[Candidate]
    table: dict[str, Any]
    best_index: int
    failures: str | None = None
    model: Any = None
    refit_seconds: float = 0.0
    refit_failure: str | None = None
    refit_task: Callable[[Candidate], FoldTask]
