"""Which calls of `fit` can run as programs, and what is said of the others; no fit is needed to know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
import tensorflow as tf
from support.compiled_fits import CLASSES, LABELS, VALIDATION, BatchCounter, X, dense

from tuner_app.compiled.eligibility import why_not

callbacks = keras.callbacks
NONE_GIVEN = dict.fromkeys(("sample_weight", "validation_data", "steps_per_epoch", "validation_steps"))


def reason(model: keras.Model, **options: Any) -> str | None:
    return why_not(model, {**NONE_GIVEN, "validation_freq": 1, "callbacks": [], **CLASSES, **options})


class OwnLoop(keras.Sequential):
    def make_train_function(self, force: bool = False) -> Any:
        return super().make_train_function(force)


def of_own_loop() -> keras.Model:
    model = OwnLoop([keras.Input((6,)), keras.layers.Dense(3)])
    model.compile(loss="mse")
    return model


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (dense, None),
        (lambda: keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)]), "it is not compiled"),
        (lambda: dense(run_eagerly=True), "it runs eagerly"),
        (of_own_loop, "it has a training loop of its own"),
    ],
)
def test_models(build: Callable[[], keras.Model], expected: str | None) -> None:
    assert reason(build()) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"validation_data": VALIDATION}, None),
        ({"x": None}, "x is not given"),
        ({"x": tf.data.Dataset.from_tensors((X, LABELS))}, "the data come as _TensorDataset, not as arrays"),
        ({"validation_data": iter(VALIDATION)}, "the data come as tuple_iterator, not as arrays"),
        ({"steps_per_epoch": 2}, "steps_per_epoch is given"),
        ({"validation_steps": 1}, "validation_steps is given"),
        ({"validation_freq": None}, "validation_freq is neither a number nor a list"),
    ],
)
def test_options(options: dict[str, Any], expected: str | None) -> None:
    assert reason(dense(), **options) == expected


class Quiet(callbacks.ModelCheckpoint):
    """Keras's own callback with no hook of its own."""


class EpochCounter(callbacks.Callback):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        pass


def with_a_hook_set() -> callbacks.Callback:
    callback = EpochCounter()
    callback.on_batch_end = lambda batch, logs=None: None
    return callback


BY_EPOCHS = [
    callbacks.EarlyStopping(),
    callbacks.CSVLogger("log.csv"),
    callbacks.TensorBoard("board"),
    callbacks.ModelCheckpoint("a.keras"),
    Quiet("a.keras"),
    callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None),
    EpochCounter(),
]
BY_BATCHES = [
    callbacks.TerminateOnNaN(),
    callbacks.TensorBoard("board", update_freq=10),
    callbacks.TensorBoard("board", profile_batch=3),
    callbacks.ModelCheckpoint("a.keras", save_freq=10),
    Quiet("a.keras", save_freq=10),
    callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None),
    BatchCounter(),
    with_a_hook_set(),
]


def test_callbacks() -> None:
    model = dense()
    assert [reason(model, callbacks=[callback]) for callback in BY_EPOCHS] == [None] * len(BY_EPOCHS)
    assert [reason(model, callbacks=[callback]) for callback in BY_BATCHES] == [
        f"the callback {type(callback).__name__} works by batches" for callback in BY_BATCHES
    ]
    whole = callbacks.CallbackList([EpochCounter()])
    assert reason(model, callbacks=whole) == "the callbacks come as a CallbackList"
