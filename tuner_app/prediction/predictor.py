"""The tuned model on disk: a `.keras` file, a manifest that says what it expects, and predictions from the two.

Owns the manifest's fields and the check that model and manifest belong together. Nothing is pickled, and a model
that would bring Python code along (a `Lambda` layer) is refused. Reading tables belongs to `data`, files to `project`.
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner_app.data import features, targets
from tuner_app.data.datasets import label_array
from tuner_app.errors import DataError, InputError, ProjectError
from tuner_app.folds.rows import arrays_in, map_arrays, with_tuples
from tuner_app.storage import model_file
from tuner_app.storage.project import Project, read_json, sealed, write_json

_BLOCK = 256
# Where a row has more numbers than this, such as a large picture, so many rows would take too much memory at once.
_LARGE_ROW = 2**14
_BLOCK_OF_LARGE_ROWS = 32
_AGAIN = "Call search() again to write it anew."


_IN_PYTHON = (
    "Predict in Python: best_model_ of a tuner with the same hypermodel and project comes from build and the weights."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """What the model is, how good it is, and what it expects.

    Attributes:
        hyperparameters: The chosen values.
        score: The candidate's mean over the folds in the unit and with the sign of `objective` (a loss is positive;
            `cv_results_` and `best_score_` negate it). Of several objectives that decide together their sum, each in
            the direction "higher is better".
        score_std: Its standard deviation over the folds.
        objective: The metric that chose it, such as `val_accuracy`.
        n_splits: The number of folds.
        epochs: How many epochs the model was trained for, in all calls of `model.fit`; 0 where the folds did not tell,
            as with a training loop of one's own.
        seed: The seed of the search.
        classes: The labels in the order of the model's outputs; None for a regression.
        feature_names: The columns in the order of the model's inputs; None where they have no names.
        input_shape: The shape of one row of numbers; None where the model has several inputs, or takes text.
        image_shape: Rows and columns where a row is a picture; else None.
        data: The training data: `source`, `target` and `fingerprint`.
        versions: Each package's version.
        test_score: The accuracy on the test part, which the command `tune` looks at in the end; None where there is
            none.
        created: When, in ISO 8601.
        search_id: The search that the model comes from (`search.json` holds the same).
        refit_seconds: How long the training took.
        decoding: What the outputs are, so that they become labels again: `targets.to_json` of the target, the classes
            of a model of one output left out; None where the first version wrote the manifest.
        columns: For a model of several inputs, or of text: the names of each one's columns, as lists in a list or dict
            as `x` came in one; None where they have no names.
        model_file: The name of the model's file.
        rebuild: What `rebuilding` knows of making the model again from `build` and its weights; None where it cannot.
    """

    hyperparameters: dict[str, Any]
    score: float
    score_std: float
    objective: str
    n_splits: int
    epochs: int
    seed: int
    classes: list[int] | list[str] | list[bool] | list[float] | None
    feature_names: list[str] | None
    input_shape: list[int] | None
    image_shape: list[int] | None
    data: dict[str, Any]
    versions: dict[str, str]
    test_score: float | None
    created: str
    search_id: str = ""
    refit_seconds: float = 0.0
    decoding: dict[str, Any] | None = None
    columns: Any = None
    model_file: str = "best_model.keras"
    rebuild: dict[str, Any] | None = None

    @property
    def source(self) -> str | None:
        """The training data, as `--data` named them; None where they were arrays."""
        return self.data.get("source")

    @property
    def target(self) -> str | None:
        """The column of the labels; None where there is none."""
        return self.data.get("target")

    @property
    def answer(self) -> Any:
        """What the outputs mean: a `targets.Target`, or a list or dict of them."""
        if self.decoding is not None:
            return targets.from_json({**self.decoding, "classes": self.classes})
        if self.classes is None:
            return targets.Target()
        return targets.Target(kind="multiclass", classes=label_array(self.classes), encoded=True)


def save_predictor(project: Project, model: Any, manifest: Manifest) -> None:
    """Write model and manifest, each whole; only its weights where Keras cannot save the whole model.

    Between the two writes a reader finds that they do not belong together; it never finds half a file.

    Args:
        project: Where they go.
        model: A Keras model.
        manifest: What it expects. Its classes are left out where the model has not one output for each: whole
            numbers as targets are not always classes.

    Raises:
        ProjectError: The folder cannot be written, or not even the weights can be saved.
    """
    written = model_file.save_model(project.model_file, model)
    write_manifest(project, model, manifest, written)
    model_file.remove_other(project, written)


def write_manifest(project: Project, model: Any, manifest: Manifest, written: model_file.ModelFile) -> None:
    """Write the manifest of a model whose file is written.

    Args:
        project: Where it goes.
        model: The model.
        manifest: As in `save_predictor`.
        written: The model's file.
    """
    if not _answers_in(model, manifest):
        manifest = dataclasses.replace(manifest, classes=None, decoding=None)
    content = dataclasses.asdict(dataclasses.replace(manifest, model_file=written.name))
    write_json(project.manifest_file, sealed({**_plain(content), "model_sha256": written.sha256}))


def load_manifest(project: Project) -> Manifest:
    """Read what the model of a project expects, without TensorFlow.

    Raises:
        ProjectError: There is no manifest, or a field is missing or of another type.
    """
    return _read_manifest(project)[0]


def change_manifest(project: Project, model: Any, changes: Mapping[str, Any]) -> None:
    """Write some fields of a manifest anew; the others, and the model that it belongs to, stay.

    Args:
        project: Where it lies.
        model: The model.
        changes: Fields of `Manifest`, by name.

    Raises:
        ProjectError: There is no manifest, or the folder cannot be written.
    """
    manifest, checksum = _read_manifest(project)
    changed = dataclasses.replace(manifest, **changes)
    write_manifest(project, model, changed, model_file.ModelFile(manifest.model_file, checksum))


def load_predictor(project: Project, *, compiled: bool = False) -> Predictor:
    """Read model and manifest back.

    Args:
        project: Where they lie.
        compiled: Whether the model is wanted compiled, where Keras can do so in safe mode.

    Raises:
        ProjectError: One of them is not there, is damaged, or does not belong to the other.
    """
    manifest = load_manifest(project)
    path = checked_model_file(project)
    if path == project.weights_file:
        raise ProjectError(
            f"{project.path} has only the weights of its model, since Keras cannot save the rest of it. {_IN_PYTHON}"
        )
    model = _load_model(path, compiled)
    _check_model(project, model, manifest)
    return Predictor(model, manifest)


def checked_model_file(project: Project) -> pathlib.Path:
    """The model's file, which is the one that the manifest was written for.

    Raises:
        ProjectError: It is not there, cannot be read, or has another checksum.
    """
    manifest, checksum = _read_manifest(project)
    path = project.path / manifest.model_file
    try:
        found = model_file.checksum(path)
    except FileNotFoundError:
        raise ProjectError(f"{path} is not there, but its manifest is. {_AGAIN}") from None
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror}. Make it readable.") from None
    if found != checksum:
        raise ProjectError(
            f"{path} must be the file that {project.manifest_file.name} was written for, but it "
            f"has another checksum: it was changed or damaged. {_AGAIN}"
        )
    return path


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
            from tuner_app.compiled.programs import with_text_tensors

            arrays = _with_its_axes(
                self.model, with_tuples(features.plain_features(_each_in_order(x, self.manifest.columns)))
            )
            return self.model.predict(with_text_tensors(arrays), batch_size=batch_size, verbose=0)
        rows = _checked(_in_order(x, self.manifest.feature_names), tuple(self.manifest.input_shape))
        block = _block(rows)
        at_once = math.ceil(batch_size / block) * block
        pieces = [self._run(rows[start : start + at_once]) for start in range(0, len(rows), at_once)]
        if not pieces:
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
        if rows.dtype.kind == "f":
            rows = rows.astype(keras.config.floatx(), copy=False)
        n_blocks = math.ceil(len(rows) / _block(rows))
        padding = [(0, n_blocks * _block(rows) - len(rows)), *[(0, 0)] * (rows.ndim - 1)]
        blocks = tf.split(tf.constant(np.pad(rows, padding)), n_blocks)
        outputs = _joined([self._forward(block) for block in blocks])
        return map_arrays(lambda array: _as_rows(array[: len(rows)]), outputs)


def _block(rows: npt.NDArray[Any]) -> int:
    """How many rows the model sees at a time."""
    return _BLOCK if math.prod(rows.shape[1:]) <= _LARGE_ROW else _BLOCK_OF_LARGE_ROWS


def _with_its_axes(model: Any, arrays: Any) -> Any:
    """One column as the model declares it: Keras 3.15 takes either form, but not one after the other."""
    is_column = getattr(model, "input_shape", None) == (None, 1)
    return arrays[:, None] if is_column and isinstance(arrays, np.ndarray) and arrays.ndim == 1 else arrays


def _joined(pieces: Sequence[Any]) -> Any:
    """Outputs one after another, in the structure that each piece has."""
    columns = iter(zip(*(arrays_in(piece) for piece in pieces), strict=True))
    return map_arrays(lambda _: np.concatenate([np.asarray(part) for part in next(columns)]), pieces[0])


def _as_rows(outputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
    rows = outputs[:, None] if outputs.ndim == 1 else outputs
    return rows.astype(np.float32) if rows.dtype.kind == "f" else rows


def _each_in_order(x: Any, columns: Any) -> Any:
    """The tables among several inputs with their columns in order."""
    if isinstance(columns, Mapping):
        is_alike = isinstance(x, Mapping) and set(x) == set(columns)
        return {key: _each_in_order(x[key], columns[key]) for key in x} if is_alike else x
    if columns is None or _is_names(columns):
        return _in_order(x, columns)
    is_alike = isinstance(x, list | tuple) and len(x) == len(columns)
    return [_each_in_order(part, names) for part, names in zip(x, columns, strict=True)] if is_alike else x


def _in_order(x: Any, names: Sequence[str] | None) -> Any:
    """A table's columns in the order of the training; anything without named columns as it is."""
    present = list(getattr(x, "columns", ()))
    if names is None or not present or present == list(names):
        return x
    there, wanted = Counter(present), set(names)
    missing = [name for name in names if name not in there]
    extra = [name for name in there if name not in wanted]
    twice = [name for name, count in there.items() if count > 1]
    for what, columns in (("lacks", missing), ("also has", extra), ("has more than once", twice)):
        if columns:
            shown = ", ".join(repr(name) for name in columns[:5]) + (", ..." if len(columns) > 5 else "")
            raise DataError(
                f"x must have the {len(names)} columns that the model was trained on, but it {what} {shown}. "
                "Give these columns and no others."
            )
    return x[list(names)]


