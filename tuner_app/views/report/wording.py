"""How a report spells numbers, and which hyperparameters name a candidate."""

from __future__ import annotations

import math
from typing import Any

from tuner_app.analysis.ranking import RankedCandidate, Ranking
from tuner_app.analysis.space import ABSENT
from tuner_app.records.text import shortened, value_text

MISSING = "n/a"


def number_of_a_metric(value: float) -> str:
    """A metric of any size with about four digits; `n/a` for NaN."""
    if not math.isfinite(value):
        return MISSING if math.isnan(value) else str(value)
    return f"{value:.4f}" if value == 0 or 0.01 <= abs(value) < 1000 else f"{value:.3g}"


def precise_number(value: float) -> str:
    """A score with as many digits as help to compare candidates by hand; `n/a` for NaN."""
    if not math.isfinite(value):
        return number_of_a_metric(value)
    return f"{value:.6f}" if value == 0 or 0.0001 <= abs(value) < 1e6 else f"{value:.6g}"


def sampled(count: int, *, at_most: int = 100) -> list[int]:
    """Places in a list of `count`: all, or evenly chosen ones with the first and the last."""
    if count <= at_most:
        return list(range(count))
    return sorted({round(i * (count - 1) / (at_most - 1)) for i in range(at_most)})


def naming_parameters(ranking: Ranking) -> list[str]:
    """The hyperparameters that tell candidates apart; all of them where none varies."""
    return ranking.varying or list(ranking.space)


def short_name(ranking: Ranking, row: RankedCandidate) -> str:
    """A candidate's telling values, short enough for the label of an axis."""
    values: list[Any] = [row.values.get(name, ABSENT) for name in naming_parameters(ranking)]
    return shortened(", ".join(value_text(value) for value in values), 20)
