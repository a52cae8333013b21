"""Models whose fits a test can interrupt."""

from __future__ import annotations

from typing import Any


def build(hp: Any) -> Any:
    return model_of(hp.Choice("nodes", [2, 3]))


def model_of(nodes: int) -> Any:
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(nodes), keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    return model
