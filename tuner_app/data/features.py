"""Features of any kind as the NumPy arrays that folds are cut from and TensorFlow takes.

Owns what `x` may be (arrays, tensors, tables, lists, text) and every message about one that it may not: what came,
where it stands, and what to do. Targets are `targets`' business, the number of rows `folds`'.
"""

from __future__ import annotations

import datetime
import decimal
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner_app.errors import DataError
from tuner_app.folds.checks import as_arrays, is_array
from tuner_app.records.text import cut

Array = npt.NDArray[Any]

_NUMERIC = "biufc"
_TEXT = "UST"  # T is NumPy 2's own text of any length
_TIMES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)
_DENSE = {"RaggedTensor": "x.to_tensor()", "SparseTensor": "tf.sparse.to_dense(x)"}


def plain_features(x: Any, name: str = "x") -> Any:
    """Features as NumPy arrays of numbers or of text, in the same structure.

    Numbers keep their type, a table's columns get a common one; Booleans among numbers are 0 and 1, and objects that
    are all numbers become numbers. Text becomes an array of objects (`str`, or `bytes` where it came so), the one form
    that NumPy, TensorFlow and Keras share.

    Args:
        x: An array-like or a table of shape `(n_samples, ...)`, or a list, tuple or dict of them.
        name: The argument's name, for messages.

    Raises:
        DataError: Something is neither numbers nor text, or no array of rows.
    """
    # Once more around the whole: only now can the parts' numbers of rows be compared.
    return as_arrays(_plain(x, name), name)


def is_text(array: Any) -> bool:
    """Whether an array holds text."""
    return array.dtype.kind == "O" or array.dtype.kind in _TEXT


def _plain(x: Any, name: str) -> Any:
    if isinstance(x, Mapping):
        return {key: _plain(value, f"{name}[{key!r}]") for key, value in x.items()}
    if isinstance(x, list | tuple) and any(map(is_array, x)):
        return type(x)(_plain(item, f"{name}[{i}]") for i, item in enumerate(x))
    _refuse_what_is_not_dense(x, name)
    if hasattr(x, "iloc") and hasattr(x, "columns"):
        return _of_table(x, name)
    return _of_array(as_arrays(x, name), name)


def _refuse_what_is_not_dense(x: Any, name: str) -> None:
    """Without importing the packages that such things come from."""
    kind = type(x).__name__
    if kind in _DENSE:
        raise DataError(f"{name} must be a dense array. Received: a {kind}. Give {_DENSE[kind]}.")
    if type(x).__module__.startswith("scipy.sparse"):
        raise DataError(
            f"{name} must be a dense array. Received: a sparse {kind} of shape {x.shape}. Give x.toarray()."
        )


def _of_table(table: Any, name: str) -> Array:
    """A table's columns side by side: all numbers, or all text."""
    labels = [repr(label) for label in table.columns]
    if all(isinstance(kind, np.dtype) and kind.kind in "iuf" for kind in table.dtypes):
        array = np.asarray(table)  # without a copy where all columns have one type
    else:
        parts = enumerate(labels)
        # By place and not by label, since two columns may have the same.
        columns = [_of_array(np.asarray(table.iloc[:, i]), name, f" in column {label}") for i, label in parts]
        array = _side_by_side(columns, labels, name)
    # A sum is finite when all numbers are, or overflows, which the second look settles.
    with np.errstate(over="ignore", invalid="ignore"):
        suspicious = array.dtype.kind == "f" and not np.isfinite(np.sum(array))
    if suspicious and not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise DataError(
            f"{name} must hold finite numbers. Received: NaN or infinity in row {row} of column {labels[column]}. "
            "Remove or fill such rows."
        )
    return array


def _side_by_side(columns: Sequence[Array], labels: Sequence[Any], name: str) -> Array:
    texts = [i for i, column in enumerate(columns) if is_text(column)]
    if texts and len(texts) < len(columns):
        shown = cut(repr(columns[texts[0]][0]), 40)
        raise DataError(
            f"The columns of {name} must all be numbers, or all be text. Received: text such as {shown} in column "
            f"{labels[texts[0]]}, numbers in others. Encode it as numbers, such as with pandas.get_dummies, or drop it."
        )
    return np.stack(columns, axis=1)  # in the type that holds them all: Booleans among numbers become 0 and 1


def _of_array(array: Array, name: str, where: str = "") -> Array:
    if array.dtype.kind in _NUMERIC:
        return array
    if array.dtype.kind in _TEXT:
        return array.astype(object)
    if array.dtype.kind != "O":
        raise DataError(_not_numbers(name, f"{array.dtype}{where}", is_time=array.dtype.kind in "mM"))
    if array.ndim == 2 and array.shape[1] and not all(isinstance(item, str | bytes) for item in array.flat):
        labels = range(array.shape[1])
        columns = [_of_objects(array[:, i], name, f" in column {i}") for i in labels]
        return _side_by_side(columns, labels, name)
    return _of_objects(array, name, where)


def _of_objects(array: Array, name: str, where: str) -> Array:
    """Objects that are all numbers as numbers, objects that are all text as they are."""
    items = list(array.flat)
    if all(isinstance(item, str | bytes) for item in items):
        return array
    if all(_is_number(item) or _is_missing(item) for item in items):
        return _of_numbers(items).reshape(array.shape)
    has_text = any(isinstance(item, str | bytes) for item in items)
    wrong = next(
        i for i, item in enumerate(items) if not (isinstance(item, str | bytes) if has_text else _is_number(item))
    )
    item, place = items[wrong], f"row {wrong // max(1, array[:1].size)}{where}"
    if has_text:
        raise DataError(
            f"{name} must hold text everywhere where it holds some. Received: {cut(repr(item), 40)} in {place}. "
            "Fill or remove such rows, or encode the text as numbers."
        )
    if isinstance(item, Sequence) or is_array(item):
        raise DataError(
            f"{name} must hold rows of the same length. Received: a {type(item).__name__} in {place}. Pad or cut the "
            "rows, or give several inputs as arrays."
        )
    raise DataError(_not_numbers(name, f"{cut(repr(item), 40)} in {place}", is_time=isinstance(item, _TIMES)))


def _of_numbers(items: Sequence[Any]) -> Array:
    """Whole numbers as integers where all are, else floats; what is missing is NaN, refused where it is met."""
    if all(isinstance(item, numbers.Integral | np.bool_) for item in items):
        try:  # beyond 64 bits they become floats
            return np.array([int(item) for item in items], dtype=np.int64)
        except OverflowError:
            pass
    return np.array([np.nan if _is_missing(item) else float(item) for item in items], dtype=np.float64)


def _is_number(item: Any) -> bool:
    return isinstance(item, numbers.Real | decimal.Decimal | np.bool_)


def _is_missing(item: Any) -> bool:
    """Whether it is None, or one of pandas's marks of a gap (which compare to nothing)."""
    return item is None or type(item).__name__ in ("NAType", "NaTType")


def _not_numbers(name: str, received: str, *, is_time: bool) -> str:
    todo = "Turn times into numbers, such as days since the first." if is_time else "Encode it as numbers, or drop it."
    return f"{name} must hold numbers or text. Received: {received}. {todo}"
