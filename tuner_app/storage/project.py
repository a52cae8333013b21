"""A project's folder: where each file lies, and who may write.

Owns the file layout (the only place that spells a file name), the lock, and when a folder may be deleted. How a file is
written whole is said in `files`; what the files mean is the business of `description` (the search), `journal` (the
folds), `model_file` and `manifest` (the model).
"""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import re
import shutil
from collections.abc import Iterator

import filelock

from tuner_app.errors import InputError, ProjectError, Remedy
from tuner_app.storage.files import cannot_write, is_leftover

logger = logging.getLogger(__name__)

# Without "/" and ".." a name cannot lead out of the directory, nor be hidden or taken for an option.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\- ]{0,99}")


class Project:
    """The folder `<directory>/<name>` of one search.

    Args:
        directory: The folder that holds all projects, such as `logs`.
        name: The project's name: letters, digits, `_ . -` and spaces, at most 100 of them.

    Raises:
        InputError: `name` could lead out of `directory`.
    """

    def __init__(self, directory: str | os.PathLike[str], name: str) -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name.endswith((".", " ")):
            raise InputError(
                "A project name must be letters, digits, '_', '.', '-' or spaces, start with a letter, digit "
                f"or '_', and have at most 100 characters. Received: {name!r}. Choose {Remedy.ANOTHER_PROJECT}."
            )
        self.directory = pathlib.Path(directory)
        self.name = name
        self.path = self.directory / name

    def __repr__(self) -> str:
        return f"Project({str(self.path)!r})"

    @property
    def search_file(self) -> pathlib.Path:
        """What was asked: data, space, folds, options, seed, versions."""
        return self.path / "search.json"

    @property
    def oracle_file(self) -> pathlib.Path:
        """Keras Tuner's own state of the oracle."""
        return self.path / "oracle.json"

    @property
    def folds_file(self) -> pathlib.Path:
        """The folds, where the splitter draws others each time."""
        return self.path / "folds.npz"

    @property
    def results_file(self) -> pathlib.Path:
        """`cv_results_` as a CSV table."""
        return self.path / "results.csv"

    @property
    def model_file(self) -> pathlib.Path:
        """The refit model."""
        return self.path / "best_model.keras"

    @property
    def weights_file(self) -> pathlib.Path:
        """The refit model's weights, where Keras cannot save the whole model."""
        return self.path / "best_model.weights.h5"

    @property
    def manifest_file(self) -> pathlib.Path:
        """What the refit model is and what it expects."""
        return self.path / "best_model.json"

    @property
    def pictures_file(self) -> pathlib.Path:
        """The test pictures that the refit model got wrong."""
        return self.path / "confused.json"

    @property
    def report_file(self) -> pathlib.Path:
        """The report, one HTML file."""
        return self.path / "report.html"

    @property
    def lock_file(self) -> pathlib.Path:
        """Beside the folder, not in it: overwriting a project must not remove the lock."""
        return self.directory / f".{self.name}.lock"

    def trial_folder(self, trial_id: str) -> pathlib.Path:
        """Everything of one candidate."""
        return self.path / _trial_name(trial_id)

    def fold_file(self, trial_id: str, fold: int, execution: int = 0) -> pathlib.Path:
        """The journal's record of one finished fold."""
        return self.path.joinpath(_trial_name(trial_id), f"{_fold_stem(fold, execution)}.json")

    def fold_model_file(self, trial_id: str, fold: int, execution: int = 0) -> pathlib.Path:
        """The model of one fold, where models are kept."""
        return self.path.joinpath(_trial_name(trial_id), f"{_fold_stem(fold, execution)}.keras")

    def fold_folder(self, trial_id: str, fold: int, execution: int = 0) -> pathlib.Path:
        """TensorBoard's run of one fold: `train/` and `validation/` lie in it."""
        return self.trial_folder(trial_id) / _fold_stem(fold, execution)

    def exists(self) -> bool:
        """Whether a search was begun here."""
        return self.search_file.exists()

    def check_may_overwrite(self) -> None:
        """Refuse to delete a folder that no search has made.

        Raises:
            ProjectError: The folder holds files but neither `search.json` nor `oracle.json`.
        """
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise ProjectError(
                f"A project must be a folder, but {self.path} is a file. Choose {Remedy.ANOTHER_PROJECT}."
            )
        ours = self.search_file.exists() or self.oracle_file.exists() or (self.path / "tuner0.json").exists()
        if not ours and any(not is_leftover(path) for path in self.path.iterdir()):
            raise ProjectError(
                f"{self.path} was not made by a search (it has no search.json), so it is not deleted. "
                f"Choose {Remedy.ANOTHER_PROJECT} or empty the folder yourself."
            )

    def make_folder(self) -> None:
        """Make the folder where it is absent.

        Raises:
            ProjectError: It cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ProjectError(
                f"The project's folder {self.path} cannot be made: {error.strerror or error}. "
                f"Choose {Remedy.ANOTHER_FOLDER}."
            ) from error

    def remove(self) -> None:
        """Delete the folder. Killed half-way, it leaves nothing under the project's name.

        Raises:
            ProjectError: It cannot be deleted.
        """
        # Renamed first: a folder deleted half-way under its own name would be taken for a damaged search.
        doomed = self.path.with_name(f".{self.name}.removed")
        try:
            if doomed.exists():
                shutil.rmtree(doomed)
            if self.path.exists():
                self.path.rename(doomed)
                shutil.rmtree(doomed)
        except OSError as error:
            raise ProjectError(
                f"Cannot remove {self.path}: {error.strerror or error}. Make it writable, or choose "
                f"{Remedy.ANOTHER_PROJECT}."
            ) from error

    def remove_leftovers(self) -> None:
        """Delete the temporary files that a killed process has left. Only for who holds the lock."""
        for path in [*self.path.glob(".*"), *self.path.glob("trial_*/.*")]:
            if is_leftover(path):
                with contextlib.suppress(OSError):
                    path.unlink()

    def is_in_use(self) -> bool:
        """Whether a search is at work here now, in this process or another."""
        if not self.lock_file.exists():
            return False
        lock = filelock.FileLock(self.lock_file)
        try:
            # To try is the only way to ask; a search that begins at this very moment would be refused.
            with lock.acquire(blocking=False):
                return False
        except filelock.Timeout:
            return True
        except OSError:  # who may not write here cannot ask
            return False

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the project's lock; the operating system frees it when its owner ends, however that happens.

        Raises:
            ProjectError: Another search holds the lock, or the directory cannot be written.
        """
        # The system's own lock, not the file's existence: a killed process leaves the file, but never the lock.
        lock = filelock.FileLock(self.lock_file)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            lock.acquire(blocking=False)
        except filelock.Timeout:
            raise ProjectError(
                f"Another search is running on the project {self.path}. Wait for it to end, or choose "
                f"{Remedy.ANOTHER_PROJECT}."
            ) from None
        except OSError as error:
            raise ProjectError(cannot_write(self.directory, error)) from error
        try:
            yield
        finally:
            lock.release()


def projects(directory: str | os.PathLike[str]) -> list[Project]:
    """All projects in a directory, the one with the newest model first, then the newest search.

    Args:
        directory: The folder that holds all projects.
    """
    folder = pathlib.Path(directory)
    if not folder.is_dir():
        return []
    begun = []
    for path in folder.iterdir():
        if path.is_dir() and _NAME.fullmatch(path.name) and not path.name.endswith((".", " ")):
            project = Project(folder, path.name)
            if project.exists() or project.manifest_file.exists():
                begun.append(project)

    def age(project: Project) -> tuple[float, float]:
        return (_modified(project.manifest_file), _modified(project.search_file))

    return sorted(begun, key=age, reverse=True)


def _trial_name(trial_id: str) -> str:
    return f"trial_{trial_id}"


def _fold_stem(fold: int, execution: int) -> str:
    # The first execution has no number: projects of one execution have had these names since the first version.
    return f"fold_{fold}" if execution == 0 else f"fold_{fold}_execution_{execution}"


def _modified(path: pathlib.Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
