"""Rows of arrays that stay where they are, nested arrays, and the fingerprints of both.

Owns how lists, tuples and dicts of arrays are walked. Knows nothing of models.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tuner_app.records.tasks import Index


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
        # Indexing by numbers copies always, so that a user's code may write into what it gets.
        return map_arrays(lambda array: array[self.index], self.arrays)


def map_arrays(function: Callable[[Any], Any], structure: Any) -> Any:
    """Apply a function to each array in nested lists, tuples and dicts."""
    if isinstance(structure, Mapping):
        return {key: map_arrays(function, value) for key, value in structure.items()}
    if isinstance(structure, list | tuple):
        return type(structure)(map_arrays(function, value) for value in structure)
    return None if structure is None else function(structure)  # None stands for weights that were not given


def with_tuples(structure: Any) -> Any:
    """Nested arrays in the form in which Keras hands them to a step: lists are tuples there."""
    if isinstance(structure, Mapping):
        return {key: with_tuples(value) for key, value in structure.items()}
    return tuple(map(with_tuples, structure)) if isinstance(structure, list | tuple) else structure


def arrays_in(structure: Any) -> list[Any]:
    """The arrays in nested lists, tuples and dicts, in order."""
    arrays: list[Any] = []
    map_arrays(arrays.append, structure)
    return arrays


def count_rows(structure: Any) -> int:
    """The number of rows of checked arrays."""
    return len(arrays_in(structure)[0])


def data_fingerprint(*structures: Any) -> str:
    """A fingerprint of arrays: their structure, types, shapes and bytes; 32 hexadecimal digits of BLAKE2b."""
    # It stands in every search.json: whoever changes what is hashed makes all projects those of other data.
    state = hashlib.blake2b(digest_size=16)
    for structure in structures:
        state.update(repr(map_arrays(lambda array: (str(array.dtype), array.shape), structure)).encode())
        for array in arrays_in(structure):
            if array.dtype.kind == "O":
                state.update(json.dumps(array.tolist(), default=str).encode())
            else:  # the bytes where they lie; only an array that is not in rows is copied
                state.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
    return state.hexdigest()
