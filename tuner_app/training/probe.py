"""One model built before the first fold, to learn what the fits will be like.

Owns what can be known of a hypermodel's models without training one: their outputs, losses, inputs, and the names of
their metrics. The model is built as a fit builds it, from the default hyperparameters, and thrown away. What the user's
code raises is for the fits to tell.
"""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

import keras
import keras_tuner
import numpy as np
import tensorflow as tf

from tuner_app.compiled.arrays import as_keras_array
from tuner_app.compiled.program import is_standard_step, results_of
from tuner_app.data.prepare import SearchData
from tuner_app.folds.rows import map_arrays, with_tuples
from tuner_app.process.packages import KERAS, package_of
from tuner_app.records import metric_values
from tuner_app.training import copies, fingerprint
from tuner_app.training.build import build_seeded
from tuner_app.training.keras_settings import undisturbed

logger = logging.getLogger(__name__)

# Rows of the one batch: more than one, for steps that compare rows.
_ROWS = 4
# Layers that only give an output another form or precision: what it means is said by the layer before.
_FORM_ONLY = (keras.layers.Reshape, keras.layers.Flatten, keras.layers.Identity)


@dataclasses.dataclass(frozen=True)
class OutputFacts:
    """One output of a model.

    Attributes:
        shape: Its shape without the batch axis, `(10,)` for ten numbers a row; None where an axis is open.
        loss: Keras's name of the function that its loss computes, such as `"sparse_categorical_crossentropy"`,
            whatever form it was given in (`"mse"`, a class, a function); None where it has none or is not Keras's own.
        from_logits: Whether its loss takes logits.
        activation: The name of the function that makes it, such as `"softmax"` or `"linear"`; None where unknown.
        name: Its key in a dict of outputs, else the name of its layer; None where the model does not say.
    """

    shape: tuple[int | None, ...]
    loss: str | None = None
    from_logits: bool = False
    activation: str | None = None
    name: str | None = None


@dataclasses.dataclass(frozen=True)
class ModelFacts:
    """What is known of the models before the first fit.

    Attributes:
        outputs: One entry per output, in Keras's order; None where a subclassed model would not answer on one row.
        n_inputs: The number of arrays that a row has; None where the model does not say.
        is_compiled: Whether `build` compiles its models.
    """

    outputs: tuple[OutputFacts, ...] | None
    n_inputs: int | None
    is_compiled: bool


@dataclasses.dataclass(frozen=True, eq=False)
class Probe:
    """A model that nobody will train, and what it tells.

    Attributes:
        model: The model.
        facts: What it tells of its outputs.
        description: Its architecture and compile settings, as `fingerprint.describe_model` words them.
    """

    model: keras.Model
    facts: ModelFacts
    description: Mapping[str, Any]


def probe_model(
    build: Callable[[Any], keras.Model], hyperparameters: keras_tuner.HyperParameters, x: Any, *, seed: int
) -> Probe | None:
    """Build one model and look at it.

    The process's random numbers and Keras's settings (the count of layer names, say) are left as they were.

    Args:
        build: Builds a model from hyperparameters.
        hyperparameters: A copy of the search space at its default values.
        x: Features of shape `(n_samples, ...)`, of which a model that is not built yet is shown one row.
        seed: Seeds the model's initial weights.

    Returns:
        The model and its facts; None where it cannot be built.
    """
    with undisturbed():
        try:
            model = build_seeded(build, hyperparameters, seed)
            facts = facts_of(model, map_arrays(lambda array: array[:1], x))
            return Probe(model, facts, fingerprint.describe_model(model))
        except Exception as error:  # whatever the user's code raises: the fits meet it, and tell where
            logger.debug("The model built before the first fold failed: %r", error)
            return None


def history_names(model: keras.Model, data: SearchData, callbacks: Any) -> frozenset[str] | None:
    """The names that the histories of Keras's own `fit` will have, from one batch of a few rows.

    Args:
        model: A model that nobody will train, since its own steps are taken.
        data: The checked data of the search.
        callbacks: The user's callbacks.

    Returns:
        Names of metrics of the training and, with `val_`, of the validation; None where they cannot be foretold: the
        model has a `fit` of its own, a callback may add to them, or the batch fails (the fits will tell why).
    """
    callbacks = copies.list_of(callbacks)
    if type(model).fit is not keras.Model.fit or not all(map(_adds_no_metric, callbacks)):
        return None
    parts = [part for part in (data.x, data.y, data.sample_weight) if part is not None]
    with undisturbed():
        try:
            learnt, validated = _names_in_logs(model, tuple(map(first_rows, parts)))
        except Exception as error:  # whatever the user's own step raises
            logger.debug("The model built before the first fold fails on one batch: %r", error)
            return None
    rates = {"learning_rate"} if callbacks else set()  # `ReduceLROnPlateau` and its like
    return frozenset({*learnt, *(f"val_{name}" for name in validated), *rates})


