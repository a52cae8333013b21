"""Models that share a program, and some that must not."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

from tuner_app.models.preprocessing import Standardization

layers, optimizers = keras.layers, keras.optimizers

RANDOM = np.random.default_rng(5)

X = RANDOM.normal(size=(24, 4)).astype(np.float32)

Y = np.eye(3, dtype=np.float32)[RANDOM.integers(0, 3, 24)]


def in_new_thread(function: Callable[[], Any]) -> Any:
    """Keras counts the names of layers per thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def make(
    *more: Any,
    units: int = 4,
    activation: Any = "tanh",
    optimizer: Any = None,
    loss: Any = "mse",
    metrics: Any = ("mae",),
    **dense: Any,
) -> keras.Model:
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(units, activation=activation, **dense), *more, layers.Dense(3)]
    )
    model.compile(optimizer=optimizer or optimizers.SGD(0.1, momentum=0.5), loss=loss, metrics=list(metrics))
    return model


def scaled(factor: float) -> Callable[..., Any]:
    def loss(y_true: Any, y_pred: Any) -> Any:
        return factor * keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)

    return loss


def adapted(mean: float) -> keras.Model:
    normalize = layers.Normalization()
    normalize.adapt(X + mean)
    return make(normalize)


def standardized(mean: float) -> keras.Model:
    standardization = Standardization()
    model = make(standardization)
    standardization.adapt(np.repeat(X[:, :1] + mean, 4, axis=1))
    return model
