"""The rows that a fit trains and validates on, as `Model.fit` reads its arguments.

Owns what Keras makes of `x`, `y`, the weights, `validation_data` and `validation_split`. Their order is drawn in
`context`, where their numbers lie is known to `programs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from tuner_app.compiled.arrays import as_keras_array, spec, with_text_tensors
from tuner_app.compiled.programs import ProgramCache
from tuner_app.folds.rows import Rows, arrays_in, map_arrays, with_tuples

# `x`, `y` and the weights of the same rows.
Parts = tuple[Rows, Rows | None, Rows | None]


class DeviceData:
    """Arrays on the device, and what they look like to a trace.

    Args:
        cache: Has the arrays that lie there already.
        parts: The arrays and their rows.

    Attributes:
        rows: The rows' numbers in the arrays, shape `(n_rows,)`.
        specs: What the arrays look like.
        total: How many rows the arrays have.
    """

    def __init__(self, cache: ProgramCache, parts: Parts) -> None:
        # 32 bits hold the row numbers of any table that fits into memory, and a program is traced for one type.
        self.rows = parts[0].index.astype(np.int32)
        self.x, self.y, self.weight = (
            None if part is None else map_arrays(cache.tensor, part.arrays) for part in parts
        )
        self.specs = tuple(map_arrays(spec, part) for part in self.arguments)
        self.total = len(arrays_in(parts[0].arrays)[0])

    @property
    def arguments(self) -> tuple[Any, Any, Any]:
        """What every function of a program is called with first."""
        return self.x, self.y, self.weight


def split_off(rows_of: Callable[[Any], Rows | None], options: Mapping[str, Any]) -> tuple[Parts, Parts | None]:
    """The rows to train and to validate on.

    Args:
        rows_of: The rows behind an argument's arrays, as `FitContext.rows` knows them.
        options: The arguments of `Model.fit`.

    Returns:
        Both as `(x, y, sample_weight)`; validation is None where there is none in memory.

    Raises:
        ValueError: The arguments do not go together, as `Model.fit` has it.
    """
    # The order of these steps is Keras's: the split before the weights of classes, which validation has none of.
    train = aligned(rows_of(options[name]) for name in ("x", "y", "sample_weight"))
    validation_data, share = options["validation_data"], options["validation_split"]
    validation = None
    if validation_data is not None:
        parts = unpacked(validation_data)
        if all(map(is_in_memory, parts)):
            validation = aligned(map(rows_of, parts))
    elif share:
        train, validation = _halves(train, share)
    return _with_class_weights(train, options["class_weight"]), validation


def aligned(parts: Iterable[Rows | None]) -> Parts:
    """Parts of the same rows, in the structure in which Keras hands them to a step."""
    tupled = [None if part is None else Rows(with_tuples(part.arrays), part.index) for part in parts]
    x, y, weight = [*tupled, None, None][:3]
    assert x is not None
    weight = None if y is None else _weight_per_output(y, weight)
    present = [part for part in (x, y, weight) if part is not None]
    if len({len(part) for part in present}) != 1:
        counts = ", ".join(str(len(part)) for part in present)
        raise ValueError(f"x, y and sample_weight must have the same number of rows. Received: {counts}.")
    if any(part.index is not x.index and not np.array_equal(part.index, x.index) for part in present):
        # Some are rows of the whole, others are arrays of their own: bring all to the same footing.
        x, y, weight = (None if part is None else Rows(part.copy(), np.arange(len(part))) for part in (x, y, weight))
        assert x is not None
    return x, y, weight


def are_same(parts: Parts, others: Parts) -> bool:
    """Whether both are the same rows of the very same arrays."""
    arrays, other_arrays = (arrays_in([part.arrays for part in each if part is not None]) for each in (parts, others))
    is_one_data = [id(array) for array in arrays] == [id(array) for array in other_arrays]
    return is_one_data and np.array_equal(parts[0].index, others[0].index)


def unpacked(validation_data: Any) -> tuple[Any, ...]:
    """`(x, y, sample_weight)` as Keras reads them; anything else is x alone."""
    return tuple(validation_data) if isinstance(validation_data, list | tuple) else (validation_data,)


def is_in_memory(structure: Any) -> bool:
    """Whether nested data are arrays, or nothing at all."""
    if structure is None or isinstance(structure, Rows | np.ndarray | tf.Tensor):
        return True
    if isinstance(structure, Mapping):
        return all(map(is_in_memory, structure.values()))
    if isinstance(structure, list | tuple):
        return all(map(is_in_memory, structure))
    return isinstance(structure, pd.DataFrame | pd.Series | pd.Index)


def unwrapped(value: Any) -> Any:
    """An argument as Keras's own loops take it: rows of the whole as arrays of their own."""
    if isinstance(value, list | tuple) and any(isinstance(item, Rows) for item in value):
        return tuple(map(unwrapped, value))
    return with_text_tensors(value.copy()) if isinstance(value, Rows) else value


def batch_specs(parts: Parts) -> Any:
    """What the arrays of `(x, y, sample_weight)` look like to a trace, before they lie on the device."""

    def specify(array: Any) -> Any:
        return spec(as_keras_array(array[:1]))

    return tuple(None if part is None else map_arrays(specify, part.arrays) for part in parts)


def _weight_per_output(y: Rows, weight: Rows | None) -> Rows | None:
    """As Keras does: one weight for several outputs is the weight of each."""
    if weight is None or not isinstance(y.arrays, Mapping | tuple) or isinstance(weight.arrays, Mapping | tuple):
        return weight
    return Rows(map_arrays(lambda _: weight.arrays, y.arrays), weight.index)


def _halves(parts: Parts, share: float) -> tuple[Parts, Parts]:
    """The first rows to train on and the last ones, a share of them, to validate on, as Keras splits."""
    cut = int(np.floor(len(parts[0]) * (1.0 - share)))
    if not 0 < cut < len(parts[0]):
        raise ValueError(
            f"validation_split must leave rows to train on and to validate on. Received: {share} of {len(parts[0])}."
        )
    first, last = (
        tuple(None if part is None else Rows(part.arrays, part.index[half]) for part in parts)
        for half in (slice(None, cut), slice(cut, None))
    )
    return first, last  # type: ignore[return-value]


def _with_class_weights(parts: Parts, class_weight: Mapping[int, float] | None) -> Parts:
    x, y, weight = parts
    if class_weight is None or y is None:
        return parts
    if weight is not None:
        raise ValueError("class_weight and sample_weight cannot be given at the same time. Received both.")
    if isinstance(y.arrays, Mapping | tuple):
        raise ValueError("class_weight must go with one output. Received: several. Give sample_weight instead.")
    return x, y, Rows(_class_weights(y.arrays, class_weight), y.index)


def _class_weights(y: Any, class_weight: Mapping[int, float]) -> Any:
    """As Keras does: a weight for each row's class, 1 for classes that are not named."""
    labels = np.asarray(y)
    if labels.ndim > 1 and labels.shape[-1] > 1:
        labels = labels.argmax(axis=-1)
    classes, inverse = np.unique(np.round(labels.reshape(len(labels))).astype(np.int64), return_inverse=True)
    weights = np.array([class_weight.get(int(label), 1.0) for label in classes], dtype=keras.config.floatx())
    return weights[inverse]
