"""Both ways through `fit` give the same: as programs, and by Keras itself on the same order of rows."""

from __future__ import annotations

import csv
import dataclasses
import logging
import math
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tuner_app.compiled import LOGGER, model_fit
from tuner_app.compiled.model_fit import FitContext
from tuner_app.compiled.programs import ProgramCache
from tuner_app.compiled.signature import signature
from tuner_app.compiled.validation import LARGE_BATCH, evaluation_batch_size
from tuner_app.folds.rows import Rows

# TensorFlow 2.21's variables and NumPy 2, in Keras's own callbacks.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

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
    after: Callable[[keras.Model], Any] | None = None,
    **context: Any,
) -> Outcome:
    """Build from a seed and fit, `attached` or with Keras's own `fit`."""

    def run() -> Outcome:
        keras.utils.set_random_seed(11)
        model = build()
        made = FitContext(**{"seed": 3, "cache": cache or ProgramCache(), **context})
        if attached:
            model_fit.attach(model, made)
        given = {"batch_size": 16, "epochs": 2, "verbose": 0, **(options() if callable(options) else options)}
        history = model.fit(**given).history
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
# Kinds that are not of Keras's common parts alone, so that the plain graph is enough of a test.
XLA = (
    "dense",
    "exact batches",
    "list in, dict out",
    "validation weights",
    "own train_step",
    "batch normalization",
    "images",
)
UNTOUCHED = (
    *("dense", "list in, dict out", "dict in", "one weight, two outputs", "class weight", "class weight of one-hot"),
    *(
        "class weight and split",
        "validation weights",
        "validation split",
        "dropout",
        "own train_step",
        "float64",
        "tokens",
    ),
    *("x alone", "average of weights at the end"),
)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO, LOGGER)
    return lambda: [record.getMessage() for record in caplog.records if record.name == LOGGER]


# Together the kinds take minutes: these run each time, the others with the slow tests.
QUICK = (
    *("dense", "list in, dict out", "class weight and split", "dropout", "batch normalization"),
    *("own train_step", "schedule", "half precision"),
)


def some_slow(kinds: Iterable[str], quick: Iterable[str]) -> list[Any]:
    return [kind if kind in quick else pytest.param(kind, marks=pytest.mark.slow) for kind in kinds]


@pytest.mark.parametrize("kind", some_slow(SAME_AS_KERAS, QUICK))
def test_a_compiled_fit_gives_the_numbers_of_keras(kind: str, said: Callable[[], list[str]]) -> None:
    build, options = SAME_AS_KERAS[kind]
    one = train(build, options, jit_compile=False)
    assert said() == []
    assert_same(one, train(build, options, compile_epochs=False))
    assert len(said()) == 1


@pytest.mark.parametrize("kind", some_slow(UNTOUCHED, ("dense", "one weight, two outputs")))
def test_a_compiled_fit_gives_the_numbers_of_an_untouched_model(kind: str) -> None:
    build, options = SAME_AS_KERAS[kind]
    options = {**options, "shuffle": False}
    assert_same(train(build, options, jit_compile=False), train(build, options, attached=False))


@pytest.mark.parametrize("kind", some_slow(XLA, ("dense",)))
def test_xla_gives_the_numbers_of_keras(kind: str, said: Callable[[], list[str]]) -> None:
    build, options = SAME_AS_KERAS[kind]
    one = train(build, options, jit_compile=True)
    assert said() == []
    assert_same(one, train(build, options, jit_compile=False), tolerance=2e-5)


class BatchCounter(callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches.append(batch)


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
    "batch hooks": (dense, lambda: {**CLASSES, "callbacks": [BatchCounter()]}, "the callback BatchCounter works by batches"),
    "batch lambda": (
        dense,
        lambda: {**CLASSES, "callbacks": callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)},
        "the callback LambdaCallback works by batches",
    ),
    "terminate on nan": (dense, lambda: {**CLASSES, "callbacks": [callbacks.TerminateOnNaN()]}, "TerminateOnNaN works by batches"),
    "eager": (lambda: dense(run_eagerly=True), CLASSES, "it runs eagerly"),
    "untraceable": (lambda: dense(Untraceable()), CLASSES, r"tracing its epoch failed \(.*no loops, please"),
}  # fmt: skip


