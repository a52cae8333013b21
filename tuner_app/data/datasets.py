"""Data sets: built-in ones and CSV files, as arrays of the smallest type that holds their values.

Owns what a table must look like and every message about one that does not. Scaling belongs to the model
(`hypermodels`), so that it is learned from training rows only; folds belong to `folds`. No TensorFlow
unless a built-in data set of Keras is asked for.

How a CSV file is understood:

- The first line names the columns; UTF-8, commas, `"` for quoting; `.gz`, `.bz2`, `.xz` and `.zip` are unpacked.
- Features are finite numbers, or True and False (1 and 0). All become one array: uint8 where every value is a whole
  number of 0..255, else float32, in which Keras computes; float64 where a column of whole numbers needs it, which is
  beyond 2**24. Whole numbers that even float64 would change (beyond 2**53) are refused.
- Labels are integers where each is written as Python writes an integer (`7`, `-1`); if a single one is not (`01`,
  `1.0`, `cat`), all stay text as written. `NA` and `None` are labels like any other; an empty cell is a missing label.
"""

from __future__ import annotations

import bz2
import contextlib
import csv
import dataclasses
import gzip
import io
import itertools
import lzma
import math
import os
import pathlib
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from tuner_app.errors import DataError, Remedy

BUILT_IN = ("digits", "mnist", "fashion_mnist")

Array = npt.NDArray[Any]

