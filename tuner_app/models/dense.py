"""The search space of the tutorial: one hidden layer, its nodes and the learning rate.

Owns the model that the command line tunes. Scaling of the inputs is part of the model (`layers`), so that prediction
cannot scale differently, and what it learns from data it learns from the training rows of a fold only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np

from tuner_app.errors import InputError
from tuner_app.models.preprocessing import Standardization

NODES = (32, 64, 128, 256, 512)
LEARNING_RATES = (0.001, 0.002, 0.003)


class DenseHyperModel(keras_tuner.HyperModel):
    """The tutorial's classifier: scaling, one hidden layer (relu, uniform initialiser), softmax; RMSprop.

    Args:
        input_shape: The shape of one row, such as `(784,)`; pictures of more dimensions are flattened.
        n_classes: The number of classes; targets are integers from 0.
        nodes: The choices for the hidden layer's size.
        learning_rates: The choices for RMSprop's learning rate.
        input_scale: Inputs are divided by this number (255 for pictures); None standardises each feature
            by the training rows.

    Raises:
        InputError: A choice is missing, not positive, or given twice.

    Example:
        >>> import keras_tuner
        >>> hypermodel = DenseHyperModel((64,), 10, nodes=[32], learning_rates=[0.001], input_scale=16.0)
        >>> model = hypermodel.build(keras_tuner.HyperParameters())
        >>> model.count_params()
        2410
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        n_classes: int,
        *,
        nodes: Sequence[int] = NODES,
        learning_rates: Sequence[float] = LEARNING_RATES,
        input_scale: float | None = None,
    ) -> None:
        super().__init__(name="dense")
        _check_choices("nodes", nodes, int)
        _check_choices("learning_rates", learning_rates, float)
        self.input_shape = tuple(int(n) for n in input_shape)
        self.n_classes = int(n_classes)
        self.nodes = [int(n) for n in nodes]
        self.learning_rates = [float(rate) for rate in learning_rates]
        self.input_scale = input_scale

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        """Declare the grid before any build: a search of few fits gives each more threads."""
        if type(self).build is DenseHyperModel.build:  # Another `build` may have another space.
            self._choices(hp)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """A compiled model for one candidate."""
        learning_rate, nodes = self._choices(hp)
        model = keras.Sequential(
            [
                keras.Input(self.input_shape),
                *([keras.layers.Flatten()] if len(self.input_shape) > 1 else []),
                self._scaling(),
                keras.layers.Dense(nodes, activation="relu", kernel_initializer="uniform"),
                keras.layers.Dense(self.n_classes, activation="softmax"),
            ]
        )
        model.compile(
            optimizer=keras.optimizers.RMSprop(learning_rate),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        return model

    def _choices(self, hp: keras_tuner.HyperParameters) -> tuple[float, int]:
        """A candidate's learning rate and nodes."""
        # In this order: it is that of the columns in every table of a project.
        return hp.Choice("learning_rate", self.learning_rates), hp.Choice("nodes", self.nodes)

    def _scaling(self) -> keras.layers.Layer:
        return Standardization() if self.input_scale is None else keras.layers.Rescaling(1.0 / self.input_scale)


class StandardizingHyperModel(DenseHyperModel):
    """`DenseHyperModel` for features of any range: each fit standardises by its own training rows."""

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, x: Any, *args: Any, **kwargs: Any) -> Any:
        """Adapt the scaling to the training rows, then train."""
        # Here and not in `build`, which sees no rows: validation rows must not be learnt from.
        for layer in model.layers:
            if isinstance(layer, Standardization):
                layer.adapt(np.reshape(x, (len(x), -1)))
        return model.fit(x, *args, **kwargs)


def dense_hypermodel(dataset: Any, **choices: Any) -> DenseHyperModel:
    """The hypermodel for a data set.

    Args:
        dataset: A `tuner_app.data.datasets.Dataset`.
        **choices: `nodes` and `learning_rates` of `DenseHyperModel`.
    """
    kind = StandardizingHyperModel if dataset.input_scale is None else DenseHyperModel
    return kind(dataset.x.shape[1:], len(dataset.classes), input_scale=dataset.input_scale, **choices)


def _check_choices(name: str, values: Sequence[Any], kind: type) -> None:
    # Before `hp.Choice`, whose own errors name neither argument nor option.
    shown = list(values)
    if not shown:
        raise InputError(f"{name} must name at least one value. Received: an empty list.")
    wrong = [
        value for value in shown if isinstance(value, bool) or not (float(value) > 0 and float(value) < float("inf"))
    ]
    if wrong or (kind is int and any(float(value) != int(value) for value in shown)):
        raise InputError(f"{name} must be {'whole ' if kind is int else ''}positive numbers. Received: {shown}.")
    if len(set(shown)) < len(shown):
        raise InputError(f"{name} must not name a value twice. Received: {shown}.")
