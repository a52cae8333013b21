"""`Model.fit` for in-memory arrays, with each epoch run as one program: the way into this folder.

Owns what takes the place of a model's `fit` while it is attached, and how a model is evaluated after it. Which fits can
run as programs is said in `eligibility`, how they run in `fit`; all others go through Keras's own (`keras_fit`).
"""

from __future__ import annotations

import inspect
import logging
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tuner_app.compiled import LOGGER, private
from tuner_app.compiled.arrays import NotCompilableError, with_text_tensors
from tuner_app.compiled.context import FitContext
from tuner_app.compiled.eligibility import why_not
from tuner_app.compiled.fit import CompiledFit
from tuner_app.compiled.keras_fit import fit_by_keras
from tuner_app.compiled.program import class_threshold
from tuner_app.compiled.rows import DeviceData, aligned, unwrapped
from tuner_app.compiled.signature import ATTACHED, configured, signature
from tuner_app.compiled.traced import NotTransferableError
from tuner_app.compiled.validation import evaluation_batch_size
from tuner_app.folds.rows import Rows, with_tuples

__all__ = ["FitContext", "UnknownOptionError", "attach", "detach", "evaluate", "predict_classes"]

logger = logging.getLogger(LOGGER)

_FIT = inspect.signature(keras.Model.fit)


class UnknownOptionError(TypeError):
    """`model.fit` was given an option that it does not have, in the words of Python.

    Args:
        option: The option's name.
    """

    def __init__(self, option: str) -> None:
        super().__init__(f"Model.fit() got an unexpected keyword argument '{option}'")
        self.option = option


def attach(model: keras.Model, context: FitContext) -> None:
    """Make `model.fit` run compiled, for whoever calls it (an overridden `HyperModel.fit`, for one).

    `model.load_weights` finds what a callback of this fit has written, by the path that the user gave it.

    Args:
        model: A model of the thread that calls this; `detach` gives its methods back.
        context: The context of its fit.
    """
    original = model.fit

    def fit(*arguments: Any, **options: Any) -> keras.callbacks.History:
        if type(model).fit is not keras.Model.fit:
            _say_why_not(model, context, "its class overrides fit")
            return _foreign_fit(model, original, context, arguments, options)
        unknown = [name for name in options if name not in _FIT.parameters]
        if unknown:
            raise UnknownOptionError(unknown[0])
        bound = _FIT.bind(model, *arguments, **options)
        bound.apply_defaults()
        return _fit(model, original, context, {name: bound.arguments[name] for name in list(_FIT.parameters)[1:]})

    # A user's fit may go back to the weights that its own ModelCheckpoint kept, which lie in a place of this fit.
    load_weights = model.load_weights

    def load_own_weights(filepath: Any, *arguments: Any, **options: Any) -> Any:
        return load_weights(context.paths.of(filepath), *arguments, **options)

    # Keras tracks what is set as an attribute; these are no part of the model. Their names are those of ATTACHED.
    object.__setattr__(model, "fit", fit)
    object.__setattr__(model, "load_weights", load_own_weights)


def detach(model: keras.Model) -> None:
    """Give a model's methods back to Keras, and let TensorFlow forget its training."""
    for name in ATTACHED:
        vars(model).pop(name, None)
    private.forget_gradients_of(model)


def predict_classes(model: keras.Model, context: FitContext, x: Any) -> Any:
    """Class numbers of rows: the largest output of each, or whether a single output lies above its threshold.

    Args:
        model: A trained model.
        context: The context of its fit.
        x: `Rows`, or arrays of shape `(n_rows, ...)`.

    Returns:
        Integers of shape `(n_rows,)`; of shape `(0,)` where the outputs are not those of one classifier.
    """
    rows = context.rows(x)
    assert rows is not None
    rows = Rows(with_tuples(rows.arrays), rows.index)
    architecture, last = configured(signature(model)), context.last
    own = last.bound.program if last is not None and configured(last.architecture) is None else None
    if architecture is None and (own is None or type(model).predict is not keras.Model.predict):
        return _classes_by_keras(model, rows)
    data = DeviceData(context.cache, (rows, None, None))
    options = context.program_options or {
        "specs": data.specs,
        "batch_size": 0,
        "evaluation_batch_size": evaluation_batch_size(model, 32, architecture, rule=context.engine_rule),
        "xla": False,
    }
    try:
        # Keras's own `predict` would trace each model without an architecture anew and, from the fifth on, warn of it.
        program = own if architecture is None and own else context.cache.program(architecture, **options)
        try:
            bound = program.function("predict", model, data.specs).bind(model, {})
        except NotTransferableError:
            if architecture is not None:
                return _classes_by_keras(model, rows)
            # Its attributes have changed since it was fitted.
            bound = context.cache.own_program(**options).function("predict", model, data.specs).bind(model, {})
    except NotCompilableError:
        return np.empty(0, np.int32)
    return bound(data.x, tf.constant(data.rows)).numpy()


