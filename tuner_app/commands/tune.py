"""`python -m tuner_app.tune`: the tutorial's search, on any of the known data sets or a CSV file.

Owns what the options mean; the work is done by `data`, `models` and `tuners`. Heavy imports wait until the options are
known to be good, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import warnings
from collections.abc import Sequence
from typing import Any

from tuner_app.commands import console, options
from tuner_app.errors import DataError, InputError, ProjectError, RefitFailedWarning
from tuner_app.records.checks import check_whole

DESCRIPTION = (
    "Tune the nodes and the learning rate of a neural network with one hidden layer by cross-validated grid search."
)
EPILOG = """examples:
  python -m tuner_app.tune                                     scikit-learn's digits, no download
  python -m tuner_app.tune --data mnist --folds 5
  python -m tuner_app.tune --data train.csv --target label     Kaggle's digit-recognizer
Stopped? Run the same command again: finished folds are kept."""

# What the search imports when TensorFlow is there.
_NEED_TENSORFLOW = ("tuner_app.models.dense", "tuner_app.tuners.grid_search")


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    command = argparse.ArgumentParser(
        prog="python -m tuner_app.tune",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_data(command)
    options.add_space(command)
    options.add_training(command)
    options.add_project(command, name="folder of this search (default: the name of the data)")
    command.add_argument("--overwrite", action="store_true", help="start over instead of continuing")
    options.add_loudness(command)
    return command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: The options; None takes those of the process.

    Returns:
        The exit code.

    Raises:
        TunerAppError: Something the user can put right.
    """
    arguments = parser().parse_args(argv)
    check(arguments)
    _configure_logging(arguments)
    dataset = _read(arguments)
    # The search would refuse it too, but only after TensorFlow is loaded.
    if arguments.folds > len(dataset.y):
        raise DataError(
            f"There must be at least as many rows as folds. Received: {len(dataset.y)} rows and "
            f"--folds {arguments.folds}. Choose fewer folds."
        )
    tuner = search(dataset, arguments)
    finish(dataset, tuner, directory=arguments.directory, quiet=arguments.quiet)
    return 0


def _read(arguments: argparse.Namespace) -> Any:
    """The data, read beside the import of TensorFlow where that takes long."""
    from tuner_app.data.datasets import begin_csv, load_dataset
    from tuner_app.data.files import BUILT_IN
    from tuner_app.process.loading import begin_import

    # What a first line can tell is refused before anything heavy is begun.
    if arguments.data not in BUILT_IN:
        begin_csv(arguments.data, target=arguments.target)
        begin_import(*_NEED_TENSORFLOW)
    return load_dataset(arguments.data, target=arguments.target)


def check(arguments: argparse.Namespace) -> None:
    """Refuse what cannot work before anything heavy is loaded.

    Raises:
        InputError: An option has a value that cannot work.
    """
    for option, least in (("folds", 2), ("epochs", 1), ("batch_size", 1), ("seed", 0)):
        check_whole(f"--{option.replace('_', '-')}", getattr(arguments, option), least)
    if arguments.n_jobs != -1 and arguments.n_jobs < 1:
        raise InputError(f"--n-jobs must be a whole number from 1, or -1 for all cores. Received: {arguments.n_jobs}.")
    for option in ("nodes", "learning_rates"):
        values = getattr(arguments, option)
        name = f"--{option.replace('_', '-')}"
        if any(not 0 < value < float("inf") for value in values):
            raise InputError(f"{name} must be positive numbers. Received: {' '.join(map(str, values))}.")
        if len(set(values)) < len(values):
            raise InputError(f"{name} must not name a value twice. Received: {' '.join(map(str, values))}.")


