"""CSV files as arrays of the smallest type that holds their values, read by pandas.

Owns which files pandas is trusted with. It reads blocks of whole lines, and only such as it reads as the standard
library does; at the first doubt `second_look` reads the file instead, cell by cell, and words what is wrong.

How a CSV file is understood:

- The first line names the columns; UTF-8, commas, `"` for quoting; `.gz`, `.bz2`, `.xz` and `.zip` are unpacked.
- Features are finite numbers, or True and False (1 and 0). All become one array; `number_types` says of which type.
  Whole numbers that even float64 would change (beyond 2**53) are refused.
"""

from __future__ import annotations

import csv
import dataclasses
import importlib
import io
import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from tuner_app.data import second_look
from tuner_app.data.files import abbreviated, opened_bytes, opened_text, short
from tuner_app.data.number_types import NumberPieces
from tuner_app.errors import DataError

Array = npt.NDArray[Any]

# Large enough that pandas's work for each column of each block does not count; larger ones are slower and take memory.
_BLOCK_BYTES = 2**24
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# By the number of a character: whether a quoted cell may begin behind it, or end before it.
_BEFORE_A_CELL = np.isin(np.arange(256), list(b',\n"'))
_BEHIND_A_CELL = np.isin(np.arange(256), list(b',\r\n"'))
# A cell that is -0: as an integer it would lose its sign. Begins with the minus, for which the search is fastest.
_MINUS_ZERO = re.compile(rb'-(?<![^,\s"]-)0+(?=[,\s"]|\Z)')


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """What a CSV file holds.

    Attributes:
        names: The columns of numbers, in the order of the file.
        numbers: Shape (n_rows, len(names)).
        text: The columns that stay text, by name: a cell for each row.
    """

    names: list[str]
    numbers: Array
    text: dict[str, list[str]]


class _Doubt(Exception):
    """Pandas may read something else than what is written."""


def read_names(path: str) -> list[str]:
    """The names of a file's columns: its first line that is not blank.

    Raises:
        DataError: There is none, or it is no line of names separated by commas.
    """
    with opened_text(path) as file:
        _, names = next(second_look.rows(file), (0, []))
    if not names:
        raise DataError(f"A CSV file must begin with a line of column names, but {path} is empty.")
    if any("\0" in name for name in names):
        raise DataError(f"The data must be a CSV file, but {path} is a binary file.")
    if len(names) == 1 and re.search(r"[;\t|]", names[0]):
        raise DataError(f"Columns must be separated by commas, but {path} begins with {short(names[0])}. Convert it.")
    if not all(name.strip() for name in names):
        number = next(i for i, name in enumerate(names, 1) if not name.strip())
        raise DataError(
            f"Every column must have a name, but column {number} of {path} has none. "
            "Name it, or drop it (pandas writes its index so, unless told index=False)."
        )
    return names


def check_unique(path: str, names: Sequence[str]) -> None:
    """Refuse a name that two columns have.

    Raises:
        DataError: The message lists such names.
    """
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"Column names must differ, but {path} has {abbreviated(twice)} more than once. Rename one.")


def hint_at_missing_names(names: Sequence[str]) -> str:
    """A sentence for a message where the first line seems to be a row of numbers already; else nothing."""
    numbers = all(second_look.NUMBER.fullmatch(name) for name in names)
    return " Its first line must hold the names of the columns, and holds only numbers." if numbers else ""


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
    names, expected, text = _features(path, feature_names, ignore)
    table = read_table(path, names, text)
    if table.names != expected:
        place = {name: i for i, name in enumerate(table.names)}
        return table.numbers[:, [place[name] for name in expected]], table.text
    return table.numbers, table.text


def begin_features(path: str, feature_names: Sequence[str] = (), *, ignore: Collection[str] = ()) -> None:
    """Refuse a file to predict for by its first line alone, and import what reading the rest needs.

    Args:
        path: The file.
        feature_names: As in `read_features`.
        ignore: As in `read_features`.

    Raises:
        DataError: The file is not there, lacks columns or has others.
    """
    _features(path, feature_names, ignore)
    import_reader()


def import_reader() -> None:
    """Import what `read_table` would import: for who reads beside another import."""
    importlib.import_module("pandas")


def read_table(path: str, names: Sequence[str], text: Collection[str]) -> Table:
    """A file whose names are checked, with the numbers in the smallest type that holds them.

    Args:
        path: The file.
        names: Its columns.
        text: Those of them that stay text.

    Raises:
        DataError: A line has too many or too few cells, a number is none or not finite or a whole one that no float
            holds, or there are no rows.
    """
    try:
        numbers, cells = _read_by_pandas(path, names, text)
    except _Doubt:
        numbers, cells = second_look.read_rows(path, names, text)
    if not numbers.n_rows:
        raise DataError(f"A CSV file must have rows below its column names, but {path} has none.")
    number_columns = [i for i, name in enumerate(names) if name not in text]
    beyond = numbers.beyond_float64()
    if len(beyond):
        second_look.check_whole(path, names, [number_columns[i] for i in beyond])
    return Table([names[i] for i in number_columns], numbers.array(), cells)


def _features(
    path: str, feature_names: Sequence[str], ignore: Collection[str]
) -> tuple[list[str], list[str], Collection[str]]:
    """A file's columns, those of the features in the order of the training, and those that stay text."""
    names = read_names(path)
    expected = list(feature_names) or [name for name in names if name not in ignore]
    text = {name for name in names if name in ignore and name not in expected}
    _check_features(path, names, expected, text)
    return names, expected, text


