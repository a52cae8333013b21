"""Predictions of a refit model that was read back: in blocks of one size, as labels of the training.

Owns the check that the model and its manifest fit each other. Nothing is pickled, and a model that would bring Python
code along (a `Lambda` layer) is refused. What rows may be asked about is said in `rows`, the manifest in `storage`.
"""

from __future__ import annotations

import math
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner_app.data import features, targets
from tuner_app.errors import InputError, ProjectError, Remedy
from tuner_app.folds.rows import arrays_in, map_arrays, with_tuples
from tuner_app.prediction.rows import checked_rows, each_in_order, in_order, with_axes_of
from tuner_app.records.text import first_sentence
from tuner_app.storage import model_file
from tuner_app.storage.manifest import (
    Manifest,
    has_an_output_for_each_class,
    load_with_model_file,
)
from tuner_app.storage.project import Project

# A change of these changes predictions in the last bit: a product of matrices rounds by the number of its rows.
_BLOCK = 256
# Where a row has more numbers than this, such as a large picture, so many rows would take too much memory at once.
_LARGE_ROW = 2**14
_BLOCK_OF_LARGE_ROWS = 32
_IN_PYTHON = (
    "Predict in Python: best_model_ of a tuner with the same hypermodel and project comes from build and the weights."
)


def load_predictor(project: Project, *, compiled: bool = False) -> Predictor:
    """Read model and manifest back.

    Args:
        project: Where they lie.
        compiled: Whether the model is wanted compiled, where Keras can do so in safe mode.

    Raises:
        ProjectError: One of them is not there, is damaged, or does not belong to the other.
    """
    manifest, path = load_with_model_file(project)
    if path == project.weights_file:
        raise ProjectError(
            f"{project.path} has only the weights of its model, since Keras cannot save the rest of it. {_IN_PYTHON}"
        )
    model = _load_model(path, compiled)
    _check_model(project, model, manifest)
    return Predictor(model, manifest)


class Predictor:
    """A model that answers in the labels it was trained with.

    Args:
        model: The Keras model.
        manifest: What it expects.
    """

    def __init__(self, model: Any, manifest: Manifest) -> None:
        self.model = model
        self.manifest = manifest
        self.target = manifest.answer
        # Made at the first rows and kept: TensorFlow traces each new function anew, which takes a second.
        self._forward: Callable[[Any], Any] | None = None

    def predict_proba(self, x: Any, batch_size: int = 1024) -> Any:
        """Probabilities of the classes; logits are turned into them.

        Args:
            x: Features of shape (n_samples, *input_shape), finite numbers, scaled as in training: not at all. A table
                with named columns may have them in any order, if training had their names. For a model of several
                inputs, or of text, what `search` was given.
            batch_size: How many rows are handed to TensorFlow at a time, rounded up to whole blocks of 256 (of 32 where
                a row has more than 16,384 numbers). A matter of memory only: the same row gives the same numbers to the
                last bit, whatever rows are beside it (a model of several inputs or of text takes `batch_size` rows as
                they come).

        Returns:
            Probabilities of shape (n_samples, n_classes), the classes in the order of the manifest. Where y had rows
            of 0 and 1, one for each of them. For a model of several outputs a list or dict of them.

        Raises:
            DataError: `x` has another shape or other columns, or is not finite.
            InputError: The model is no classifier, or `batch_size` is not positive.
        """
        if isinstance(self.target, targets.Target):
            self.target.check_has_probabilities()
        return targets.probabilities(self.target, self.outputs(x, batch_size))

    def predict(self, x: Any, batch_size: int = 1024) -> Any:
        """The most probable label of each row, or the outputs of a regression.

        Args:
            x: As in `predict_proba`.
            batch_size: As in `predict_proba`.

        Returns:
            Labels of shape (n_samples,), of the type that they had in the training data; (n_samples, 1) where those
            came so. For a regression float32 of shape (n_samples,), or (n_samples, n_outputs) where there are several.
            Where y had rows of 0 and 1 the outputs as they are. For a model of several outputs a list or dict of these.

        Raises:
            DataError: `x` has another shape or other columns, or is not finite.
            InputError: `batch_size` is not positive.
        """
        return targets.answers(self.target, self.outputs(x, batch_size))

    def outputs(self, x: Any, batch_size: int = 1024) -> Any:
        """The model's own outputs, of shape (n_samples, n_outputs), or a structure of them.

        The model always sees blocks of one size: a product of matrices rounds a single row otherwise than a row among
        many, and TensorFlow would trace the model anew for each size.
        """
        if batch_size < 1:
            raise InputError(f"batch_size must be a positive whole number. Received: {batch_size}. Try 1024.")
        if self.manifest.input_shape is None:
            from tuner_app.compiled.arrays import with_text_tensors

            arrays = with_axes_of(
                self.model, with_tuples(features.plain_features(each_in_order(x, self.manifest.columns)))
            )
            return self.model.predict(with_text_tensors(arrays), batch_size=batch_size, verbose=0)
        rows = checked_rows(in_order(x, self.manifest.feature_names), tuple(self.manifest.input_shape))
        block = _block(rows)
        # Whole blocks only, so that `batch_size` decides on memory and on no number.
        at_once = math.ceil(batch_size / block) * block
        pieces = [self._run(rows[start : start + at_once]) for start in range(0, len(rows), at_once)]
        if not pieces:  # no rows: one of zeros tells the shape and the type of the answer
            return map_arrays(lambda a: a[:0], self._run(np.zeros((1, *rows.shape[1:]), dtype=rows.dtype)))
        return _joined(pieces)

    def _run(self, rows: npt.NDArray[Any]) -> Any:
        import keras
        import tensorflow as tf

        if self._forward is None:
            # The step that `model.predict` runs, in its way, so that one of the user's own counts.
            def forward(block: Any) -> Any:
                return self.model.predict_step((block,))

            self._forward = forward if self.model.run_eagerly else tf.function(forward)
        # Whole numbers stay: an Embedding takes no floats, and a model casts pictures itself.
        if rows.dtype.kind == "f":
            rows = rows.astype(keras.config.floatx(), copy=False)
        # The last block is filled up with zeros, whose answers are cut off again.
        n_blocks = math.ceil(len(rows) / _block(rows))
        padding = [(0, n_blocks * _block(rows) - len(rows)), *[(0, 0)] * (rows.ndim - 1)]
        blocks = tf.split(tf.constant(np.pad(rows, padding)), n_blocks)
        outputs = _joined([self._forward(block) for block in blocks])
        return map_arrays(lambda array: _as_rows(array[: len(rows)]), outputs)


