"""Folds: scikit-learn's own, and what cannot be split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
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

from tuner_app.errors import InputError
from tuner_app.folds.splits import make_splits

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
    splits = make_splits(splitter, X, Y, groups)
    assert as_lists(splits) == as_lists(splitter.split(X, Y, groups))


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
    splits = make_splits(StratifiedKFold(2), X, {"class": Y, "size": X[:, 0]})
    assert as_lists(splits) == as_lists(StratifiedKFold(2).split(X, Y))


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