_CELLS_AT_ONCE = 2**19
_FLOAT32_WHOLE = 2**24
_FLOAT64_WHOLE = 2**53
_FLOAT32_MAX = float(np.finfo(np.float32).max)
_TRUTH = {"True": 1.0, "TRUE": 1.0, "true": 1.0, "False": 0.0, "FALSE": 0.0, "false": 0.0}
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_INTEGER = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
_LABEL_INTEGER = re.compile(r"0|-?[1-9]\d{0,17}", re.ASCII)
_UNREADABLE = (
    OSError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    zlib.error,
    zipfile.BadZipFile,
    lzma.LZMAError,
)
_OPENERS: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Rows to learn from and, where there is one, a test part that a search never sees.

    Attributes:
        name: The default name of a project on these data.
        source: What was asked for: a built-in name or a path.
        x: Features, of shape (n_samples, n_features).
        y: Codes 0..k-1 into `classes`, int64, of shape (n_samples,).
        classes: The labels as they are in the data, sorted, of shape (k,): integers or text.
        x_test: Test features, or None.
        y_test: Test codes, or None.
        feature_names: The columns of `x`.
        image_shape: Rows and columns of a picture where a row of `x` is one; else None.
        input_scale: What to divide `x` by to get 0..1; None where the features are no pictures.
        target: The column that holds the labels in a CSV file.
    """

    name: str
    source: str
    x: Array
    y: npt.NDArray[np.int64]
    classes: Array
    x_test: Array | None = None
    y_test: npt.NDArray[np.int64] | None = None
    feature_names: tuple[str, ...] = ()
    image_shape: tuple[int, int] | None = None
    input_scale: float | None = None
    target: str | None = None


def load_dataset(source: str | os.PathLike[str], *, target: str = "label") -> Dataset:
    """A built-in data set by name, or a CSV file by path.

    `digits` is scikit-learn's 1,797 pictures of 8 x 8, of which a fixed, stratified fifth is the test part.
    `mnist` and `fashion_mnist` are Keras's, downloaded once, with their own test parts. A CSV file has no test part.

    Args:
        source: `digits`, `mnist`, `fashion_mnist` or a path.
        target: The column of the labels; all other columns are features.

    Returns:
        The data set.

    Raises:
        DataError: The source is not there or cannot be learned from.

    Example:
        >>> digits = load_dataset("digits")
        >>> digits.x.shape, digits.x_test.shape, digits.x.dtype.name
        ((1437, 64), (360, 64), 'uint8')
    """
    source = os.fspath(source)
    if source == "digits":
        return _digits()
    if source in BUILT_IN:
        return _keras_pictures(source)
    return _load_csv(source, target)


def read_features(
    path: str | os.PathLike[str], feature_names: Sequence[str] = (), *, ignore: Collection[str] = ()
) -> tuple[Array, dict[str, list[str]]]:
    """A CSV file to predict for: the features in the order of the training, whatever their order in the file.

    Args:
        path: The file.
        feature_names: The columns that the model expects; none given takes all columns as they come.
        ignore: Columns that are no features where the file has them, such as ids and labels. A column that is
            one of `feature_names` stays a feature.

    Returns:
        Features of shape (n_samples, n_features), and the text of the columns in `ignore` that the file has.

    Raises:
        DataError: The file cannot be read, lacks columns, has others, or holds something else than numbers.
    """
    path = os.fspath(path)
    names = _read_names(path)
    expected = list(feature_names) or [name for name in names if name not in ignore]
    text = {name for name in names if name in ignore and name not in expected}
    _check_features(path, names, expected, text)
    table = _read_table(path, names, text)
    if table.names != expected:
        place = {name: i for i, name in enumerate(table.names)}
        return table.numbers[:, [place[name] for name in expected]], table.text
    return table.numbers, table.text


def label_array(labels: Sequence[Any]) -> Array:
    """Labels as an array: text in NumPy's own type, except where that would lose NUL bytes at a label's end."""
    if any(isinstance(label, str) and label.endswith("\0") for label in labels):
        return np.array(labels, dtype=object)
    return np.array(labels)


def _digits() -> Dataset:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    pixels, labels = digits.data.astype(np.uint8), digits.target.astype(np.int64)
    x, x_test, y, y_test = train_test_split(pixels, labels, test_size=0.2, random_state=0, stratify=labels)
    return Dataset(
        name="digits",
        source="digits",
        x=x,
        y=y,
        classes=digits.target_names.astype(np.int64),
        x_test=x_test,
        y_test=y_test,
        feature_names=tuple(digits.feature_names),
        image_shape=(8, 8),
        input_scale=16.0,
        target="label",
    )


def _keras_pictures(name: str) -> Dataset:
    from tuner_app.process.loading import import_tensorflow_quietly

    import_tensorflow_quietly()
    import keras

    try:
        (x, y), (x_test, y_test) = getattr(keras.datasets, name).load_data()
    except Exception as error:  # get_file raises a bare Exception
        raise DataError(_not_downloaded(name, error)) from None
    n_pixels = x.shape[1] * x.shape[2]
    return Dataset(
        name=name,
        source=name,
        x=x.reshape(len(x), n_pixels),
        y=y.astype(np.int64),
        classes=np.arange(10),
        x_test=x_test.reshape(len(x_test), n_pixels),
        y_test=y_test.astype(np.int64),
        feature_names=tuple(f"pixel{i}" for i in range(n_pixels)),
        image_shape=(x.shape[1], x.shape[2]),
        input_scale=255.0,
        target="label",
    )


def _not_downloaded(name: str, error: Exception) -> str:
    home = pathlib.Path(os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras") / "datasets"
    place = home / "mnist.npz" if name == "mnist" else f"{home / 'fashion-mnist'} (its four .gz files)"
    reason = " ".join(str(error).split())[:200]
    return f"The data set {name!r} must be downloaded once, but that failed ({reason}). Connect, or put it at {place}."


def _load_csv(source: str, target: str) -> Dataset:
    names = _read_names(source)
    _check_target(source, names, target)
    table = _read_table(source, names, {target})
    y, classes = _encode_labels(source, table.text[target], target)
    pictures = table.numbers.dtype == np.uint8 and all(re.fullmatch(r"pixel\d+", name) for name in table.names)
    return Dataset(
        name=_project_name(source),
        source=source,
        x=table.numbers,
        y=y,
        classes=classes,
        feature_names=tuple(table.names),
        image_shape=_square(len(table.names)) if pictures else None,
        input_scale=255.0 if pictures else None,
        target=target,
    )


def _project_name(source: str) -> str:
    """The file's stem with everything replaced that a project's name must not have."""
    path = pathlib.PurePath(source)
    stem = pathlib.PurePath(path.stem).stem if path.suffix in {*_OPENERS, ".zip"} else path.stem
    return re.sub(r"[^A-Za-z0-9_.\- ]", "_", stem).lstrip(" .-")[:100].rstrip(" .") or "data"


def _square(n_pixels: int) -> tuple[int, int] | None:
    side = math.isqrt(n_pixels)
    return (side, side) if side * side == n_pixels else None


def _encode_labels(path: str, labels: Sequence[str], target: str) -> tuple[npt.NDArray[np.int64], Array]:
    """Codes and the sorted classes that they point to."""
    found = set(labels)
    if any(not label.strip() for label in found):
        row = next(i for i, label in enumerate(labels) if not label.strip())
        raise DataError(
            f"Every row must have a label, but column {target!r} is empty in line {_line_of(path, row)} of {path}. "
            "Fill it or drop the row."
        )
    if len(found) < 2:
        raise DataError(
            f"There must be two classes or more, but column {target!r} of {path} holds only {_short(labels[0])}. "
            f"Name the column of the labels with {Remedy.TARGET}."
        )
    _check_no_measurements(path, found, target)
    if all(_LABEL_INTEGER.fullmatch(label) for label in found):
        ordered = sorted(found, key=int)
        classes: Array = np.array([int(label) for label in ordered], dtype=np.int64)
    else:
        ordered = sorted(found)
        classes = label_array(ordered)
    code = {label: i for i, label in enumerate(ordered)}
    return np.fromiter((code[label] for label in labels), dtype=np.int64, count=len(labels)), classes


def _check_no_measurements(path: str, labels: Collection[str], target: str) -> None:
    if not all(_NUMBER.fullmatch(label) for label in labels):
        return
    decimals = sorted(label for label in labels if not _INTEGER.fullmatch(label) and float(label) % 1 != 0)
    if decimals:
        raise DataError(
            f"Labels must be classes (integers or text), but column {target!r} of {path} holds measurements such as "
            f"{decimals[0]}. Only classification is supported: name the column of the classes with {Remedy.TARGET}."
        )


def _check_target(path: str, names: list[str], target: str) -> None:
    if target not in names:
        raise DataError(
            f"There must be a column {target!r} with the labels, but {path} has the columns {_abbreviated(names)}. "
            f"Name it with {Remedy.TARGET}.{_headless(names)}"
        )
    _check_unique(path, names)
    if len(names) == 1:
        raise DataError(f"There must be columns of features, but {path} has only the target column {target!r}.")


def _check_features(path: str, names: list[str], expected: list[str], text: Collection[str]) -> None:
    missing = [name for name in expected if name not in set(names)]
    known = {*expected, *text}
    extra = [name for name in names if name not in known]
    if missing or extra:
        lacks = f"lacks {len(missing)} ({_abbreviated(missing)})" if missing else ""
        has = f"has {len(extra)} more ({_abbreviated(extra)})" if extra else ""
        raise DataError(
            f"The data must have the {len(expected)} columns that the model was trained on, but {path} "
            f"{' and '.join(part for part in (lacks, has) if part)}. Rename, add or remove columns.{_headless(names)}"
        )
    _check_unique(path, names)
    if not expected:
        raise DataError(f"There must be columns of features, but {path} has none beside {_abbreviated(names)}.")


def _check_unique(path: str, names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"Column names must differ, but {path} has {_abbreviated(twice)} more than once. Rename one.")


def _headless(names: list[str]) -> str:
    numbers = all(_NUMBER.fullmatch(name) for name in names)
    return " Its first line must hold the names of the columns, and holds only numbers." if numbers else ""


@dataclasses.dataclass(frozen=True)
class _Table:
    """What a CSV file holds: numbers of shape (n_rows, len(names)), and the columns that stay text."""

    names: list[str]
    numbers: Array
    text: dict[str, list[str]]


def _read_names(path: str) -> list[str]:
    """The first line that is not blank."""
    with _opened(path) as file:
        _, names = next(_rows(file), (0, []))
    if not names:
        raise DataError(f"A CSV file must begin with a line of column names, but {path} is empty.")
    if any("\0" in name for name in names):
        raise DataError(f"The data must be a CSV file, but {path} is a binary file.")
    if len(names) == 1 and re.search(r"[;\t|]", names[0]):
        raise DataError(f"Columns must be separated by commas, but {path} begins with {_short(names[0])}. Convert it.")
    if not all(name.strip() for name in names):
        number = next(i for i, name in enumerate(names, 1) if not name.strip())
        raise DataError(
            f"Every column must have a name, but column {number} of {path} has none. "
            "Name it, or drop it (pandas writes its index so, unless told index=False)."
        )
    return names


def _read_table(path: str, names: list[str], text: Collection[str]) -> _Table:
    """Read a checked file once, in pieces of a few MB, so that the text is never in memory as a whole."""
    reader = _TableReader(path, names, text)
    with _opened(path) as file:
        next(_rows(file))
        while lines := reader.next_lines(file):
            reader.parse(lines)
    return reader.table()


class _TableReader:
    """Parses pieces of a file with NumPy's reader and remembers what decides the type of the whole."""

    def __init__(self, path: str, names: list[str], text: Collection[str]) -> None:
        self._path = path
        self._names = names
        self._numeric = [i for i, name in enumerate(names) if name not in text]
        self._text: dict[str, list[str]] = {name: [] for name in names if name in text}
        self._record, self._fields = _record_type(names, text)
        self._converters: dict[int | str, Any] = {}
        self._pieces: list[Array] = []
        self._n_rows = 0
        self._whole = np.ones(len(self._numeric), dtype=bool)
        self._low = np.zeros(len(self._numeric))
        self._high = np.zeros(len(self._numeric))

    def next_lines(self, file: IO[str]) -> list[str]:
        """The next lines, never cut within a quoted cell that goes over several lines; empty at the end."""
        lines: list[str] = []
        while not any(line.strip() for line in lines):
            lines = list(itertools.islice(file, max(1, _CELLS_AT_ONCE // len(self._names))))
            if not lines:
                return lines
        quotes = sum(line.count('"') for line in lines)
        while quotes % 2:
            line = next(file, None)
            if line is None:
                break
            lines.append(line)
            quotes += line.count('"')
        return lines if quotes else [line for line in lines if line.strip()]

    def parse(self, lines: list[str]) -> None:
        """Take in the rows of some lines.

        Raises:
            DataError: A row has too many or too few cells, or a feature is no finite number.
        """
        try:
            if not self._n_rows:
                self._converters = self._truth_columns(lines)
            rows = self._parsed(lines)
        except (ValueError, csv.Error) as error:
            raise self._explained(self._numeric, str(error)) from None
        self._pieces.append(self._checked(np.concatenate([rows[field] for field in self._fields], axis=1)))
        self._n_rows += len(rows)
        for name, values in self._text.items():
            values.extend(rows[name].tolist())

    def _parsed(self, lines: list[str]) -> npt.NDArray[np.void]:
        rows: npt.NDArray[np.void] = np.loadtxt(
            lines,
            dtype=self._record,
            delimiter=",",
            quotechar='"',
            comments=None,
            converters=self._converters or None,
            encoding=None,
            ndmin=1,
        )
        # NumPy forgives a quote that is never closed, and what follows vanishes in the cell.
        if any('"' in line for line in lines) and sum(1 for _ in _rows(lines)) != len(rows):
            raise ValueError("quotes do not match")
        return rows

    def table(self) -> _Table:
        """All rows, in the smallest type that holds every number.

        Raises:
            DataError: There are no rows, or whole numbers that no float holds.
        """
        if not self._n_rows:
            raise DataError(f"A CSV file must have rows below its column names, but {self._path} has none.")
        numbers = np.empty((self._n_rows, len(self._numeric)), dtype=self._dtype())
        self._pieces.reverse()
        row = 0
        while self._pieces:  # each piece is given back as soon as it is copied
            piece = self._pieces.pop()
            numbers[row : row + len(piece)] = piece
            row += len(piece)
        return _Table([self._names[i] for i in self._numeric], numbers, self._text)

    def _truth_columns(self, lines: list[str]) -> dict[int | str, Any]:
        """A column whose first cell is True or False is one of truth values, from top to bottom."""
        _, cells = next(_rows(lines), (0, []))
        return {i: _truth for i in self._numeric if i < len(cells) and cells[i].strip() in _TRUTH}

    def _checked(self, numbers: Array) -> Array:
        low, high = numbers.min(axis=0), numbers.max(axis=0)
        with np.errstate(invalid="ignore"):
            bad = ~((low >= -_FLOAT32_MAX) & (high <= _FLOAT32_MAX))
        if bad.any():
            raise self._explained(self._columns(bad), "a number is not finite")
        whole = (np.trunc(numbers) == numbers).all(axis=0)
        self._whole &= whole
        np.minimum(self._low, low, out=self._low)
        np.maximum(self._high, high, out=self._high)
        is_byte = whole.all() and low.min() >= 0 and high.max() <= 255
        return numbers.astype(np.uint8) if is_byte else numbers

    def _dtype(self) -> type[np.generic]:
        size = np.maximum(-self._low, self._high)
        beyond = self._whole & (size >= _FLOAT64_WHOLE)  # 2**53 + 1 has been read as 2**53
        if beyond.any():
            self._check_whole(self._columns(beyond))
        if self._whole.all() and self._low.min() >= 0 and self._high.max() <= 255:
            return np.uint8
        return np.float64 if (self._whole & (size > _FLOAT32_WHOLE)).any() else np.float32

    def _columns(self, marked: npt.NDArray[np.bool_]) -> list[int]:
        return [column for column, is_marked in zip(self._numeric, marked, strict=True) if is_marked]

    def _check_whole(self, columns: Sequence[int]) -> None:
        for line, cells in self._rows_from(0):
            for i in columns:
                if _INTEGER.fullmatch(cells[i]) and int(float(cells[i])) != int(cells[i]):
                    raise DataError(
                        f"Whole numbers must lie within 2**53 to be kept exactly, but column {self._names[i]!r}, "
                        f"line {line} of {self._path} holds {_short(cells[i])}. Drop the column if it is an id."
                    )

    def _explained(self, columns: Sequence[int], reason: str) -> DataError:
        """What is wrong in the piece at hand, found by reading it again, cell by cell."""
        for line, cells in self._rows_from(self._n_rows):
            if len(cells) != len(self._names):
                return DataError(
                    f"Every line must have {len(self._names)} cells, as the first one has, but line {line} of "
                    f"{self._path} has {len(cells)}. Correct it."
                )
            for i in columns:
                if not self._is_feature(i, cells[i]):
                    return DataError(_not_a_number(self._path, self._names[i], line, cells[i]))
        return DataError(f"The data must be a CSV file, but {self._path} cannot be read: {reason}.")

    def _is_feature(self, column: int, cell: str) -> bool:
        if column in self._converters:
            return cell.strip() in _TRUTH
        return bool(_NUMBER.fullmatch(cell)) and abs(float(cell)) <= _FLOAT32_MAX

    def _rows_from(self, first: int) -> Iterator[tuple[int, list[str]]]:
        with _opened(self._path) as file:
            yield from itertools.islice(_rows(file), first + 1, None)


def _record_type(names: list[str], text: Collection[str]) -> tuple[np.dtype[Any], list[str]]:
    """A row as NumPy reads it (runs of number columns together), and the fields that hold numbers."""
    fields: list[tuple[Any, ...]] = []
    for is_text, run in itertools.groupby(names, key=lambda name: name in text):
        if is_text:
            fields += [(name, object) for name in run]
        else:
            fields.append((f"\0{len(fields)}", np.float64, (len(list(run)),)))
    return np.dtype(fields), [name for name, *_ in fields if name.startswith("\0")]


def _truth(cell: str) -> float:
    try:
        return _TRUTH[cell.strip()]
    except KeyError:
        raise ValueError(f"{cell!r} is neither True nor False") from None


def _not_a_number(path: str, name: str, line: int, cell: str) -> str:
    holds = f"holds {_short(cell)}" if cell.strip() else "is empty"
    return (
        f"Every feature must be a finite number, but column {name!r}, line {line} of {path} {holds}. "
        "Encode text as numbers, fill gaps, or drop the column."
    )


def _line_of(path: str, row: int) -> int:
    """The line, counted from 1, of a data row, counted from 0."""
    with _opened(path) as file:
        return next(itertools.islice(_rows(file), row + 1, None))[0]


def _rows(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank, with the number of the line it begins in."""
    reader = csv.reader(lines, strict=True)
    line = 1
    try:
        for cells in reader:
            if len(cells) > 1 or (cells and cells[0].strip()):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise csv.Error(f"{error} (in the row that begins in line {line})") from None


@contextlib.contextmanager
def _opened(path: str) -> Iterator[IO[str]]:
    """A CSV file as text, unpacked; what goes wrong while it is read becomes a DataError."""
    try:
        with _open_binary(path) as binary, io.TextIOWrapper(binary, encoding="utf-8-sig", newline="") as file:
            yield file
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
def _open_binary(path: str) -> Iterator[IO[bytes]]:
    file = pathlib.Path(path)
    if not path or not file.exists():
        known = ", ".join(BUILT_IN)
        raise DataError(f"The data must be one of {known} or the path of a CSV file, but {path!r} is neither.")
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
        found = _abbreviated(members) or "none"
        raise DataError(f"A .zip file must hold one CSV file, but {path} holds {found}. Unpack it.")
    return members[0]


def _abbreviated(names: Sequence[str], limit: int = 8) -> str:
    shown = [_short(name) for name in names[:limit]]
    return ", ".join(shown) + (f", ... ({len(names)} in all)" if len(names) > limit else "")


def _short(text: str) -> str:
    return repr(text) if len(text) <= 40 else f"{text[:37]!r}..."
