"""`optimizer=`, `loss=` and `metrics=` of the tuner: a model compiled anew with them in place of its own.

Owns what of the model's own compilation is kept. Keras Tuner 1.4.8 hands `compile` the container in which Keras 3 holds
compiled metrics, so that no fit works, and lets the fits share the tuner's metrics and all their counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

_OF_KERAS_TUNER = ("optimizer", "loss", "metrics")


def recompile(model: keras.Model, **arguments: Any) -> None:
    """Compile a model with other arguments; what is not named stays as `build` has set it.

    Args:
        model: A model, compiled or not.
        **arguments: Arguments of `compile`; those that are empty do not count. Optimizers and metrics are copied.
    """
    overrides = {name: _own(value) for name, value in arguments.items() if value}
    if overrides:
        model.compile(**(_settings(model) | overrides))


def _settings(model: keras.Model) -> dict[str, Any]:
    """What a model was compiled with.

    Keras 3.15 keeps it as it was given in `_compile_config`; the public `get_compile_config` fails for functions.
    """
    config = getattr(model, "_compile_config", None)
    if not model.compiled or config is None:
        return {}
    settings = dict(config.config)
    if type(model).compile is keras.Model.compile:
        return settings
    return {name: settings[name] for name in _OF_KERAS_TUNER}  # a compile of its own need not take more


def _own(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _own(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_own(item) for item in value]
    # They have state: one for all fits would count the rows of all of them.
    if isinstance(value, keras.metrics.Metric | keras.optimizers.Optimizer):
        return type(value).from_config(value.get_config())
    return value
