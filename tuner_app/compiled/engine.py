"""What compiles the training loop of a fit: XLA, or TensorFlow's plain graph.

Owns that choice, by kind of model and amount of work. It is part of every recorded result: the two engines differ in
last digits, and in what Dropout draws.
"""

from __future__ import annotations

import functools

import keras
import tensorflow as tf

from tuner_app.compiled import private
from tuner_app.compiled.context import FitContext
from tuner_app.compiled.signature import adapts
from tuner_app.process.devices import intra_op_threads

# XLA pays its compilation (about a second) back over this many training steps; below, a plain graph is quicker.
XLA_MINIMUM_STEPS = 4_000

_CONVOLUTIONS = (
    *(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D),
    *(keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose),
    *(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D),
    *(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D),
    *(keras.layers.ConvLSTM1D, keras.layers.ConvLSTM2D, keras.layers.ConvLSTM3D),
)


def wants_xla(
    model: keras.Model, context: FitContext, architecture: str | None, *, steps_per_epoch: int, epochs: int
) -> bool:
    """Whether XLA compiles the training loop.

    Args:
        model: A built and compiled model.
        context: The context of its fit.
        architecture: The model's signature; None where its program is its own.
        steps_per_epoch: How many steps of the full batch size an epoch has.
        epochs: How many epochs the fit may have.
    """
    if not steps_per_epoch:
        return False
    if context.jit_compile is not None:
        return context.jit_compile
    if context.engine_rule >= 2 and _has_convolutions(model) and not _has_gpu():
        # XLA's convolutions on a CPU are an order of magnitude slower than TensorFlow's own (oneDNN, Eigen).
        return False
    if _draws_random_numbers(model):
        # XLA draws other random numbers (Dropout) than a plain graph does: keep to what Model.fit would do.
        return bool(model.jit_compile)
    # A model that adapts counts as one fit, though it may share its program: it did so when none could share, and
    # another engine would change the last digits of searches that were begun then.
    fits = context.planned_fits if architecture is not None and not adapts(model) else 1
    enough = steps_per_epoch * max(epochs, 1) * fits >= XLA_MINIMUM_STEPS
    return enough and all(layer.supports_jit for layer in private.layers_of(model, include_self=True))


def runs_in_one_thread(context: FitContext) -> bool:
    """Whether a plain graph runs in the thread of its fit, not by TensorFlow's own executor.

    With one thread an operation there are other fits for the other cores. With several the fit has cores to spare, and
    TensorFlow's executor runs operations side by side, such as both products of a layer's gradient. On two cores, in
    seconds one thread / several / `model.fit`: a CNN alone 16.4 / 11.1 / 13.2, two layers of 1,024 nodes 14.5 / 11.7 /
    14.5. The same sums come out, but not to the last digit: searches begun by an earlier rule keep to one thread.
    """
    return context.engine_rule < 3 or intra_op_threads() == 1


def _has_convolutions(model: keras.Model) -> bool:
    """Whether a layer convolves, those within layers and models included."""
    return any(isinstance(layer, _CONVOLUTIONS) for layer in private.layers_of(model))


@functools.cache
def _has_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))


def _draws_random_numbers(model: keras.Model) -> bool:
    """Whether layers keep the state of a random generator: that is no weight."""
    return len(model.variables) > len(model.weights)
