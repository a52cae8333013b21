"""Arrays as Keras feeds them to a step, and what a trace sees of them.

Owns types and shapes of single arrays and of nested ones. Which rows of them a fit takes is the business of `rows`.
"""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tuner_app.folds.rows import map_arrays

# From here on an array's copies count (a megabyte).
_LARGE_BYTES = 2**20
# To so many bytes TensorFlow aligns a tensor's memory; what is not aligned it copies.
_ALIGNMENT = 64


class NotCompilableError(Exception):
    """This model or this fit cannot run as one program; the message says why."""


def spec(array: Any) -> tf.TensorSpec:
    """The shape and type of an array with an open number of rows."""
    # Open, because the rows of a fold and of all rows are as many as they like: one trace serves both.
    return tf.TensorSpec((None, *array.shape[1:]), tf.as_dtype(array.dtype))


def as_keras_array(array: Any) -> Any:
    """An array as Keras feeds it: floating-point numbers in Keras's own precision."""
    # Integers and text keep their type, as in Keras's own data adapters (3.15); a step casts them.
    plain = np.asarray(array)
    return plain.astype(keras.config.floatx(), copy=False) if plain.dtype.kind == "f" else plain


def as_tensor(array: Any) -> Any:
    """An array as a tensor, as Keras would feed it.

    Raises:
        NotCompilableError: TensorFlow has no tensor for such an array.
    """
    plain = as_keras_array(array)
    try:
        if plain.nbytes >= _LARGE_BYTES and plain.dtype.kind in "fiu" and not has_gpu():
            return _copied_once(plain)
        return tf.convert_to_tensor(plain)
    except (TypeError, ValueError, tf.errors.OpError) as error:
        kind = getattr(array, "dtype", type(array).__name__)
        raise NotCompilableError(f"arrays of type {kind} cannot become tensors") from error


def _copied_once(array: Any) -> Any:
    """A tensor on the CPU that is a copy of an array, for which no second copy is made on the way."""
    # `convert_to_tensor` copies NumPy's memory twice, to align it and to own it: two more data sets at the peak.
    memory = np.empty(array.nbytes + _ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT
    aligned = memory[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
    np.copyto(aligned, array)
    return tf.experimental.dlpack.from_dlpack(aligned.__dlpack__())  # which takes aligned memory as it is


@functools.cache
def has_gpu() -> bool:
    """Whether TensorFlow sees a GPU, which takes tensors and programs in place of the CPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def with_text_tensors(structure: Any) -> Any:
    """Arrays as Keras's own loops take them: text as tensors (Keras 3.15 takes it as an array of one axis at most)."""

    def convert(array: Any) -> Any:
        return tf.convert_to_tensor(array, tf.string) if array.dtype.kind in "OUS" else array

    return map_arrays(convert, structure)


def batch_of(x: Any, y: Any, weight: Any, order: Any) -> Any:
    """The rows of some numbers as Keras hands a batch to a step: `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`."""
    # With y the tuple is Keras's for a step; a lone x is handed on bare, unless the user gave a tuple.
    if y is None:
        return (taken(x, order),) if isinstance(x, tuple) else taken(x, order)
    parts = (x, y) if weight is None else (x, y, weight)
    return tuple(taken(part, order) for part in parts)


def taken(structure: Any, order: Any) -> Any:
    """The rows of some numbers, of each of nested tensors."""
    return map_arrays(lambda array: tf.gather(array, order), structure)
