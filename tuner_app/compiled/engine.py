"""What compiles the training loop of a fit: XLA, or TensorFlow's plain graph.

Owns that choice, by kind of model and amount of work. It is part of every recorded result: the two engines differ in
last digits, and in what Dropout draws.
"""

from __future__ import annotations

import functools
import math

import keras
import tensorflow as tf

from tuner_app.compiled import private
from tuner_app.compiled.context import FitContext
from tuner_app.compiled.signature import adapts
from tuner_app.models.preprocessing import Standardization
from tuner_app.process.devices import intra_op_threads

# Rules 1 and 2: XLA pays its compilation (about a second) back over this many training steps.
XLA_MINIMUM_STEPS = 4_000

_CONVOLUTIONS = (
    *(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D),
    *(keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose),
    *(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D),
    *(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D),
    *(keras.layers.ConvLSTM1D, keras.layers.ConvLSTM2D, keras.layers.ConvLSTM3D),
)
_PLAIN = (
    *(keras.layers.InputLayer, keras.layers.Dense, keras.layers.Activation, keras.layers.Flatten),
    *(keras.layers.Reshape, keras.layers.Rescaling, keras.layers.Concatenate, keras.layers.Add),
    *(keras.layers.BatchNormalization, keras.layers.LayerNormalization, keras.layers.ReLU, keras.layers.LeakyReLU),
    Standardization,
)
_CELLS = (keras.layers.SimpleRNNCell, keras.layers.GRUCell, keras.layers.LSTMCell)
_RECURRENT = (*_CELLS, keras.layers.RNN, keras.layers.StackedRNNCells, keras.layers.Bidirectional)
# Rule 3, on a CPU: the training steps, of all fits that share them, over which XLA pays its compilation back, by the
# first row that a layer of the model stands in. A model with a layer that stands in none trains by a plain graph.
XLA_STEPS: tuple[tuple[tuple[type, ...], int], ...] = ((_RECURRENT, 1_500), (_PLAIN, 4_000))


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
    rule = context.engine_rule
    if rule >= 2 and not _has_gpu() and _has(model, _CONVOLUTIONS):
        # XLA's convolutions on a CPU are an order of magnitude slower than TensorFlow's own (oneDNN, Eigen).
        return False
    if _draws_random_numbers(model, rule):
        # XLA draws other random numbers (Dropout) than a plain graph does: keep to what Model.fit would do.
        return bool(model.jit_compile)
    fits = context.planned_fits if shares_by(rule, model, architecture) else 1
    least = XLA_MINIMUM_STEPS if rule < 3 or _has_gpu() else _least_steps(model)
    enough = steps_per_epoch * max(epochs, 1) * fits >= least
    return enough and all(layer.supports_jit for layer in private.layers_of(model, include_self=True))


def runs_in_one_thread(context: FitContext) -> bool:
    """Whether a plain graph runs in the thread of its fit, not by TensorFlow's own executor.

    With one thread an operation there are other fits for the other cores. With several the fit has cores to spare, and
    TensorFlow's executor runs operations side by side, such as both products of a layer's gradient. On two cores, in
    seconds one thread / several / `model.fit`: a CNN alone 16.4 / 11.1 / 13.2, two layers of 1,024 nodes 14.5 / 11.7 /
    14.5. The same sums come out, but not to the last digit: searches begun by an earlier rule keep to one thread.
    """
    return context.engine_rule < 3 or intra_op_threads() == 1


def shares_by(rule: int, model: keras.Model, architecture: str | None) -> bool:
    """Whether a model counts as one of many fits of its architecture, whose validation may take larger steps, too.

    Before rule 3 a model that adapts did not, though it shared its program: it did so when none could share, and other
    engines or steps would change the last digits of searches that were begun then.

    Args:
        rule: The number of the rule by which engines are chosen.
        model: The model.
        architecture: Its signature; None where its program is its own.
    """
    return architecture is not None and (rule >= 3 or not adapts(model))


def _least_steps(model: keras.Model) -> float:
    """From how many training steps on XLA is quicker for a kind of model on a CPU; infinite where it never is."""
    layers = [layer for layer in private.layers_of(model) if not isinstance(layer, keras.Model)]
    if not all(any(isinstance(layer, kinds) for kinds, _ in XLA_STEPS) for layer in layers):
        return math.inf
    return next((steps for kinds, steps in XLA_STEPS if any(isinstance(layer, kinds) for layer in layers)), math.inf)


def _has(model: keras.Model, kinds: tuple[type, ...]) -> bool:
    """Whether a layer is of some kinds, those within layers and models included."""
    return any(isinstance(layer, kinds) for layer in private.layers_of(model))


@functools.cache
def _has_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))


def _draws_random_numbers(model: keras.Model, rule: int) -> bool:
    """Whether layers keep the state of a random generator, which is no weight, and use it."""
    states = len(model.variables) - len(model.weights)
    if rule >= 3:
        # The cells of recurrent layers have one (Keras 3.15) whether they drop anything or not.
        states -= sum(_is_idle_cell(layer) for layer in private.layers_of(model))
    return states > 0


def _is_idle_cell(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, _CELLS) and not layer.dropout and not layer.recurrent_dropout
