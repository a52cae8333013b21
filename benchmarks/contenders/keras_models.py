"""The tutorial's model as the peers build it."""

from __future__ import annotations

from typing import Any

from workloads import CLASSES


def build_classifier(inputs: int, nodes: int, learning_rate: float) -> Any:
    """The tutorial's model, compiled, for `x` that is scaled already."""
    import keras

    model = keras.Sequential(
        [
            keras.Input((inputs,)),
            keras.layers.Dense(nodes, activation="relu", kernel_initializer="uniform"),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    optimizer = keras.optimizers.RMSprop(learning_rate)
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
