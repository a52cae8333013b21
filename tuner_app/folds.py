"""Rows, folds, seeds and fingerprints: how a data set becomes the fold tasks of a search.

Owns the checks of `x` and `y`, the splits (made once, by scikit-learn's splitter), the seed rule and
the fingerprints that tell one data set or one set of folds from another. Knows nothing of models.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner_app.errors import DataError, InputError

Index = npt.NDArray[np.intp]

_JSON = json.JSONEncoder(default=str)


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """Some rows of arrays that stay where they are.

    Attributes:
        arrays: An array, or a list, tuple or dict of arrays, each of shape `(n_samples, ...)`.
        index: The chosen rows' numbers, shape `(n_rows,)`.
    """

    arrays: Any
    index: Index

    def __len__(self) -> int:
        return len(self.index)

    def copy(self) -> Any:
        """The rows as arrays of their own, in the same structure."""
        return map_arrays(lambda array: array[self.index], self.arrays)


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class FoldTask:
    """One fit to do: a candidate on a fold.

    Attributes:
        trial_id: The candidate's trial.
        fold: The fold's number, from 0; -1 for the refit on all rows.
        execution: Which repetition, from 0.
        values: The hyperparameters' values.
        seed: The seed of the fit.
        train_rows: Rows to train on, shape `(n_train,)`.
        validation_rows: Rows to validate on, shape `(n_validation,)`; None for the refit.
    """

    trial_id: str
    fold: int
    execution: int
    values: Mapping[str, Any]
    seed: int
    train_rows: Index
    validation_rows: Index | None


def map_arrays(function: Callable[[Any], Any], structure: Any) -> Any:
    """Apply a function to each array in nested lists, tuples and dicts."""
    if isinstance(structure, Mapping):
        return {key: map_arrays(function, value) for key, value in structure.items()}
    if isinstance(structure, list | tuple):
        return type(structure)(map_arrays(function, value) for value in structure)
    return None if structure is None else function(structure)


def with_tuples(structure: Any) -> Any:
    """Nested arrays in the form in which Keras hands them to a step: lists are tuples there."""
    if isinstance(structure, Mapping):
        return {key: with_tuples(value) for key, value in structure.items()}
    return tuple(map(with_tuples, structure)) if isinstance(structure, list | tuple) else structure


def arrays_in(structure: Any) -> list[Any]:
    """The arrays in nested lists, tuples and dicts, in order."""
    found: list[Any] = []
    map_arrays(found.append, structure)
    return found


def as_arrays(structure: Any, name: str) -> Any:
    """NumPy arrays from arrays, pandas objects and lists of numbers, in the same structure.

    Args:
        structure: An array-like of shape `(n_samples, ...)`, or a list, tuple or dict of them.
        name: The argument's name, for messages.

    Raises:
        DataError: Something is not an array, is empty, or the lengths differ.
    """
    arrays = (
        _one_table(structure, name)
        if isinstance(structure, list | tuple) and not any(is_array(item) for item in structure)
        else map_arrays(lambda item: _as_array(item, name), structure)
    )
    lengths = {len(array) for array in arrays_in(arrays) if array.ndim}
    if not lengths or 0 in lengths or any(array.ndim == 0 for array in arrays_in(arrays)):
        raise DataError(
            f"{name} must hold arrays of shape (n_samples, ...) with at least one row. Received: {describe(arrays)}."
        )
    if len(lengths) > 1:
        raise DataError(f"All arrays in {name} must have the same number of rows. Received: {describe(arrays)}.")
    return arrays


def count_rows(structure: Any) -> int:
    """The number of rows of checked arrays."""
    return len(arrays_in(structure)[0])


def check_finite(structure: Any, name: str) -> None:
    """Refuse NaN and infinity.

    Raises:
        DataError: A number is not finite; the message names the first row.
    """
    for array in arrays_in(structure):
        if array.dtype.kind in "OUSMm":
            continue
        # A sum is finite when all numbers are (or overflows, which the second look settles): no copy of the data.
        with np.errstate(over="ignore", invalid="ignore"):
            suspicious = array.dtype.kind in "fc" and not np.isfinite(np.sum(array))
        if suspicious and not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            raise DataError(
                f"{name} must hold finite numbers. Received: NaN or infinity in row {row}. Remove or fill such rows."
            )


def check_same_rows(**structures: Any) -> int:
    """The common number of rows.

    Raises:
        DataError: The numbers of rows differ.
    """
    counts = {name: count_rows(structure) for name, structure in structures.items() if structure is not None}
    if len(set(counts.values())) > 1:
        received = ", ".join(f"{name} with {count}" for name, count in counts.items())
        raise DataError(f"{' and '.join(counts)} must have the same number of rows. Received: {received}.")
    return next(iter(counts.values()))


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
    splitter = cv
    if isinstance(cv, numbers.Integral) and not isinstance(cv, bool):
        if not 2 <= int(cv) <= rows:
            raise InputError(
                f"The number of folds must be at least 2 and at most the number of rows ({rows}). "
                f"Received: {cv}. Choose another cv."
            )
        splitter = check_cv(int(cv), classes, classifier=classes is not None)
    try:
        labels = _labels(y) if classes is None else classes
        pairs = list(splitter.split(_representative(x), labels, groups)) if hasattr(splitter, "split") else list(cv)
        splits = [(_as_index(train, rows), _as_index(validation, rows)) for train, validation in pairs]
    except (ValueError, TypeError, IndexError) as error:
        raise InputError(
            f"cv must be able to split {rows} rows. Received: cv={cv!r}, which says: {_one_line(error)}"
        ) from error
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
    return splits


def fit_seed(search_seed: int, values: Mapping[str, Any], fold: int, execution: int = 0, attempt: int = 0) -> int:
    """The seed of one fit: from what the fit is, never from when it runs.

    Args:
        search_seed: The seed of the search; 0 is a seed.
        values: The candidate's values.
        fold: The fold's number; -1 for the refit.
        execution: Which repetition.
        attempt: Which retry.

    Returns:
        A number from 0 to 2**31 - 1.
    """
    key = _JSON.encode([search_seed, sorted(values.items()), fold, execution, attempt])
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") >> 1


def fingerprint(*structures: Any) -> str:
    """A fingerprint of arrays: their structure, types, shapes and bytes; 32 hexadecimal digits of BLAKE2b."""
    state = hashlib.blake2b(digest_size=16)
    for structure in structures:
        state.update(repr(map_arrays(lambda array: (str(array.dtype), array.shape), structure)).encode())
        for array in arrays_in(structure):
            if array.dtype.kind == "O":
                state.update(json.dumps(array.tolist(), default=str).encode())
            else:
                state.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
    return state.hexdigest()


def describe(structure: Any) -> str:
    """Shapes and types of arrays, for messages."""
    found = arrays_in(structure)
    return (
        ", ".join(f"{getattr(a, 'dtype', type(a).__name__)} of shape {getattr(a, 'shape', ())}" for a in found)
        or "nothing"
    )


def is_array(item: Any) -> bool:
    """Whether an item is a table of its own; NumPy's single numbers have a shape, too, but are none."""
    return (hasattr(item, "shape") or hasattr(item, "__array__")) and not isinstance(item, np.generic)


