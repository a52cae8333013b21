"""What a contender hands back, and the clock of its phases."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping
from typing import Any

from workloads import candidate_name


@dataclasses.dataclass(frozen=True)
class Clock:
    """Seconds spent in the phases of a contender, by name."""

    seconds: dict[str, float] = dataclasses.field(default_factory=dict)

    @contextlib.contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Time a block and add it to its phase."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - begun


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a contender found.

    Attributes:
        scores: Each candidate's mean accuracy over the folds, by `candidate_name`.
        details: Numbers that only this contender or case has.
        seconds: The search's seconds where they are computed; None where the clock has them.
    """

    scores: dict[str, float] = dataclasses.field(default_factory=dict)
    details: dict[str, float] = dataclasses.field(default_factory=dict)
    seconds: float | None = None


def mean_scores(table: Mapping[str, Any]) -> dict[str, float]:
    """Each candidate's mean score, from a `cv_results_`."""
    scores = zip(table["params"], table["mean_test_score"], strict=True)
    return {candidate_name(params): float(score) for params, score in scores}
