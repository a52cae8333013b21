"""What Keras makes of the arguments of `fit`; mistakes in them are errors, in its words or ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from support.compiled_fits import CLASSES, LABELS, ONE_HOT, WEIGHTS, X, dense, train

from tuner_app.compiled.context import FitContext
from tuner_app.compiled.programs import ProgramCache
from tuner_app.compiled.rows import aligned, is_in_memory, split_off
from tuner_app.folds.rows import Rows

NONE_GIVEN = dict.fromkeys(("sample_weight", "validation_data", "class_weight"))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"y": LABELS[:-1]}, "same number of rows"),
        ({"class_weight": {0: 1.0}, "sample_weight": WEIGHTS}, "class_weight and sample_weight"),
        ({"class_weight": {0: 1.0}, "y": {"a": LABELS, "b": LABELS}}, "class_weight must go with one output"),
        ({"validation_split": 0.999}, "validation_split must leave rows"),
    ],
)
def test_mistakes_are_errors(options: Mapping[str, Any], match: str) -> None:
    context = FitContext(seed=0, cache=ProgramCache())
    with pytest.raises(ValueError, match=match):
        split_off(context.rows, {**NONE_GIVEN, "validation_split": 0.0, **CLASSES, **options})


def test_what_a_model_refuses_is_keras_own_error() -> None:
    with pytest.raises(ValueError, match="shape"):
        train(dense, {**CLASSES, "y": ONE_HOT})


def test_arrays_of_other_rows_than_the_whole_are_brought_to_the_same_footing() -> None:
    rows = np.arange(5, 15)
    x, y, _ = aligned([Rows(X, rows), Rows(LABELS[rows], np.arange(10))])
    assert y is not None
    np.testing.assert_array_equal(x.copy(), X[rows])
    np.testing.assert_array_equal(y.copy(), LABELS[rows])
    assert x.index.tolist() == y.index.tolist() == list(range(10))


@pytest.mark.parametrize(
    ("structure", "in_memory"),
    [
        (None, True),
        ([X, {"a": tf.constant(X)}], True),
        (pd.DataFrame(X), True),
        ((pd.Series(LABELS), pd.Index(LABELS)), True),
        ([X, iter([X])], False),
        (tf.data.Dataset.from_tensors(X), False),
    ],
)
def test_what_lies_in_memory(structure: Any, in_memory: bool) -> None:
    assert is_in_memory(structure) is in_memory
