"""The candidates of an earlier run of the same search, which observers are not told of again."""

from __future__ import annotations

from tuner_app.records.results import Candidate
from tuner_app.search.observers import SearchPlan
from tuner_app.storage.journal import group


def restored(plan: SearchPlan) -> list[Candidate]:
    """What the journal held when a search began, by candidate and scored; begun ones too.

    Args:
        plan: The search.
    """
    n_fits = plan.n_splits * plan.executions
    return [candidate.scored(plan.rule, n_fits=n_fits) for candidate in group(list(plan.finished))]