def _checked(x: Any, input_shape: tuple[int, ...]) -> npt.NDArray[Any]:
    has_rows = len(x) if isinstance(x, Sequence) else tuple(getattr(x, "shape", (1,))[:1]) not in ((), (0,))
    rows = features.plain_features(x) if has_rows else np.asarray(x)
    if not has_rows and rows.dtype.kind == "O":  # a table without rows says nothing of what they would be
        rows = rows.astype(np.float32)
    if rows.shape[1:] != input_shape or rows.ndim != len(input_shape) + 1:
        expected = ", ".join(["n_samples", *map(str, input_shape)])
        raise DataError(f"x must have the shape ({expected}). Received: {rows.shape}. A single row is x[None].")
    if rows.dtype.kind not in "biuf":
        kind = getattr(x, "dtype", rows.dtype)
        raise DataError(f"x must hold numbers. Received: an array of {kind}. Encode text as numbers.")
    if rows.dtype.kind == "f":
        finite = np.isfinite(rows).all(axis=tuple(range(1, rows.ndim)))
        if not finite.all():
            raise DataError(
                f"x must be finite, but row {int(np.argmin(finite))} holds NaN or infinity. Fill or drop it."
            )
    return rows


def _load_model(path: pathlib.Path, compiled: bool) -> Any:
    try:
        return model_file.load_whole_model(path, compiled=compiled)
    except Exception as error:  # Keras raises whatever the broken part happens to raise
        raise ProjectError(
            f"{path} must be a Keras model without Python code of its own, but it cannot be loaded "
            f"({model_file.first_line(error)}). {_IN_PYTHON}"
        ) from error


