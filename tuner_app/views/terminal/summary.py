"""The lines at the end of a search: what failed, the best candidate, then the others."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from tuner_app.errors import SearchError
from tuner_app.records.score import ScoreRule
from tuner_app.records.tables import summary_lines
from tuner_app.records.text import printable
from tuner_app.search.observers import SearchPlan
from tuner_app.views.terminal.tally import Tally

_MOST_CANDIDATES = 50
_CANDIDATES_OF_MORE = 20


def failure_lines(tally: Tally, rule: ScoreRule) -> list[str]:
    """One line about failed fits, none where all went well."""
    if not tally.errors:
        return []
    error, count = tally.errors.most_common(1)[0]
    reason = printable(error).rstrip(".")
    return [
        f"{tally.errors.total()} of {tally.done} fits failed, {count} of them with {reason}. "
        f"Their score is {rule.error_score}."
    ]


def short_summary(table: Mapping[str, Any], plan: SearchPlan) -> list[str]:
    """The summary's lines: all candidates up to 50, else the best 20; none where no candidate has a score.

    Args:
        table: `cv_results_`.
        plan: The search.
    """
    n_candidates = len(table["params"])
    lines: list[str] = []
    with contextlib.suppress(SearchError):
        lines = summary_lines(table)
    if n_candidates <= _MOST_CANDIDATES or not lines:
        return lines
    more = n_candidates - _CANDIDATES_OF_MORE
    # The first line names the best one, which stands among the candidates again.
    return [*lines[: 1 + _CANDIDATES_OF_MORE], f"... and {more} more candidates in {plan.project.results_file}"]
