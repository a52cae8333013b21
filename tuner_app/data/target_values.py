"""Targets of any kind as arrays of numbers, Booleans or text.

Owns what `y` may be and the messages about one that it may not. What it means is decided in `target_kinds`.
"""

from __future__ import annotations

import decimal
import math
import numbers
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner_app.errors import DataError
from tuner_app.folds.checks import as_arrays
from tuner_app.folds.rows import map_arrays

Array = npt.NDArray[Any]

_NUMBERS = numbers.Real | decimal.Decimal | np.bool_


def plain_target(y: Any) -> Any:
    """A target as arrays of numbers, Booleans or text, in the same structure.

    An object column of floats is a column of floats, of integers one of integers, of Booleans one of Booleans, and
    anything else one of text (an object array of `str`, which keeps what NumPy's own type of text loses).

    Args:
        y: An array-like of shape `(n_samples, ...)`, or a list, tuple or dict of them.

    Raises:
        DataError: Something is no array, is empty, a label is missing, or dates are given.
    """
    return map_arrays(_plain_values, as_arrays(_with_text_as_objects(y), "y"))


def _with_text_as_objects(y: Any) -> Any:
    """A list with text as an object array: NumPy would turn its missing values and numbers into text as well."""
    if not isinstance(y, list | tuple) or any(hasattr(item, "__array__") for item in y if not _is_scalar(item)):
        return y
    try:
        return np.array(y, dtype=object) if np.asarray(y).dtype.kind in "OUS" else y
    except ValueError:  # rows of different lengths, which `as_arrays` tells
        return y


def _is_scalar(item: Any) -> bool:
    return isinstance(item, np.generic | str | bytes | numbers.Number)


def _plain_values(values: Array) -> Array:
    if values.dtype.kind in "Mm":
        raise DataError(
            f"y must hold numbers or labels. Received: dates or times ({values.dtype}). "
            "Turn them into numbers, or into text if they are classes."
        )
    # Text is kept as objects: NumPy's own types of text drop NUL at the end of a label.
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8").astype(object)
    if values.dtype.kind == "U":
        return values.astype(object)
    return _plain_objects(values) if values.dtype.kind == "O" else values


def _plain_objects(values: Array) -> Array:
    cells = values.ravel().tolist()
    present = [cell for cell in cells if not _is_missing(cell)]
    for dtype, kinds in ((bool, bool | np.bool_), (np.int64, numbers.Integral | np.bool_), (np.float64, _NUMBERS)):
        if all(isinstance(cell, kinds) for cell in present):
            if len(present) < len(cells):  # as NaN, which is refused where all arrays are looked at
                cells = [math.nan if _is_missing(cell) else float(cell) for cell in cells]
                dtype = np.float64
            try:
                return np.array(cells, dtype=dtype).reshape(values.shape)
            except OverflowError:  # whole numbers beyond 64 bits: names rather than numbers
                break
    # A message names the row, of which a cell may be one of several.
    per_row = values.size // len(values)
    text = [_text(cell, place // per_row) for place, cell in enumerate(cells)]
    return np.array(text, dtype=object).reshape(values.shape)


def _is_missing(cell: Any) -> bool:
    """None, NaN and pandas's own marks, of which the last two differ from themselves or refuse to be compared."""
    if cell is None:
        return True
    if isinstance(cell, str | bytes):
        return False
    try:
        return not bool(cell == cell)
    except (TypeError, ValueError):
        return type(cell).__name__ == "NAType"


def _text(cell: Any, row: int) -> str:
    if _is_missing(cell):
        raise DataError(
            f"y must hold a label in every row. Received: {cell!r} in row {row}. Remove such rows or label them."
        )
    if isinstance(cell, list | tuple | dict | set | np.ndarray):
        raise DataError(f"y must hold one label a row. Received: a {type(cell).__name__} in row {row}.")
    return cell.decode() if isinstance(cell, bytes) else str(cell)
