"""Tables of a comparison as Markdown, and the figures above them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from comparison import OURS
from workloads import MARKS

MEGABYTE = 1e6

Row = dict[str, Any]
Column = tuple[str, Callable[[Row], str]]


def number(value: float | None, form: str = ".2f", unit: str = "") -> str:
    """A number as text; a dash for none."""
    return "-" if value is None else f"{value:{form}}{unit}"


def seconds_range(measure: str) -> Callable[[Row], str]:
    """The text of the shortest and the longest of a row's runs."""

    def text(row: Row) -> str:
        low, high = row[f"{measure}_range"]
        return f"{low:.2f} to {high:.2f}"

    return text


def detail(name: str, form: str = ".2f") -> Callable[[Row], str]:
    """The text of one of a row's details."""
    return lambda row: number(row["details"].get(name), form)


def value(name: str, form: str = ".2f") -> Callable[[Row], str]:
    """The text of one of a row's numbers."""
    return lambda row: number(row.get(name), form)


def megabytes(name: str) -> Callable[[Row], str]:
    """The text of a row's bytes in megabytes."""
    return lambda row: number(row[name] / MEGABYTE, ".0f")


CONTENDER: Column = ("contender", lambda row: row["contender"])
PEAK: Column = ("peak MB", megabytes("peak_bytes"))
SEARCH: tuple[Column, ...] = (
    CONTENDER,
    ("search s", value("search_seconds")),
    ("range", seconds_range("search_seconds")),
    ("x ours", value("ratio")),
    ("import s", value("import_seconds")),
    ("process s", value("process_seconds")),
    PEAK,
    ("memory x ours", value("memory_ratio")),
    ("max diff of means", value("score_difference", ".4f")),
    ("own spread", value("score_spread", ".4f")),
)
OVERHEAD: tuple[Column, ...] = (
    CONTENDER,
    ("candidates", detail("candidates", ".0f")),
    ("ms per candidate", detail("candidate_ms")),
    ("first tenth ms", detail("early_ms")),
    ("last tenth ms", detail("late_ms")),
    ("last / first", detail("growth")),
    PEAK,
)


def averages(rows: Sequence[Row]) -> tuple[Column, ...]:
    """Milliseconds per candidate on average over the first 200, 400, ..., with the ratio to this package."""
    ours: dict[str, float] = next((row["details"] for row in rows if row["contender"] == OURS), {})

    def cell(name: str) -> Callable[[Row], str]:
        def text(row: Row) -> str:
            value, base = row["details"].get(name), ours.get(name)
            ratio = f" ({value / base:.2f} x ours)" if value and base and row["contender"] != OURS else ""
            return number(value) + ratio

        return text

    return (CONTENDER, *((f"first {mark} ms", cell(f"first_{mark}_ms")) for mark in MARKS))


def grid(columns: Sequence[Column], rows: Iterable[Row]) -> str:
    """A Markdown table, its columns as wide as they must be."""
    lines = [[title for title, _ in columns], *([text(row) for _, text in columns] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    padded = [_line(line, widths) for line in lines]
    return "\n".join([padded[0], _line(["-" * width for width in widths], widths), *padded[1:]])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
