"""Does the grid end too early? The edges at which the best candidate lies, and the grid to try next."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner_app.analysis.comparison import significance_of
from tuner_app.analysis.ranking import RankedCandidate, Ranking
from tuner_app.analysis.space import ABSENT, is_number


@dataclasses.dataclass(frozen=True)
class EdgeWarning:
    """The best candidate has the first or last value of an ordered grid: a better one may lie beyond.

    Attributes:
        name: The hyperparameter.
        value: The best candidate's value.
        side: `"lowest"` or `"highest"`.
        grid: The values that were tried, ascending.
        next_grid: The best value, its neighbour, and one beyond the edge, ascending.
        inside_is_close: Whether a candidate away from this edge is within one standard error of the best.
    """

    name: str
    value: float
    side: str
    grid: tuple[float, ...]
    next_grid: tuple[float, ...]
    inside_is_close: bool


def edge_warnings(ranking: Ranking) -> tuple[EdgeWarning, ...]:
    """The ordered hyperparameters at whose edge the best candidate lies, with the grid to try next.

    A search that goes on may still move its best: an edge counts only once every value of the hyperparameter has been
    tried beside the best candidate's other values.

    Natural limits are no edges: zero where no value is negative, one where all are whole and positive.
    """
    best, significance = ranking.best, significance_of(ranking)
    if best is None or significance is None:
        return ()
    warnings = []
    for name in ranking.varying:
        grid = tuple(value for value in ranking.space[name] if is_number(value))
        value = best.values.get(name)
        if len(grid) < 2 or not is_number(value) or value not in (grid[0], grid[-1]):
            continue
        # A value that is still to run may beat the edge, and the warning would be wrong.
        if not _is_row_complete(ranking, best, name):
            continue
        wider = next_grid(grid, up=value == grid[-1])
        if wider:
            side = "highest" if value == grid[-1] else "lowest"
            close = any(c.candidate.values.get(name) != value for c in significance.contenders)
            warnings.append(EdgeWarning(name, value, side, grid, wider, close))
    return tuple(warnings)


def next_grid(grid: Sequence[float], *, up: bool) -> tuple[float, ...]:
    """The edge of a grid, its neighbour, and one value beyond it.

    The step is a factor where the grid looks geometric, else a difference; whole numbers stay whole,
    positive ones positive, and those below one stay below one.

    Args:
        grid: At least two different numbers, ascending.
        up: Whether to go beyond the last number, else below the first.

    Returns:
        Three numbers, ascending; empty where nothing lies beyond.

    >>> next_grid([32, 64, 128, 256, 512], up=True)
    (256, 512, 1024)
    >>> next_grid([0.001, 0.002, 0.003], up=False)
    (0.0005, 0.001, 0.002)
    """
    edge, neighbour = (grid[-1], grid[-2]) if up else (grid[0], grid[1])
    geometric = _looks_geometric(grid)
    beyond = edge * (edge / neighbour) if geometric else edge + (edge - neighbour)
    # A difference would step out of the positive numbers, a factor cannot.
    if min(grid) >= 0 and beyond <= 0:
        beyond = edge * (edge / neighbour)
    # Shares, such as a rate of dropout, end at one: go half of the way.
    if grid[0] >= 0 and grid[-1] < 1 and (beyond > 1 or (beyond == 1 and not geometric)):
        beyond = (edge + 1) / 2
    rounded = round(beyond) if all(isinstance(value, int) for value in grid) else _rounded(beyond, edge)
    if rounded == edge or (min(grid) > 0 and rounded <= 0):
        return ()
    return (neighbour, edge, rounded) if up else (rounded, edge, neighbour)


def _rounded(number: float, edge: float) -> float:
    """As few digits as keep a number on its side of the edge."""
    # Sums of floats end in noise: 0.1 + 0.2 must be shown as 0.3, not as 0.30000000000000004.
    candidates = [float(f"{number:.{digits}g}") for digits in (4, 8, 12)]
    return next((value for value in candidates if value != edge and (value > edge) == (number > edge)), number)


def _looks_geometric(grid: Sequence[float]) -> bool:
    """Whether the steps are more even as factors than as differences; a pair counts from a factor of 2 on."""
    if min(grid) <= 0:
        return False
    if len(grid) == 2:
        return grid[1] >= 2 * grid[0]
    # The margin leaves no choice to a rounding error; in doubt, steps are differences.
    return _unevenness(np.log(grid)) < _unevenness(np.asarray(grid)) - 1e-9


def _unevenness(places: npt.NDArray[Any]) -> float:
    """The standard deviation of the steps, relative to their mean."""
    steps = np.diff(places)
    return float(np.std(steps) / np.mean(steps))


def _is_row_complete(ranking: Ranking, best: RankedCandidate, name: str) -> bool:
    """Whether each value has a finished candidate with the best one's other values, as far as it has these."""
    # A candidate that lacks a hyperparameter of the best one (a conditional one) belongs to the row all the same.
    others = {other: value for other, value in best.values.items() if other != name}
    row = [one for one in ranking.rows if all(one.values.get(other, value) == value for other, value in others.items())]
    tried = {one.values.get(name, ABSENT) for one in row}
    return all(value in tried for value in ranking.space[name] if value != ABSENT)