def _one_table(rows: Any, name: str) -> Any:
    try:
        return np.asarray(rows)
    except ValueError as error:
        raise DataError(
            f"{name} must hold rows of the same length. Received: lists of which NumPy says: {_one_line(error)} "
            "Pad or cut the rows, or give several inputs as arrays."
        ) from error


def _as_array(item: Any, name: str) -> Any:
    if not is_array(item) and not isinstance(item, Sequence):
        raise DataError(
            f"{name} must be an array, or a list or dict of arrays. Received: {type(item).__name__}. "
            "Folds need rows that can be chosen by number: turn generators and tf.data into arrays."
        )
    try:
        return np.asarray(item)
    except Exception as error:  # whatever the object's own __array__ raises
        raise DataError(
            f"{name} must be an array. Received: {type(item).__name__}, of which NumPy says: {_one_line(error)}"
        ) from error


def _as_index(rows: Iterable[int], count: int) -> Index:
    index = np.asarray(rows)
    if index.dtype == bool:
        index = np.flatnonzero(index)
    if index.ndim != 1 or (index.size and index.dtype.kind not in "iu"):
        raise ValueError("the folds must be lists of row numbers")
    if index.size and (index.min() < 0 or index.max() >= count):
        raise ValueError(f"row numbers must lie between 0 and {count - 1}")
    return index.astype(np.intp)


def _representative(x: Any) -> Any:
    """Splitters look only at the number of rows of x."""
    return np.zeros((count_rows(x), 1), dtype=np.int8)


def _labels(y: Any) -> Any:
    """What stratified splitters look at: the first target, one-hot rows as their class."""
    first = arrays_in(y)[0]
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