def _check_model(project: Project, model: Any, manifest: Manifest) -> None:
    """Model and manifest must agree on the shapes, where the model tells its own."""
    inputs, outputs = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    if manifest.input_shape is None:
        return
    if isinstance(inputs, tuple) and not _fits(inputs[1:], manifest.input_shape):
        raise ProjectError(
            f"{project.manifest_file} must give the input shape of its model, {list(inputs[1:])}, but it gives "
            f"{manifest.input_shape}. {_AGAIN}"
        )
    several_answers = not isinstance(manifest.answer, targets.Target)
    if isinstance(inputs, list | dict) or (isinstance(outputs, list | dict) and not several_answers):
        raise ProjectError(
            f"{project.model_file} must be a model of one input and one output, but has several. {_AGAIN}"
        )
    if not _answers_in(model, manifest):
        raise ProjectError(
            f"{project.manifest_file} must name a class for each of the model's outputs, {outputs}, but it names "
            f"{len(manifest.classes or ())}. {_AGAIN}"
        )


def _answers_in(model: Any, manifest: Manifest) -> bool:
    """Whether the model has one output for each class, or a single one for two; a model that tells no shape may."""
    outputs = getattr(model, "output_shape", None)
    if manifest.classes is None or not isinstance(outputs, tuple) or outputs[-1] is None:
        return True
    width, count = manifest.answer.width, len(manifest.classes)
    is_known = outputs[-1] == (count if width is None else width) and count <= outputs[-1]
    return len(outputs) == 2 and (is_known or (outputs[-1] == 1 and count == 2))


