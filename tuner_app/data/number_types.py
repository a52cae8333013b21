"""The smallest type that holds every number of a table, decided over pieces of it.

Owns the limits of the types: uint8 where every value is a whole number of 0..255, else float32, in which Keras
computes; float64 where a column of whole numbers needs it, which is beyond 2**24.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

FLOAT32_MAX = float(np.finfo(np.float32).max)
_FLOAT32_WHOLE = 2**24
_FLOAT64_WHOLE = 2**53


class NumberPieces:
    """Pieces of a table's rows, and what decides the type of the whole.

    Args:
        n_columns: The number of columns of each piece.
    """

    def __init__(self, n_columns: int) -> None:
        self.n_rows = 0
        self._pieces: list[Array] = []
        self._whole = np.ones(n_columns, dtype=bool)
        # Both begin at 0, so that pieces of bytes, which are most of the pictures' ones, need not be looked at.
        self._low = np.zeros(n_columns)
        self._high = np.zeros(n_columns)

    def add(self, numbers: Array) -> bool:
        """Take in the next rows.

        Args:
            numbers: Integers or float64 of shape (n_rows, n_columns).

        Returns:
            Whether all are finite as float32; where not, nothing was taken in.
        """
        piece = _as_bytes(numbers) if numbers.dtype.kind == "i" else None
        if piece is None:
            piece = self._learned(numbers.astype(np.float64, copy=False))
        if piece is None:
            return False
        self._pieces.append(piece)
        self.n_rows += len(piece)
        return True

    def beyond_float64(self) -> npt.NDArray[np.intp]:
        """The columns of whole numbers of which some lie where float64 leaves whole numbers out."""
        # 2**53 itself is suspicious: 2**53 + 1 has been read as that.
        return np.flatnonzero(self._whole & (self._size() >= _FLOAT64_WHOLE))

    def array(self) -> Array:
        """All rows; the pieces are given back to the memory one by one, as soon as they are copied."""
        numbers = np.empty((self.n_rows, len(self._whole)), dtype=self._dtype())
        self._pieces.reverse()
        row = 0
        while self._pieces:
            piece = self._pieces.pop()
            numbers[row : row + len(piece)] = piece
            row += len(piece)
        return numbers

    def _learned(self, numbers: Array) -> Array | None:
        """The rows as they are kept, after a look at them; None where one is not finite as float32."""
        low, high = numbers.min(axis=0), numbers.max(axis=0)
        with np.errstate(invalid="ignore"):
            if not ((low >= -FLOAT32_MAX) & (high <= FLOAT32_MAX)).all():  # false for NaN as well
                return None
        np.minimum(self._low, low, out=self._low)
        np.maximum(self._high, high, out=self._high)
        # The first row rules out most columns of measurements, and what is ruled out is not looked at again.
        self._whole &= np.trunc(numbers[0]) == numbers[0]
        columns = np.flatnonzero(self._whole)
        if len(columns):
            candidates = numbers if len(columns) == len(self._whole) else numbers[:, columns]
            self._whole[columns] = (np.trunc(candidates) == candidates).all(axis=0)
        is_byte = self._whole.all() and low.min() >= 0 and high.max() <= 255
        return (
            numbers.astype(np.uint8, order="C") if is_byte and not np.signbit(numbers).any() else numbers
        )  # keeps -0.0

    def _size(self) -> Array:
        return np.maximum(-self._low, self._high)

    def _dtype(self) -> type[np.generic]:
        if self._whole.all() and self._low.min() >= 0 and self._high.max() <= 255:
            return np.uint8
        return np.float64 if (self._whole & (self._size() > _FLOAT32_WHOLE)).any() else np.float32


def _as_bytes(integers: Array) -> Array | None:
    """Integers as bytes; None where one is no number of 0..255. One pass, since the bits of all tell."""
    bits = int(np.bitwise_or.reduce(integers, axis=None))
    return integers.astype(np.uint8, order="C") if 0 <= bits <= 255 else None
