"""Rows that stay where they are, and fingerprints of arrays."""

from __future__ import annotations

import numpy as np

from tuner_app.folds.rows import Rows, data_fingerprint

ROWS = 12


X = np.arange(ROWS * 2, dtype=np.float32).reshape(ROWS, 2)


Y = np.array([0, 1, 2] * 4)


def test_rows_are_taken_from_where_the_arrays_lie() -> None:
    rows = Rows({"x": X, "y": Y}, np.array([3, 0, 3]))
    copied = rows.copy()
    assert len(rows) == 3
    np.testing.assert_array_equal(copied["x"], X[[3, 0, 3]])
    np.testing.assert_array_equal(copied["y"], Y[[3, 0, 3]])


def test_fingerprints_tell_data_apart() -> None:
    changed = X.copy()
    changed[11, 1] += 1e-3
    variants = [
        (X, Y, None),
        (changed, Y, None),
        (X.astype(np.float64), Y, None),
        (X.reshape(2, ROWS), Y, None),
        (X[::-1], Y, None),
        (X, None, Y),
        ([X], Y, None),
        ({"a": X}, Y, None),
        (X, Y.astype(object), None),
        (X, Y.astype(str), None),
    ]
    assert len({data_fingerprint(*variant) for variant in variants}) == len(variants)
    assert data_fingerprint(np.asfortranarray(X), Y) == data_fingerprint(X.copy(), Y.copy())
