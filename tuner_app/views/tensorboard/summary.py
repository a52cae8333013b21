"""The summary of a search as a Markdown table, for TensorBoard's text tab."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tuner_app.records.results import Candidate
from tuner_app.records.tables import ranks
from tuner_app.views.tensorboard.candidates import values_text

_MOST_ROWS = 50


def summary_table(candidates: Sequence[Candidate], *, n_candidates: int, interrupted: bool) -> str:
    """The candidates as a Markdown table, best first, the first 50 of them.

    Args:
        candidates: The whole ones, in the order of the grid.
        n_candidates: How many the search has.
        interrupted: Whether it was stopped before the end.
    """
    ranking = ranks(np.array([candidate.mean_score for candidate in candidates]))
    notice = f"Interrupted after {len(candidates)} of {n_candidates} candidates.\n\n" if interrupted else ""
    lines = [
        "| rank | mean_test_score | std_test_score | mean_fit_time | values |",
        "| ---: | ---: | ---: | ---: | --- |",
    ]
    for i in np.argsort(ranking, kind="stable")[:_MOST_ROWS]:
        candidate = candidates[i]
        # In backticks Markdown leaves everything alone but backticks.
        values = values_text(candidate.values).replace("`", "'")
        numbers = f"{candidate.mean_score:f} | {candidate.std_score:f} | {candidate.mean_fit_seconds:.2f} s"
        lines.append(f"| {ranking[i]} | {numbers} | `{values}` |")
    more = len(candidates) - _MOST_ROWS
    return notice + "\n".join(lines) + (f"\n\n{more} more are in results.csv." if more > 0 else "")
