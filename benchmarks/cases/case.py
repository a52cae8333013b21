"""What a case is made of, and the figures that it must show."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from comparison import OURS

Run = dict[str, Any]
Row = dict[str, Any]
Report = dict[str, Any]
Figure = dict[str, Any]
Runner = Callable[[str], Run]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """A comparison of contenders.

    Attributes:
        name: As on the command line, and of its file.
        contenders: Who takes part, in the order of the table.
        workload: What is searched, for the report; its argument says whether the size is one that takes seconds.
        prepare: Makes what all runs need in a folder, and returns what runs one contender by its name.
        candidates: The names of the candidates that must have scores.
        figures: The ratios that count, from the rows by contender.
        table: The report's table as Markdown.
        measure: The seconds that are compared.
        reference: The contender whose seconds are 1.
        repeats: How often each contender runs by default.
        once: Who runs once by default: the slow ones.
    """

    name: str
    contenders: tuple[str, ...]
    workload: Callable[[bool], dict[str, Any]]
    prepare: Callable[[pathlib.Path, bool], Runner]
    table: Callable[[Report], str]
    candidates: Callable[[bool], set[str]] = lambda quick: set()
    figures: Callable[[Mapping[str, Row]], list[Figure]] = lambda rows: []
    measure: str = "search_seconds"
    reference: str = OURS
    repeats: int = 3
    once: tuple[str, ...] = ()


def at_least(name: str, value: float, bar: float, unit: str = " times") -> Figure:
    """A figure that should not be smaller than its bar."""
    return {"name": name, "value": value, "unit": unit, "bar": f"at least {bar:g}", "met": value >= bar}


def at_most(name: str, value: float, bar: float, unit: str = " times") -> Figure:
    """A figure that should not be greater than its bar."""
    return {"name": name, "value": value, "unit": unit, "bar": f"at most {bar:g}", "met": value <= bar}


def plain(name: str, value: float, unit: str = " times") -> Figure:
    """A figure without a bar."""
    return {"name": name, "value": value, "unit": unit, "bar": "", "met": True}


def figure_text(figure: Figure, *, quick: bool) -> str:
    """A figure in words, with its bar; a quick run is not held against it."""
    bar = f" ({figure['bar']}{'' if figure['met'] else ': missed'})" if figure["bar"] and not quick else ""
    value = figure["value"]
    return f"{figure['name']}: {value if isinstance(value, int) else f'{value:.2f}'}{figure['unit']}{bar}"


def fastest_peer(rows: Mapping[str, Row], names: tuple[str, ...], measure: str) -> float | None:
    """The least seconds of those of the contenders that ran."""
    return min((rows[name][measure] for name in names if name in rows), default=None)
