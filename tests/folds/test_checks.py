"""Arrays before folds are cut from them: their form, their rows, finite numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tuner_app.errors import DataError
from tuner_app.folds.checks import as_arrays, check_finite, check_same_rows
from tuner_app.folds.rows import arrays_in

ROWS = 12


X = np.arange(ROWS * 2, dtype=np.float32).reshape(ROWS, 2)


Y = np.array([0, 1, 2] * 4)


@pytest.mark.parametrize(
    "table",
    [
        [[1.0, 2.0], [3.0, 4.0]],
        ((1.0, 2.0), (3.0, 4.0)),
        pd.DataFrame({"a": [1.0, 3.0], "b": [2.0, 4.0]}),
        np.array([[1.0, 2.0], [3.0, 4.0]]),
    ],
    ids=["lists", "tuples", "frame", "array"],
)
def test_one_table_in_any_form_becomes_one_array(table: Any) -> None:
    arrays = as_arrays(table, "x")
    assert isinstance(arrays, np.ndarray)
    assert arrays.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_a_list_of_numpy_numbers_is_one_array() -> None:
    assert as_arrays(list(Y), "y").tolist() == Y.tolist()


def test_several_inputs_keep_their_structure() -> None:
    arrays = as_arrays({"left": X, "right": [pd.Series(Y), X]}, "x")
    assert list(arrays) == ["left", "right"]
    assert [array.shape for array in arrays_in(arrays)] == [(12, 2), (12,), (12, 2)]


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        (3, "x must be an array, or a list or dict of arrays. Received: int"),
        (iter([1]), "turn generators and tf.data into arrays"),
        (np.float32(3), "Received: float32"),
        (np.array(3.0), r"shape \(n_samples, ...\) with at least one row"),
        (np.zeros((0, 3)), "at least one row"),
        ([], "at least one row"),
        ({}, "at least one row"),
        ([X, X[:5]], r"same number of rows. Received: float32 of shape \(12, 2\), float32 of shape \(5, 2\)"),
        ([[1, 2], [3]], "x must hold rows of the same length"),
    ],
)
def test_what_is_no_table_is_told(structure: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_arrays(structure, "x")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numbers_that_are_not_finite_are_refused_with_their_row(bad: float, dtype: Any) -> None:
    x = X.astype(dtype)
    x[5, 1] = bad
    with pytest.raises(DataError, match=r"x must hold finite numbers.*in row 5"):
        check_finite([X, x], "x")


def test_infinities_that_cancel_are_found() -> None:
    with pytest.raises(DataError, match="in row 1"):
        check_finite(np.array([0.0, np.inf, -np.inf]), "x")


def test_finite_numbers_whose_sum_overflows_pass() -> None:
    check_finite(np.full(4, np.finfo(np.float32).max, dtype=np.float32), "x")
    check_finite(np.array(["text"]), "y")
    check_finite(np.array([1, 2]), "y")


def test_numbers_of_rows_must_agree() -> None:
    assert check_same_rows(x=X, y=Y, groups=None) == ROWS
    with pytest.raises(DataError, match=r"x and y must have the same number of rows. Received: x with 12, y with 3"):
        check_same_rows(x=X, y=Y[:3])
