"""What a target is, decided without a model: from its values and what is known of the outputs."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pandas
import pytest
from support.outputs import BCE, ONE, SPARSE, TEN, Facts, described, encoded

from tuner_app.data import targets
from tuner_app.errors import DataError, InputError


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", None, "b"], r"y must hold a label in every row\. Received: None in row 1\."),
        (["a", "b", float("nan")], r"Received: nan in row 2"),
        (pandas.Series(["a", pandas.NA]), r"Received: .* in row 1"),
        (pandas.DataFrame({"y": ["a", None]}), r"Received: .* in row 1"),
        (np.array(["2025-01-01", "2025-01-02"], dtype="M8[D]"), r"must hold numbers or labels\. Received: dates"),
        (np.array([["a", "b"], ["c", "d"]]), r"must be one column of labels .* text of shape \(2, 2\)"),
        (np.array([{"a"}, "b"], dtype=object), r"one label a row\. Received: a set in row 0"),
    ],
)
def test_what_is_no_target_is_told_in_one_line(y: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        described(y)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("y", "facts", "kind", "classes", "numbers"),
    [
        # The loss decides first.
        ([0, 1, 2], Facts((1,), "mean_squared_error"), "numbers", None, None),
        ([0, 1, 1], Facts((1,), "poisson", "sigmoid"), "numbers", None, None),
        ([0, 1, 2], Facts((8,), "circle", "linear"), "numbers", None, None),
        ([0, 1, 1], ONE, "binary", [0, 1], None),
        ([1, 1, 1], ONE, "binary", [0, 1], None),
        ([3, 7, 3], ONE, "binary", [3, 7], [0, 1, 0]),
        ([-1, 1, 1], ONE, "binary", [-1, 1], [0, 1, 1]),
        ([-1, 1, 1], Facts((1,), "hinge", "tanh"), "binary", [-1, 1], None),
        ([0.0, 1.0, 1.0], ONE, "binary", [0.0, 1.0], None),
        ([0.0, 0.3, 1.0], ONE, "numbers", None, None),
        ([0, 1, 1], TEN, "multiclass", list(range(10)), None),
        ([9, 3, 0], TEN, "multiclass", list(range(10)), None),
        ([9, 10, 1], TEN, "multiclass", [1, 9, 10], [1, 2, 0]),
        ([True, False, True], ONE, "binary", [False, True], None),
        (["b", "a", "b"], TEN, "multiclass", ["a", "b"], [1, 0, 1]),
        (["b", "a", "b"], Facts((1,), "mean_squared_error"), "binary", ["a", "b"], [1, 0, 1]),
        # A loss that nobody knows: the outputs decide.
        ([0, 1, 2], Facts((3,), None, "softmax"), "multiclass", [0, 1, 2], None),
        ([5, 6, 7], Facts((3,), None, "softmax"), "multiclass", [5, 6, 7], [0, 1, 2]),
        ([0, 1, 2], Facts((3,), None, "linear"), "multiclass", [0, 1, 2], None),
        ([0, 50, 2], Facts((9,), None, "linear"), "numbers", None, None),
        ([0, 1, 1], Facts((1,), None, "sigmoid"), "binary", [0, 1], None),
        ([0, 1, 1], Facts((1,), None, "linear"), "numbers", None, None),
        ([0.0, 1.0, 2.0], Facts((3,), None, "linear"), "numbers", None, None),
        # Nothing known: whole numbers from 0 on without a gap, text, Booleans.
        ([0, 1, 2], None, "multiclass", [0, 1, 2], None),
        ([1, 2, 3], None, "numbers", None, None),
        (["x", "y", "x"], None, "multiclass", ["x", "y"], [0, 1, 0]),
        ([0, 2, 3], Facts((None,), SPARSE), "numbers", None, None),
    ],
)
def test_classes_or_numbers(y: Any, facts: Facts | None, kind: str, classes: Any, numbers: Any) -> None:
    known = () if facts is None else (facts,)
    target = described(y, *known)
    assert (target.kind, None if target.classes is None else target.classes.tolist()) == (kind, classes)
    assert encoded(y, *known).tolist() == (y if numbers is None else numbers)
    again = targets.from_json(json.loads(json.dumps(targets.to_json(target))))
    assert dataclasses.asdict(again) | {"classes": 0} == dataclasses.asdict(target) | {"classes": 0}
    assert (again.classes is None) or again.classes.tolist() == classes


@pytest.mark.parametrize(
    ("y", "facts", "kind"),
    [
        (np.eye(3), Facts((3,), "categorical_crossentropy", "softmax"), "one-hot"),
        (np.eye(3), Facts((3,), None), "one-hot"),
        (np.eye(3), Facts((3,), BCE, "sigmoid"), "multilabel"),
        (np.eye(3), Facts((3,), "mean_squared_error", "linear"), "numbers"),
        (np.array([[1, 1], [0, 1]]), Facts((2,), BCE, "sigmoid"), "multilabel"),
        (np.array([[1, 1], [0, 1]]), Facts((2,), None), "numbers"),
        (np.array([[1, 5], [0, 1]]), Facts((2,), BCE), "numbers"),
        (np.zeros((2, 4, 4)), Facts((4, 4, 3), SPARSE), "numbers"),
        (np.eye(3), Facts((3, 2), SPARSE, "softmax"), "numbers"),
        (np.eye(3), Facts((5,), None), "numbers"),
    ],
)
def test_rows_of_several_numbers(y: Any, facts: Facts, kind: str) -> None:
    assert described(y, facts).kind == kind


@pytest.mark.parametrize(
    ("y", "facts", "message"),
    [
        ([0, 1, 2], ONE, r"one output tells two classes apart\. Received: y with 3 \(0, 1, 2\)"),
        (["a"], ONE, r"Received: y with 1 \('a'\)"),
        (["a", "b", "c"], Facts((1,), "mean_squared_error"), r"one output tells two classes apart"),
        (["a", "b", "c"], Facts((2,), SPARSE), r"Received: 2 outputs and y with 3 classes .* 3 units"),
        (["a", "b"], Facts((2,), "categorical_crossentropy"), r"needs a row of 0 and 1 for each label"),
    ],
)
def test_labels_that_a_model_cannot_learn(y: Any, facts: Facts, message: str) -> None:
    with pytest.raises(InputError, match=message):
        described(y, facts)