@pytest.mark.parametrize("kind", FALLBACKS)
def test_what_cannot_be_compiled_goes_through_keras_and_says_why(kind: str, said: Callable[[], list[str]]) -> None:
    build, options, reason = FALLBACKS[kind]
    one = train(build, options)
    assert len(said()) == 1
    assert re.search(rf"^\w+ trains with model\.fit, because .*{reason}", said()[0])
    other = CLASSES if kind != "untraceable" else options
    assert_same(one, train(build, other, compile_epochs=False))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (as_dataset, "the data come as _BatchDataset, not as arrays"),
        (as_generator, "steps_per_epoch is given"),
        (lambda: {**CLASSES, "steps_per_epoch": 2, "epochs": 1}, "steps_per_epoch is given"),
        (lambda: {**CLASSES, "validation_data": VALIDATION, "validation_steps": 1}, "validation_steps is given"),
        (lambda: {**CLASSES, "validation_data": as_dataset()["x"]}, "the data come as _BatchDataset, not as arrays"),
    ],
    ids=["dataset", "generator", "steps_per_epoch", "validation_steps", "validation dataset"],
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


def test_a_reason_is_told_once_per_search(said: Callable[[], list[str]]) -> None:
    cache = ProgramCache()
    for _ in range(2):
        train(lambda: dense(run_eagerly=True), {**CLASSES, "epochs": 1}, cache=cache)
    train(dense, {**CLASSES, "epochs": 1, "steps_per_epoch": 1}, cache=cache)
    assert [message.split("because ")[1] for message in said()] == ["it runs eagerly.", "steps_per_epoch is given."]


def test_callbacks_that_work_by_batches_hear_of_each() -> None:
    counter = BatchCounter()
    train(dense, {**CLASSES, "callbacks": [counter]})
    assert counter.batches == [0, 1, 2] * 2


def both_ways(
    build: Callable[[], keras.Model], options: Callable[[], Mapping[str, Any]], said: Any
) -> tuple[Outcome, Outcome]:
    one = train(build, options, jit_compile=False)
    assert said() == []
    other = train(build, options, compile_epochs=False)
    assert_same(one, other)
    return one, other


def test_early_stopping_stops_at_the_same_epoch_and_restores(said: Callable[[], list[str]]) -> None:
    def options() -> Mapping[str, Any]:
        stopping = callbacks.EarlyStopping("val_loss", patience=1, restore_best_weights=True)
        return {**CLASSES, "validation_data": VALIDATION, "epochs": 40, "callbacks": [stopping]}

    one, _ = both_ways(lambda: dense(optimizer=optimizers.SGD(3.0)), options, said)
    assert 1 < len(one.history["loss"]) < 40


def test_learning_rates_change_between_epochs(said: Callable[[], list[str]]) -> None:
    def options() -> Mapping[str, Any]:
        reduce = callbacks.ReduceLROnPlateau("loss", factor=0.1, patience=0, min_delta=10.0)
        schedule = callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9)
        return {**CLASSES, "epochs": 4, "callbacks": [schedule, reduce]}

    one, _ = both_ways(dense, options, said)
    np.testing.assert_allclose(one.history["learning_rate"][2], 0.001 * 0.9**3 * 0.1**1, rtol=1e-4)


