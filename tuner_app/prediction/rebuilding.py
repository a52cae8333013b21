"""A refit model in another process: made again by the hypermodel's `build`, with the weights that were kept.

Owns when that may be trusted. At the end of a search the model is made again at once and asked about a few rows: only
where it answers as the trained one does, and is compiled alike, will a later process do so; else the file is opened.
"""

from __future__ import annotations

import dataclasses
import logging
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import keras
import keras_tuner
import numpy as np

from tuner_app.errors import ProjectError, Remedy
from tuner_app.prediction import predictor
from tuner_app.records.text import first_sentence
from tuner_app.storage import model_file
from tuner_app.storage.files import digest
from tuner_app.storage.manifest import Manifest, load_with_model_file, write_manifest
from tuner_app.storage.project import Project
from tuner_app.training import fingerprint, probe
from tuner_app.training.build import build_seeded
from tuner_app.training.keras_settings import undisturbed

logger = logging.getLogger(__name__)

Build = Callable[[Any], keras.Model]


def announce_obstacles(model: keras.Model) -> None:
    """Say before the first fold, in one line, what the refit model's file will lack.

    Args:
        model: A model as the refit's will be.
    """
    with undisturbed():
        unsaved = model_file.saving_obstacle(model)
        unloaded = None if unsaved is not None else model_file.loading_obstacle(model)
    if unsaved is not None:
        logger.warning(
            "Keras cannot save this model whole (%s): only its weights will be kept, in best_model.weights.h5. In "
            "Python, best_model_ comes from build and the weights; the command tuner_app.predict cannot use it.",
            unsaved,
        )
    elif unloaded is not None:
        logger.warning(
            "best_model.keras will not open in Keras's safe mode, so the command tuner_app.predict cannot use it (%s). "
            "In Python, best_model_ comes from build and the weights.",
            unloaded,
        )


def keep_model(
    project: Project, model: keras.Model, manifest: Manifest, build: Build, space: keras_tuner.HyperParameters, x: Any
) -> None:
    """Save a refit model with its manifest, and find out how another process will get it.

    Args:
        project: Where it goes.
        model: The trained model.
        manifest: What it expects.
        build: Builds a model from hyperparameters.
        space: A copy of the search space.
        x: Features of shape `(n_samples, ...)`, of which a few rows are asked about.

    Raises:
        ProjectError: The folder cannot be written, or not even the weights can be saved.
    """
    written = model_file.save_model(project.model_file, model)
    # After the file, from which the weights of the second model are read.
    recipe = _recipe(project.path / written.name, model, manifest, build, space, x)
    write_manifest(project, model, dataclasses.replace(manifest, rebuild=recipe), written)
    model_file.remove_other(project, written)
    if recipe is None and written.name == project.weights_file.name:
        logger.warning(
            "The weights of the refit model are kept in %s, but build with the best hyperparameters does not give its "
            "model back: best_model_ is there in this process only. Save it yourself.",
            project.weights_file,
        )


def kept_model(
    project: Project, build: Build, space: Callable[[], keras_tuner.HyperParameters]
) -> tuple[keras.Model, Manifest]:
    """The refit model that is kept in a project, compiled where it can be, and its manifest.

    Args:
        project: Where it lies.
        build: Builds a model from hyperparameters.
        space: Gives a copy of the search space.

    Raises:
        ProjectError: It is not there, is damaged, or neither `build` nor Keras makes it again.
    """
    manifest, path = load_with_model_file(project)
    recipe = manifest.rebuild
    if recipe is not None:
        try:
            model, description = _built(path, manifest, build, space(), _zeros(recipe["x"]))
            # Another Keras may word the same model otherwise; where only its weights are kept, that they fit must do.
            other_keras = manifest.versions.get("keras") != keras.__version__
            if digest(description) == recipe["build"] or (other_keras and path == project.weights_file):
                return model, manifest
            reason = "build makes another model than it did"
        except Exception as error:  # whatever the user's code, changed since, happens to raise
            reason = first_sentence(error)
        if path == project.weights_file:
            raise ProjectError(
                f"{path} has the weights of a model that build does not give back ({reason}). Put the hypermodel's "
                f"code back as it was, or search again with {Remedy.OVERWRITE}."
            )
        logger.warning("best_model_ cannot come from build and its weights (%s). %s is opened.", reason, path)
    return predictor.load_predictor(project, compiled=True).model, manifest


