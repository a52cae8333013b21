"""What the pictures show: the scores over two hyperparameters, and which class was taken for which.

Owns the cells, their texts and shades; `pictures` draws them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tuner_app.records.results import Candidate
from tuner_app.views.tensorboard.candidates import best_first, short_text, values_text

LONGEST_AXIS = 40
"""Pictures with more rows or columns than this are left out."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell of a picture.

    Attributes:
        shade: 0 for the lowest colour to 1 for the highest; None for no colour.
        text: The lines in it, the first one larger.
        marked: Whether it has a frame.
    """

    shade: float | None = None
    text: tuple[str, ...] = ()
    marked: bool = False


@dataclasses.dataclass(frozen=True)
class Matrix:
    """A picture's content, apart from its drawing.

    Attributes:
        title: Above it.
        row_title: What the rows are.
        column_title: What the columns are.
        rows: The rows' labels.
        columns: The columns' labels.
        cells: Shape (n_rows, n_columns).
    """

    title: str
    row_title: str
    column_title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]


def heat_map(space: Mapping[str, Sequence[Any]], candidates: Sequence[Candidate]) -> Matrix | None:
    """The mean score over two hyperparameters, with the standard deviation below it, the best candidate framed.

    The two are those with the most values (the first ones of equals), the longer one across. Where there are
    more, a cell shows the best of its candidates.

    Args:
        space: Each hyperparameter's values.
        candidates: The whole ones.

    Returns:
        The content of the picture; None without candidates, with fewer than two hyperparameters, or with one
        of more than 40 values.
    """
    # A stable sort: of equals the first one of the space, as the report's heat map has it.
    axes = sorted(space, key=lambda name: -len(space[name]))[:2]
    if not candidates or len(axes) < 2 or len(space[axes[0]]) > LONGEST_AXIS:
        return None
    best_of: dict[tuple[str, str], Candidate] = {}
    ranking = sorted(candidates, key=best_first)
    for candidate in ranking:
        values = candidate.values
        # In a conditional space a candidate may lack one of the two.
        if axes[0] in values and axes[1] in values:
            # As text, since values may be lists, which are no keys. The best first: `setdefault` keeps it.
            best_of.setdefault((str(values[axes[1]]), str(values[axes[0]])), candidate)
    means = [best.mean_score for best in best_of.values() if math.isfinite(best.mean_score)]
    columns, rows = (tuple(str(value) for value in space[name]) for name in axes)
    return Matrix(
        title=f"mean_test_score (std), {len(candidates)} candidates"
        + (", best of each cell" if len(space) > 2 else ""),
        row_title=axes[1],
        column_title=axes[0],
        rows=tuple(map(short_text, rows)),
        columns=tuple(map(short_text, columns)),
        cells=tuple(
            tuple(_score_cell(best_of.get((row, column)), means, ranking[0]) for column in columns) for row in rows
        ),
    )


def best_confusion(candidates: Sequence[Candidate], classes: Sequence[Any] | None) -> Matrix | None:
    """The out-of-fold predictions of the best candidate: rows are true classes, colours the share of the row.

    Args:
        candidates: The whole ones.
        classes: The classes' labels; None numbers them from 0.

    Returns:
        The content of the picture; None where no fold counted, or with more than 40 classes.
    """
    best = min(candidates, key=best_first, default=None)
    if best is None or not math.isfinite(best.mean_score):
        return None
    confusions = [fold.confusion for fold in best.folds if fold.confusion is not None]
    if not confusions or len(confusions[0]) > LONGEST_AXIS:
        return None
    total = np.sum(np.array(confusions, dtype=np.int64), axis=0)
    # By row, so that a rare class shows its errors as a frequent one does; a class without rows has no share.
    shares = total / np.maximum(total.sum(axis=1, keepdims=True), 1)
    labels = tuple(short_text(value) for value in (range(len(total)) if classes is None else classes))
    return Matrix(
        title=f"Out-of-fold predictions with {values_text(best.values)}",
        row_title="true",
        column_title="predicted",
        rows=labels,
        columns=labels,
        cells=tuple(
            tuple(Cell(float(share), (str(count),)) for share, count in zip(*pair, strict=True))
            for pair in zip(shares, total, strict=True)
        ),
    )


def _score_cell(candidate: Candidate | None, means: Sequence[float], best: Candidate) -> Cell:
    if candidate is None:
        return Cell()
    if not math.isfinite(candidate.mean_score):
        return Cell(None, (f"{candidate.mean_score}",))
    # All equal is all best, not all worst.
    low, high = min(means), max(means)
    shade = (candidate.mean_score - low) / (high - low) if high > low else 1.0
    return Cell(shade, (f"{candidate.mean_score:.4f}", f"({candidate.std_score:.4f})"), marked=candidate is best)