def test_callbacks_that_write_files(tmp_path: Any, said: Callable[[], list[str]]) -> None:
    def run(folder: Any, **context: Any) -> Outcome:
        made = [
            callbacks.CSVLogger(str(folder / "log.csv")),
            callbacks.ModelCheckpoint(str(folder / "{epoch}.weights.h5"), save_weights_only=True),
            callbacks.TensorBoard(str(folder / "board"), write_graph=True, profile_batch=0, update_freq="epoch"),
            callbacks.BackupAndRestore(str(folder / "backup"), delete_checkpoint=False),
            callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: (folder / f"seen{epoch}").write_text(str(sorted(logs)))),
        ]  # fmt: skip
        folder.mkdir()
        return train(dense, {**CLASSES, "validation_data": VALIDATION, "callbacks": made}, **context)

    one, other = run(tmp_path / "one"), run(tmp_path / "other", compile_epochs=False)
    assert len(said()) == 1
    assert_same(one, other)
    names = ["1.weights.h5", "2.weights.h5", "log.csv", "seen0", "seen1"]
    for folder in (tmp_path / "one", tmp_path / "other"):
        assert sorted(path.name for path in folder.iterdir() if path.is_file()) == names
        with (folder / "log.csv").open() as file:
            assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1"]
        for part in ("train", "validation"):
            assert len(list((folder / "board" / part).glob("events.out.tfevents.*"))) == 1
    assert (tmp_path / "one" / "seen1").read_text() == (tmp_path / "other" / "seen1").read_text()


def test_backup_and_restore_goes_on_after_the_epochs_that_it_kept(tmp_path: Any) -> None:
    def options() -> Mapping[str, Any]:
        return {**CLASSES, "callbacks": [callbacks.BackupAndRestore(str(tmp_path), delete_checkpoint=False)]}

    assert len(train(dense, options).history["loss"]) == 2
    again = train(dense, lambda: {**options(), "epochs": 5})
    assert len(again.history["loss"]) == 3
    assert again.iterations == 15


