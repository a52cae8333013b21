"""The layers of this package, registered with Keras under the names by which saved models know them.

Owns nothing else, so that whoever loads a model needs no more than this. `registration` imports it as soon as Keras is
there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


# Saved models name the layer by what is registered here, "tuner_app>Standardization": neither part may change.
@keras.saving.register_keras_serializable(package="tuner_app")
class Standardization(keras.layers.Layer):
    """Shifts and scales each feature by the mean and standard deviation of the rows that `adapt` saw.

    Like `keras.layers.Normalization`, but its statistics are variables, so that one compiled program serves every fold.

    Input and output shape: `(n_samples, n_features)`.
    """

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Create the statistics: mean 0 and scale 1 until `adapt`."""
        # Weights, and not constants as in Keras's own: so they travel with the model, and a trace serves all folds.
        shape = (input_shape[-1],)
        self.mean = self.add_weight(name="mean", shape=shape, initializer="zeros", trainable=False)
        self.scale = self.add_weight(name="scale", shape=shape, initializer="ones", trainable=False)

    def adapt(self, x: Any) -> None:
        """Take the statistics from training rows.

        Args:
            x: Features of shape `(n_samples, n_features)`. A feature that never changes keeps the scale 1.
        """
        # In double precision, whatever x has: sums of many rows lose digits in single precision.
        deviation = np.std(x, axis=0, dtype=np.float64)
        self.mean.assign(np.mean(x, axis=0, dtype=np.float64))
        self.scale.assign(np.where(deviation > 0, 1.0 / np.where(deviation > 0, deviation, 1.0), 1.0))

    def call(self, inputs: Any) -> Any:
        """Standardise a batch."""
        x = keras.ops.cast(inputs, self.compute_dtype)
        return (x - keras.ops.cast(self.mean, x.dtype)) * keras.ops.cast(self.scale, x.dtype)
