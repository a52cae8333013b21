"""The rows that a model is asked about: their columns in the order of the training, their shape and their numbers.

Owns what is refused before a model sees it, and in which words. The predictions are made in `predictor`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner_app.data import features
from tuner_app.errors import DataError
from tuner_app.storage.manifest_fields import is_names


def with_axes_of(model: Any, arrays: Any) -> Any:
    """One column as the model declares it: Keras 3.15 takes either form, but not one after the other."""
    is_column = getattr(model, "input_shape", None) == (None, 1)
    return arrays[:, None] if is_column and isinstance(arrays, np.ndarray) and arrays.ndim == 1 else arrays


def each_in_order(x: Any, columns: Any) -> Any:
    """The tables among several inputs with their columns in order."""
    # What came in another structure than in training goes on as it is: Keras says best what the model takes.
    if isinstance(columns, Mapping):
        is_alike = isinstance(x, Mapping) and set(x) == set(columns)
        return {key: each_in_order(x[key], columns[key]) for key in x} if is_alike else x
    if columns is None or is_names(columns):
        return in_order(x, columns)
    is_alike = isinstance(x, list | tuple) and len(x) == len(columns)
    return [each_in_order(part, names) for part, names in zip(x, columns, strict=True)] if is_alike else x


def in_order(x: Any, names: Sequence[str] | None) -> Any:
    """A table's columns in the order of the training; anything without named columns as it is.

    Raises:
        DataError: A column is missing, is there twice, or was not in training.
    """
    present = list(getattr(x, "columns", ()))
    if names is None or not present or present == list(names):
        return x
    counts, expected = Counter(present), set(names)
    missing = [name for name in names if name not in counts]
    extra = [name for name in counts if name not in expected]
    twice = [name for name, count in counts.items() if count > 1]
    for what, columns in (("lacks", missing), ("also has", extra), ("has more than once", twice)):
        if columns:
            listed = ", ".join(repr(name) for name in columns[:5]) + (", ..." if len(columns) > 5 else "")
            raise DataError(
                f"x must have the {len(names)} columns that the model was trained on, but it {what} {listed}. "
                "Give these columns and no others."
            )
    return x[list(names)]


def checked_rows(x: Any, input_shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """The rows as an array of numbers.

    Args:
        x: Rows of shape (n_samples, *input_shape): an array, a table or a list.
        input_shape: The shape of one row.

    Raises:
        DataError: They have another shape, are no numbers, or are not finite.
    """
    # NumPy makes floats of a list without rows and objects of such a table, neither of which says anything.
    has_rows = len(x) if isinstance(x, Sequence) else tuple(getattr(x, "shape", (1,))[:1]) not in ((), (0,))
    rows = features.plain_features(x) if has_rows else np.asarray(x)
    if not has_rows and rows.dtype.kind == "O":
        rows = rows.astype(np.float32)
    if rows.shape[1:] != input_shape or rows.ndim != len(input_shape) + 1:
        expected = ", ".join(["n_samples", *map(str, input_shape)])
        raise DataError(f"x must have the shape ({expected}). Received: {rows.shape}. A single row is x[None].")
    if rows.dtype.kind not in "biuf":
        kind = getattr(x, "dtype", rows.dtype)
        raise DataError(f"x must hold numbers. Received: an array of {kind}. Encode text as numbers.")
    if rows.dtype.kind == "f":
        finite = np.isfinite(rows).all(axis=tuple(range(1, rows.ndim)))
        if not finite.all():
            raise DataError(
                f"x must be finite, but row {int(np.argmin(finite))} holds NaN or infinity. Fill or drop it."
            )
    return rows
