"""A table's file, opened: unpacked where it is packed, with one line of words for whatever goes wrong on the way.

Owns the suffixes of packed files and the messages about files that cannot be read. What stands in them is `tables`'
business.
"""

from __future__ import annotations

import bz2
import contextlib
import csv
import gzip
import io
import lzma
import pathlib
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import IO, Any

from tuner_app.errors import DataError

BUILT_IN = ("digits", "mnist", "fashion_mnist")

_OPENERS: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
PACKED = frozenset({*_OPENERS, ".zip"})
# What the unpacking modules raise for damaged files, beside the operating system's own errors.
_UNREADABLE = (
    OSError,
    EOFError,
    RuntimeError,  # zipfile: the member is encrypted
    NotImplementedError,  # zipfile: packed in a way that Python does not know
    zlib.error,
    zipfile.BadZipFile,
    lzma.LZMAError,
)


@contextlib.contextmanager
def opened_text(path: str) -> Iterator[IO[str]]:
    """A CSV file as text in which line ends are as they came, which the standard library's reader asks for.

    Raises:
        DataError: The file is not there, or cannot be read to its end, within the block as well.
    """
    # -sig: Excel begins its files with a byte order mark, which would become part of the first column's name.
    with opened_bytes(path) as binary, io.TextIOWrapper(binary, encoding="utf-8-sig", newline="") as file:
        yield file


@contextlib.contextmanager
def opened_bytes(path: str) -> Iterator[IO[bytes]]:
    """A CSV file as bytes, unpacked.

    Raises:
        DataError: The file is not there, or cannot be read to its end, within the block as well.
    """
    try:
        with _unpacked(path) as file:
            yield file
    # The first two come out of the block: text is decoded and split while it is read.
    except UnicodeDecodeError as error:
        raise DataError(
            f"The data must be a CSV file in UTF-8, but {path} is not: {error.reason}. Convert it."
        ) from None
    except csv.Error as error:
        raise DataError(
            f"The data must be a CSV file, but {path} breaks off: {error}. Look for a lone quote."
        ) from None
    except _UNREADABLE as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"The data must be a CSV file, but {path} cannot be read: {reason}. Check the file.") from None


@contextlib.contextmanager
def _unpacked(path: str) -> Iterator[IO[bytes]]:
    # An empty path would be the working directory.
    file = pathlib.Path(path)
    if not path or not file.exists():
        raise DataError(
            f"The data must be one of {', '.join(BUILT_IN)} or the path of a CSV file, but {path!r} is neither."
        )
    if file.is_dir():
        raise DataError(f"The data must be a CSV file, but {path} is a folder. Name a file in it.")
    if file.suffix == ".zip":
        with zipfile.ZipFile(file) as archive, archive.open(_only_member(path, archive)) as member:
            yield member
        return
    with _OPENERS.get(file.suffix, open)(file, "rb") as binary:
        yield binary


def _only_member(path: str, archive: zipfile.ZipFile) -> str:
    members = [name for name in archive.namelist() if not name.endswith("/")]
    if len(members) != 1:
        raise DataError(
            f"A .zip file must hold one CSV file, but {path} holds {abbreviated(members) or 'none'}. Unpack it."
        )
    return members[0]


def abbreviated(names: Sequence[str], limit: int = 8) -> str:
    """Some names, quoted, for a message; how many there are where not all are shown."""
    shown = [short(name) for name in names[:limit]]
    return ", ".join(shown) + (f", ... ({len(names)} in all)" if len(names) > limit else "")


def short(text: str) -> str:
    """A cell or a name, quoted, for a message: its first 37 characters where it is longer than 40."""
    return repr(text) if len(text) <= 40 else f"{text[:37]!r}..."
