"""The cases that a script of its own measures: it prints as it goes, and hands its report back as JSON.

Owns how it is called, the figures that count, and the tables; what is measured stands in the script.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator

import tables
from machine import machine, versions
from processes import ContenderError, environment, last_lines

from cases.case import Figure, Report, Row, at_least, at_most, plain

HERE = pathlib.Path(__file__).resolve().parents[1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Script:
    """A benchmark that stands alone and takes `--json FILE`.

    Attributes:
        name: As on the command line, and of its file of results.
        command: The script in this folder's parent, and its arguments.
        quick: Further arguments for a size that takes seconds.
        figures: The ratios that count, from its report.
        table: Its report as Markdown.
    """

    name: str
    command: tuple[str, ...]
    quick: tuple[str, ...]
    figures: Callable[[Report], list[Figure]]
    table: Callable[[Report], str]


def run_script(script: Script, *, quick: bool, folder: pathlib.Path) -> Report:
    """Run a script and return its report, with the machine, the versions and the figures that count.

    Args:
        script: Which.
        quick: Whether to run a size that takes seconds.
        folder: For its files.

    Raises:
        ContenderError: It failed.
    """
    own = pathlib.Path(tempfile.mkdtemp(dir=folder))
    outcome = own / "outcome.json"
    name, *arguments = script.command
    command = [sys.executable, str(HERE / name), *arguments, *(script.quick if quick else ()), "--json", str(outcome)]
    errors = own / "errors.txt"
    with _running(command, own, errors) as process:
        code = process.wait()
    if code or not outcome.exists():
        raise ContenderError(
            f"{name} must end with exit code 0 and leave its report. It ended with {code}:\n{last_lines(errors)}"
        )
    report: Report = json.loads(outcome.read_text(encoding="utf-8"))
    head = {"case": script.name, "quick": quick, "machine": machine(), "versions": versions()}
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {**head, "created": created, "figures": script.figures(report), "failures": {}, **report, **head}


@contextlib.contextmanager
def _running(command: list[str], folder: pathlib.Path, errors: pathlib.Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that prints on our screen, but for what TensorFlow says on stderr, and ends with the block."""
    with errors.open("wb") as stream:
        process = subprocess.Popen(command, env=environment(folder), stderr=stream)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


WAYS = ("model.fit", "scikeras", "graph", "xla", "default")


def zoo_figures(report: Report) -> list[Figure]:
    """How the default stands against `model.fit` and against the better of our engines."""
    rows = report["table"]
    speeds = [row["speed"] for row in rows if row["speed"] is not None]
    beyond = [row["beyond_best"] for row in rows if row["beyond_best"] is not None]
    failed = [row for row in rows if "default" in row["errors"]]
    if not speeds or not beyond:
        return []
    return [
        at_least("kinds of model", len(speeds), 18, ""),
        at_most("kinds that the default did not train", len(failed), 0, ""),
        at_least("least model.fit / default", min(speeds), 0.97),
        at_least("median of model.fit / default", statistics.median(speeds), 2.0),
        at_most("greatest default / the better of our engines", max(beyond), 1.15),
    ]


def zoo_table(report: Report) -> str:
    """Seconds of each kind in each way."""

    def seconds(way: str) -> Callable[[Row], str]:
        return lambda row: tables.number(row["seconds"].get(way))

    columns: tuple[tables.Column, ...] = (
        ("kind", lambda row: row["kind"]),
        *((f"{way} s", seconds(way)) for way in WAYS),
        ("model.fit / default", tables.value("speed")),
        ("default / best", tables.value("beyond_best")),
    )
    return tables.grid(columns, report["table"])


def alone_figures(report: Report) -> list[Figure]:
    """How a fit that is alone stands against `model.fit`, which has all cores."""
    return [
        at_least(f"model.fit / one fit alone ({row['kind']})", row["speed"], 0.95)
        for row in report["table"]
        if row["way"] == "this package"
    ]


def alone_table(report: Report) -> str:
    """Seconds of a fit that is alone, by model and way."""
    columns: tuple[tables.Column, ...] = (
        ("model", lambda row: row["kind"]),
        ("by", lambda row: row["way"]),
        ("seconds", tables.value("seconds", ".1f")),
        ("processor seconds", tables.value("processor_seconds", ".1f")),
        ("`model.fit` / this", tables.value("speed")),
    )
    return tables.grid(columns, report["table"])


def memory_figures(report: Report) -> list[Figure]:
    """Copies of the data at the peak, and what an architecture leaves behind."""
    # A fit of the user's gets arrays of its own to write to: the two that run at a time hold the data once more each.
    ways = {"build": ("with Keras Tuner's own fit", 2.2), "fit": ("with two fits of the user's at a time", 4.2)}
    copies = [
        at_most(f"peak / data {ways[way][0]}", part["ratio"], ways[way][1]) for way, part in report["data"].items()
    ]
    left = [
        plain(f"left by each architecture ({engine})", part["megabytes_each"], " MB")
        for engine, part in report["architectures"].items()
    ]
    return [*copies, *left]


def memory_table(report: Report) -> str:
    """The peaks of the searches; what the architectures leave stands among the figures."""
    columns: tuple[tables.Column, ...] = (
        ("fit", lambda row: row["way"]),
        ("data MB", tables.megabytes("data_bytes")),
        ("peak MB", tables.megabytes("peak_bytes")),
        ("peak / data", tables.value("ratio")),
    )
    return tables.grid(columns, [{"way": way, **part} for way, part in report["data"].items()])


ZOO = Script(name="zoo", command=("zoo.py",), quick=("tiny_data",), figures=zoo_figures, table=zoo_table)
MEMORY = Script(name="memory", command=("memory.py",), quick=("--quick",), figures=memory_figures, table=memory_table)
ALONE = Script(
    name="alone",
    command=("threads.py", "alone"),
    quick=("--rounds", "1"),
    figures=alone_figures,
    table=alone_table,
)