def _block(rows: npt.NDArray[Any]) -> int:
    """How many rows the model sees at a time."""
    return _BLOCK if math.prod(rows.shape[1:]) <= _LARGE_ROW else _BLOCK_OF_LARGE_ROWS


def _joined(pieces: Sequence[Any]) -> Any:
    """Outputs one after another, in the structure that each piece has."""
    # In the order in which `map_arrays` walks the first piece.
    columns = iter(zip(*(arrays_in(piece) for piece in pieces), strict=True))
    return map_arrays(lambda _: np.concatenate([np.asarray(part) for part in next(columns)]), pieces[0])


def _as_rows(outputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
    rows = outputs[:, None] if outputs.ndim == 1 else outputs
    return rows.astype(np.float32) if rows.dtype.kind == "f" else rows


def _load_model(path: pathlib.Path, compiled: bool) -> Any:
    try:
        return model_file.load_whole_model(path, compiled=compiled)
    except Exception as error:  # Keras raises whatever the broken part happens to raise
        raise ProjectError(
            f"{path} must be a Keras model without Python code of its own, but it cannot be loaded "
            f"({first_sentence(error)}). {_IN_PYTHON}"
        ) from error


def _check_model(project: Project, model: Any, manifest: Manifest) -> None:
    """Model and manifest must agree on the shapes, where the model tells its own."""
    inputs, outputs = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    if manifest.input_shape is None:
        return
    if isinstance(inputs, tuple) and not _fits(inputs[1:], manifest.input_shape):
        raise ProjectError(
            f"{project.manifest_file} must give the input shape of its model, {list(inputs[1:])}, but it gives "
            f"{manifest.input_shape}. {Remedy.WRITE_ANEW}."
        )
    several_answers = not isinstance(manifest.answer, targets.Target)
    if isinstance(inputs, list | dict) or (isinstance(outputs, list | dict) and not several_answers):
        raise ProjectError(
            f"{project.model_file} must be a model of one input and one output, but has several. {Remedy.WRITE_ANEW}."
        )
    if not has_an_output_for_each_class(model, manifest):
        raise ProjectError(
            f"{project.manifest_file} must name a class for each of the model's outputs, {outputs}, but it names "
            f"{len(manifest.classes or ())}. {Remedy.WRITE_ANEW}."
        )


def _fits(shape: tuple[int | None, ...], row_shape: list[int]) -> bool:
    """Whether rows of one shape suit a model's input; Keras puts a single last axis in or takes it off."""
    if len(shape) != len(row_shape) and sorted((shape, tuple(row_shape)), key=len)[1][-1:] == (1,):
        longer = len(shape) > len(row_shape)
        shape, row_shape = (shape[:-1], row_shape) if longer else (shape, row_shape[:-1])
    # None is an axis of any length, such as that of a sequence.
    return len(shape) == len(row_shape) and all(a in (None, b) for a, b in zip(shape, row_shape, strict=True))
