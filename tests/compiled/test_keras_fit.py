"""What cannot run as programs goes through Keras's own `fit`, in the same order of rows."""

from __future__ import annotations

import gc
import re
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.compiled_fits import (
    CLASSES,
    LABELS,
    VALIDATION,
    BatchCounter,
    X,
    assert_same,
    dense,
    in_new_thread,
    train,
)

from tuner_app.compiled import model_fit
from tuner_app.compiled.context import FitContext
from tuner_app.compiled.programs import ProgramCache

# TensorFlow 2.21's variables and NumPy 2, in Keras's own callbacks.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


class RefusedByXLA(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        one = tf.numpy_function(lambda: np.float32(1), [], tf.float32)
        return x * tf.ensure_shape(one, ())


class Untraceable(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        if isinstance(x, tf.Tensor) and not tf.executing_eagerly() and "while" in tf.compat.v1.get_default_graph().name:
            raise NotImplementedError("no loops, please")
        return x * 2


def as_dataset() -> Mapping[str, Any]:
    return {"x": tf.data.Dataset.from_tensor_slices((X, LABELS)).batch(16), "batch_size": None}


def as_generator() -> Mapping[str, Any]:
    batches = ((X[begin : begin + 16], LABELS[begin : begin + 16]) for begin in (0, 16) * 4)
    return {"x": batches, "steps_per_epoch": 2, "batch_size": None}


FALLBACKS: dict[str, tuple[Callable[[], keras.Model], Any, str]] = {
    "batch hooks": (
        dense,
        lambda: {**CLASSES, "callbacks": [BatchCounter()]},
        "the callback BatchCounter works by batches",
    ),
    "untraceable": (lambda: dense(Untraceable()), CLASSES, r"tracing its epoch failed \(.*no loops, please"),
}


@pytest.mark.parametrize("kind", FALLBACKS)
def test_what_cannot_be_compiled_goes_through_keras_and_says_why(kind: str, said: Callable[[], list[str]]) -> None:
    build, options, reason = FALLBACKS[kind]
    given = options() if callable(options) else options
    one = train(build, given)
    assert len(said()) == 1
    assert [counter.batches for counter in given.get("callbacks", [])] in ([], [[0, 1, 2] * 2])
    assert re.search(rf"^\w+ trains with model\.fit, because .*{reason}", said()[0])
    other = CLASSES if kind != "untraceable" else options
    assert_same(one, train(build, other, compile_epochs=False))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param(as_dataset, "the data come as _BatchDataset, not as arrays", id="dataset"),
        *(
            pytest.param(*case, id=name, marks=pytest.mark.slow)
            for name, case in {
                "generator": (as_generator, "steps_per_epoch is given"),
                "steps": (lambda: {**CLASSES, "steps_per_epoch": 2, "epochs": 1}, "steps_per_epoch is given"),
                "validation steps": (
                    lambda: {**CLASSES, "validation_data": VALIDATION, "validation_steps": 1},
                    "validation_steps is given",
                ),
                "validation dataset": (
                    lambda: {**CLASSES, "validation_data": as_dataset()["x"]},
                    "the data come as _BatchDataset, not as arrays",
                ),
            }.items()
        ),
    ],
)
def test_other_sources_of_data_go_through_keras(options: Any, reason: str, said: Callable[[], list[str]]) -> None:
    one = train(dense, lambda: {**options(), "shuffle": False})
    assert said() == [f"sequential trains with model.fit, because {reason}."]
    assert_same(one, train(dense, lambda: {**options(), "shuffle": False}, attached=False))


def test_a_layer_that_xla_refuses_goes_through_keras(said: Callable[[], list[str]]) -> None:
    one = train(lambda: dense(RefusedByXLA()), CLASSES, jit_compile=True)
    assert len(said()) == 1
    assert re.search(r"because XLA refuses it \(.+\)\.", said()[0])
    assert_same(one, train(lambda: dense(RefusedByXLA()), CLASSES, compile_epochs=False))


def test_weights_are_untouched_by_a_fit_that_is_refused_and_then_fails() -> None:
    def run() -> Any:
        model = dense(Untraceable(), loss="no_such_loss")
        before = model.get_weights()
        model_fit.attach(model, FitContext(seed=0, cache=ProgramCache()))
        with pytest.raises(ValueError, match="no_such_loss"):
            model.fit(X, LABELS, verbose=0)
        return before, model.get_weights()

    before, after = in_new_thread(run)
    for left, right in zip(before, after, strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_model_that_keras_has_trained_does_not_stay_in_memory() -> None:
    def fit() -> weakref.ref[keras.Model]:
        outcome = train(
            dense, {"x": X, "y": LABELS, "epochs": 1, "callbacks": [BatchCounter()]}, after=model_fit.detach
        )
        assert outcome.context.last is None
        return weakref.ref(outcome.model)

    model = fit()
    gc.collect()
    assert model() is None
