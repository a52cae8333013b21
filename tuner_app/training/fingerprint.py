"""What a hypermodel makes, in words that can be compared between two runs: architecture, compile settings, code.

Owns what counts as another model. What variables start with does not, nor do names and seeds, which may be new in every
run. Where the words are kept, and what follows from a difference, is the business of `description` and `search`.
"""

from __future__ import annotations

import ast
import functools
import inspect
import math
import textwrap
from collections.abc import Mapping
from typing import Any

import keras
import keras_tuner
import numpy as np

from tuner_app.process.packages import KERAS_TUNER, OWN, package_of
from tuner_app.storage.files import digest

# Names are Keras's own count, seeds may be drawn anew by each build, and where a layer was built for is in its weights.
_IGNORED = frozenset({"name", "seed", "batch_input_shape", "batch_shape", "build_config", "registered_name", "layers"})
# A package of these versions has this code; a project names the versions.
_LIBRARIES = (KERAS_TUNER, OWN, "builtins")
_COMPILED = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics")


def describe_model(model: keras.Model) -> dict[str, Any]:
    """A model's layers and compile settings.

    Args:
        model: A model; the shapes of its weights are told where it is built.

    Returns:
        JSON: `class`, `layer 1`, `layer 2`, ... (each with its class, its settings and its weights' shapes),
        `connections` where layers are not a mere row, and `compile`.
    """
    layers = model._flatten_layers(include_self=False)
    words: dict[str, Any] = {"class": type(model).__name__}
    words |= {f"layer {number}": _layer(layer) for number, layer in enumerate(layers, 1)}
    connections = _connections(model)
    if connections is not None:
        words["connections"] = connections
    return words | {"compile": _compiled(model)}


def source_digest(hypermodel: keras_tuner.HyperModel) -> str | None:
    """A fingerprint of a hypermodel's code without its comments, docstrings and layout.

    Args:
        hypermodel: A hypermodel. The code is that of its classes, or the function that it was made from.

    Returns:
        32 hexadecimal digits; None where the code is not to be had, or is of this package.
    """
    parts: list[Any] = [kind for kind in type(hypermodel).__mro__ if package_of(kind) not in _LIBRARIES]
    if not parts and package_of(type(hypermodel)) != OWN:  # Keras Tuner's wrapper of a function
        build = vars(hypermodel).get("build")
        while isinstance(build, functools.partial):
            build = build.func
        parts = [build]
    try:
        return digest([_bare_code(part) for part in parts]) if parts else None
    except (OSError, TypeError, SyntaxError, ValueError):  # typed in at a prompt, or a lambda within a line
        return None


def _layer(layer: Any) -> dict[str, Any]:
    words = {"class": type(layer).__name__, **_settings(layer)}
    weights = [] if isinstance(layer, keras.Model) else getattr(layer, "weights", [])
    if weights:
        words["weights"] = " ".join("x".join(map(str, weight.shape)) or "1" for weight in weights)
    return words


def _settings(part: Any) -> dict[str, Any]:
    """The settings of a layer or an optimizer that are not the defaults of its class."""
    if isinstance(part, keras.Model):  # its layers are told one by one
        return {}
    try:
        config = part.get_config()
        parameters = inspect.signature(type(part).__init__).parameters
    except Exception:  # it has no configuration of its own; its class and its weights are all there is
        return {}
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    return {
        str(name): _words(value)
        for name, value in config.items()
        if name not in _IGNORED
        and not (name in defaults and _is_same(defaults[name], value))
        and (name, _words(value)) not in (("trainable", True), ("dtype", "float32"))
    }


def _compiled(model: keras.Model) -> dict[str, Any]:
    # Keras 3.15: the public `get_compile_config` fails where a loss or a metric is a function.
    arguments = getattr(model, "_compile_config", None)
    config = arguments.config if arguments is not None else {}
    words: dict[str, Any] = {}
    for name in _COMPILED:
        part = config.get(name)
        if name == "optimizer" and getattr(model, "optimizer", None) is not None:
            words[name] = {"class": type(model.optimizer).__name__, **_settings(model.optimizer)}
        elif part is not None:
            words[name] = _words(part)
    return words


def _connections(model: keras.Model) -> str | None:
    """A fingerprint of which layer feeds which, by their numbers; None for a mere row, or where nobody knows."""
    if isinstance(model, keras.Sequential) or not hasattr(model, "layers") or not getattr(model, "inputs", None):
        return None
    try:
        config = model.get_config()
    except Exception:
        return None
    numbers = {layer.name: number for number, layer in enumerate(model.layers)}
    nodes = [layer.get("inbound_nodes") for layer in config.get("layers", [])]
    ends = [config.get("input_layers"), config.get("output_layers")]
    return digest(_numbered([nodes, ends], numbers))


def _numbered(value: Any, numbers: Mapping[str, int]) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _numbered(item, numbers) for key, item in value.items() if key != "name"}
    if isinstance(value, list | tuple):
        return [_numbered(item, numbers) for item in value]
    if isinstance(value, str):
        return numbers.get(value, value)
    return _words(value)


def _words(value: Any) -> Any:
    """A setting as plain JSON: numbers and texts as they are, objects by class and settings, arrays by their shape."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, np.generic):
        return _words(value.item())
    if isinstance(value, list | tuple):
        return [_words(item) for item in value]
    if isinstance(value, Mapping):
        return _serialised(value) if "class_name" in value else {str(k): _words(v) for k, v in value.items()}
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"array of {'x'.join(map(str, value.shape)) or 1}"
    if hasattr(value, "get_config"):
        try:
            # Keras 3.15 leaves arguments of some losses (Huber's delta) out of their configuration.
            config = {**value.get_config(), **getattr(value, "_fn_kwargs", {})}
            return _serialised({"class_name": type(value).__name__, "config": config})
        except Exception:
            return type(value).__name__
    return getattr(value, "__name__", type(value).__name__)


def _serialised(value: Mapping[str, Any]) -> str:
    """Keras's serialised form in short: `L2(l2=0.01)`, `relu`."""
    name, config = str(value["class_name"]), value.get("config")
    if name == "__lambda__":  # its code would tell lines and Python's version
        return "lambda"
    if isinstance(config, str):
        return config
    if name in ("__numpy__", "__tensor__"):
        return "array"
    if name == "DTypePolicy":
        return str((config or {}).get("name"))
    arguments = config if isinstance(config, Mapping) else {}
    words = [f"{key}={_words(item)}" for key, item in arguments.items() if key not in _IGNORED and item is not None]
    return f"{name}({', '.join(words)})"


def _is_same(default: Any, value: Any) -> bool:
    return type(default) is type(value) and isinstance(value, str | bool | int | float | None) and default == value


def _bare_code(part: Any) -> str:
    # Read anew each time: a notebook may put other code into the same class or function. What is no syntax (comments,
    # layout) is gone once it is a tree.
    tree = ast.parse(textwrap.dedent(inspect.getsource(part)))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
