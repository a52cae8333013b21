"""The kinds of models of the zoo, each with data that it can learn from.

Owns nothing else. It imports Keras, so that only the processes that train import it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import numpy as np
import tensorflow as tf
from keras import layers

from tuner_app.models.dense import DenseHyperModel


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of model with its data.

    Attributes:
        data: Makes `(x, y)`.
        build: Makes the compiled model, given the learning rate.
        epochs: The epochs of each fit.
        batch_size: The rows of a training step.
        standardizes: Whether it learns a scaling before each fit.
    """

    data: Callable[[], tuple[Any, Any]]
    build: Callable[[float], Any]
    epochs: int
    batch_size: int = 64
    standardizes: bool = False


def table(rows: int, inputs: int, classes: int = 10) -> Callable[[], tuple[Any, Any]]:
    """Random rows of numbers, and a class for each that depends on them."""
    return lambda: _classified((rows, inputs), classes)


def _classified(shape: tuple[int, ...], classes: int) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    x = random.standard_normal(shape, dtype=np.float32)
    flat = x.reshape(len(x), -1)
    return x, (flat @ random.standard_normal((flat.shape[1], classes), dtype=np.float32)).argmax(axis=1)


def texts(rows: int, length: int, words: int) -> Callable[[], tuple[Any, Any]]:
    """Random word numbers, and whether the first words are frequent ones."""

    def make() -> tuple[Any, Any]:
        x = np.random.default_rng(0).integers(1, words, (rows, length), dtype=np.int32)
        return x, (x[:, :4].mean(axis=1) > words / 2).astype(np.int64)

    return make


def mixed(rows: int) -> tuple[Any, Any]:
    """A category and numbers as two inputs."""
    random = np.random.default_rng(0)
    x = {
        "shop": random.integers(0, 500, (rows, 1), dtype=np.int32),
        "numbers": random.standard_normal((rows, 20), dtype=np.float32),
    }
    return x, (x["numbers"][:, 0] + 0.01 * x["shop"][:, 0]).astype(np.float32)


def two_targets(rows: int) -> tuple[Any, Any]:
    """Numbers with a class and an amount to tell."""
    x, y = _classified((rows, 50), 4)
    return x, {"kind": y, "amount": x[:, :1] * 2}


def sequential(*parts: Callable[[], Any], inputs: tuple[int, ...], dtype: str = "float32", classes: int = 10) -> Any:
    """A builder of a classifier made of some layers, with Adam."""

    def build(learning_rate: float) -> Any:
        made = [part() for part in parts]
        model = keras.Sequential([keras.Input(inputs, dtype=dtype), *made, layers.Dense(classes, "softmax")])
        return compiled(model, learning_rate)

    return build


