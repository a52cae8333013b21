"""A project's folder: where each file lies, how it is written, who may write.

Owns the file layout (the only place that spells a file name), whole-file writes, the lock,
and the comparison of what was asked then and now. What the files mean is the business of
`journal` (folds), `results` (the table) and `predictor` (the model).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import pathlib
import re
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import filelock

from tuner_app.errors import InputError, ProjectError

logger = logging.getLogger(__name__)

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_CHECKSUM = "checksum"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\- ]{0,99}")
# The files that become another by a last rename: of `write_whole`, `oracle` and `model_file`.
_LEFTOVER = re.compile(r"\..+\.new|\..+\.\d+\.(keras|weights\.h5)")


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
                f"or '_', and have at most 100 characters. Received: {name!r}. Choose another project_name."
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
            raise ProjectError(f"A project must be a folder, but {self.path} is a file. Choose another project_name.")
        ours = self.search_file.exists() or self.oracle_file.exists() or (self.path / "tuner0.json").exists()
        if not ours and any(not _is_leftover(path) for path in self.path.iterdir()):
            raise ProjectError(
                f"{self.path} was not made by a search (it has no search.json), so it is not deleted. "
                "Choose another project_name or empty the folder yourself."
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
                "Choose another directory or project_name."
            ) from error

    def remove(self) -> None:
        """Delete the folder. Killed half-way, it leaves nothing under the project's name.

        Raises:
            ProjectError: It cannot be deleted.
        """
        doomed = self.path.with_name(f".{self.name}.removed")
        try:
            if doomed.exists():
                shutil.rmtree(doomed)
            if self.path.exists():
                self.path.rename(doomed)
                shutil.rmtree(doomed)
        except OSError as error:
            raise ProjectError(
                f"Cannot remove {self.path}: {error.strerror or error}. Make it writable, or choose another "
                "project_name."
            ) from error

    def remove_leftovers(self) -> None:
        """Delete the temporary files that a killed process has left. Only for who holds the lock."""
        for path in [*self.path.glob(".*"), *self.path.glob("trial_*/.*")]:
            if _is_leftover(path):
                with contextlib.suppress(OSError):
                    path.unlink()

    def is_in_use(self) -> bool:
        """Whether a search is at work here now, in this process or another."""
        if not self.lock_file.exists():
            return False
        lock = filelock.FileLock(self.lock_file)
        try:
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
        lock = filelock.FileLock(self.lock_file)
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            lock.acquire(blocking=False)
        except filelock.Timeout:
            raise ProjectError(
                f"Another search is running on the project {self.path}. Wait for it to end, or choose another "
                "project_name."
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
    found = []
    for path in folder.iterdir():
        if path.is_dir() and _NAME.fullmatch(path.name) and not path.name.endswith((".", " ")):
            project = Project(folder, path.name)
            if project.exists() or project.manifest_file.exists():
                found.append(project)

    def age(project: Project) -> tuple[float, float]:
        return (_modified(project.manifest_file), _modified(project.search_file))

    return sorted(found, key=age, reverse=True)


def write_whole(path: pathlib.Path, content: str | bytes, *, durable: bool = True) -> None:
    """Write a file so that a reader, now or after a crash, finds the old content or the new, never a part.

    Args:
        path: The file. Its folder is made when absent.
        content: Text (UTF-8) or bytes.
        durable: Whether to wait until the disk has it. Without, it outlives this process, but a power cut may leave
            the file empty or lose it.

    Raises:
        ProjectError: The disk is full or the folder cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}-{threading.get_ident()}.new")
    try:
        try:
            descriptor = os.open(temporary, _NEW_FILE, 0o666)
        except FileNotFoundError:
            _make_folder(folder)
            descriptor = os.open(temporary, _NEW_FILE, 0o666)
        try:
            try:
                _write_all(descriptor, data)
                if durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise ProjectError(cannot_write(path, error)) from error


def _make_folder(folder: str) -> None:
    try:
        os.mkdir(folder)
    except OSError:  # its parent is not there, or another thread was faster
        os.makedirs(folder, exist_ok=True)


