"""Small models of many kinds, what `fit` gets for each, and fits of them both ways: as programs and by Keras."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tuner_app.compiled import model_fit
from tuner_app.compiled.context import FitContext
from tuner_app.compiled.programs import ProgramCache

layers, callbacks, losses, optimizers = keras.layers, keras.callbacks, keras.losses, keras.optimizers

N = 42  # rows: two batches of 16 and one of 10

RANDOM = np.random.default_rng(5)

X = RANDOM.normal(size=(N, 6)).astype(np.float32)

LABELS = RANDOM.integers(0, 3, N)

ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]

TARGET = RANDOM.normal(size=(N, 1)).astype(np.float32)

WEIGHTS = RANDOM.uniform(0.1, 2.0, N).astype(np.float32)

TOKENS = RANDOM.integers(0, 9, (N, 5))

IMAGES = RANDOM.integers(0, 256, (N, 6, 6, 1)).astype(np.uint8)

SEQUENCES = RANDOM.normal(size=(N, 4, 3)).astype(np.float32)

VALIDATION = (X[:20] + 1, LABELS[:20])


@dataclasses.dataclass
class Outcome:
    weights: list[Any]
    history: dict[str, list[float]]
    iterations: int
    model: keras.Model
    context: FitContext


def in_new_thread(function: Callable[[], Any]) -> Any:
    """Keras counts the names of layers per thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def train(
    build: Callable[[], keras.Model],
    options: Mapping[str, Any] | Callable[[], Mapping[str, Any]],
    *,
    cache: ProgramCache | None = None,
    attached: bool = True,
    fits: bool = True,
    after: Callable[[keras.Model], Any] | None = None,
    **context: Any,
) -> Outcome:
    """Build from a seed and fit, `attached` or with Keras's own `fit`; only build unless it `fits`."""

    def run() -> Outcome:
        keras.utils.set_random_seed(11)
        model = build()
        made = FitContext(**{"seed": 3, "cache": cache or ProgramCache(), **context})
        if attached:
            model_fit.attach(model, made)
        given = {"batch_size": 16, "epochs": 2, "verbose": 0, **(options() if callable(options) else options)}
        history = model.fit(**given).history if fits else {}
        if after is not None:
            after(model)
        iterations = int(model.optimizer.iterations.numpy())
        return Outcome(model.get_weights(), history, iterations, model, made)

    return in_new_thread(run)


def assert_same(one: Outcome, other: Outcome, tolerance: float = 1e-6) -> None:
    assert list(one.history) == list(other.history)
    for name, values in one.history.items():
        np.testing.assert_allclose(values, other.history[name], rtol=1e-5, atol=tolerance, err_msg=name)
    assert one.iterations == other.iterations
    assert len(one.weights) == len(other.weights)
    for left, right in zip(one.weights, other.weights, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=tolerance)


def some_slow(kinds: Iterable[str], quick: Iterable[str]) -> list[Any]:
    return [kind if kind in quick else pytest.param(kind, marks=pytest.mark.slow) for kind in kinds]


def dense(
    *more: Any,
    optimizer: Any = "rmsprop",
    loss: Any = "sparse_categorical_crossentropy",
    metrics: Any = ("accuracy",),
    **rest: Any,
) -> keras.Model:
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(5, activation="tanh"), *more, layers.Dense(3, activation="softmax")]
    )
    model.compile(optimizer=optimizer, loss=loss, metrics=list(metrics), **rest)
    return model


def regression(**options: Any) -> keras.Model:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(4, activation="relu"), layers.Dense(1)])
    model.compile(**{"optimizer": "adam", "loss": "mse", "metrics": ["mae", "root_mean_squared_error"], **options})
    return model


