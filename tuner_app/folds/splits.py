"""The folds of a search: pairs of row numbers, made once by scikit-learn's splitters."""

from __future__ import annotations

import contextlib
import numbers
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tuner_app.errors import InputError, Remedy
from tuner_app.folds.rows import arrays_in, count_rows
from tuner_app.records.tasks import Index


def make_splits(cv: Any, x: Any, y: Any, groups: Any = None, *, classes: Any = None) -> list[tuple[Index, Index]]:
    """The folds of a search, made once.

    Args:
        cv: The number of folds, which means what it means in scikit-learn (`StratifiedKFold` where there are classes,
            else `KFold`, neither shuffled), a scikit-learn splitter, or an iterable of pairs of row numbers
            (training, validation).
        x: Checked arrays of shape `(n_samples, ...)`.
        y: Checked targets of shape `(n_samples, ...)`.
        groups: Group labels of shape `(n_samples,)` for splitters that need them.
        classes: The class of each row, shape `(n_samples,)`; None where the search is no classification.

    Returns:
        Pairs of row numbers: training, validation.

    Raises:
        InputError: `cv` cannot split these rows.
    """
    from sklearn.model_selection import check_cv

    rows = count_rows(x)
    if isinstance(cv, numbers.Integral) and not isinstance(cv, bool):
        _check_number(cv, rows)
        cv = int(cv)  # NumPy's whole numbers are numbers of folds as well
    try:
        if cv is None or isinstance(cv, str):  # to check_cv None means five; its words on text may be endless
            raise TypeError(f"{type(cv).__name__} is no splitter, number or list of folds")
        splitter = check_cv(cv, classes, classifier=classes is not None)
        pairs = splitter.split(_representative(x), _labels(y) if classes is None else classes, groups)
        splits = [(_as_index(train, rows), _as_index(validation, rows)) for train, validation in pairs]
    except (ValueError, TypeError, IndexError) as error:
        raise InputError(
            f"cv must be able to split {rows} rows. Received: cv={cv!r}, which says: {_one_line(error)}"
        ) from error
    _check_folds(splits, cv)
    return splits


def number_of_splits(cv: Any) -> int | None:
    """How many folds a `cv` makes, as far as that is known without the data.

    Args:
        cv: As in `make_splits`.

    Returns:
        The number; None where the data decide it (`LeaveOneOut`), or where to count them would use them up.
    """
    if isinstance(cv, numbers.Integral) and not isinstance(cv, bool):
        return int(cv)
    if hasattr(cv, "split") and hasattr(cv, "get_n_splits"):
        # A splitter of any make: one that needs the data says so in an exception of its own choice.
        with contextlib.suppress(Exception):
            return int(cv.get_n_splits())
        return None
    return len(cv) if isinstance(cv, Sequence) and not isinstance(cv, str) else None


def _check_number(n_folds: Any, rows: int) -> None:
    """Before scikit-learn does: it would say nothing of how many rows there are."""
    if not 2 <= int(n_folds) <= rows:
        raise InputError(
            f"The number of folds must be at least 2 and at most the number of rows ({rows}). "
            f"Received: {n_folds}. Choose {Remedy.ANOTHER_CV}."
        )


def _check_folds(splits: Sequence[tuple[Index, Index]], cv: Any) -> None:
    if not splits:
        raise InputError(f"cv must give at least one fold. Received: cv={cv!r}, which gives none.")
    for fold, (train, validation) in enumerate(splits):
        if not len(train) or not len(validation):
            raise InputError(
                f"Each fold must have rows to train on and rows to validate on. Fold {fold} of cv={cv!r} has none."
            )
        if np.intersect1d(train, validation).size:
            raise InputError(
                f"No row may be in both parts of a fold. Fold {fold} of cv={cv!r} trains on rows that it validates on."
            )


def _as_index(rows: Iterable[int], count: int) -> Index:
    """Row numbers of a user's own folds, masks as well, as an array that is checked against the number of rows."""
    index = np.asarray(rows)
    if index.dtype == bool:  # a mask; as numbers, False and True would be the rows 0 and 1
        index = np.flatnonzero(index)
    if index.ndim != 1 or (index.size and index.dtype.kind not in "iu"):
        raise ValueError("the folds must be lists of row numbers")
    if index.size and (index.min() < 0 or index.max() >= count):
        raise ValueError(f"row numbers must lie between 0 and {count - 1}")
    return index.astype(np.intp)


def _representative(x: Any) -> Any:
    """An array of as many rows: splitters look at nothing else of x, and would refuse text or several inputs."""
    return np.zeros((count_rows(x), 1), dtype=np.int8)


def _labels(y: Any) -> Any:
    """What stratified splitters look at: the first target, one-hot rows as their class."""
    first = arrays_in(y)[0]
    # To scikit-learn, rows of 0 and 1 are several labels at once, by which it stratifies nothing.
    if first.ndim == 2 and first.shape[1] == 1:
        return first[:, 0]
    if (
        first.ndim == 2
        and first.shape[1] > 1
        and ((first == 0) | (first == 1)).all()
        and (first.sum(axis=1) == 1).all()
    ):
        return first.argmax(axis=1)
    return first


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