def compiled(model: Any, learning_rate: float) -> Any:
    """The model, compiled as a classifier with Adam."""
    model.compile(keras.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def dense(
    width: int, deep: int = 1, *, norm: bool = False, dropout: float = 0.0, inputs: int = 784, classes: int = 10
) -> Any:
    """Builder of dense layers of one width."""
    block: list[Callable[[], Any]] = [lambda: layers.Dense(width, "relu")]
    block += [lambda: layers.BatchNormalization()] * norm
    block += [lambda: layers.Dropout(dropout, seed=1)] * bool(dropout)
    return sequential(*block * deep, inputs=(inputs,), classes=classes)


def residual(learning_rate: float) -> Any:
    """A small residual network."""
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    for _ in range(2):
        y = layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same")(x))
        x = layers.Activation("relu")(layers.add([x, layers.Conv2D(16, 3, padding="same")(y)]))
    outputs = layers.Dense(10, "softmax")(layers.GlobalAveragePooling2D()(x))
    return compiled(keras.Model(inputs, outputs), learning_rate)


def attention(learning_rate: float) -> Any:
    """One layer of attention over rows of numbers."""
    inputs = keras.Input((32, 16))
    x = layers.MultiHeadAttention(4, 16)(inputs, inputs)
    outputs = layers.Dense(10, "softmax")(layers.GlobalAveragePooling1D()(x))
    return compiled(keras.Model(inputs, outputs), learning_rate)


def transformer(learning_rate: float) -> Any:
    """Two blocks of a transformer over words."""
    inputs = keras.Input((40,), dtype="int32")
    x = layers.Embedding(5_000, 32)(inputs)
    for _ in range(2):
        x = layers.LayerNormalization()(layers.add([x, layers.MultiHeadAttention(2, 16)(x, x)]))
        x = layers.LayerNormalization()(layers.add([x, layers.Dense(32)(layers.Dense(64, "relu")(x))]))
    outputs = layers.Dense(2, "softmax")(layers.GlobalAveragePooling1D()(x))
    return compiled(keras.Model(inputs, outputs), learning_rate)


def several_inputs(learning_rate: float) -> Any:
    """A category beside numbers, for an amount."""
    shop = keras.Input((1,), dtype="int32", name="shop")
    numbers = keras.Input((20,), name="numbers")
    x = layers.concatenate([layers.Flatten()(layers.Embedding(500, 8)(shop)), numbers])
    outputs = layers.Dense(1)(layers.Dense(64, "relu")(x))
    model = keras.Model({"shop": shop, "numbers": numbers}, outputs)
    model.compile(keras.optimizers.Adam(learning_rate), "mse", metrics=["mae"])
    return model


def several_outputs(learning_rate: float) -> Any:
    """A class and an amount from the same numbers."""
    inputs = keras.Input((50,))
    x = layers.Dense(64, "relu")(inputs)
    outputs = {"kind": layers.Dense(4, "softmax", name="kind")(x), "amount": layers.Dense(1, name="amount")(x)}
    model = keras.Model(inputs, outputs)
    losses = {"kind": "sparse_categorical_crossentropy", "amount": "mse"}
    model.compile(keras.optimizers.Adam(learning_rate), losses, metrics={"kind": ["accuracy"]})
    return model


def own_train_step(learning_rate: float) -> Any:
    """A model with a training step of its own, as Keras's guide writes it."""
    inputs = keras.Input((784,))
    outputs = layers.Dense(10, "softmax")(layers.Dense(128, "relu")(inputs))
    return compiled(OwnStep(inputs, outputs), learning_rate)


def subclassed(learning_rate: float) -> Any:
    """A model written as a class with a `call` of its own."""
    return compiled(Subclassed(), learning_rate)


class OwnStep(keras.Model):
    """A training step of its own, as Keras's guide writes it."""

    def train_step(self, data: Any) -> Any:
        x, y = data
        with tf.GradientTape() as tape:
            prediction = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=prediction)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, prediction)
        return {metric.name: metric.result() for metric in self.metrics}


