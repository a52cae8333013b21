"""Methods of Keras Tuner that a subclass overrides: how a fit, in its own thread, comes to call them.

Owns which overridden methods a fit calls, and which hypermodel they see meanwhile: a tuner is one, its fits are many.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import keras
import keras_tuner
from keras_tuner.engine.trial import Trial

from tuner_app.training.hooks import FitHooks

# Keras Tuner's hooks by epoch and batch, and its methods that make a model.
_BY_EPOCH_AND_BATCH = ("on_epoch_begin", "on_epoch_end", "on_batch_begin", "on_batch_end")
_BUILDING = ("_build_hypermodel", "_override_compile_args")

# Which tuner's fit this thread is in, and the hypermodel of that fit.
_hypermodel_in_use: ContextVar[tuple[Any, Any]] = ContextVar("_hypermodel_in_use", default=(None, None))


class TunerCallback(keras.callbacks.Callback):
    """Calls a tuner's overridden hooks, and only those: a batch-level callback keeps epochs from running whole."""

    @classmethod
    def of(cls, tuner: keras_tuner.Tuner, trial: Trial) -> TunerCallback:
        """The callback of one fit of a trial."""
        callback = cls()
        for name in overridden_hooks(tuner):
            hook = getattr(tuner, name)

            def call(number: int, logs: Any = None, hook: Any = hook) -> None:
                hook(trial, callback.model, number, logs=logs)

            setattr(callback, name, call)
        return callback


def overridden_hooks(tuner: keras_tuner.Tuner) -> list[str]:
    """The names of Keras Tuner's hooks by epoch and batch that a tuner's class overrides."""
    return [name for name in _BY_EPOCH_AND_BATCH if getattr(type(tuner), name) is not getattr(keras_tuner.Tuner, name)]


def fit_hooks(tuner: keras_tuner.Tuner, base: type, trial: Callable[[str], Trial | None]) -> FitHooks | None:
    """What the fits of a tuner must call of it; None where its class overrides nothing that a fit calls.

    Args:
        tuner: The tuner.
        base: The class of this package that it is of; what this one overrides is no business of the fits.
        trial: Gives a trial by its id; None where it is not running.
    """
    building = [name for name in _BUILDING if getattr(type(tuner), name) is not getattr(base, name)]
    names = [*overridden_hooks(tuner), *building]
    if not names:
        return None

    def callbacks(trial_id: str) -> list[TunerCallback]:
        running = trial(trial_id) if overridden_hooks(tuner) else None
        return [] if running is None else [TunerCallback.of(tuner, running)]

    return FitHooks(
        owner=f"{type(tuner).__name__} overrides {', '.join(names)}",
        callbacks=callbacks,
        using=lambda hypermodel: using(tuner, hypermodel),
        build=tuner._build_hypermodel,  # Keras Tuner 1.4.8: `build`, then `_override_compile_args`
    )


@contextlib.contextmanager
def using(tuner: keras_tuner.Tuner, hypermodel: Any) -> Iterator[None]:
    """Let `hypermodel_of(tuner)` be a fit's own one, in this thread only."""
    token = _hypermodel_in_use.set((tuner, hypermodel))
    try:
        yield
    finally:
        _hypermodel_in_use.reset(token)


def hypermodel_of(tuner: keras_tuner.Tuner, otherwise: Any) -> Any:
    """The hypermodel that a tuner's methods use in this thread."""
    owner, hypermodel = _hypermodel_in_use.get()
    return hypermodel if owner is tuner else otherwise
