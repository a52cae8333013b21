"""Files that are there whole or not at all, and how one that cannot be used is put aside.

Owns the temporary names, the order of writing, syncing and renaming, and the checksum over JSON content. Which files a
project has is said in `project`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import pathlib
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from tuner_app.errors import ProjectError, Remedy

logger = logging.getLogger(__name__)

Content = TypeVar("Content")

# O_BINARY is Windows's: without it a line's end would become two bytes, and the checksum of a model another.
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
# The checksums of all records on disk are over this spelling: another separator, and every old project is damaged.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_CHECKSUM = "checksum"
# The names of files that were to become another by a last rename: of `write_whole` and of `model_file`.
_LEFTOVER = re.compile(r"\..+\.new|\..+\.\d+\.(keras|weights\.h5)")


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
    # In the file's own folder, since a rename is whole only within one file system; named by process and thread, since
    # threads that fit write at the same time. Strings, not `pathlib`, which costs more than a small file itself.
    temporary = os.path.join(folder, f".{name}.{os.getpid()}-{threading.get_ident()}.new")
    with becoming(path, temporary):
        descriptor = _open(temporary, folder)
        try:
            _write_all(descriptor, data)
            if durable:
                # Before the rename: after a power cut the new name could otherwise stand for an empty file.
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def becoming(path: pathlib.Path, temporary: str | pathlib.Path) -> Iterator[None]:
    """Let a temporary file, written in the body, become a file; where anything fails, nothing of it stays.

    Args:
        path: The file.
        temporary: A name in the same folder that `is_leftover` knows, for who is killed half-way.

    Raises:
        ProjectError: The disk is full or the folder cannot be written.
    """
    try:
        try:
            yield
            os.replace(temporary, path)
        except BaseException:  # Ctrl-C, too
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise ProjectError(cannot_write(path, error)) from error


def _open(temporary: str, folder: str) -> int:
    try:
        return os.open(temporary, _NEW_FILE, 0o666)
    except FileNotFoundError:  # asked for only now: of many records in a folder only the first finds none
        _make_folder(folder)
        return os.open(temporary, _NEW_FILE, 0o666)


def _make_folder(folder: str) -> None:
    try:
        os.mkdir(folder)
    except OSError:  # its parent is not there, or another thread was faster
        os.makedirs(folder, exist_ok=True)


def _write_all(descriptor: int, data: bytes) -> None:
    """Write without a file object, which costs more than a small file itself."""
    while data:  # the system may take less than it is given
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
    names = [_renamed(path).name for path in paths]
    if len(paths) == 1:
        line = "%s is not used: %s. It is kept as %s; what is missing now is done again."
    else:
        line = "%s are not used, each because %s. They are kept as %s and so on; what is missing now is done again."
    logger.warning(line, first_of(paths), reason, names[0])


def first_of(paths: Sequence[pathlib.Path]) -> str:
    """Files in one line, however many they are."""
    return f"{paths[0]} and {len(paths) - 1} more" if len(paths) > 1 else str(paths[0])


def _renamed(path: pathlib.Path) -> pathlib.Path:
    """A file's new name, which no file that was set aside before has: that one may be all that is left of a fold."""
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
        content = parsed(path.read_text(encoding="utf-8"), object)
    except FileNotFoundError:
        raise ProjectError(f"{path} is not there. {Remedy.SEARCH_FIRST}.") from None
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise ProjectError(f"{path} cannot be read as JSON ({error}). {Remedy.SEARCH_ANEW}.") from error
    if not isinstance(content, dict):
        raise ProjectError(f"{path} must hold a JSON object, not a {type(content).__name__}. {Remedy.SEARCH_ANEW}.")
    # Projects of the first version have no checksum here, and must open.
    checksum = content.pop(_CHECKSUM, None)
    if checksum is not None and checksum != digest(content):
        raise ProjectError(
            f"{path} was changed after it was written: its content does not fit its checksum. Put the file back, or "
            "run the same search again: it writes the file anew and keeps what is finished."
        )
    return content


def parsed(text: str, kind: type[Content]) -> Content:
    """JSON text as objects of a type.

    Args:
        text: The text.
        kind: What it must hold: a class of msgspec, or `object` for anything.

    Raises:
        msgspec.ValidationError: It holds something else.
        ValueError, RecursionError: It is no JSON.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        # msgspec refuses half of a surrogate pair, which a traceback or a column's name may hold and Python's json
        # writes and reads. It also words the error where the text is no JSON at all.
        return msgspec.convert(json.loads(text), kind)


def wrong_field(error: msgspec.ValidationError) -> str | None:
    """The field of the outermost object that msgspec complains of; None where one is missing or unknown.

    msgspec 0.21 tells the place at the end of its message alone, as in "Expected `int`, got `str` - at `$.fold`".
    """
    place = re.search(r"at `\$\.(\w+)[^`]*`$", str(error))
    return None if place is None else place[1]


def digest(content: Any) -> str:
    """A short fingerprint of JSON content: 32 hexadecimal digits of SHA-256."""
    # By Python's writer and not by msgspec's, which spells 1e-05 as 1e-5 and leaves letters beyond ASCII as they are.
    return hashlib.sha256(_CANONICAL.encode(content).encode()).hexdigest()[:32]


def cannot_write(path: pathlib.Path, error: OSError) -> str:
    """The one line for a full disk or a read-only folder."""
    reason = error.strerror or str(error)
    return (
        f"Cannot write {path}: {reason}. What was finished before is safe; free some space or make the folder "
        f"writable, then {Remedy.SEARCH_AGAIN.lower()} (without {Remedy.OVERWRITE}) to continue."
    )


def is_leftover(path: pathlib.Path) -> bool:
    """Whether a file is one that a killed process did not come to rename."""
    return _LEFTOVER.fullmatch(path.name) is not None and path.is_file()
