"""What each hyperparameter does to the score: alone, in pairs, and all together.

Owns over which candidates a value is averaged. Colours, axes and labels belong to whoever draws it.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner_app.analysis.ranking import RankedCandidate, Ranking
from tuner_app.analysis.space import ABSENT
from tuner_app.errors import InputError


@dataclasses.dataclass(frozen=True)
class Spread:
    """The scores of the candidates that share a value.

    Attributes:
        mean: The mean of their means; NaN where none has a score.
        std: The population standard deviation of all their folds' scores.
        low: The lowest fold.
        high: The highest fold.
        n_candidates: How many have a score.
    """

    mean: float
    std: float
    low: float
    high: float
    n_candidates: int


@dataclasses.dataclass(frozen=True)
class Effect:
    """What one hyperparameter does to the score, averaged over all others.

    Attributes:
        name: The hyperparameter.
        values: Its values, in the order of the plot.
        spreads: The scores at each value.
        best_value: The value of the best candidate.
        settings: How many settings of the other hyperparameters have a score at some value.
        complete_settings: How many have one at each value (that has any): the averages are over these alone, so that
            each value is judged by the same others; where there is none, over all.
    """

    name: str
    values: tuple[Any, ...]
    spreads: tuple[Spread, ...]
    best_value: Any
    settings: int = 0
    complete_settings: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class HeatMap:
    """The score over two hyperparameters; where there are more, each cell is that of its best candidate.

    Attributes:
        row_name: The hyperparameter down the side.
        column_name: The hyperparameter along the bottom.
        row_values: Its values, `(n_rows,)`.
        column_values: Its values, `(n_columns,)`.
        mean: The best candidate's mean over its folds, `(n_rows, n_columns)`; NaN where none has a score.
        std: The same candidate's standard deviation over its folds, `(n_rows, n_columns)`.
        best: Row and column of the best candidate.
    """

    row_name: str
    column_name: str
    row_values: tuple[Any, ...]
    column_values: tuple[Any, ...]
    mean: npt.NDArray[np.float64]
    std: npt.NDArray[np.float64]
    best: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class ParallelCoordinates:
    """Every candidate as a line over one axis per hyperparameter and one for the score.

    Attributes:
        axes: Each varying hyperparameter's name and its values, bottom first.
        candidates: The candidates drawn, best first.
        positions: For each, its place on each axis and then on the score's, from 0 (bottom) to 1 (top, best).
        low: The score at the bottom of its axis (the worst).
        high: The score at the top (the best).
        left_out: How many worse candidates are not drawn.
    """

    axes: tuple[tuple[str, tuple[Any, ...]], ...]
    candidates: tuple[RankedCandidate, ...]
    positions: tuple[tuple[float, ...], ...]
    low: float
    high: float
    left_out: int


def effects_of(ranking: Ranking) -> tuple[Effect, ...]:
    """What each varying hyperparameter does to the score, averaged over all others."""
    return tuple(_effect(ranking, name) for name in ranking.varying)


def heat_map(ranking: Ranking, row_name: str, column_name: str) -> HeatMap:
    """The mean score and its standard deviation over two hyperparameters, as TensorBoard's picture shows them.

    Where there are more hyperparameters a cell has several candidates, and shows the best of them: a number that
    stands in the table, where a mean over what happens to be finished there would be nobody's.

    Args:
        ranking: The candidates.
        row_name: The hyperparameter down the side.
        column_name: The hyperparameter along the bottom.

    Raises:
        InputError: The search has no such hyperparameter.
    """
    for name in (row_name, column_name):
        if name not in ranking.space:
            raise InputError(
                f"A heat map needs hyperparameters of the search, {list(ranking.space)}. Received: {name!r}. "
                "Name two of them."
            )
    rows, columns = ranking.space[row_name], ranking.space[column_name]
    # Of two candidates in a cell a mean would belong to neither; the best one stands in the table.
    best_of = {places: shared[0] for places, shared in _by_values(ranking, (row_name, column_name)).items()}
    cells = [[best_of.get((r, c)) for c in columns] for r in rows]
    best = _values_of(ranking.best, (row_name, column_name)) if ranking.best else None
    return HeatMap(
        row_name,
        column_name,
        rows,
        columns,
        np.array([[math.nan if cell is None else cell.mean for cell in line] for line in cells]),
        np.array([[math.nan if cell is None else cell.std for cell in line] for line in cells]),
        (rows.index(best[0]), columns.index(best[1])) if best else (-1, -1),
    )


def parallel_coordinates(ranking: Ranking, *, at_most: int = 100) -> ParallelCoordinates:
    """Every candidate with a score as a line over the hyperparameters and the score.

    Args:
        ranking: The candidates.
        at_most: How many of the best to keep.
    """
    drawn = ranking.scored[:at_most]
    low, high = (drawn[-1].mean, drawn[0].mean) if drawn else (math.nan, math.nan)
    axes = tuple((name, ranking.space[name]) for name in ranking.varying)

    # Never a division by zero: what varies has two values at least.
    def positions(row: RankedCandidate) -> tuple[float, ...]:
        places = [values.index(row.values.get(name, ABSENT)) / (len(values) - 1) for name, values in axes]
        return (*places, (row.mean - low) / (high - low) if high != low else 1.0)

    lines = tuple(positions(row) for row in drawn)
    return ParallelCoordinates(axes, drawn, lines, low, high, len(ranking.scored) - len(drawn))


def _effect(ranking: Ranking, name: str) -> Effect:
    others = [other for other in ranking.varying if other != name]
    groups = [{row.values.get(name, ABSENT): row for row in rows} for rows in _by_values(ranking, others).values()]
    present = {value for group in groups for value in group}
    # Each value is judged by the same settings of the others: a failed candidate would shift the mean of its value.
    complete = [group for group in groups if group.keys() == present]
    rows_of = {value: [group[value] for group in complete or groups if value in group] for value in present}
    spreads = tuple(_spread(rows_of.get(value, ())) for value in ranking.space[name])
    best = ranking.best.values.get(name, ABSENT) if ranking.best else None
    return Effect(name, ranking.space[name], spreads, best, len(groups), len(complete))


def _values_of(row: RankedCandidate, names: Sequence[str]) -> tuple[Any, ...]:
    """The candidate's values of some hyperparameters."""
    return tuple(row.values.get(name, ABSENT) for name in names)


def _by_values(ranking: Ranking, names: Sequence[str]) -> dict[tuple[Any, ...], list[RankedCandidate]]:
    """The candidates with a score, grouped by their values of some hyperparameters."""
    shared: dict[tuple[Any, ...], list[RankedCandidate]] = {}
    for row in ranking.scored:  # Best first, so the first of each group is its best.
        shared.setdefault(_values_of(row, names), []).append(row)
    return shared


def _spread(rows: Sequence[RankedCandidate]) -> Spread:
    scores = [score for row in rows for score in row.fold_scores]
    if not scores:
        return Spread(math.nan, math.nan, math.nan, math.nan, 0)
    mean = statistics.fmean(row.mean for row in rows)
    return Spread(mean, statistics.pstdev(scores), min(scores), max(scores), len(rows))
