"""What can be told of the fits before the first one, in one line instead of the same traceback from all of them.

Owns these checks: a hypermodel that is none, a model that nobody has compiled, one that wants
text where there is none (or the other way round), options that `fit` does not have.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import keras_tuner

from tuner_app.errors import InputError


def check_hypermodel(hypermodel: Any) -> None:
    """Refuse what cannot build a model.

    Raises:
        InputError: It is neither a `HyperModel` nor a function.
    """
    if not isinstance(hypermodel, keras_tuner.HyperModel) and not callable(hypermodel):
        raise InputError(
            "hypermodel must be a keras_tuner.HyperModel, or a function of hp that returns a compiled model. "
            f"Received: {hypermodel!r}."
        )


def check_is_compiled(model: keras.Model) -> None:
    """Refuse a model that `model.fit` would refuse in every fit; for who has no `HyperModel.fit` of their own.

    Raises:
        InputError: It is not compiled.
    """
    if not model.compiled and type(model).fit is keras.Model.fit:
        raise InputError(
            "The models must be compiled, because Keras Tuner's own HyperModel.fit calls model.fit. "
            f"Received: the {type(model).__name__} {model.name!r}, which build() has not compiled. "
            "Call model.compile() in build(), give optimizer and loss to the tuner, or override HyperModel.fit."
        )


def check_takes_text(model: keras.Model, holds_text: bool) -> None:
    """Refuse text for a model of numbers, and numbers for one of text.

    A model that does not declare its inputs, or takes its steps itself, may do with text what it likes.

    Args:
        model: Any Keras model.
        holds_text: Whether there is text in `x`.

    Raises:
        InputError: The model cannot take `x`.
    """
    inputs = getattr(model, "inputs", None)
    if not inputs or type(model).train_step is not keras.Model.train_step:
        return
    takes_text = any(tensor.dtype == "string" for tensor in inputs)
    if holds_text and not takes_text:
        raise InputError(
            f"x holds text, but all inputs of the model {model.name!r} are numbers. Encode x as numbers, or give the "
            "model a keras.Input(shape=(1,), dtype='string') and a TextVectorization or StringLookup layer."
        )
    if takes_text and not holds_text:
        raise InputError(
            f"x holds only numbers, but the model {model.name!r} has an input of text. Give text, or an input of "
            "numbers."
        )


def check_option_names(options: Iterable[str], fit: Callable[..., Any], name: str) -> None:
    """Refuse options that nobody takes.

    Args:
        options: The options' names.
        fit: The function that gets them.
        name: What it is called.

    Raises:
        InputError: It does not take one of them.
    """
    # `self` is there where the function is looked up on a class.
    parameters = [parameter for parameter in inspect.signature(fit).parameters if parameter != "self"]
    unknown = [] if takes_any_option(fit) else [option for option in options if option not in parameters]
    if unknown:
        near = difflib.get_close_matches(unknown[0], parameters, 1)
        advice = f"Did you mean {near[0]}?" if near else f"It has {', '.join(parameters)}."
        raise InputError(f"search() hands its options on to {name}, which has no {unknown[0]}. {advice}")


def takes_any_option(fit: Callable[..., Any]) -> bool:
    """Whether a function has `**kwargs`."""
    return any(
        parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in inspect.signature(fit).parameters.values()
    )


def with_default(options: Mapping[str, Any], fit: Callable[..., Any], name: str, value: Any) -> dict[str, Any]:
    """Options, with a default for one that a function takes; one that it does not have is left out."""
    takes = takes_any_option(fit) or name in inspect.signature(fit).parameters
    return {name: value, **options} if takes else dict(options)