def test_a_callback_may_read_the_metrics_of_a_model_that_shares_its_program() -> None:
    cache = ProgramCache()
    found: list[tuple[float, float]] = []

    class Reader(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            found.append((float(self.model.get_metrics_result()["accuracy"]), logs["accuracy"]))

    for _ in range(2):
        train(dense, lambda: {**CLASSES, "callbacks": [Reader()]}, cache=cache)
    assert cache.compiled == 1
    assert len(found) == 4
    assert all(read == told for read, told in found)


def test_a_callback_may_change_the_model_before_the_first_step() -> None:
    class Freezer(callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.model.layers[0].trainable = False

    def options() -> Mapping[str, Any]:
        return {**CLASSES, "callbacks": [Freezer()]}

    one = train(dense, options)
    before = train(dense, {**CLASSES, "epochs": 0})
    np.testing.assert_array_equal(one.weights[0], before.weights[0])
    assert_same(one, train(dense, options, compile_epochs=False))


def test_a_callback_that_stops_before_an_epoch_costs_one_step_as_in_keras() -> None:
    class Stopper(callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = epoch == 1

    def options() -> Mapping[str, Any]:
        return {**CLASSES, "epochs": 5, "callbacks": [Stopper()]}

    one = train(dense, options)
    assert one.iterations == 4
    assert_same(one, train(dense, options, compile_epochs=False))


@pytest.mark.parametrize("compile_epochs", [True, False])
def test_a_second_fit_goes_on_where_the_first_ended(compile_epochs: bool) -> None:
    build = lambda: dense(optimizer="adam")  # noqa: E731
    again = {**CLASSES, "batch_size": 16, "epochs": 1, "verbose": 0}
    twice = train(
        build, {**CLASSES, "epochs": 1}, after=lambda model: model.fit(**again), compile_epochs=compile_epochs
    )
    once = train(build, CLASSES, compile_epochs=True)
    assert twice.iterations == once.iterations == 6
    for left, right in zip(twice.weights, once.weights, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-6, atol=1e-7)


def test_rows_of_the_whole_give_the_numbers_of_their_copies() -> None:
    train_rows, validation_rows = np.arange(10, N), np.arange(10)
    wide = X.astype(np.float64)
    rows = {
        "x": Rows(wide, train_rows),
        "y": Rows(LABELS, train_rows),
        "validation_data": (Rows(wide, validation_rows), Rows(LABELS, validation_rows)),
    }
    copies = {
        **{"x": X[train_rows], "y": LABELS[train_rows], "validation_data": (X[:10], LABELS[:10])},
        "shuffle": False,
    }
    one = train(dense, {**rows, "shuffle": False})
    assert_same(one, train(dense, copies, attached=False))
    assert_same(one, train(dense, {**rows, "shuffle": False}, compile_epochs=False))
    assert_same(one, train(dense, {**rows, "shuffle": False}, jit_compile=True), tolerance=2e-5)


def test_a_known_copy_that_was_changed_in_place_is_taken_as_it_is() -> None:
    context = FitContext(seed=0, cache=ProgramCache())
    copied = context.origins.copies_of(Rows(X, np.arange(20)))
    known = context.rows(copied)
    assert known is not None
    assert known.arrays is X
    copied *= 2
    found = context.rows(copied)
    assert found is not None
    np.testing.assert_array_equal(found.copy(), X[:20] * 2)


def test_a_model_with_a_fit_of_its_own_keeps_it(said: Callable[[], list[str]]) -> None:
    class Stubborn(keras.Sequential):
        def fit(self, x: Any, labels: Any, **options: Any) -> Any:
            return super().fit(x, labels, **{**options, "epochs": 1})

    def run() -> Any:
        model = compiled(Stubborn([keras.Input((6,)), layers.Dense(3)]))
        model_fit.attach(model, FitContext(seed=0, cache=ProgramCache()))
        return model.fit(Rows(X, np.arange(20)), labels=ONE_HOT[:20], epochs=5, verbose=0)

    assert len(in_new_thread(run).history["loss"]) == 1
    assert said() == ["stubborn trains with model.fit, because its class overrides fit."]


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"epoch": 3}, TypeError, "epoch"),
        ({"y": LABELS[:-1]}, ValueError, "same number of rows"),
        ({"class_weight": {0: 1.0}, "sample_weight": WEIGHTS}, ValueError, "class_weight and sample_weight"),
        ({"validation_split": 0.999}, ValueError, "validation_split must leave rows"),
        ({"y": ONE_HOT}, ValueError, "shape"),
    ],
)
def test_mistakes_are_errors(options: Mapping[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        train(dense, {**CLASSES, **options})


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


def test_the_check_ends_a_fit_after_an_epoch() -> None:
    for compile_epochs in (True, False):
        calls: list[int] = []

        def check(calls: list[int] = calls) -> None:
            calls.append(1)
            if len(calls) == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(dense, {**CLASSES, "epochs": 9}, check=check, compile_epochs=compile_epochs)
        assert len(calls) == 2


@pytest.mark.parametrize("compile_epochs", [True, False])
def test_validation_time_is_counted(compile_epochs: bool) -> None:
    outcome = train(dense, {**CLASSES, "validation_data": VALIDATION}, compile_epochs=compile_epochs)
    assert 0 < outcome.context.score_seconds < 60


@pytest.mark.parametrize("verbose", [1, 2])
def test_progress_is_shown_as_keras_does(verbose: int, capsys: pytest.CaptureFixture[str]) -> None:
    train(dense, {**CLASSES, "verbose": verbose})
    shown = capsys.readouterr().out
    assert "Epoch 2/2" in shown
    assert "loss: " in shown


def test_detach_gives_fit_back() -> None:
    model = dense()
    model_fit.attach(model, FitContext(seed=0, cache=ProgramCache()))
    assert "fit" in vars(model)
    model_fit.detach(model)
    assert "fit" not in vars(model)


def logits() -> keras.Model:
    return sequential(keras.Input((6,)), layers.Dense(1), loss=losses.BinaryCrossentropy(from_logits=True))


def single() -> keras.Model:
    return sequential(keras.Input((6,)), layers.Dense(1, activation="sigmoid"), loss="binary_crossentropy")


def margin() -> keras.Model:
    return sequential(keras.Input((6,)), layers.Dense(1, activation="tanh"), loss="hinge")


@pytest.mark.parametrize("compile_epochs", [True, False])
@pytest.mark.parametrize("batch", [5, 16])
def test_predicted_classes_are_those_of_the_largest_output(compile_epochs: bool, batch: int) -> None:
    outcome = train(dense, {**CLASSES, "batch_size": batch}, compile_epochs=compile_epochs)
    found = model_fit.predict_classes(outcome.model, outcome.context, Rows(X, np.arange(3, N)))
    np.testing.assert_array_equal(found, outcome.model.predict(X[3:], verbose=0).argmax(axis=1))
    assert outcome.context.cache.compiled == 1


@pytest.mark.parametrize(("build", "threshold"), [(single, 0.5), (logits, 0.0), (margin, 0.0)])
def test_a_single_output_says_class_1_above_its_threshold(build: Callable[[], keras.Model], threshold: float) -> None:
    outcome = train(build, {"x": X, "y": LABELS > 0})
    found = model_fit.predict_classes(outcome.model, outcome.context, X)
    assert found.tolist() == (outcome.model.predict(X, verbose=0)[:, 0] > threshold).astype(int).tolist()
    assert 0 < found.sum() < N


def test_several_outputs_have_no_classes() -> None:
    outcome = train(two_by_two, {"x": [X, SECOND], "y": BOTH})
    assert model_fit.predict_classes(outcome.model, outcome.context, [X, SECOND]).shape == (0,)


def test_classes_of_a_model_that_shares_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = train(lambda: compiled(LateModel()), SOFT)
    with monkeypatch.context() as patch:  # It would trace each such model anew, and TensorFlow warn of it.
        patch.setattr(keras.Model, "predict", lambda *arguments, **options: pytest.fail("predicted by Keras"))
        found = model_fit.predict_classes(outcome.model, outcome.context, X)
    np.testing.assert_array_equal(found, outcome.model.predict(X, verbose=0).argmax(axis=1))


@pytest.mark.parametrize(
    ("kind", "large"),
    [
        *[(kind, True) for kind in ("dense", "sample weight", "l2", "dropout", "many metrics", "images")],
        *[(kind, False) for kind in ("list in, dict out", "own test_step", "own loss and metric", "activity regularizer", "tokens", "dice")],
        *[(kind, False) for kind in ("sums", "weighted means", "masked outputs", "own compute_metrics")],
    ],
)  # fmt: skip
def test_validation_takes_large_batches_only_where_that_changes_nothing(kind: str, large: bool) -> None:
    model = in_new_thread(SAME_AS_KERAS[kind][0])
    assert validation_batch(model, 16) == (LARGE_BATCH if large else 16)


def validation_batch(model: keras.Model, batch_size: int) -> int:
    return evaluation_batch_size(model, batch_size, signature(model))


def test_ignored_classes_and_metrics_of_whole_batches_forbid_large_batches() -> None:
    ignoring = dense(loss=losses.SparseCategoricalCrossentropy(ignore_class=0))
    assert validation_batch(ignoring, 16) == 16
    assert validation_batch(dense(metrics=["dice"]), 16) == 16
    assert validation_batch(dense(loss=losses.SparseCategoricalCrossentropy()), 16) == 1024


def test_large_outputs_make_validation_batches_smaller() -> None:
    model = sequential(keras.Input((256, 256, 3)), layers.Conv2D(16, 3, padding="same"), layers.GlobalMaxPool2D())
    assert validation_batch(model, 8) == 2**25 // (256 * 256 * (3 + 16) + 16)
    assert validation_batch(model, 64) == 64


def test_diverging_numbers_are_told_not_hidden() -> None:
    outcome = train(lambda: regression(optimizer=optimizers.SGD(1e30)), {**NUMBERS, "epochs": 3})
    assert math.isnan(outcome.history["loss"][-1])
