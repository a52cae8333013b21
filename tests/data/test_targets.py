"""What a target is, decided without a model: from its values and what is known of the outputs."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pandas
import pytest

from tuner_app.data import target_kinds, target_values, targets
from tuner_app.data.targets import Target
from tuner_app.errors import DataError, InputError

SPARSE, BCE = "sparse_categorical_crossentropy", "binary_crossentropy"


@dataclasses.dataclass(frozen=True)
class Facts:
    """What `probe` tells of an output."""

    shape: tuple[int | None, ...]
    loss: str | None = None
    activation: str | None = None
    from_logits: bool = False
    name: str | None = None


def described(y: Any, *facts: Facts) -> Any:
    return target_kinds.describe(target_values.plain_target(y), facts or None)


def encoded(y: Any, *facts: Facts) -> Any:
    values = target_values.plain_target(y)
    return targets.encode(target_kinds.describe(values, facts or None), values)


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
    found = target_values.plain_target(y)
    assert (str(found.dtype), found.tolist()) == (dtype, values)


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


def test_a_missing_number_stays_one_that_is_not_finite() -> None:
    assert np.isnan(target_values.plain_target(np.array([1, None, 2], dtype=object))[1])


TEN = Facts((10,), SPARSE, "softmax")
ONE = Facts((1,), BCE, "sigmoid")


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
    found = described(y, *known)
    assert (found.kind, None if found.classes is None else found.classes.tolist()) == (kind, classes)
    assert encoded(y, *known).tolist() == (y if numbers is None else numbers)
    again = targets.from_json(json.loads(json.dumps(targets.to_json(found))))
    assert dataclasses.asdict(again) | {"classes": 0} == dataclasses.asdict(found) | {"classes": 0}
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


def test_labels_that_differ_only_by_nul_bytes_stay_apart() -> None:
    y = np.array(["a", "a\0", "a\0\0"] * 2, dtype=object)
    target = described(y)
    assert target.classes.tolist() == ["a", "a\0", "a\0\0"]
    assert target.answers(np.eye(3)).tolist() == ["a", "a\0", "a\0\0"]
    assert encoded(y).tolist() == [0, 1, 2] * 2


def test_dicts_are_matched_by_the_names_of_the_outputs() -> None:
    facts = (Facts((1,), "mean_squared_error", name="b"), Facts((3,), SPARSE, name="a"))
    found = described({"a": np.arange(3), "b": np.arange(3)}, *facts)
    assert (found["a"].kind, found["b"].kind, list(found)) == ("multiclass", "numbers", ["b", "a"])
    amounts, letters = targets.answers(found, [np.array([[0.5]]), np.array([[0, 0, 1.0]])])
    assert (amounts.tolist(), letters.tolist()) == ([0.5], [2])


def test_class_weights_by_label() -> None:
    text = described(["b", "a"], ONE)
    assert targets.class_weight(text, {"b": 2.0}) == {1: 2.0}
    assert targets.class_weight(text, {0: 1.0, 1: 2.0}) == {0: 1.0, 1: 2.0}
    assert targets.class_weight(described([3, 7], ONE), {np.int64(7): 2.0}) == {1: 2.0}
    assert targets.class_weight(described([True, False], ONE), {True: 2.0}) == {1: 2.0}
    assert targets.class_weight(Target(), {5: 2.0}) == {5: 2.0}
    assert targets.class_weight(text, None) is None
    with pytest.raises(InputError, match=r"class_weight must be a dict .* Received: 'balanced'"):
        targets.class_weight(text, "balanced")
    with pytest.raises(InputError, match=r"must be labels of y \(3, 7\)\. Received: 0"):
        targets.class_weight(described([3, 7], ONE), {0: 2.0, 7: 1.0})


@pytest.mark.parametrize(("scale", "threshold"), [("probabilities", 0.5), ("logits", 0.0), ("margins", 0.0)])
def test_a_single_output_is_cut_at_its_scales_middle(scale: str, threshold: float) -> None:
    one = Target(kind="binary", classes=np.array(["no", "yes"]), scale=scale)
    outputs = np.array([[threshold - 0.1], [threshold + 0.1]], np.float32)
    assert one.answers(outputs).tolist() == ["no", "yes"]
    assert one.answers(outputs[:, 0]).tolist() == ["no", "yes"]


def test_large_logits_are_probabilities_without_a_warning() -> None:
    one = Target(kind="binary", classes=np.array([0, 1]), scale="logits")
    assert one.probabilities(np.array([[-1000.0], [1000.0], [0.0]])).tolist() == [[1, 0], [0, 1], [0.5, 0.5]]
    several = Target(kind="multiclass", classes=np.array([0, 1]), scale="logits")
    assert several.probabilities(np.array([[-1000.0, 1000.0]])).tolist() == [[0, 1]]
    rows = Target(kind="multilabel", scale="logits")
    assert rows.probabilities(np.array([[-1000.0, 0.0]])).tolist() == [[0, 0.5]]


@pytest.mark.parametrize("content", ["x", {"kind": "cat"}, {"classes": [1, "a"]}, {"width": 0}, {"outputs": 3}])
def test_json_that_is_no_target(content: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the reader wraps it
        targets.from_json(content)
