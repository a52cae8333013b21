"""What arrays must be before a search cuts folds from them.

Owns the checks that `x`, `y` and weights have in common, and their messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tuner_app.errors import DataError
from tuner_app.folds.rows import arrays_in, count_rows, map_arrays


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
        # With a single array among them, a list is several inputs; without, it is the rows of one.
        else map_arrays(lambda item: _as_array(item, name), structure)
    )
    # A single number has no length; it is refused below.
    lengths = {len(array) for array in arrays_in(arrays) if array.ndim}
    if not lengths or 0 in lengths or any(array.ndim == 0 for array in arrays_in(arrays)):
        raise DataError(
            f"{name} must hold arrays of shape (n_samples, ...) with at least one row. Received: {describe(arrays)}."
        )
    if len(lengths) > 1:
        raise DataError(f"All arrays in {name} must have the same number of rows. Received: {describe(arrays)}.")
    return arrays


def check_finite(structure: Any, name: str) -> None:
    """Refuse NaN and infinity.

    Raises:
        DataError: A number is not finite; the message names the first row.
    """
    for array in arrays_in(structure):
        if array.dtype.kind in "OUSMm":  # text and times, which `data` judges
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


def describe(structure: Any) -> str:
    """Shapes and types of arrays, for messages."""
    arrays = arrays_in(structure)
    return (
        ", ".join(f"{getattr(a, 'dtype', type(a).__name__)} of shape {getattr(a, 'shape', ())}" for a in arrays)
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


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
