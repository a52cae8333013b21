"""The refit model's file: the whole model where Keras can save it, else its weights; written whole, checked when read.

Owns what Keras's saving and its safe mode can and cannot do with a model, before and after. What the model expects is
said in the manifest (`predictor`), how it is made again from `build` and the weights in `rebuilding`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from tuner_app.errors import ProjectError
from tuner_app.records.text import first_sentence
from tuner_app.storage.files import becoming
from tuner_app.storage.project import Project

logger = logging.getLogger(__name__)

# Classes that every process knows that imports this package.
_OURS = "tuner_app>"


@dataclasses.dataclass(frozen=True)
class ModelFile:
    """What was written.

    Attributes:
        name: Such as `best_model.keras`, or `best_model.weights.h5` where Keras cannot save the whole model.
        sha256: The file's checksum.
    """

    name: str
    sha256: str


def save_model(path: pathlib.Path, model: Any) -> ModelFile:
    """Write a model whole, or its weights where that is all that Keras can write.

    Args:
        path: The file of the whole model, `*.keras`; that of the weights is `*.weights.h5` beside it.
        model: The model.

    Raises:
        ProjectError: The folder cannot be written, or not even the weights can be saved.
    """
    try:
        return _write(path, model.save)
    except ProjectError:  # the disk is full: the weights alone would not fit either
        raise
    except Exception as error:  # Keras raises whatever the model's own code raises
        logger.debug("%s is not written whole: %r", path, error)
    try:
        return _write(path.with_name(f"{path.stem}.weights.h5"), model.save_weights)
    except ProjectError:
        raise
    except Exception as error:
        raise ProjectError(
            f"The model must be one whose weights Keras can save, but it is not ({first_sentence(error)}). Build its "
            "layers before they are used, or search with refit=False."
        ) from error


def remove_other(project: Project, kept: ModelFile) -> None:
    """Delete what an earlier refit wrote under the other name."""
    for path in (project.model_file, project.weights_file):
        if path.name != kept.name:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def load_whole_model(path: pathlib.Path, *, compiled: bool = False) -> Any:
    """Load a whole model in safe mode.

    Args:
        path: The file.
        compiled: Whether the model is wanted compiled; one whose loss is the user's own code comes without.

    Raises:
        Exception: Whatever the broken or the user's own part of it happens to raise.
    """
    from tuner_app.process.loading import import_tensorflow_quietly

    # In this order: TensorFlow writes its greetings to the screen as it loads, and Keras loads it.
    import_tensorflow_quietly()
    import keras

    from tuner_app.models import preprocessing  # noqa: F401  registers the layers that a saved model may have

    if compiled:
        with contextlib.suppress(Exception):  # a loss of the user's own, which only this attempt needs
            return keras.saving.load_model(path, compile=True, safe_mode=True)
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def saving_obstacle(model: Any) -> str | None:
    """Why Keras cannot save a model whole, from its configuration alone; None where it can."""
    import keras

    try:
        json.dumps(keras.saving.serialize_keras_object(model))
    except Exception as error:
        return first_sentence(error)
    return None


def loading_obstacle(model: Any) -> str | None:
    """Why another process, which has Keras and this package only, cannot load a model in safe mode; None where it can.

    The model is made again from its configuration, without weights.

    Args:
        model: A model that Keras can save.
    """
    import keras

    # A model that only predicts is loaded without its compilation, so a loss of the user's own is no obstacle.
    config = {**keras.saving.serialize_keras_object(model), "compile_config": None}
    own = sorted(set(_own_code(config)))
    with known_to_all_processes():
        try:
            # Without real variables, which is quick and takes no memory.
            with contextlib.suppress(Exception), keras.StatelessScope():
                keras.saving.deserialize_keras_object(config, safe_mode=True)
                return None
            # Some layers assign to their variables while they are built, which needs real ones.
            keras.saving.deserialize_keras_object(config, safe_mode=True)
        except Exception as error:
            return f"it has code of its own: {', '.join(own)}" if own else first_sentence(error)
    return None


@contextlib.contextmanager
def known_to_all_processes() -> Iterator[None]:
    """Keras without the classes that were registered in this process, but for this package's own."""
    import keras

    # Keras's own dict (3.15), not a copy: a thread that registers or loads meanwhile would miss the user's classes. So
    # it is the main thread that does this, before the first fold.
    registry = keras.saving.get_custom_objects()
    all_classes = dict(registry)
    for name in all_classes:
        if not name.startswith(_OURS):
            del registry[name]
    try:
        yield
    finally:
        registry.clear()
        registry.update(all_classes)


def checksum(path: pathlib.Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _own_code(config: Any) -> Iterator[str]:
    """The names of what a configuration holds that is neither Keras's nor this package's."""
    if isinstance(config, list | tuple):
        for item in config:
            yield from _own_code(item)
    if not isinstance(config, Mapping):
        return
    name, module = config.get("class_name"), config.get("module")
    if isinstance(name, str) and name in ("__lambda__", "Lambda"):
        yield "a lambda" if name == "__lambda__" else "a Lambda layer"
    elif isinstance(name, str) and "config" in config and "registered_name" in config:
        is_kerass = str(module).split(".")[0] in ("keras", "builtins") and config["registered_name"] in (None, name)
        if not is_kerass and not str(config["registered_name"]).startswith(_OURS):
            yield str(config["config"]) if name == "function" else name
    for item in config.values():
        yield from _own_code(item)


def _write(path: pathlib.Path, save: Any) -> ModelFile:
    temporary = _temporary(path)
    with becoming(path, temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        save(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        # Before the rename: where the file cannot even be read again, the old one stays in its place.
        sha256 = checksum(temporary)
    return ModelFile(path.name, sha256)


def _temporary(path: pathlib.Path) -> pathlib.Path:
    """A name that Keras knows by its end and `project` as a leftover."""
    stem, end = path.name.split(".", 1)
    return path.with_name(f".{stem}.{os.getpid()}.{end}")
