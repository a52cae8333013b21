"""Keeps `results.csv` up to date while a search runs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tuner_app.records.results import Candidate
from tuner_app.records.tables import cv_results, trial_order
from tuner_app.search.observers import SearchObserver, SearchPlan
from tuner_app.storage.files import write_whole
from tuner_app.views.restored import restored

if TYPE_CHECKING:
    import pandas as pd

# Writing the table may take this share of the search's time: it grows with the number of candidates.
SHARE_OF_TIME = 0.01


class ResultsFile(SearchObserver):
    """Writes `cv_results_` as CSV after each finished candidate, or as often as that stays cheap.

    Args:
        return_train_score: Whether the table has the scores on the training rows.
    """

    def __init__(self, *, return_train_score: bool = False) -> None:
        self._return_train_score = return_train_score
        self._candidates: dict[str, Candidate] = {}
        self._not_before = 0.0

    def search_begun(self, plan: SearchPlan) -> None:
        """Begin with what an earlier run has finished: a table of the new candidates alone would lose rows."""
        self._plan = plan
        self._candidates = {candidate.trial_id: candidate for candidate in restored(plan) if candidate.is_whole}
        self._not_before = 0.0

    def candidate_ended(self, candidate: Candidate) -> None:
        """Add a candidate, and write the table if the last writing was long enough ago."""
        self._candidates[candidate.trial_id] = candidate
        began = time.monotonic()
        if began >= self._not_before:
            self._write(self._table())
            self._not_before = time.monotonic() + (time.monotonic() - began) / SHARE_OF_TIME

    def search_ended(self, candidates: Sequence[Candidate], *, table: Mapping[str, Any], interrupted: bool) -> None:
        """Write the whole table in the order of the grid."""
        self._write(table)

    def _table(self) -> dict[str, Any]:
        plan = self._plan
        whole = sorted(self._candidates.values(), key=lambda candidate: trial_order(candidate.trial_id))
        return cv_results(whole, plan.rule, n_splits=plan.n_splits, return_train_score=self._return_train_score)

    def _write(self, table: Mapping[str, Any]) -> None:
        write_whole(self._plan.project.results_file, results_frame(table).to_csv(index=False))


def results_frame(table: Mapping[str, Any]) -> pd.DataFrame:
    """`cv_results_` as a table for a CSV file.

    Args:
        table: What `cv_results` gives.
    """
    import pandas as pd

    return pd.DataFrame({name: _plain(column) for name, column in table.items()})


def _plain(column: Any) -> Any:
    if isinstance(column, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(column)
        return [None if mask[i] else column.data[i] for i in range(len(column))]
    return column
