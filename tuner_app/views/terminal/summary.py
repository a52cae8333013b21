"""The lines at the end of a search: the best candidate, then the others."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from tuner_app.errors import SearchError
from tuner_app.records.tables import summary_lines
from tuner_app.search.observers import SearchPlan

_LONGEST = 50
_SHORT = 20


def short_summary(table: Mapping[str, Any], plan: SearchPlan) -> list[str]:
    """The summary's lines: all candidates up to 50, else the best 20; none where no candidate has a score."""
    lines: list[str] = []
    with contextlib.suppress(SearchError):
        lines = summary_lines(table)
    more = len(table["params"]) - _SHORT
    if len(table["params"]) <= _LONGEST or not lines:
        return lines
    return [*lines[: _SHORT + 1], f"... and {more} more candidates in {plan.project.results_file}"]
