"""Which calls of `model.fit` can run as programs, and the reason where one cannot.

Owns every reason that is known before anything is traced; what only a trace or XLA can tell is said in `fit`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from tuner_app.compiled import private
from tuner_app.compiled.rows import is_in_memory, unpacked

_BATCH_HOOKS = (
    *("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end"),
    *("on_test_batch_begin", "on_test_batch_end"),
)
# Keras's callbacks that look at batches only if they are asked to.
_BATCHES_ON_REQUEST: dict[type, Callable[[Any], bool]] = {
    keras.callbacks.ProgbarLogger: lambda callback: False,
    keras.callbacks.ModelCheckpoint: lambda callback: callback.save_freq != "epoch",
    keras.callbacks.BackupAndRestore: lambda callback: callback.save_freq != "epoch",
    keras.callbacks.TensorBoard: lambda callback: (
        callback.update_freq != "epoch" or callback.write_steps_per_second or private.profiles_batches(callback)
    ),
}


def why_not(model: keras.Model, options: Mapping[str, Any]) -> str | None:
    """The reason why a fit cannot run as programs; None where it can.

    Args:
        model: The model.
        options: The arguments of `Model.fit`, all of them.
    """
    return _why_not_model(model) or _why_not_options(options) or _why_not_callbacks(options["callbacks"])


def _why_not_model(model: keras.Model) -> str | None:
    # Own steps are welcome; an own loop around them is what a program would replace.
    if not model.compiled:
        return "it is not compiled"
    if model.run_eagerly or tf.config.functions_run_eagerly():
        return "it runs eagerly"
    if tf.distribute.has_strategy() or private.is_distributed(model):
        return "it is distributed"
    if any(
        getattr(type(model), name) is not getattr(keras.Model, name) for name in ("make_train_function", "evaluate")
    ):
        return "it has a training loop of its own"
    return None


def _why_not_options(options: Mapping[str, Any]) -> str | None:
    for name in ("steps_per_epoch", "validation_steps"):
        if options[name] is not None:
            return f"{name} is given"
    if keras.config.max_epochs() or keras.config.max_steps_per_epoch():
        return "keras.config caps the epochs"
    if options["x"] is None:
        return "x is not given"
    if not isinstance(options["validation_freq"], int | list | tuple | set):
        return "validation_freq is neither a number nor a list"
    parts = [options["x"], options["y"], options["sample_weight"], *unpacked(options["validation_data"])]
    foreign = [part for part in parts if not is_in_memory(part)]
    return f"the data come as {type(foreign[0]).__name__}, not as arrays" if foreign else None


def _why_not_callbacks(callbacks: Any) -> str | None:
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return "the callbacks come as a CallbackList"
    by_batches = [callback for callback in callbacks if _works_by_batches(callback)]
    return f"the callback {type(by_batches[0]).__name__} works by batches" if by_batches else None


def _works_by_batches(callback: Any) -> bool:
    """Whether a callback wants to hear of batches."""
    for hook in _BATCH_HOOKS:
        if hook in vars(callback):  # LambdaCallback puts its functions there.
            return True
        # The class that defines the hook decides: a subclass of Keras's callback may leave it as it is.
        owner = next(kind for kind in type(callback).__mro__ if hook in vars(kind))
        on_request = _BATCHES_ON_REQUEST.get(owner)
        if owner is not keras.callbacks.Callback and (on_request is None or on_request(callback)):
            return True
    return False
