"""What makes two models one architecture, so that they may run one program.

Owns the decision, which is strict: a trace may depend on anything that a configuration does not say (code of the
user's, what a layer has learnt), so a model that has such a part shares only where `described` has words for all of it.
What is a variable may differ: values, the learning rate, the statistics of `Standardization`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import types
from collections.abc import Mapping
from typing import Any

import keras

from tuner_app.compiled import LOGGER, private
from tuner_app.compiled.described import UNDESCRIBED, words_of
from tuner_app.compiled.lookups import UndescribedError
from tuner_app.models.preprocessing import Standardization
from tuner_app.process.packages import KERAS, package_of, package_of_module
from tuner_app.records.text import first_line

logger = logging.getLogger(LOGGER)

# `model_fit.attach` puts these in place of a model's methods while it is fitted.
ATTACHED = ("fit", "load_weights")
# Keras itself puts these into layers and models, in place of methods.
_SET_BY_KERAS = ("build", "quantize", "loss")
# The signatures of models with code of the user's begin so.
_OWN_CODE = "own code "
# Keras's own classes whose behaviour lies outside of their configuration; `described` can look into a Lambda.
_UNDESCRIBED = (keras.layers.Lambda, *UNDESCRIBED)


def signature(model: keras.Model) -> str | None:
    """What the traces of a model depend on, but for its variables; None where that cannot be said.

    Keras's configuration says it of a model whose parts are all Keras's; of code of the user's, `described` does.
    """
    return _configuration(model) or _own_code(model)


def configured(architecture: str | None) -> str | None:
    """A signature that Keras's configuration says; None for models with code of the user's.

    These shared nothing before they could be described, and keep to the engine and the batches, and so to the last
    digits, of that time.

    Args:
        architecture: A model's signature.
    """
    return None if architecture is None or architecture.startswith(_OWN_CODE) else architecture


def _own_code(model: keras.Model) -> str | None:
    layers = private.layers_of(model, include_self=True)
    if not model.compiled or not all(layer.built for layer in layers):
        return None
    config = keras.config
    everywhere = [config.floatx(), config.epsilon(), config.image_data_format(), config.dtype_policy().name]
    try:
        words = json.dumps([words_of(model, _custom_names()), everywhere])
    except (UndescribedError, RecursionError) as error:
        logger.debug("%s shares no program, because of %s.", model.name, error)
        return None
    except Exception as error:
        # Objects of the user's may do anything when their attributes are read: then they are not described.
        logger.debug("%s shares no program, because it cannot be described (%s).", model.name, first_line(error))
        return None
    return _OWN_CODE + hashlib.sha256(words.encode()).hexdigest()


def _configuration(model: keras.Model) -> str | None:
    """The signature of a model that Keras's configuration describes.

    A model is fully described when it is a plain Sequential or functional model of Keras's own layers, losses, metrics
    and optimizer, or of this package's layers. The values that variables start with do not count: initializers, seeds,
    the learning rate (unless it is a schedule).
    """
    layers = private.layers_of(model)
    if not _is_described(model) or not model.built or not all(map(_is_described, layers)):
        return None
    if not model.compiled or (model.optimizer is not None and not _is_described_optimizer(model.optimizer)):
        return None
    # Before the configuration is written: Keras warns of a lambda when it serialises one.
    if any(_is_foreign(getattr(part, "fn", part)) for part in compiled_parts(model)):
        return None
    try:
        compiled = model.get_compile_config() or {}
        config = [
            _without_initial_values(model.get_config()),
            _without_initial_values(compiled | {"optimizer": _without_learning_rate(compiled.get("optimizer"))}),
            [_description(variable) for variable in model.variables],
        ]
        if not _is_free_of(config, _custom_names()):
            return None
        # Settings that a user may change after a layer was made, of which its configuration does not always tell.
        settings = [[layer.trainable for layer in layers], [layer.dtype_policy.name for layer in layers]]
        everywhere = [keras.config.floatx(), keras.config.epsilon()]
        return json.dumps([config, settings, everywhere], sort_keys=True, default=_refuse)
    # What cannot be written down cannot be compared.
    except (NotImplementedError, TypeError, ValueError, AttributeError):
        return None


def adapts(model: keras.Model) -> bool:
    """Whether a layer learns from the data before the training (`adapt`)."""
    return any(hasattr(layer, "adapt") for layer in private.layers_of(model))


def compiled_parts(model: keras.Model) -> list[Any]:
    """The losses and metrics as they were given to `compile`, from all lists and dicts."""
    compiling = private.compiling_of(model)
    config = compiling.config if compiling is not None else {}
    return [leaf for name in ("loss", "metrics", "weighted_metrics") for leaf in _leaves(config.get(name))]


def _is_described(layer: Any) -> bool:
    """Whether a layer (or a model, or an optimizer) does what its class and its configuration say, and no more."""
    kind = type(layer)
    # Keras's Normalization bakes what it has learnt into a trace as constants, its lookups keep it in tables.
    is_plain = package_of(kind) == KERAS and kind not in _UNDESCRIBED and not hasattr(layer, "adapt")
    return (is_plain or kind is Standardization) and not any(
        # Keras wraps a layer's own `build`, and the wrapper bears the module of the layer's class.
        (_is_foreign(value) and value.__module__ != kind.__module__)
        or (name not in _SET_BY_KERAS and callable(getattr(kind, name, None)))
        for name, value in vars(layer).items()
        if callable(value) and name not in ATTACHED
    )


def _is_foreign(value: Any) -> bool:
    """Whether it is a function that is not Keras's own (to serialise a lambda would warn, besides)."""
    return isinstance(value, types.FunctionType) and package_of(value) != KERAS


