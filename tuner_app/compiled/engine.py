"""What compiles the training loop of a fit: XLA, or TensorFlow's plain graph.

Owns that choice, by kind of model and amount of work. It is part of every recorded result: the two engines differ in
last digits, and in what Dropout draws.
"""

from __future__ import annotations

import keras

from tuner_app.compiled import private
from tuner_app.compiled.context import FitContext
from tuner_app.compiled.signature import adapts

# XLA pays its compilation (about a second) back over this many training steps; below, a plain graph is quicker.
XLA_MINIMUM_STEPS = 4_000


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
    if _draws_random_numbers(model):
        # XLA draws other random numbers (Dropout) than a plain graph does: keep to what Model.fit would do.
        return bool(model.jit_compile)
    # A model that adapts counts as one fit, though it may share its program: it did so when none could share, and
    # another engine would change the last digits of searches that were begun then.
    fits = context.planned_fits if architecture is not None and not adapts(model) else 1
    enough = steps_per_epoch * max(epochs, 1) * fits >= XLA_MINIMUM_STEPS
    return enough and all(layer.supports_jit for layer in private.layers_of(model, include_self=True))


def _draws_random_numbers(model: keras.Model) -> bool:
    """Whether layers keep the state of a random generator: that is no weight."""
    return len(model.variables) > len(model.weights)