def _recipe(
    path: pathlib.Path, model: keras.Model, manifest: Manifest, build: Build, space: Any, x: Any
) -> dict[str, Any] | None:
    """What `Manifest.rebuild` says; None where the model made again is not the trained one."""
    rows = probe.first_rows(x)  # more than one, since some models answer by the whole batch
    try:
        again, description = _built(path, manifest, build, space, rows)
        with undisturbed():
            same = _answers_alike(model, again, rows) and _is_compiled_alike(model, description)
    except Exception as error:
        logger.debug("The refit model cannot be made again from build: %r", error)
        return None
    return {"build": digest(description), "x": _shapes(x)} if same else None


def _built(
    path: pathlib.Path, manifest: Manifest, build: Build, space: keras_tuner.HyperParameters, rows: Any
) -> tuple[keras.Model, Mapping[str, Any]]:
    """A new model with the kept weights, the optimizer's state included, and its description."""
    space.values = dict(manifest.hyperparameters)
    with undisturbed():
        model = build_seeded(build, space, manifest.seed)
        # A subclassed model has no weights before it has met rows. Keras 3.15 has no public name for all its layers.
        if not all(layer.built for layer in [model, *model._flatten_layers(include_self=False)]):
            model(rows, training=False)
        description = fingerprint.describe_model(model)
        # `load_weights` reads an optimizer's state only into variables that are there.
        optimizer = getattr(model, "optimizer", None)
        if optimizer is not None:
            optimizer.build(model.trainable_variables)
        model.load_weights(path)
    return model, description


def _answers_alike(model: keras.Model, again: keras.Model, rows: Any) -> bool:
    """Whether two models answer the same on some rows; a model that draws its answers is not asked."""
    # Asked twice: only a model that answers alike twice can be told from another one.
    answers, answers_again, others = (_answers(one, rows) for one in (model, model, again))
    return not _are_equal(answers, answers_again) or _are_equal(answers, others)


def _answers(model: keras.Model, rows: Any) -> list[Any]:
    return [np.asarray(keras.ops.convert_to_numpy(part)) for part in keras.tree.flatten(model(rows, training=False))]


def _are_equal(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(one, other, strict=True)
    )


def _is_compiled_alike(model: keras.Model, description: Mapping[str, Any]) -> bool:
    """Whether the trained model's loss and metrics are those that `build` gives; its rate may have changed."""
    compiled = fingerprint.describe_model(model)["compile"]
    parts = {*compiled, *description["compile"]} - {"optimizer"}
    return all(compiled.get(part) == description["compile"].get(part) for part in parts)


def _shapes(structure: Any) -> Any:
    """The form of one row, as JSON."""
    if isinstance(structure, Mapping):
        return {"dict": {str(name): _shapes(part) for name, part in structure.items()}}
    if isinstance(structure, list | tuple):
        return {"list": [_shapes(part) for part in structure]}
    return {
        "shape": list(structure.shape[1:]),
        "dtype": "str" if structure.dtype.kind in "OUS" else str(structure.dtype),
    }


def _zeros(shapes: Mapping[str, Any]) -> Any:
    """One row of zeros, or of empty texts, from `_shapes`."""
    if "dict" in shapes:
        return {name: _zeros(part) for name, part in shapes["dict"].items()}
    if "list" in shapes:
        return tuple(_zeros(part) for part in shapes["list"])
    return probe.first_rows(np.zeros((1, *shapes["shape"]), dtype=shapes["dtype"]))
