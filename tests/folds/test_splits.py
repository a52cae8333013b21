"""Rows, folds, seeds and fingerprints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    PredefinedSplit,
    RepeatedKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)

from tuner_app.errors import DataError, InputError
from tuner_app.folds.checks import as_arrays, check_finite, check_same_rows
from tuner_app.folds.rows import Rows, arrays_in, data_fingerprint
from tuner_app.folds.splits import make_splits
from tuner_app.records.seeds import fit_seed

ROWS = 12
X = np.arange(ROWS * 2, dtype=np.float32).reshape(ROWS, 2)
Y = np.array([0, 1, 2] * 4)
GROUPS = np.repeat([0, 1, 2, 3], 3)


def as_lists(splits: Any) -> list[tuple[list[int], list[int]]]:
    return [(list(map(int, train)), list(map(int, validation))) for train, validation in splits]


@pytest.mark.parametrize(
    "splitter",
    [
        KFold(3),
        KFold(4, shuffle=True, random_state=0),
        StratifiedKFold(4, shuffle=True, random_state=1),
        GroupKFold(2),
        TimeSeriesSplit(3),
        RepeatedKFold(n_splits=3, n_repeats=2, random_state=0),
        PredefinedSplit([0, 0, 0, 0, 1, 1, 1, 1, -1, -1, -1, -1]),
    ],
    ids=lambda splitter: type(splitter).__name__,
)
def test_any_scikit_learn_splitter_gives_its_own_folds(splitter: Any) -> None:
    groups = GROUPS if isinstance(splitter, GroupKFold) else None
    found = make_splits(splitter, X, Y, groups)
    assert as_lists(found) == as_lists(splitter.split(X, Y, groups))


def test_a_number_is_kfold_without_shuffling() -> None:
    assert as_lists(make_splits(3, X, Y)) == as_lists(KFold(3).split(X))
    assert as_lists(make_splits(np.int64(3), X, Y)) == as_lists(KFold(3).split(X))


def test_a_number_is_stratified_where_there_are_classes() -> None:
    classes = np.sort(Y)
    assert as_lists(make_splits(3, X, X, classes=classes)) == as_lists(StratifiedKFold(3).split(X, classes))


def test_pairs_of_row_numbers_lists_and_masks_are_folds() -> None:
    mask = np.arange(ROWS) < 6
    pairs: Iterator[Any] = iter([([0, 1], [2]), (mask, ~mask)])
    assert as_lists(make_splits(pairs, X, Y)) == [([0, 1], [2]), (list(range(6)), list(range(6, 12)))]


@pytest.mark.parametrize("shape", ["one_hot", "column"])
def test_stratified_folds_see_the_classes_of_one_hot_rows_and_columns(shape: str) -> None:
    y = np.eye(3)[Y] if shape == "one_hot" else Y[:, None]
    expected = StratifiedKFold(4).split(X, Y)
    assert as_lists(make_splits(StratifiedKFold(4), X, y)) == as_lists(expected)


def test_stratified_folds_look_at_the_first_of_several_targets() -> None:
    found = make_splits(StratifiedKFold(2), X, {"class": Y, "size": X[:, 0]})
    assert as_lists(found) == as_lists(StratifiedKFold(2).split(X, Y))


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        (1, r"at least 2 and at most the number of rows \(12\). Received: 1"),
        (13, "Received: 13"),
        (0, "Received: 0"),
        (True, "cv must be able to split 12 rows. Received: cv=True"),
        (None, "Received: cv=None"),
        (2.5, r"Received: cv=2\.5"),
        ("three", "Received: cv='three'"),
        ([], "at least one fold"),
        ([([0, 1], [])], "Fold 0 of .* has none"),
        ([([], [1])], "Fold 0 of .* has none"),
        ([([0], [1]), ([0, 1], [1, 2])], "Fold 1 of .* trains on rows that it validates on"),
        ([([0], [12])], "between 0 and 11"),
        ([([0], [-1])], "between 0 and 11"),
        ([([0.5], [1])], "lists of row numbers"),
        ([([[0]], [1])], "lists of row numbers"),
        ([([0], [1], [2])], "Received: cv="),
        (GroupKFold(3), "'groups' parameter should not be None"),
        (StratifiedKFold(9), "n_splits=9 cannot be greater"),
        (KFold(20), "Cannot have number of splits n_splits=20"),
        (TimeSeriesSplit(30), "Cannot have number of folds=31"),
    ],
)
def test_what_cannot_be_split_is_told_in_one_line(cv: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        make_splits(cv, X, Y)
    assert "\n" not in str(caught.value)


@given(rows=st.integers(2, 60), data=st.data())
def test_folds_of_a_number_validate_each_row_once(rows: int, data: Any) -> None:
    count = data.draw(st.integers(2, rows))
    splits = make_splits(count, np.zeros((rows, 1)), np.zeros(rows))
    assert len(splits) == count
    assert sorted(np.concatenate([validation for _, validation in splits])) == list(range(rows))
    for train, validation in splits:
        assert sorted([*train, *validation]) == list(range(rows))


@pytest.mark.parametrize(
    "given_rows",
    [
        [[1.0, 2.0], [3.0, 4.0]],
        ((1.0, 2.0), (3.0, 4.0)),
        pd.DataFrame({"a": [1.0, 3.0], "b": [2.0, 4.0]}),
        np.array([[1.0, 2.0], [3.0, 4.0]]),
    ],
    ids=["lists", "tuples", "frame", "array"],
)
def test_one_table_in_any_form_becomes_one_array(given_rows: Any) -> None:
    found = as_arrays(given_rows, "x")
    assert isinstance(found, np.ndarray)
    assert found.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_a_list_of_numpy_numbers_is_one_array() -> None:
    assert as_arrays(list(Y), "y").tolist() == Y.tolist()


def test_several_inputs_keep_their_structure() -> None:
    found = as_arrays({"left": X, "right": [pd.Series(Y), X]}, "x")
    assert list(found) == ["left", "right"]
    assert [array.shape for array in arrays_in(found)] == [(12, 2), (12,), (12, 2)]


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


def test_rows_are_taken_from_where_the_arrays_lie() -> None:
    rows = Rows({"x": X, "y": Y}, np.array([3, 0, 3]))
    copied = rows.copy()
    assert len(rows) == 3
    np.testing.assert_array_equal(copied["x"], X[[3, 0, 3]])
    np.testing.assert_array_equal(copied["y"], Y[[3, 0, 3]])


def test_the_seed_of_a_fit_is_the_same_for_ever() -> None:
    values = {"nodes": 32, "learning_rate": 0.001}
    assert fit_seed(0, values, 1) == 1438813040
    assert fit_seed(0, dict(reversed(values.items())), 1) == fit_seed(0, values, 1)


def test_the_seed_of_a_fit_depends_on_what_the_fit_is() -> None:
    base = {"search_seed": 0, "values": {"a": 1}, "fold": 0, "execution": 0, "attempt": 0}
    changes = [{}, {"search_seed": 1}, {"values": {"a": 2}}, {"values": {"b": 1}}, {"fold": 1}, {"fold": -1}]
    changes += [{"execution": 1}, {"attempt": 1}]
    seeds = {fit_seed(**{**base, **change}) for change in changes}
    assert len(seeds) == len(changes)


@given(st.integers(), st.dictionaries(st.text(), st.integers() | st.floats() | st.text() | st.booleans()))
def test_seeds_suit_every_generator(search_seed: int, values: dict[str, Any]) -> None:
    assert 0 <= fit_seed(search_seed, values, 0) < 2**31


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
