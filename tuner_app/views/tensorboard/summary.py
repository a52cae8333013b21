"""The summary of a search as a Markdown table, for TensorBoard's text tab."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tuner_app.records.tables import ranks
from tuner_app.views.tensorboard.candidates import ScoredCandidate, values_text

_MOST_ROWS = 50


def summary_table(scores: Sequence[ScoredCandidate], *, n_candidates: int, interrupted: bool) -> str:
    """The candidates as a Markdown table, best first, the first 50 of them.

    Args:
        scores: The whole candidates, in the order of the grid.
        n_candidates: How many the search has.
        interrupted: Whether it was stopped before the end.
    """
    ranking = ranks(np.array([score.mean for score in scores]))
    notice = f"Interrupted after {len(scores)} of {n_candidates} candidates.\n\n" if interrupted else ""
    lines = [
        "| rank | mean_test_score | std_test_score | mean_fit_time | values |",
        "| ---: | ---: | ---: | ---: | --- |",
    ]
    for i in np.argsort(ranking, kind="stable")[:_MOST_ROWS]:
        score = scores[i]
        # In backticks Markdown leaves everything alone but backticks.
        values = values_text(score.candidate.values).replace("`", "'")
        lines.append(f"| {ranking[i]} | {score.mean:f} | {score.std:f} | {score.fit_seconds:.2f} s | `{values}` |")
    more = len(scores) - _MOST_ROWS
    return notice + "\n".join(lines) + (f"\n\n{more} more are in results.csv." if more > 0 else "")
