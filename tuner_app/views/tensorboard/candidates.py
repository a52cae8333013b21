"""What all of TensorBoard's parts ask of a candidate: its place, the end of its fits, its values as text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.tables import trial_order
from tuner_app.records.text import cut


def end_of(result: FoldResult) -> float:
    """When a fit was over, in seconds since 1970."""
    return result.started + result.total_seconds


def best_first(candidate: Candidate) -> tuple[float, tuple[int, str]]:
    """A key that sorts the best first, of equals the first one asked for, whichever ended first."""
    # The worst of all without a score: NaN compares with nothing, and would leave a sort in any order.
    mean = candidate.mean_score
    return (-mean if math.isfinite(mean) else math.inf, trial_order(candidate.trial_id))


def values_text(values: Mapping[str, Any]) -> str:
    """Values on one line, each of them short.

    >>> values_text({"learning_rate": 0.001, "nodes": 32})
    'learning_rate=0.001, nodes=32'
    """
    return ", ".join(f"{name}={short_text(value)}" for name, value in values.items())


def short_text(value: Any) -> str:
    """A value on one line, cut to 24 characters.

    >>> short_text("a long name of an initializer")
    'a long name of an ini...'
    """
    return cut(" ".join(str(value).split()), 24)
