"""Copies of rows that know what they are copies of.

Owns the one place where a user's own `HyperModel.fit` gets its arrays from, and where such an array is known again when
it comes back as an argument of `model.fit`.
"""

from __future__ import annotations

import dataclasses
import weakref
from typing import Any

import numpy as np

from tuner_app.folds.rows import Rows, arrays_in, map_arrays
from tuner_app.records.tasks import Index


@dataclasses.dataclass(frozen=True)
class _Origin:
    """What an array is a copy of.

    Attributes:
        copied: The array itself; held weakly, so that one which the user has dropped does not stay in memory.
        whole: The array of all rows.
        index: The rows' numbers.
    """

    copied: weakref.ref[Any]
    whole: Any
    index: Index


class Origins:
    """Where the arrays of one fit come from. One fit is one thread's, so there is no lock.

    What is guaranteed: an array that `copies_of` has made is known as its rows for as long as its numbers are those
    rows', however it is nested in lists, tuples and dicts; `model.fit` then takes the rows of the whole, which lie on
    the device already. Any other array is an array of its own: one that was computed, sliced or copied from it, and one
    that was changed in place, which nothing but a look at its numbers can tell. That look happens once per call of
    `model.fit` and stops at the first chunk that differs. A read-only copy would need none, but user code may write to
    what it is given (`x -= x.mean(axis=0)`), and an array type of our own would not see what is written through
    `np.asarray(x)`.
    """

    def __init__(self) -> None:
        self._by_identity: dict[int, _Origin] = {}

    def copies_of(self, rows: Rows) -> Any:
        """The rows as plain arrays of their own, in the same structure, for user code to do with as it likes."""
        return map_arrays(lambda whole: self._copy(whole, rows.index), rows.arrays)

    def rows_behind(self, structure: Any) -> Rows | None:
        """The rows that nested arrays are unchanged copies of; None where one of them is not, or is of other rows."""
        arrays = arrays_in(structure)
        origins = [origin for origin in map(self._origin_of, arrays) if origin is not None]
        if not origins or len(origins) < len(arrays):
            return None
        index = origins[0].index
        if any(origin.index is not index for origin in origins):  # x of the training, y of the validation rows, say
            return None
        if not all(_is_copy(array, origin) for array, origin in zip(arrays, origins, strict=True)):
            return None
        wholes = iter(origins)
        return Rows(map_arrays(lambda _: next(wholes).whole, structure), index)

    def _copy(self, whole: Any, index: Index) -> Any:
        copied = whole[index]  # An index array always copies, so the whole is safe from whoever writes to it.
        self._by_identity[id(copied)] = _Origin(weakref.ref(copied), whole, index)
        return copied

    def _origin_of(self, array: Any) -> _Origin | None:
        origin = self._by_identity.get(id(array))
        # Another array may have the identity of one that is gone.
        return origin if origin is not None and origin.copied() is array else None


def _is_copy(array: Any, origin: _Origin, chunk: int = 4096) -> bool:
    index = origin.index
    # In chunks: the whole comparison at once would need the memory of a second copy.
    begins = range(0, len(index), chunk)
    return all(np.array_equal(array[i : i + chunk], origin.whole[index[i : i + chunk]]) for i in begins)
