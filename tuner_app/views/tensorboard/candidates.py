"""A whole candidate with the numbers that TensorBoard shows of it, and its values as short text."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.tables import trial_order


@dataclasses.dataclass(frozen=True)
class ScoredCandidate:
    """A whole candidate with its row of the table.

    Attributes:
        candidate: The candidate.
        mean: `mean_test_score`.
        std: `std_test_score`.
        fit_seconds: `mean_fit_time`, in seconds.
    """

    candidate: Candidate
    mean: float
    std: float
    fit_seconds: float

    @classmethod
    def of(cls, candidate: Candidate) -> ScoredCandidate:
        """The same numbers as in `cv_results_`."""
        return cls(candidate, candidate.mean_score, candidate.std_score, candidate.mean_fit_seconds)


def end_of(result: FoldResult) -> float:
    """When a fit was over, in seconds since 1970."""
    return result.started + result.total_seconds


def best_first(score: ScoredCandidate) -> tuple[float, tuple[int, str]]:
    """A key that sorts the best first, of equals the first one asked for, whichever ended first."""
    # The worst of all without a score: NaN compares with nothing, and would leave a sort in any order.
    return (-score.mean if math.isfinite(score.mean) else math.inf, trial_order(score.candidate.trial_id))


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
    text = " ".join(str(value).split())
    return text if len(text) <= 24 else f"{text[:21]}..."
