"""A model from a hypermodel and values: built as Keras Tuner builds it, from a seed of its own.

Owns the one way from `HyperModel.build` to a model that is fitted, probed or made again: the tuner's own arguments of
`compile`, the checks of what `build` returned, the seeds.
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import numpy as np

# Keras 3.15 has no public name for the seed and the seed generator of a thread.
from keras.src.backend.common import global_state
from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR
from keras.src.utils.rng_utils import GLOBAL_RANDOM_SEED

from tuner_app.compiled.building import build_lock
from tuner_app.training import global_random
from tuner_app.training.recompile import recompile


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ModelBuilder:
    """What a tuner was told about its models beside the hypermodel; Keras Tuner's arguments of these names.

    Attributes:
        optimizer, loss, metrics: Arguments of `compile` in place of those that `build` gives; empty for none.
        max_model_size: The largest number of trainable weights; None for any.
        distribution_strategy: TensorFlow's strategy in whose scope models are built; None for none.
    """

    optimizer: Any = None
    loss: Any = None
    metrics: Any = None
    max_model_size: int | None = None
    distribution_strategy: Any = None

    def build(self, hypermodel: keras_tuner.HyperModel, hyperparameters: keras_tuner.HyperParameters) -> keras.Model:
        """Build a model and check it.

        Keras Tuner's `Tuner._try_build` (1.4.8) does the same, and clears Keras's state under the other threads.

        Raises:
            FatalTypeError: `build` has returned something else than a model.
            FailedTrialError: The model is too large.
        """
        strategy = self.distribution_strategy
        with contextlib.nullcontext() if strategy is None else strategy.scope():
            model = hypermodel.build(hyperparameters)
            self.override_compile_arguments(model)
        return self.checked(model)

    def override_compile_arguments(self, model: keras.Model) -> None:
        """Compile a model anew with the tuner's arguments, where there are some."""
        recompile(model, optimizer=self.optimizer, loss=self.loss, metrics=self.metrics)

    def checked(self, model: Any) -> keras.Model:
        """The model, if it is one and not too large.

        Raises:
            FatalTypeError: It is none.
            FailedTrialError: It is too large.
        """
        if not isinstance(model, keras.Model):
            raise keras_tuner.errors.FatalTypeError(
                "Expected the model-building function, or HyperModel.build() to return a valid Keras Model instance. "
                f"Received: {model} of type {type(model)}."
            )
        size = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) if model.built else 0
        if self.max_model_size and size > self.max_model_size:
            raise keras_tuner.errors.FailedTrialError(f"Oversized model: {size} parameters. Skip model.")
        return model


def build_seeded(
    build: Callable[[Any], keras.Model], hyperparameters: keras_tuner.HyperParameters, seed: int
) -> keras.Model:
    """Build a model from a seed; the process's own random numbers are put back afterwards.

    Args:
        build: Builds a model from hyperparameters.
        hyperparameters: The values.
        seed: Decides the initial weights.
    """
    # Initialisers draw from random numbers that all threads share: one build at a time.
    with build_lock, global_random.kept():
        _seed_everything(seed)
        return build(hyperparameters)


def _seed_everything(seed: int) -> None:
    """Seed Python, NumPy and Keras in this thread.

    `keras.utils.set_random_seed` would also seed TensorFlow's own generator, which belongs to all threads, and for that
    TensorFlow forgets every compiled kernel: most of a small fit's time.
    """
    random.seed(seed)
    np.random.seed(seed)
    global_state.set_global_attribute(GLOBAL_RANDOM_SEED, seed)
    global_state.set_global_attribute(GLOBAL_SEED_GENERATOR, keras.random.SeedGenerator(seed))