def facts_of(model: keras.Model, row: Any) -> ModelFacts:
    """What a model tells.

    Args:
        model: Any Keras model.
        row: Features of one row, of shape `(1, ...)`, for a model that is not built yet.
    """
    outputs = _outputs(model, row)
    inputs = getattr(model, "inputs", None)
    return ModelFacts(
        outputs=outputs,
        n_inputs=len(keras.tree.flatten(inputs)) if inputs else None,
        is_compiled=bool(model.compiled),
    )


def _outputs(model: keras.Model, row: Any) -> tuple[OutputFacts, ...] | None:
    try:
        answers = None if getattr(model, "outputs", None) else model(row, training=False)
    except Exception as error:  # its call may want what a fit would give it
        logger.debug("The model built before the first fold does not answer on one row: %r", error)
        return None
    if getattr(model, "outputs", None):  # a Sequential model has them from its first call on
        tensors = model.outputs
        structure = tensors if isinstance(model, keras.Sequential) else model.output
    else:
        tensors, structure = keras.tree.flatten(answers), answers
    names = _names(model, structure)
    losses = _losses(model, names)
    return tuple(
        OutputFacts(tuple(tensor.shape[1:]), _loss_name(loss), _takes_logits(loss), _activation(tensor), name)
        for tensor, loss, name in zip(tensors, losses, names, strict=True)
    )


def _names(model: keras.Model, structure: Any) -> list[str | None]:
    keys = [path[-1] if path else None for path, _ in keras.tree.flatten_with_path(structure)]
    layers = getattr(model, "output_names", None) or [None] * len(keys)
    return [key if isinstance(key, str) else layer for key, layer in zip(keys, layers, strict=True)]


def _losses(model: keras.Model, names: list[str | None]) -> list[Any]:
    """The loss of each output as it was given to `compile`: one for all, or by place, key or the layer's name."""
    loss = getattr(model, "loss", None)
    if isinstance(loss, list | tuple):
        return [*loss, *[None] * len(names)][: len(names)]
    if not isinstance(loss, Mapping):
        return [loss] * len(names)
    layers = getattr(model, "output_names", None) or names
    return [loss.get(name, loss.get(layer)) for name, layer in zip(names, layers, strict=True)]


def _loss_name(loss: Any) -> str | None:
    try:
        instance = keras.losses.get(loss)
    except (TypeError, ValueError):  # a name that Keras does not know: the fits will say so
        return None
    # Most losses of Keras wrap a function (`fn`), which says what is computed in whatever form the loss was given.
    function = getattr(instance, "fn", instance)
    if package_of(function) != KERAS:
        return None
    return getattr(function, "__name__", None) or _snake_case(type(function).__name__)


def _takes_logits(loss: Any) -> bool:
    return isinstance(loss, keras.losses.Loss) and bool(loss.get_config().get("from_logits", False))


def _activation(tensor: Any) -> str | None:
    """The name of the last function, through layers that only change the form.

    Keras 3.15 keeps a symbolic tensor's origin in `_keras_history`, for which there is no public name.
    """
    history = getattr(tensor, "_keras_history", None)
    if history is None:
        return None
    operation = history.operation
    if isinstance(operation, keras.Model):
        inner = getattr(operation, "outputs", None)
        return _activation(inner[history.tensor_index]) if inner else None
    activation = getattr(operation, "activation", None)
    # A function of the user's may have the name of one of Keras's.
    name = getattr(activation, "__name__", None) if package_of(activation) == KERAS else None
    if isinstance(operation, _FORM_ONLY) or (isinstance(operation, keras.layers.Activation) and name == "linear"):
        return _activation(operation.input)
    if activation is not None:
        return name
    kind = _snake_case(type(operation).__name__)
    return kind if package_of(operation) == KERAS and hasattr(keras.activations, kind) else None


def _names_in_logs(model: keras.Model, batch: Any) -> tuple[set[str], set[str]]:
    """The names in the logs of training and validation. Keras's own two steps have the same: one is taken."""
    validation = _flat_names(results_of(model, model.test_step(batch)))
    if is_standard_step(model, "train_step"):
        return validation, validation
    return _flat_names(results_of(model, model.train_step(batch))), validation


def _flat_names(logs: Mapping[str, Any]) -> set[str]:
    """Keras spreads dicts in the logs out; a value of several numbers becomes as many metrics."""
    flat: set[str] = set()
    for name, value in logs.items():
        flat |= _flat_names(value) if isinstance(value, Mapping) else {*metric_values.names_of(name, np.shape(value))}
    return flat


def first_rows(structure: Any) -> Any:
    """A few rows of nested arrays as Keras hands them to a step: tensors in its own precision, tuples for lists."""
    return map_arrays(lambda array: tf.convert_to_tensor(as_keras_array(array[:_ROWS])), with_tuples(structure))


def _adds_no_metric(callback: Any) -> bool:
    """Whether it is exactly one of Keras's own callbacks; `LambdaCallback` calls a user's code."""
    return package_of(callback) == KERAS and not isinstance(callback, keras.callbacks.LambdaCallback)


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
