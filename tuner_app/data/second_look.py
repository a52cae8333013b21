"""The second look at a CSV file, by the standard library's reader: slow, strict, and it knows the line of a cell.

Owns what a table must look like and the words about one that does not. `tables` reads with pandas and comes here where
that fails or where pandas may have read something else than what is written. What is read here is what counts.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from tuner_app.data.files import opened_text, short
from tuner_app.data.number_types import FLOAT32_MAX, NumberPieces
from tuner_app.errors import DataError

# Characters of which `float` makes numbers only where a table has them.
_PLAIN = re.compile(r"[ -^`-~]*", re.ASCII)
# How a cell says a truth value, for pandas as well.
TRUTH = {"True": "1", "TRUE": "1", "true": "1", "False": "0", "FALSE": "0", "false": "0"}
NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
INTEGER = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
_CELLS_AT_ONCE = 2**19


def read_rows(path: str, names: Sequence[str], text: Collection[str]) -> tuple[NumberPieces, dict[str, list[str]]]:
    """All rows of a file, cell by cell.

    Args:
        path: The file.
        names: Its columns.
        text: Those of them that stay text; all others hold numbers, or True and False.

    Returns:
        The numbers of the other columns, and the text by column.

    Raises:
        DataError: A line has too many or too few cells, or a cell is no finite number; the message names the first.
    """
    reader = _CellReader(path, names, text)
    with opened_text(path) as file:
        for line, cells in itertools.islice(rows(file), 1, None):
            reader.take(line, cells)
    reader.flush()
    return reader.numbers, reader.text


def check_whole(path: str, names: Sequence[str], columns: Iterable[int]) -> None:
    """Refuse whole numbers that no float holds, in columns where some are that large.

    Raises:
        DataError: Such a number; the message names the first.
    """
    columns = list(columns)
    with opened_text(path) as file:
        for line, cells in itertools.islice(rows(file), 1, None):
            for i in columns:
                if INTEGER.fullmatch(cells[i]) and int(float(cells[i])) != int(cells[i]):
                    raise DataError(
                        f"Whole numbers must lie within 2**53 to be kept exactly, but column {names[i]!r}, "
                        f"line {line} of {path} holds {short(cells[i])}. Drop the column if it is an id."
                    )


def line_of(path: str, row: int) -> int:
    """The line, counted from 1, of a data row, counted from 0."""
    with opened_text(path) as file:
        return next(itertools.islice(rows(file), row + 1, None))[0]


def rows(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank, the names of the columns first, with the number of the line that it begins in.

    Raises:
        csv.Error: Quotes do not match; `opened_text` words it.
    """
    reader = csv.reader(lines, strict=True)
    line, below_names = 1, False
    try:
        for cells in reader:
            # A pair of quotes alone is a blank line above the names and a row of one empty cell below them.
            if len(cells) > 1 or (cells and cells[0].strip()) or (cells == [""] and below_names):
                yield line, cells
                below_names = True
            line = reader.line_num + 1
    except csv.Error as error:
        raise csv.Error(f"{error} (in the row that begins in line {line})") from None


class _CellReader:
    """Takes rows of cells, turns them into numbers and text, and refuses the first bad one."""

    def __init__(self, path: str, names: Sequence[str], text: Collection[str]) -> None:
        self._path, self._names = path, names
        self._text_columns = [i for i, name in enumerate(names) if name in text]
        self._number_names = [name for name in names if name not in text]
        self._truth_columns: list[int] | None = None
        self._floats: list[npt.NDArray[np.float64]] = []
        self.text: dict[str, list[str]] = {names[i]: [] for i in self._text_columns}
        self.numbers = NumberPieces(len(self._number_names))

    def take(self, line: int, cells: list[str]) -> None:
        if len(cells) != len(self._names):
            raise DataError(self._ragged(line, cells))
        for i in reversed(self._text_columns):  # from the end, so that the places of the others stay
            self.text[self._names[i]].append(cells.pop(i))
        floats = _floats(self._without_truth(cells))
        if floats is None:
            raise DataError(self._no_number(line, cells))
        self._floats.append(floats)
        if len(self._floats) * len(cells) >= _CELLS_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Hand the rows over, so that they are never all in memory as objects of their own."""
        if self._floats:
            self.numbers.add(np.stack(self._floats))
            self._floats.clear()

    def _without_truth(self, cells: Sequence[str]) -> list[str]:
        """A column whose first cell is True or False is one of truth values, from top to bottom."""
        if self._truth_columns is None:
            self._truth_columns = [i for i, cell in enumerate(cells) if cell.strip() in TRUTH]
        numbers = list(cells)
        for i in self._truth_columns:
            numbers[i] = TRUTH.get(cells[i].strip(), "")
        return numbers

    def _ragged(self, line: int, cells: Sequence[str]) -> str:
        if cells == [""]:
            return f"The data must be a CSV file, but {self._path} cannot be read: line {line} is a pair of quotes."
        return (
            f"Every line must have {len(self._names)} cells, as the first one has, but line {line} of "
            f"{self._path} has {len(cells)}. Correct it."
        )

    def _no_number(self, line: int, cells: Sequence[str]) -> str:
        numbers = self._without_truth(cells)
        place = next(i for i, cell in enumerate(numbers) if _floats([cell]) is None)
        holds = f"holds {short(cells[place])}" if cells[place].strip() else "is empty"
        return (
            f"Every feature must be a finite number, but column {self._number_names[place]!r}, line {line} of "
            f"{self._path} {holds}. Encode text as numbers, fill gaps, or drop the column."
        )


def _floats(cells: Sequence[str]) -> npt.NDArray[np.float64] | None:
    """The numbers that cells hold; None where one is no finite number as a table writes it."""
    together = "".join(cells)
    if not _PLAIN.fullmatch(together):
        # Python takes 1_000 and the digits of other alphabets for numbers, which no other reader of tables does.
        cells = [cell.strip() for cell in cells]
        if not all(NUMBER.fullmatch(cell) for cell in cells):
            return None
    try:
        floats = np.fromiter(map(float, cells), dtype=np.float64, count=len(cells))
    except ValueError:
        return None
    return floats if (np.abs(floats) <= FLOAT32_MAX).all() else None
