"""`python -m tuner_app.predict`: the tuned model's answers for new data, as a CSV file.

Owns the command line, the accuracy that it prints and the file that it writes. Reading data belongs to `data`,
the model to `prediction`.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import math
import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tuner_app.commands import options
from tuner_app.errors import InputError, ProjectError
from tuner_app.process import collector
from tuner_app.storage.files import write_whole
from tuner_app.storage.project import Project, projects

if TYPE_CHECKING:
    from tuner_app.storage.manifest import Manifest


@dataclasses.dataclass(frozen=True)
class _Rows:
    """What to predict for.

    Attributes:
        x: Features of shape (n_samples, ...).
        ids: One text per row.
        labels: The known labels as text, an empty one where it is not known; None where there are none at all.
        kind: What the accuracy is called.
    """

    x: Any
    ids: Sequence[str]
    labels: Sequence[str] | None
    kind: str


def main(argv: Sequence[str] | None = None) -> int:
    """Predict, write the answers, and print the accuracy where the labels are known.

    Args:
        argv: The arguments without the program's name; None takes them from `sys.argv`.

    Returns:
        0.

    Raises:
        TunerAppError: Something asked for cannot work; `console.run` makes one line of it.
    """
    arguments = parser().parse_args(argv)
    _check_options(arguments)
    from tuner_app.prediction.predictor import load_predictor
    from tuner_app.storage.manifest import load_manifest

    project = _choose_project(arguments.directory, arguments.project_name)
    manifest = load_manifest(project)
    _check_model(arguments, project, manifest)
    rows = _read_rows(arguments, project, manifest)
    predictor = load_predictor(project)
    collector.resume()
    outputs = predictor.outputs(rows.x, arguments.batch_size)
    answers = predictor.target.answers(outputs)
    answers = answers[:, 0] if answers.shape[1:] == (1,) else answers
    probabilities = predictor.target.probabilities(outputs) if arguments.probabilities else None
    accuracy = _accuracy_line(rows, answers, manifest)
    columns = _columns(arguments, rows, answers, manifest, probabilities)
    _write(arguments.output, _csv_text(columns))
    if accuracy:
        print(accuracy)
    print(f"Wrote {len(rows.ids)} predictions of the project {project.name!r} to {arguments.output}")
    return 0


def _write(output: str, text: str) -> None:
    try:
        write_whole(pathlib.Path(output).resolve(), text)
    except ProjectError as error:
        raise ProjectError(
            f"Cannot write {output!r}: {error.__cause__}. Free some space, or name another --output."
        ) from error


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    command = argparse.ArgumentParser(
        prog="python -m tuner_app.predict",
        description="Predict with the tuned model and write a CSV file, ready for Kaggle. "
        "Without arguments: with the newest model, for the test part of the data that it was tuned on.",
        allow_abbrev=False,
    )
    options.add_project(command, name="the project (default: the one with the newest model)")
    options.add_submission(command)
    return command


def _check_options(arguments: argparse.Namespace) -> None:
    """Refuse before any work what could only fail after it."""
    if arguments.batch_size < 1:
        raise InputError(f"--batch-size must be a positive whole number. Received: {arguments.batch_size}. Try 1024.")
    if arguments.id_column == arguments.label_column:
        raise InputError(f"--id-column and --label-column must differ. Received: {arguments.id_column!r} for both.")
    output = pathlib.Path(arguments.output)
    if not output.resolve().parent.is_dir():
        raise InputError(f"--output must lie in a folder that exists. Received: {arguments.output!r}. Make the folder.")
    if output.exists() and not output.is_file():
        raise InputError(f"--output must be a file, but {arguments.output!r} is a folder or a device. Name a file.")
    if not os.access(output.resolve().parent, os.W_OK):
        raise InputError(f"--output must lie in a folder that can be written. Received: {arguments.output!r}.")
    # By the files themselves, not by their paths: a link to the rows would be overwritten before they are read.
    if arguments.data and output.exists() and os.path.exists(arguments.data) and output.samefile(arguments.data):
        raise InputError(f"--output must not be the file that is read. Received: {str(output)!r}. Name another one.")


def _choose_project(directory: str, name: str | None) -> Project:
    ready = [project for project in projects(directory) if project.manifest_file.exists()]
    if name is None:
        if not ready:
            raise ProjectError(f"There is no tuned model in {directory} yet. Run `python -m tuner_app.tune` first.")
        return ready[0]
    project = Project(directory, name)
    if not project.manifest_file.exists():
        others = ", ".join(other.name for other in ready[:5]) or "none"
        raise ProjectError(
            f"The project {name!r} has no tuned model in {directory} yet (projects that have one: {others}). "
            f"Run `python -m tuner_app.tune --project-name {name}` first."
        )
    return project


def _check_model(arguments: argparse.Namespace, project: Project, manifest: Manifest) -> None:
    if manifest.input_shape is None:
        raise InputError(
            f"A table needs a model of one input, but that of the project {project.name!r} has several. Predict in "
            "Python with tuner_app.prediction.predictor.load_predictor."
        )
    if arguments.probabilities and manifest.classes is None:
        raise InputError(
            f"--probabilities needs a classifier, but the model of the project {project.name!r} is a regression. "
            "Leave the option out."
        )


def _read_rows(arguments: argparse.Namespace, project: Project, manifest: Manifest) -> _Rows:
    """The rows; what the model could not take is refused here, before TensorFlow is loaded."""
    from tuner_app.prediction.rows import checked_rows

    rows = _from_file(arguments, manifest) if arguments.data is not None else _test_part(project, manifest)
    checked_rows(rows.x, tuple(manifest.input_shape or ()))
    return rows


def _from_file(arguments: argparse.Namespace, manifest: Manifest) -> _Rows:
    from tuner_app.data.tables import begin_features, read_features
    from tuner_app.process.loading import begin_import

    target = manifest.target
    ignore = {name for name in (arguments.id_column, target) if name is not None}
    begin_features(arguments.data, manifest.feature_names or (), ignore=ignore)
    begin_import()  # The rows are read beside it.
    x, text = read_features(arguments.data, manifest.feature_names or (), ignore=ignore)
    ids = text.get(arguments.id_column) or _counted(len(x))
    labels = text.get(target) if target is not None else None
    return _Rows(_shaped(x, manifest), ids, labels, "Accuracy")


def _test_part(project: Project, manifest: Manifest) -> _Rows:
    from tuner_app.data.datasets import load_dataset
    from tuner_app.data.files import BUILT_IN

    dataset = load_dataset(manifest.source) if manifest.source in BUILT_IN else None
    if dataset is None or dataset.x_test is None or dataset.y_test is None:
        raise InputError(
            f"The data of the project {project.name!r} have no test part. Name a CSV file to predict for with --data."
        )
    labels = [str(label) for label in dataset.classes[dataset.y_test].tolist()]
    return _Rows(_shaped(dataset.x_test, manifest), _counted(len(labels)), labels, "Test accuracy")


def _counted(n_rows: int) -> list[str]:
    """Ids from 1, as Kaggle wants them."""
    return [str(i) for i in range(1, n_rows + 1)]


def _shaped(x: Any, manifest: Manifest) -> Any:
    """Rows of a table as the model takes them; where that cannot be, as they are, for the predictor to refuse."""
    shape = manifest.input_shape or []
    return x.reshape(len(x), *shape) if x.shape[1] == math.prod(shape) else x


def _accuracy_line(rows: _Rows, answers: Any, manifest: Manifest) -> str | None:
    """Over the rows whose label is known; a label that the model has no class for is an error of the model."""
    if rows.labels is None or manifest.classes is None:
        return None
    pairs = [(str(answer), label) for answer, label in zip(answers.tolist(), rows.labels, strict=True) if label.strip()]
    if not {label for _, label in pairs} & {str(label) for label in manifest.classes}:
        return None
    right = sum(answer == label for answer, label in pairs)
    return f"{rows.kind}: {right / len(pairs):.4f} ({right} of {len(pairs)})"


def _columns(
    arguments: argparse.Namespace, rows: _Rows, answers: Any, manifest: Manifest, probabilities: Any
) -> dict[str, Sequence[Any]]:
    columns: dict[str, Sequence[Any]] = {arguments.id_column: rows.ids}
    if answers.ndim == 1:
        columns[arguments.label_column] = answers.tolist() if manifest.classes else answers.astype(str).tolist()
    else:
        columns |= {
            f"{arguments.label_column}_{i}": answers[:, i].astype(str).tolist() for i in range(answers.shape[1])
        }
    if arguments.probabilities:
        for i, label in enumerate(manifest.classes or ()):
            columns[f"Probability_{label}"] = probabilities[:, i].astype(str).tolist()
    return columns


def _csv_text(columns: dict[str, Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()