def two_by_two(names: bool = False, **options: Any) -> keras.Model:
    first, second = keras.Input((6,), name="first"), keras.Input((2,), name="second")
    joined = layers.Concatenate()([layers.Dense(4)(first), second])
    outputs = [layers.Dense(3, activation="softmax", name="kind")(joined), layers.Dense(1, name="size")(joined)]
    inputs = {"first": first, "second": second} if names else [first, second]
    model = keras.Model(inputs, {"kind": outputs[0], "size": outputs[1]})
    model.compile(
        optimizer="adam",
        loss={"kind": "sparse_categorical_crossentropy", "size": "mse"},
        loss_weights={"kind": 1.0, "size": 0.3},
        metrics={"kind": ["accuracy"], "size": ["mae", "mse"]},
        **options,
    )
    return model


class OwnStep(keras.Model):
    """Adds noise-free input gradients' worth of nothing: a step of its own with logs of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = layers.Dense(4, activation="relu"), layers.Dense(3)

    def call(self, x: Any) -> Any:
        return self.out(self.hidden(x))

    def train_step(self, data: Any) -> Any:
        x, y = data
        with tf.GradientTape() as tape:
            wrong = tf.reduce_mean(tf.square(self(x, training=True) - y))
        self.optimizer.apply_gradients(
            zip(tape.gradient(wrong, self.trainable_variables), self.trainable_variables, strict=True)
        )
        return {"wrong": wrong, "rows": tf.shape(x)[0]}


class OwnTestStep(OwnStep):
    train_step = keras.Model.train_step

    def test_step(self, data: Any) -> Any:
        x, y = data
        return {"worst": tf.reduce_max(tf.abs(self(x, training=False) - y))}


class OwnMetrics(OwnStep):
    train_step = keras.Model.train_step

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        results = super().compute_metrics(x, y, y_pred, sample_weight)
        return {**results, "largest": tf.reduce_max(y_pred)}


class Autoencoder(keras.Model):
    """Takes x alone."""

    def __init__(self) -> None:
        super().__init__()
        self.both = keras.Sequential([keras.Input((6,)), layers.Dense(2), layers.Dense(6)])
        self.tracker = keras.metrics.Mean(name="loss")

    @property
    def metrics(self) -> Any:
        return [self.tracker]

    def call(self, x: Any) -> Any:
        return self.both(x)

    def train_step(self, data: Any) -> Any:
        with tf.GradientTape() as tape:
            wrong = tf.reduce_mean(tf.square(self(data) - data))
        self.optimizer.apply_gradients(
            zip(tape.gradient(wrong, self.trainable_variables), self.trainable_variables, strict=True)
        )
        self.tracker.update_state(wrong)
        return {"loss": self.tracker.result()}


class Late(keras.layers.Layer):
    """Makes its layers when it sees data."""

    def build(self, shape: Any) -> None:
        self.inner = layers.Dense(4)
        self.inner.build(shape)

    def call(self, x: Any) -> Any:
        return self.inner(x)


class LateModel(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.late, self.out = Late(), layers.Dense(3, activation="softmax")

    def call(self, x: Any, training: bool = False) -> Any:
        return self.out(self.late(x))


def compiled(model: keras.Model, **options: Any) -> keras.Model:
    model.compile(**{"optimizer": "sgd", "loss": "mse", **options})
    return model


def sequential(*parts: Any, **options: Any) -> keras.Model:
    return compiled(keras.Sequential(list(parts)), **options)


def half_precision() -> keras.Model:
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(4, dtype="mixed_float16"),
            layers.Dense(3, activation="softmax", dtype="float32"),
        ]
    )
    model.compile(
        optimizer=optimizers.LossScaleOptimizer(optimizers.SGD(0.1), initial_scale=8.0),
        loss="sparse_categorical_crossentropy",
    )
    return model


def own_loss(y_true: Any, y_pred: Any) -> Any:
    return keras.ops.mean(keras.ops.abs(y_true - y_pred) ** 1.5, axis=-1)


CLASSES = {"x": X, "y": LABELS}

NUMBERS = {"x": X, "y": TARGET}

SOFT = {"x": X, "y": ONE_HOT}

BOTH = {"kind": LABELS, "size": TARGET}

SECOND = X[:, :2] * 2


class BatchCounter(callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches.append(batch)


# ruff: noqa: E501 - tables read best with one kind a line
# Each kind: how the model is built and what fit gets.
SAME_AS_KERAS: dict[str, tuple[Callable[[], keras.Model], Mapping[str, Any]]] = {
    "dense": (dense, CLASSES),
    "exact batches": (dense, {**CLASSES, "batch_size": 14}),
    "one batch": (dense, {**CLASSES, "batch_size": 100}),
    "default batch size": (dense, {**CLASSES, "batch_size": None}),
    "list in, dict out": (two_by_two, {"x": [X, SECOND], "y": BOTH, "validation_data": ([X[:20], SECOND[:20]], {"kind": LABELS[:20], "size": TARGET[:20]})}),
    "dict in": (lambda: two_by_two(names=True), {"x": {"first": X, "second": SECOND}, "y": BOTH}),
    "one weight, two outputs": (two_by_two, {"x": [X, SECOND], "y": BOTH, "sample_weight": WEIGHTS}),
    "weights per output": (two_by_two, {"x": [X, SECOND], "y": BOTH, "sample_weight": {"kind": WEIGHTS, "size": WEIGHTS**2}}),
    "sample weight": (lambda: dense(weighted_metrics=["accuracy"]), {**CLASSES, "sample_weight": WEIGHTS}),
    "class weight": (dense, {**CLASSES, "class_weight": {0: 0.5, 2: 3.0}}),
    "class weight of one-hot": (lambda: dense(loss="categorical_crossentropy"), {**SOFT, "class_weight": {0: 0.5, 1: 2.0}}),
    "class weight and split": (dense, {**CLASSES, "class_weight": {0: 0.5, 1: 2.0}, "validation_split": 0.3}),
    "validation": (dense, {**CLASSES, "validation_data": VALIDATION}),
    "validation in a list": (dense, {**CLASSES, "validation_data": list(VALIDATION)}),
    "validation weights": (dense, {**CLASSES, "validation_data": (*VALIDATION, WEIGHTS[:20]), "sample_weight": WEIGHTS}),
    "validation batches": (dense, {**CLASSES, "validation_data": VALIDATION, "validation_batch_size": 7}),
    "validation split": (dense, {**CLASSES, "validation_split": 0.25}),
    "validation every other epoch": (dense, {**CLASSES, "validation_data": VALIDATION, "validation_freq": 2, "epochs": 3}),
    "validation at epochs": (dense, {**CLASSES, "validation_data": VALIDATION, "validation_freq": [1, 3], "epochs": 3}),
    "l2": (lambda: dense(layers.Dense(4, kernel_regularizer="l2")), {**CLASSES, "validation_data": VALIDATION}),
    "activity regularizer": (
        lambda: dense(layers.Dense(4, activity_regularizer=keras.regularizers.L2(0.1))),
        {**CLASSES, "validation_data": VALIDATION},
    ),
    "dropout": (lambda: dense(layers.Dropout(0.4)), {**CLASSES, "validation_data": VALIDATION}),
    "noise": (lambda: dense(layers.GaussianNoise(0.4)), CLASSES),
    "batch normalization": (lambda: dense(layers.BatchNormalization()), {**CLASSES, "validation_data": VALIDATION}),
    "own train_step": (lambda: compiled(OwnStep()), SOFT),
    "own test_step": (lambda: compiled(OwnTestStep(), metrics=["mae"]), {**SOFT, "validation_data": (X[:20], ONE_HOT[:20])}),
    "own compute_metrics": (lambda: compiled(OwnMetrics(), metrics=["mae"]), {**SOFT, "validation_data": (X[:20], ONE_HOT[:20])}),
    "x alone": (lambda: compiled(Autoencoder(), loss=None), {"x": X, "shuffle": False}),
    "own loss and metric": (lambda: dense(loss=own_loss, metrics=[own_loss]), SOFT),
    "lambda metric": (lambda: regression(metrics=[lambda true, found: keras.ops.mean(found - true)]), NUMBERS),
    "built late": (lambda: compiled(LateModel()), SOFT),
    "sequential without input": (lambda: sequential(layers.Dense(4), layers.Dense(3)), SOFT),
    "schedule": (lambda: dense(optimizer=optimizers.SGD(optimizers.schedules.ExponentialDecay(0.5, 2, 0.5))), CLASSES),
    "adam": (lambda: dense(optimizer=optimizers.Adam(0.05, amsgrad=True)), CLASSES),
    "momentum": (lambda: dense(optimizer=optimizers.SGD(0.1, momentum=0.9, nesterov=True)), CLASSES),
    "adamw": (lambda: dense(optimizer=optimizers.AdamW(0.05, weight_decay=0.1)), CLASSES),
    "average of weights": (lambda: dense(optimizer=optimizers.Adam(0.05, use_ema=True, ema_overwrite_frequency=2)), CLASSES),
    "average of weights at the end": (lambda: dense(optimizer=optimizers.Adam(0.05, use_ema=True)), {**CLASSES, "validation_data": VALIDATION}),
    "clipping": (lambda: dense(optimizer=optimizers.SGD(0.5, global_clipnorm=0.1)), CLASSES),
    "accumulation": (lambda: dense(optimizer=optimizers.SGD(0.5, gradient_accumulation_steps=2)), CLASSES),
    "half precision": (half_precision, CLASSES),
    "float64": (dense, {"x": X.astype(np.float64), "y": LABELS.astype(np.float64)}),
    "pandas": (regression, {"x": pd.DataFrame(X), "y": pd.Series(TARGET[:, 0])}),
    "tensors": (dense, {"x": tf.constant(X), "y": tf.constant(LABELS)}),
    "initial epoch": (dense, {**CLASSES, "initial_epoch": 2, "epochs": 4}),
    "no epoch": (dense, {**CLASSES, "epochs": 0}),
    "regression": (regression, {**NUMBERS, "validation_data": (X[:9], TARGET[:9])}),
    "many metrics": (lambda: dense(loss="categorical_crossentropy", metrics=["accuracy", keras.metrics.AUC(), "f1_score", keras.metrics.TopKCategoricalAccuracy(2)]), {**SOFT, "validation_split": 0.3}),
    "steps per execution": (lambda: dense(steps_per_execution=2), CLASSES),
    "frozen layer": (lambda: dense(layers.Dense(5, trainable=False)), CLASSES),
    "images": (
        lambda: sequential(keras.Input((6, 6, 1)), layers.Rescaling(1 / 255), layers.Conv2D(2, 3, activation="relu"), layers.MaxPool2D(), layers.Flatten(), layers.Dense(3)),
        {"x": IMAGES, "y": ONE_HOT},
    ),
    "tokens": (
        lambda: sequential(keras.Input((5,), dtype="int64"), layers.Embedding(9, 3, mask_zero=True), layers.LSTM(4), layers.Dense(3)),
        {"x": TOKENS, "y": ONE_HOT, "validation_data": (TOKENS[:20], ONE_HOT[:20])},
    ),
    "recurrent": (lambda: sequential(keras.Input((4, 3)), layers.GRU(3), layers.Dense(3)), {"x": SEQUENCES, "y": ONE_HOT}),
    "masked outputs": (
        lambda: sequential(keras.Input((5,)), layers.Embedding(9, 3, mask_zero=True), layers.Dense(1)),
        {"x": TOKENS, "y": TOKENS[..., None].astype(np.float32), "validation_data": (TOKENS[:20], TOKENS[:20, :, None] * 1.0)},
    ),
    "dice": (lambda: dense(loss="dice", metrics=[]), {**SOFT, "validation_data": (X[:20], ONE_HOT[:20])}),
    "sums": (lambda: regression(loss=losses.MeanSquaredError(reduction="sum")), {**NUMBERS, "validation_data": (X[:20], TARGET[:20])}),
    "weighted means": (
        lambda: regression(loss=losses.MeanSquaredError(reduction="mean_with_sample_weight")),
        {**NUMBERS, "validation_data": (X[:20], TARGET[:20], WEIGHTS[:20])},
    ),
}  # fmt: skip
