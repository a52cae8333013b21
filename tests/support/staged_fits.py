"""Hypermodels whose fit calls `model.fit` once or more, in several ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import pytest

Make = Callable[..., Any]


Data = tuple[Any, Any]


# Compiled epochs in two threads, and Keras's own fit in one, which traces its steps anew for each fit: one test of a
# file goes both ways when it must be quick.
_COMPILED: dict[str, Any] = {"n_jobs": 2}
_PLAIN: dict[str, Any] = {"n_jobs": 1, "compile_epochs": False}
BOTH_WAYS = pytest.mark.parametrize("way", [_COMPILED, _PLAIN], ids=["compiled", "plain"])
WAYS = pytest.mark.parametrize(
    "way", [pytest.param(_COMPILED, id="compiled"), pytest.param(_PLAIN, id="plain", marks=pytest.mark.slow)]
)


def model_of(hp: Any) -> keras.Model:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])
    rate = hp.Choice("rate", [0.25])
    model.compile(keras.optimizers.SGD(rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def hypermodel(fit: Callable[..., Any]) -> keras_tuner.HyperModel:
    class Own(keras_tuner.HyperModel):
        def build(self, hp: Any) -> keras.Model:
            return model_of(hp)

        def fit(self, hp: Any, model: keras.Model, *arguments: Any, **options: Any) -> Any:
            return fit(model, *arguments, **options)

    return Own()


def search(make_tuner: Make, data: Data, space: Any, *, fit: Any = None, **options: Any) -> Any:
    tuner = make_tuner(space, cv=2, fold_fitter=None, **options)
    tuner.search(*data, **{"batch_size": 12, **(fit or {})})
    return tuner
