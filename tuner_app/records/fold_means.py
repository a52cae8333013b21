"""Mean and standard deviation over folds, in scikit-learn's arithmetic: the only place for it.

The table, the observers, the oracle and the report name one winner only if their means are equal to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]


def by_fold(folds: Sequence[Sequence[int]], numbers: Sequence[Sequence[float]], n_splits: int) -> Numbers:
    """The mean over the executions of each fold.

    Args:
        folds: For each candidate the folds of its fits.
        numbers: For each candidate one number a fit.
        n_splits: The number of folds.

    Returns:
        Shape (n_candidates, n_splits); NaN where a candidate has no fit of a fold.
    """
    sums, counts = np.zeros((len(folds), n_splits)), np.zeros((len(folds), n_splits))
    rows = np.repeat(np.arange(len(folds)), [len(fits) for fits in folds])
    cells = (rows, np.array([fold for fits in folds for fold in fits], dtype=np.intp))
    np.add.at(sums, cells, [number for fits in numbers for number in fits])
    np.add.at(counts, cells, 1)
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def of_one(folds: Sequence[int], numbers: Sequence[float]) -> Numbers:
    """As `by_fold` for one candidate, up to the last fold that it has: shape (1, n_folds)."""
    if list(folds) == list(range(len(folds))):  # One fit a fold: there is nothing to average, and this is quicker.
        return np.array([numbers], dtype=np.float64)
    return by_fold([folds], [numbers], 1 + max(folds, default=-1))


def means(numbers: Numbers) -> Numbers:
    """The mean of each row."""
    # An exact sum (`math.fsum`) may differ in the last bit, and so name another winner of a tie.
    result: Any = np.mean(numbers, axis=1)
    return result  # type: ignore[no-any-return]


def means_and_stds(numbers: Numbers) -> tuple[Numbers, Numbers]:
    """Mean and population standard deviation of each row."""
    return means(numbers), np.std(numbers, axis=1)
