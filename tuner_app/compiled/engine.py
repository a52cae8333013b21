"""What compiles the training loop of a fit: XLA, or TensorFlow's plain graph.

Owns that choice, by kind of model and amount of work. It is part of every recorded result: the two engines differ in
last digits, and in what Dropout draws.
"""

from __future__ import annotations

import keras

from tuner_app.compiled import private
from tuner_app.compiled.arrays import has_gpu
from tuner_app.compiled.context import FitContext
from tuner_app.compiled.savings import CELLS, pays_back
from tuner_app.compiled.signature import adapts
from tuner_app.process.devices import intra_op_threads

# Rules 1 and 2, and GPUs: XLA pays its compilation (about a second) back over this many training steps.
XLA_MINIMUM_STEPS = 4_000

_CONVOLUTIONS = (
    *(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D),
    *(keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose),
    *(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D),
    *(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D),
    *(keras.layers.ConvLSTM1D, keras.layers.ConvLSTM2D, keras.layers.ConvLSTM3D),
)


def wants_xla(
    model: keras.Model,
    context: FitContext,
    architecture: str | None,
    *,
    steps_per_epoch: int,
    epochs: int,
    batch_size: int,
) -> bool:
    """Whether XLA compiles the training loop.

    Args:
        model: A built and compiled model.
        context: The context of its fit.
        architecture: The model's signature; None where its program is its own.
        steps_per_epoch: How many steps of the full batch size an epoch has.
        epochs: How many epochs the fit may have.
        batch_size: The rows of a training step.
    """
    if not steps_per_epoch:
        return False
    if context.jit_compile is not None:
        return context.jit_compile
    rule, steps = context.engine_rule, steps_per_epoch * max(epochs, 1)
    if rule >= 2 and not has_gpu() and _has(model, _CONVOLUTIONS):
        # XLA's convolutions on a CPU are an order of magnitude slower than TensorFlow's own (oneDNN, Eigen).
        return False
    if _draws_random_numbers(model, rule):
        # XLA draws other random numbers (Dropout) than a plain graph does: keep to what Model.fit would do.
        return bool(model.jit_compile)
    steps *= context.planned_fits if shares_by(rule, model, architecture) else 1
    enough = steps >= XLA_MINIMUM_STEPS if rule < 3 or has_gpu() else pays_back(model, steps, batch_size)
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


def _has(model: keras.Model, kinds: tuple[type, ...]) -> bool:
    """Whether a layer is of some kinds, those within layers and models included."""
    return any(isinstance(layer, kinds) for layer in private.layers_of(model))


def _draws_random_numbers(model: keras.Model, rule: int) -> bool:
    """Whether layers keep the state of a random generator, which is no weight, and use it."""
    states = len(model.variables) - len(model.weights)
    if rule >= 3:
        # The cells of recurrent layers have one (Keras 3.15) whether they drop anything or not.
        states -= sum(_is_idle_cell(layer) for layer in private.layers_of(model))
    return states > 0


def _is_idle_cell(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, CELLS) and not layer.dropout and not layer.recurrent_dropout
