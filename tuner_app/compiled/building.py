"""When a model's variables are made: one model at a time, and from the fit's own seed.

Owns the lock that building and tracing hold. The seed of a whole model's build belongs to `training`.
"""

from __future__ import annotations

import logging
import random
import threading
from typing import Any

import keras
import tensorflow as tf

from tuner_app.compiled import LOGGER, private
from tuner_app.folds.rows import map_arrays
from tuner_app.records.text import first_line

logger = logging.getLogger(LOGGER)

# Tracing and building touch state that Keras and Python share between threads (initialisers draw from Python's global
# random numbers); training does not. Reentrant: a build within a trace takes it again.
build_lock = threading.RLock()


def is_built(model: keras.Model) -> bool:
    """Whether all layers have their variables."""
    return all(layer.built for layer in private.layers_of(model, include_self=True))


def build_for(model: keras.Model, specs: Any) -> None:
    """Let Keras make all variables of a model (layers, loss, metrics, optimizer) that are not there yet.

    Args:
        model: A compiled model.
        specs: What its data look like: `(x, y, sample_weight)` with open row counts.
    """

    def symbol(tensor: tf.TensorSpec) -> keras.KerasTensor:
        return keras.KerasTensor(tuple(tensor.shape), tensor.dtype.name)

    with build_lock:
        private.build_symbolically(model, tuple(map_arrays(symbol, part) for part in specs))


def build_from_seed(model: keras.Model, specs: Any, seed: int) -> None:
    """Build layers that wait for their data, from the fit's seed and not from what other threads have drawn.

    Args:
        model: A compiled model.
        specs: As in `build_for`.
        seed: The fit's.
    """
    with build_lock:
        state = random.getstate()
        try:
            # The text is a part of every recorded result: another one gives other first weights.
            random.seed(f"layers built late {seed}")
            build_for(model, specs)
        except Exception as error:
            # A model with steps of its own may have no call at all; Keras builds it when it traces them.
            logger.debug("%s is built by its first step, because %s.", model.name, first_line(error))
        finally:
            random.setstate(state)
