"""The manifest of a refit model, `best_model.json`: what the model is, what it expects, which file it lies in.

Owns what a manifest says, and the seal by which it and its model belong together. How its fields are checked is said in
`manifest_fields`, how a model becomes a file in `model_file`; predictions are the business of `prediction`.
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from tuner_app.data import targets
from tuner_app.data.labels import label_array
from tuner_app.errors import ProjectError, Remedy
from tuner_app.storage import model_file
from tuner_app.storage.files import read_json, sealed, write_json
from tuner_app.storage.manifest_fields import problem_of
from tuner_app.storage.project import Project


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
    # The model first: a manifest without its model would be an error, a model without its manifest only looks old.
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
    # Only now is there a model to ask: a target of whole numbers was taken for classes before.
    if not has_an_output_for_each_class(model, manifest):
        manifest = dataclasses.replace(manifest, classes=None, decoding=None)
    # The checksum of the model is no field of `Manifest`: it says which file was written, not what is expected of one.
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


def load_with_model_file(project: Project) -> tuple[Manifest, pathlib.Path]:
    """The manifest and the model's file, which is the one that it was written for.

    Raises:
        ProjectError: One of them is not there, cannot be read, or does not belong to the other.
    """
    # Read once for both: between two looks another process could have written the pair anew.
    manifest, checksum = _read_manifest(project)
    path = project.path / manifest.model_file
    try:
        checksum_of_file = model_file.checksum(path)
    except FileNotFoundError:
        raise ProjectError(f"{path} is not there, but its manifest is. {Remedy.WRITE_ANEW}.") from None
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror}. Make it readable.") from None
    if checksum_of_file != checksum:
        raise ProjectError(
            f"{path} must be the file that {project.manifest_file.name} was written for, but it "
            f"has another checksum: it was changed or damaged. {Remedy.WRITE_ANEW}."
        )
    return manifest, path


def has_an_output_for_each_class(model: Any, manifest: Manifest) -> bool:
    """Whether the model has one output for each class, or a single one for two; one that tells no shape may."""
    outputs = getattr(model, "output_shape", None)
    if manifest.classes is None or not isinstance(outputs, tuple) or outputs[-1] is None:
        return True
    # The target's own width, where the manifest knows it, may be more than its classes: labels that no row had.
    width, count = manifest.answer.width, len(manifest.classes)
    is_known = outputs[-1] == (count if width is None else width) and count <= outputs[-1]
    return len(outputs) == 2 and (is_known or (outputs[-1] == 1 and count == 2))


def _read_manifest(project: Project) -> tuple[Manifest, str]:
    """The manifest, and the checksum of the model that it was written for."""
    content = read_json(project.manifest_file)
    problem = problem_of(content)
    if problem is not None:
        raise ProjectError(f"{project.manifest_file}{problem}. {Remedy.WRITE_ANEW}.")
    names, shape = content["feature_names"], content["input_shape"]
    width = 0 if shape is None else math.prod(shape)
    if names is not None and len(names) != width:
        raise ProjectError(
            f"{project.manifest_file} must name each of the {width} features, but it names {len(names)}. "
            f"{Remedy.WRITE_ANEW}."
        )
    # The file's own objects, not those that msgspec has made of them: it drops what a type does not name.
    fields = {field.name: content[field.name] for field in dataclasses.fields(Manifest) if field.name in content}
    return Manifest(**fields), content["model_sha256"]


def _plain(value: Any) -> Any:
    """NumPy's scalars and arrays as what JSON knows."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