def search(dataset: Any, arguments: argparse.Namespace) -> Any:
    """Search the grid on a data set.

    Returns:
        The `GridSearchCV` after its search.
    """
    from tuner_app.process import collector, loading

    loading.import_tensorflow_quietly()
    from sklearn.model_selection import KFold

    from tuner_app.models.dense import dense_hypermodel
    from tuner_app.tuners.grid_search import GridSearchCV

    collector.resume()
    tuner = GridSearchCV(
        dense_hypermodel(dataset, nodes=arguments.nodes, learning_rates=arguments.learning_rates),
        objective="val_accuracy",
        # Shuffled, since files are often sorted by class; a fixed state, so that a resume finds the same folds.
        cv=KFold(arguments.folds, shuffle=True, random_state=arguments.seed),
        # The grid was asked for candidate by candidate: some that fail do not end it.
        max_consecutive_failed_trials=len(arguments.nodes) * len(arguments.learning_rates) + 1,
        n_jobs=arguments.n_jobs,
        score_epoch=arguments.score_epoch,
        seed=arguments.seed,
        directory=arguments.directory,
        project_name=arguments.project_name or project_name(dataset.name),
        overwrite=arguments.overwrite,
        verbose=0 if arguments.quiet else 2 if arguments.verbose else 1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RefitFailedWarning)  # `finish` makes an error of it.
        tuner.search(dataset, epochs=arguments.epochs, batch_size=arguments.batch_size)
    return tuner


def finish(dataset: Any, tuner: Any, *, directory: str, quiet: bool) -> None:
    """Write the report and say what to do next. The test part is looked at only now, after the choice and the refit.

    Args:
        dataset: The data.
        tuner: The tuner after its search.
        directory: The folder of all projects as the user wrote it, for what is printed.
        quiet: Whether nothing is printed.

    Raises:
        ProjectError: The refit failed, so there is no model; the report is written all the same.
    """
    from tuner_app.prediction.mistakes import confused_pictures, keep_pictures
    from tuner_app.prediction.predictor import Predictor
    from tuner_app.storage.manifest import change_manifest, load_manifest
    from tuner_app.storage.project import Project
    from tuner_app.views.report import write_report

    folder = pathlib.Path(directory)
    # As the user wrote the folder; the tuner's own project has the absolute path.
    project = Project(folder, tuner.project.name)
    if tuner.refit_failure is not None:
        write_report(tuner.project)
        if not quiet:
            print(f"Report: {project.report_file}")
        raise ProjectError(tuner.refit_failure)
    predictor = Predictor(tuner.best_model_, load_manifest(tuner.project))
    # Once for a model: a resumed search that is already finished has it in its manifest.
    if dataset.x_test is not None and predictor.manifest.test_score is None:
        right = predictor.predict(dataset.x_test) == dataset.classes[dataset.y_test]
        change_manifest(tuner.project, predictor.model, {"test_score": float(right.mean())})
    keep_pictures(tuner.project, confused_pictures(dataset, predictor))
    write_report(tuner.project)
    if quiet:
        return
    print(f"Model: {project.model_file}\nReport: {project.report_file}")
    option = "" if folder == pathlib.Path(options.DIRECTORY) else f" --directory {folder}"
    if dataset.x_test is not None:
        print(f"Next: python -m tuner_app.predict{option}, tensorboard --logdir {folder}")
    else:
        print(f"Next: python -m tuner_app.predict{option} --data FILE.csv, tensorboard --logdir {folder}")


def project_name(name: str) -> str:
    """A data set's name as the name of a folder.

    >>> project_name("data/My train.csv")
    'data_My_train.csv'
    """
    return re.sub(r"[^A-Za-z0-9_.\-]+", "_", name).strip("._-") or "data"


def _configure_logging(arguments: argparse.Namespace) -> None:
    import logging

    # TensorFlow's and Keras's own loggers stay at warnings, whatever is asked of ours.
    level = logging.INFO if arguments.verbose else logging.WARNING
    handler = console.StandardError()
    handler.setFormatter(console.InOptions())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("tuner_app").setLevel(level)
