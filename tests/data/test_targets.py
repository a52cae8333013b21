"""From labels to class numbers, and from outputs back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.outputs import ONE, SPARSE, Facts, described, encoded

from tuner_app.data import targets
from tuner_app.data.targets import Target
from tuner_app.errors import InputError


def test_labels_that_differ_only_by_nul_bytes_stay_apart() -> None:
    y = np.array(["a", "a\0", "a\0\0"] * 2, dtype=object)
    target = described(y)
    assert target.classes.tolist() == ["a", "a\0", "a\0\0"]
    assert target.answers(np.eye(3)).tolist() == ["a", "a\0", "a\0\0"]
    assert encoded(y).tolist() == [0, 1, 2] * 2


def test_dicts_are_matched_by_the_names_of_the_outputs() -> None:
    facts = (Facts((1,), "mean_squared_error", name="b"), Facts((3,), SPARSE, name="a"))
    target = described({"a": np.arange(3), "b": np.arange(3)}, *facts)
    assert (target["a"].kind, target["b"].kind, list(target)) == ("multiclass", "numbers", ["b", "a"])
    amounts, letters = targets.answers(target, [np.array([[0.5]]), np.array([[0, 0, 1.0]])])
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