def _fits(shape: tuple[int | None, ...], found: list[int]) -> bool:
    """Whether rows of one shape suit a model's input; Keras puts a single last axis in or takes it off."""
    if len(shape) != len(found) and sorted((shape, tuple(found)), key=len)[1][-1:] == (1,):
        longer = len(shape) > len(found)
        shape, found = (shape[:-1], found) if longer else (shape, found[:-1])
    return len(shape) == len(found) and all(a in (None, b) for a, b in zip(shape, found, strict=True))


def _read_manifest(project: Project) -> tuple[Manifest, str]:
    """The manifest, and the checksum of the model that it was written for."""
    content = read_json(project.manifest_file)
    for name, (kind, is_valid) in _FIELDS.items():
        if name not in content:
            if name in _ADDED_FIELDS:
                continue
            raise ProjectError(f"{project.manifest_file} must have the field {name!r}, but lacks it. {_AGAIN}")
        if not is_valid(content[name]):
            value = repr(content[name])
            shown = value if len(value) <= 60 else f"{value[:57]}..."
            raise ProjectError(f"{project.manifest_file}: {name!r} must be {kind}, but is {shown}. {_AGAIN}")
    names, width = (
        content["feature_names"],
        math.prod([0] if content["input_shape"] is None else content["input_shape"]),
    )
    if names is not None and len(names) != width:
        raise ProjectError(
            f"{project.manifest_file} must name each of the {width} features, but it names {len(names)}. {_AGAIN}"
        )
    fields = {name: content[name] for name in _FIELDS if name in content and name != "model_sha256"}
    return Manifest(**fields), content["model_sha256"]


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_whole(value) and value >= 1


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_list_of(is_item: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and bool(value) and all(map(is_item, value))


def _or_null(is_valid: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or is_valid(value)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value))


def _is_columns(value: Any) -> bool:
    if isinstance(value, dict | list) and not _is_names(value):
        return all(map(_is_columns, value.values() if isinstance(value, dict) else value))
    return value is None or _is_names(value)


def _is_decoding(value: Any) -> bool:
    try:
        targets.from_json(value)
    except ValueError:
        return False
    return True


def _is_data(value: Any) -> bool:
    return isinstance(value, dict) and all(_or_null(_is_text)(value.get(name)) for name in ("source", "target"))


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_row_shape(value: Any) -> bool:
    """The shape of one row; an empty one where a row is a mere number."""
    return isinstance(value, list) and all(map(_is_count, value))


def _is_recipe(value: Any) -> bool:
    return isinstance(value, dict) and _is_text(value.get("build")) and _is_object(value.get("x"))


_MODEL_FILES = ("best_model.keras", "best_model.weights.h5")
_FIELDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "hyperparameters": ("an object", _is_object),
    "score": ("a number", _is_number),
    "score_std": ("a number", _is_number),
    "objective": ("text", _is_text),
    "n_splits": ("a positive whole number", _is_count),
    "epochs": ("a whole number", _is_whole),
    "seed": ("a whole number", _is_whole),
    "classes": ("null or a list of different integers or of different texts", _or_null(targets.is_list_of_labels)),
    "feature_names": ("null or a list of texts", _or_null(_is_list_of(_is_text))),
    "input_shape": ("null or a list of positive whole numbers", _or_null(_is_row_shape)),
    "image_shape": ("null or a list of positive whole numbers", _or_null(_is_list_of(_is_count))),
    "data": ("an object whose source and target are text or null", _is_data),
    "versions": ("an object", _is_object),
    "test_score": ("null or a number", _or_null(_is_number)),
    "created": ("text", _is_text),
    "search_id": ("text", _is_text),
    "refit_seconds": ("a number", _is_number),
    "model_sha256": ("text", _is_text),
    "columns": ("null, or lists of texts in a list or object", _is_columns),
    "decoding": ("null or an object that says what the outputs are", _or_null(_is_decoding)),
    "model_file": ("best_model.keras or best_model.weights.h5", lambda value: value in _MODEL_FILES),
    "rebuild": ("null or an object with the text build and the object x", _or_null(_is_recipe)),
}
# Fields that manifests of the first version do not have; such a manifest has their defaults.
_ADDED_FIELDS: frozenset[str] = frozenset({"decoding", "columns", "model_file", "rebuild"})


def _plain(value: Any) -> Any:
    """NumPy's scalars and arrays as what JSON knows."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