class Subclassed(keras.Model):
    """A `call` of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = layers.Dense(128, "relu")
        self.outcome = layers.Dense(10, "softmax")

    def call(self, inputs: Any) -> Any:
        return self.outcome(self.hidden(inputs))


def standardizing(learning_rate: float) -> Any:
    """The model of the command line for tables of numbers."""
    model = DenseHyperModel((100,), 10, nodes=[128], learning_rates=[0.001]).build(keras_tuner.HyperParameters())
    model.optimizer.learning_rate = learning_rate
    return model


def arrays(*shape: int) -> Callable[[], tuple[Any, Any]]:
    """Random pictures or series, and a class for each that depends on them."""
    return lambda: _classified(shape, 10)


PICTURES = arrays(3_000, 28, 28, 1)
SERIES = arrays(6_000, 40, 8)

KINDS: dict[str, Kind] = {
    "dense_32": Kind(data=table(12_000, 784), build=dense(32), epochs=6),
    "dense_512": Kind(data=table(12_000, 784), build=dense(512), epochs=4),
    "dense_2048": Kind(data=table(6_000, 784), build=dense(2_048), epochs=3),
    "dense_6_deep": Kind(data=table(12_000, 784), build=dense(256, 6), epochs=3),
    "dense_norm": Kind(data=table(12_000, 784), build=dense(128, 3, norm=True), epochs=4),
    "dense_dropout": Kind(data=table(12_000, 784), build=dense(256, 2, dropout=0.3), epochs=4),
    "wide_table": Kind(data=table(2_000, 10_000), build=dense(64, inputs=10_000), epochs=4),
    "tiny_data": Kind(data=table(200, 20, 3), build=dense(32, 2, inputs=20, classes=3), epochs=20, batch_size=32),
    "large_data": Kind(data=table(200_000, 20, 3), build=dense(64, 2, inputs=20, classes=3), epochs=1),
    "batch_8": Kind(data=table(6_000, 50, 4), build=dense(64, 2, inputs=50, classes=4), epochs=4, batch_size=8),
    "batch_512": Kind(data=table(30_000, 200, 4), build=dense(256, 2, inputs=200, classes=4), epochs=5, batch_size=512),
    "many_steps": Kind(data=table(2_000, 30, 2), build=dense(16, inputs=30, classes=2), epochs=30, batch_size=16),
    "standardized": Kind(data=table(20_000, 100), build=standardizing, epochs=5, standardizes=True),
    "cnn_2d": Kind(
        data=PICTURES,
        build=sequential(
            lambda: layers.Conv2D(16, 3, activation="relu"),
            lambda: layers.MaxPooling2D(),
            lambda: layers.Conv2D(32, 3, activation="relu"),
            lambda: layers.MaxPooling2D(),
            lambda: layers.Flatten(),
            inputs=(28, 28, 1),
        ),
        epochs=3,
    ),
    "cnn_1d": Kind(
        data=SERIES,
        build=sequential(
            lambda: layers.Conv1D(32, 5, activation="relu"),
            lambda: layers.Conv1D(32, 5, activation="relu"),
            lambda: layers.GlobalMaxPooling1D(),
            inputs=(40, 8),
        ),
        epochs=5,
    ),
    "cnn_separable": Kind(
        data=PICTURES,
        build=sequential(
            lambda: layers.SeparableConv2D(16, 3, activation="relu"),
            lambda: layers.MaxPooling2D(),
            lambda: layers.SeparableConv2D(32, 3, activation="relu"),
            lambda: layers.GlobalAveragePooling2D(),
            inputs=(28, 28, 1),
        ),
        epochs=3,
    ),
    "cnn_strided": Kind(
        data=PICTURES,
        build=sequential(
            lambda: layers.Conv2D(16, 3, strides=2, activation="relu"),
            lambda: layers.DepthwiseConv2D(3, strides=2, activation="relu"),
            lambda: layers.Dropout(0.2, seed=1),
            lambda: layers.Flatten(),
            inputs=(28, 28, 1),
        ),
        epochs=4,
    ),
    "cnn_residual": Kind(data=arrays(800, 16, 16, 3), build=residual, epochs=3),
    "lstm": Kind(data=SERIES, build=sequential(lambda: layers.LSTM(32), inputs=(40, 8)), epochs=3),
    "lstm_stacked": Kind(
        data=arrays(3_000, 30, 8),
        build=sequential(lambda: layers.LSTM(32, return_sequences=True), lambda: layers.LSTM(32), inputs=(30, 8)),
        epochs=3,
    ),
    "gru_bidirectional": Kind(
        data=arrays(3_000, 30, 8),
        build=sequential(lambda: layers.Bidirectional(layers.GRU(32)), inputs=(30, 8)),
        epochs=3,
    ),
    "attention": Kind(data=arrays(6_000, 32, 16), build=attention, epochs=3),
    "transformer": Kind(data=texts(3_000, 40, 5_000), build=transformer, epochs=3),
    "embedding": Kind(
        data=texts(8_000, 60, 20_000),
        build=sequential(
            lambda: layers.Embedding(20_000, 32),
            lambda: layers.GlobalAveragePooling1D(),
            inputs=(60,),
            dtype="int32",
            classes=2,
        ),
        epochs=3,
    ),
    "several_inputs": Kind(data=lambda: mixed(20_000), build=several_inputs, epochs=4),
    "several_outputs": Kind(data=lambda: two_targets(20_000), build=several_outputs, epochs=4),
    "own_train_step": Kind(data=table(12_000, 784), build=own_train_step, epochs=4),
    "subclassed": Kind(data=table(12_000, 784), build=subclassed, epochs=4),
}