def _check_features(path: str, names: list[str], expected: list[str], text: Collection[str]) -> None:
    missing = [name for name in expected if name not in set(names)]
    accepted = {*expected, *text}
    extra = [name for name in names if name not in accepted]
    if missing or extra:
        lacks = f"lacks {len(missing)} ({abbreviated(missing)})" if missing else ""
        has = f"has {len(extra)} more ({abbreviated(extra)})" if extra else ""
        raise DataError(
            f"The data must have the {len(expected)} columns that the model was trained on, but {path} "
            f"{' and '.join(part for part in (lacks, has) if part)}. Rename, add or remove columns."
            f"{hint_at_missing_names(names)}"
        )
    check_unique(path, names)
    if not expected:
        raise DataError(f"There must be columns of features, but {path} has none beside {abbreviated(names)}.")


# By pandas, in blocks of lines ---------------------------------------------------------------------------------------


def _read_by_pandas(
    path: str, names: Sequence[str], text: Collection[str]
) -> tuple[NumberPieces, dict[str, list[str]]]:
    """All rows; raises `_Doubt` where the second look must read them."""
    text_columns = [i for i, name in enumerate(names) if name in text]
    pieces = NumberPieces(len(names) - len(text_columns))
    cells: dict[str, list[str]] = {names[i]: [] for i in text_columns}
    truth: list[bool] | None = None
    with opened_bytes(path) as file:
        _skip_names(file, names)
        for block in _blocks(file):
            frame = _frame(block, names, text)
            kinds = [kind.kind for i, kind in frame.dtypes.items() if i not in text_columns]
            # Pandas decides what a column is for each block anew: True in one may be 1 in the next.
            block_truth = [kind == "b" for kind in kinds]
            truth = block_truth if truth is None else truth
            if block_truth != truth or not set(kinds) <= set("iufb"):
                raise _Doubt
            numbers = frame.drop(columns=text_columns)
            if not pieces.add(numbers.to_numpy(dtype=np.float64 if any(truth) else None)):
                raise _Doubt
            for i in text_columns:
                cells[names[i]].extend(frame[i].tolist())
    return pieces, cells


def _skip_names(file: IO[bytes], names: Sequence[str]) -> None:
    """Go to the first row, past the names, where they end with a line that every reader takes for one."""
    line = next((line for line in file if line.strip()), b"")
    if line.count(b"\r") != line.endswith(b"\r\n") or _cells_of(line) != list(names):
        raise _Doubt


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file in blocks that end where a line ends; none of blank lines alone."""
    while block := file.read(_BLOCK_BYTES):
        block += file.readline()
        if block.strip():
            yield block


def _frame(block: bytes, names: Sequence[str], text: Collection[str]) -> Any:
    """A block as pandas's frame, columns named by number; raises `_Doubt` where that may not be what is written."""
    import pandas

    _check_characters(block)
    commas = _count_commas(block)
    try:
        frame = pandas.read_csv(
            io.BytesIO(block),
            header=None,
            index_col=False,
            dtype={i: object for i, name in enumerate(names) if name in text},
            na_filter=False,
            low_memory=False,
            **_exact_floats(pandas.__version__),
        )
    except (ValueError, OverflowError):  # among them the errors of pandas's own and those of decoding
        raise _Doubt from None
    # Pandas refuses a row longer than the first one and fills up shorter ones: then there are commas too few.
    first_line = block.lstrip(b"\r\n").split(b"\n", 1)[0]
    is_even = len(_cells_of(first_line)) == len(names) == frame.shape[1]
    if not is_even or commas != len(frame) * (len(names) - 1):
        raise _Doubt
    # Among floats it is one; most files of floats have no column of integers, and need not be searched.
    if any(kind.kind == "i" for kind in frame.dtypes) and b"-0" in block and _MINUS_ZERO.search(block):
        raise _Doubt
    return frame


def _check_characters(block: bytes) -> None:
    """Refuse what pandas reads otherwise than the standard library; each single character is looked for first."""
    if b"\0" in block or block.startswith((_BYTE_ORDER_MARK, b" ", b"\t")):
        raise _Doubt
    if b"\r" in block and block.count(b"\r") != block.count(b"\r\n"):
        raise _Doubt
    # Pandas (3.1) loses the blanks at the start of a line.
    if (b" " in block and b"\n " in block) or (b"\t" in block and b"\n\t" in block):
        raise _Doubt


def _count_commas(block: bytes) -> int:
    """The commas between cells; raises `_Doubt` where a quote is neither at an end of a cell nor one of a pair."""
    if b'"' not in block:
        return int(np.count_nonzero(np.frombuffer(block, dtype=np.uint8) == ord(",")))
    characters = np.frombuffer(b"\n" + block + b"\n", dtype=np.uint8)
    quotes = characters == ord('"')
    is_quoted = np.logical_xor.accumulate(quotes)
    places = np.flatnonzero(quotes)
    # A pair of quotes within a cell closes it and opens it again at once.
    opens = _BEFORE_A_CELL[characters[places[::2] - 1]]
    closes = _BEHIND_A_CELL[characters[places[1::2] + 1]]
    is_cut = is_quoted[characters == ord("\n")].any()
    if len(places) % 2 or is_cut or not opens.all() or not closes.all():
        raise _Doubt
    return int(np.count_nonzero((characters == ord(",")) > is_quoted))


def _cells_of(line: bytes) -> list[str]:
    try:
        return next(csv.reader([line.decode("utf-8-sig")], strict=True), [])
    except (UnicodeDecodeError, csv.Error):
        raise _Doubt from None


def _exact_floats(version: str) -> dict[str, Any]:
    """The option of `read_csv` for floats that are right to the last bit, which needs none from pandas 3.1 on."""
    major, minor = map(int, version.split(".")[:2])
    return {} if (major, minor) >= (3, 1) else {"float_precision": "round_trip"}
