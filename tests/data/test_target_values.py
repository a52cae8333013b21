"""Targets as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas
import pytest

from tuner_app.data import target_values


@pytest.mark.parametrize(
    ("y", "dtype", "values"),
    [
        (np.array([0, 10, 2], dtype=object), "int64", [0, 10, 2]),
        (np.array([0.5, 2, 1], dtype=object), "float64", [0.5, 2, 1]),
        (np.array([True, False], dtype=object), "bool", [True, False]),
        (np.array([1, 0.5, np.int64(3)], dtype=object), "float64", [1, 0.5, 3]),
        (np.array([10**30, 1], dtype=object), "object", [str(10**30), "1"]),
        (pandas.Series([1, 2], dtype="Int64"), "int64", [1, 2]),
        (pandas.Series(["b", "a"], dtype="category"), "object", ["b", "a"]),
        (np.array(["b", "a"]), "object", ["b", "a"]),
        (np.array([b"b", b"a"]), "object", ["b", "a"]),
        (["1", 2], "object", ["1", "2"]),
        ([1, 2.5], "float64", [1, 2.5]),
        ([["a"], ["b"]], "object", [["a"], ["b"]]),
    ],
)
def test_a_column_is_what_its_cells_are(y: Any, dtype: str, values: list[Any]) -> None:
    target = target_values.plain_target(y)
    assert (str(target.dtype), target.tolist()) == (dtype, values)


def test_a_missing_number_stays_one_that_is_not_finite() -> None:
    assert np.isnan(target_values.plain_target(np.array([1, None, 2], dtype=object))[1])