def _write_all(descriptor: int, data: bytes) -> None:
    """Without a file object, which costs more than a small file itself."""
    while data:
        data = data[os.write(descriptor, data) :]


def write_json(path: pathlib.Path, content: Any) -> None:
    """Write JSON whole, readable by eye."""
    write_whole(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """JSON content with a checksum over it, for files on which other files are read; `read_json` checks it."""
    return {**content, _CHECKSUM: digest(content)}


def set_aside(path: pathlib.Path, reason: str) -> None:
    """Rename a file that cannot be used, so that it is neither read again nor lost."""
    set_all_aside([path], reason)


def set_all_aside(paths: Sequence[pathlib.Path], reason: str) -> None:
    """Rename files that cannot be used for one reason, such as those of another search, and say so in one line."""
    kept = [_renamed(path).name for path in paths]
    if len(paths) == 1:
        line = "%s is not used: %s. It is kept as %s; what is missing now is done again."
    else:
        line = "%s are not used, each because %s. They are kept as %s and so on; what is missing now is done again."
    logger.warning(line, first_of(paths), reason, kept[0])


def first_of(paths: Sequence[pathlib.Path]) -> str:
    """Files in one line, however many they are."""
    return f"{paths[0]} and {len(paths) - 1} more" if len(paths) > 1 else str(paths[0])


def _renamed(path: pathlib.Path) -> pathlib.Path:
    aside = path.with_name(f"{path.name}.damaged")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged{number}")
    try:
        path.rename(aside)
    except OSError as error:
        raise ProjectError(cannot_write(aside, error)) from error
    return aside


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Read a JSON object, without its checksum where it was sealed. One without (of an earlier version) is taken as is.

    Raises:
        ProjectError: The file is not there, damaged, changed, or holds something else than an object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ProjectError(f"{path} is not there. Call search() first.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ProjectError(f"{path} cannot be read as JSON ({error}). Search anew with overwrite=True.") from error
    if not isinstance(content, dict):
        raise ProjectError(
            f"{path} must hold a JSON object, not a {type(content).__name__}. Search anew with overwrite=True."
        )
    checksum = content.pop(_CHECKSUM, None)
    if checksum is not None and checksum != digest(content):
        raise ProjectError(
            f"{path} was changed after it was written: its content does not fit its checksum. Put the file back, or "
            "run the same search again: it writes the file anew and keeps what is finished."
        )
    return content


def digest(content: Any) -> str:
    """A short fingerprint of JSON content: 32 hexadecimal digits of SHA-256."""
    return hashlib.sha256(_CANONICAL.encode(content).encode()).hexdigest()[:32]


def describe_differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """One phrase for each thing that was asked differently.

    Args:
        then: What `search.json` holds.
        now: What is asked now.

    Returns:
        Phrases such as `epochs: 15 then, 3 now`; an empty list when nothing differs.
    """
    phrases: list[str] = []
    for key in sorted({*then, *now}):
        before, after = then.get(key), now.get(key)
        if before == after:
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            phrases += [f"{key} {phrase}" for phrase in describe_differences(before, after)]
        else:
            phrases.append(f"{key}: {_short(before)} then, {_short(after)} now")
    return phrases


def cannot_write(path: pathlib.Path, error: OSError) -> str:
    """The one line for a full disk or a read-only folder."""
    reason = error.strerror or str(error)
    return (
        f"Cannot write {path}: {reason}. What was finished before is safe; free some space or make the folder "
        "writable, then call search() again (without overwrite=True) to continue."
    )


def _is_leftover(path: pathlib.Path) -> bool:
    return _LEFTOVER.fullmatch(path.name) is not None and path.is_file()


def _trial_name(trial_id: str) -> str:
    return f"trial_{trial_id}"


def _fold_stem(fold: int, execution: int) -> str:
    return f"fold_{fold}" if execution == 0 else f"fold_{fold}_execution_{execution}"


def _modified(path: pathlib.Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