def _is_described_optimizer(optimizer: Any) -> bool:
    """Whether an optimizer's configuration says all: exclusions from weight decay, for one, are not in it."""
    inner = getattr(optimizer, "inner_optimizer", None)
    return (
        _is_described(optimizer)
        and not private.excludes_from_weight_decay(optimizer)
        and (inner is None or _is_described_optimizer(inner))
    )


def _is_free_of(config: Any, custom_names: frozenset[str]) -> bool:
    """Whether a serialised configuration names nothing of the user's: no class, no function, no custom name."""
    if isinstance(config, Mapping):
        kind, module = config.get("class_name"), config.get("module")
        if isinstance(kind, str) and not _is_known_class(kind, module):
            return False
        return all(_is_free_of(value, custom_names) for value in config.values())
    if isinstance(config, list | tuple):
        return all(_is_free_of(item, custom_names) for item in config)
    return not callable(config) and config not in custom_names


def _is_known_class(kind: str, module: Any) -> bool:
    """Whether a configuration's class is Keras's or this package's.

    A class of `__main__` is written with no module at all, and so are plain values such as `__numpy__`.
    """
    if kind in ("function", "__lambda__"):
        return False
    if module is None:
        return kind.startswith("__")
    own = (Standardization.__module__, Standardization.__name__)
    return package_of_module(module) == KERAS or (module, kind) == own


def _custom_names() -> frozenset[str]:
    """Names that a user has given to objects of their own; a string in a configuration may mean one of them."""
    objects = {**keras.saving.get_custom_objects(), **private.scoped_objects()}
    names = {name for name, thing in objects.items() if thing is not Standardization}
    return frozenset(names | {name.split(">")[-1] for name in names})


def _description(variable: Any) -> list[Any]:
    """What a trace may depend on in a variable, whatever its layer's configuration says."""
    parts = [getattr(variable, name, None) for name in ("regularizer", "constraint")]
    described = [None if part is None else keras.saving.serialize_keras_object(part) for part in parts]
    return [
        list(variable.shape),
        str(variable.dtype),
        variable.trainable,
        getattr(variable, "overwrite_with_gradient", False),
        *described,
    ]


def _without_initial_values(config: Any) -> Any:
    """Seeds and initializers decide the values that variables start with, not what a trace does."""
    if isinstance(config, Mapping):
        return {
            key: _without_initial_values(value)
            for key, value in config.items()
            if key != "seed" and not str(key).endswith("_initializer")
        }
    return [_without_initial_values(item) for item in config] if isinstance(config, list | tuple) else config


def _without_learning_rate(config: Any) -> Any:
    """An optimizer's configuration without its learning rate where that is a variable."""
    if not isinstance(config, Mapping):
        return config
    return {
        key: None
        if key == "learning_rate" and isinstance(value, int | float) and math.isfinite(value)
        else _without_learning_rate(value)
        for key, value in config.items()
    }


def _leaves(structure: Any) -> list[Any]:
    if isinstance(structure, Mapping):
        return _leaves(list(structure.values()))
    if isinstance(structure, list | tuple):
        return [leaf for item in structure for leaf in _leaves(item)]
    return [] if structure is None else [structure]


def _refuse(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} is not plain data")