def evaluate(
    model: keras.Model, context: FitContext, x: Rows, y: Rows, sample_weight: Rows | None, *, batch_size: int
) -> dict[str, Any]:
    """The metrics of some rows, through the program that the validation of the fit used, where it is the right one.

    Keras's own `evaluate` would trace each model anew.

    Args:
        model: A trained model.
        context: The context of its fit.
        x: Features.
        y: Targets.
        sample_weight: Weights; None for none.
        batch_size: Rows per step, where Keras's own `evaluate` does it: that of the fit, whose trace it can use.
    """
    last = context.last
    # After another `compile` the program would have the metrics of the one before.
    is_as_fitted = last is not None and private.compiling_of(model) is last.compiling
    if last is not None and is_as_fitted and configured(signature(model)) == configured(last.architecture):
        parts = aligned([part for part in (x, y, sample_weight) if part is not None])
        try:
            return last.bound.evaluate(DeviceData(context.cache, parts))
        except (NotCompilableError, NotTransferableError) as error:
            logger.debug("%s is evaluated by Keras: %s", model.name, error)
    arrays = [None if part is None else part.copy() for part in (x, y, sample_weight)]
    options = {"batch_size": batch_size, "verbose": 0, "return_dict": True}
    return model.evaluate(with_text_tensors(arrays[0]), arrays[1], sample_weight=arrays[2], **options)  # type: ignore[no-any-return]


def _fit(model: keras.Model, original: Any, context: FitContext, options: dict[str, Any]) -> keras.callbacks.History:
    with context.stages.watched(model, _own_callbacks(context, options["callbacks"])) as callbacks:
        return _watched_fit(model, original, context, {**options, "callbacks": callbacks})


def _watched_fit(
    model: keras.Model, original: Any, context: FitContext, options: dict[str, Any]
) -> keras.callbacks.History:
    context.last = None  # Whatever happens now, the model is not as the fit before has left it.
    try:
        reason = "compiled epochs are switched off" if not context.compile_epochs else why_not(model, options)
        if reason is None:
            return CompiledFit(model, context, options).run()
    except NotCompilableError as error:
        reason = str(error)
    _say_why_not(model, context, reason)
    return fit_by_keras(model, original, context, options)


def _foreign_fit(model: keras.Model, original: Any, context: FitContext, arguments: Any, options: Any) -> Any:
    """A `fit` of the model's own class, which may take any arguments."""
    plain = {name: unwrapped(value) for name, value in options.items()}
    if "callbacks" not in plain:
        return original(*map(unwrapped, arguments), **plain)
    with context.stages.watched(model, _own_callbacks(context, plain["callbacks"])) as callbacks:
        return original(*map(unwrapped, arguments), **{**plain, "callbacks": callbacks})


def _own_callbacks(context: FitContext, argument: Any) -> Any:
    """The callbacks of a call of `model.fit`, a list or a `CallbackList`, each writing to places of this fit."""
    if isinstance(argument, keras.callbacks.CallbackList):
        callbacks, members = argument, argument.callbacks
    else:
        members = callbacks = (
            [] if argument is None else keras.tree.flatten(argument)
        )  # Keras takes lists in lists, too.
    context.paths.move(members, made_in_fit=True)
    return callbacks


def _say_why_not(model: keras.Model, context: FitContext, reason: str) -> None:
    """Once per search for each kind of model and reason, not once per fit."""
    if context.cache.is_news(type(model).__name__, model.name, reason):
        logger.info("%s trains with model.fit, because %s.", model.name, reason)


def _classes_by_keras(model: keras.Model, rows: Rows) -> Any:
    """Class numbers by Keras's own `predict`."""
    # Without a loss nobody knows whether a single output is a logit.
    threshold = class_threshold(model) if model.compiled else None
    outputs = model.predict(with_text_tensors(rows.copy()), verbose=0)
    if not isinstance(outputs, np.ndarray) or outputs.ndim not in (1, 2):
        return np.empty(0, np.int32)
    if outputs.ndim == 2 and outputs.shape[1] != 1:
        return outputs.argmax(axis=1).astype(np.int32)
    return np.empty(0, np.int32) if threshold is None else (outputs.reshape(-1) > threshold).astype(np.int32)
