"""What the commands take beside what they must load: whole processes on the digits, against bare imports."""

from __future__ import annotations

import functools
import pathlib
import sys
import tempfile
from collections.abc import Mapping

import tables
from processes import run_process

from cases.case import Case, Figure, Report, Row, Run, Runner, at_most

# What `tune` and `predict` load, and nothing else. `tune_imports` are those of `tuner_app.commands.tune`.
IMPORTS = {
    "bare_import": "import tensorflow, keras",
    "tune_imports": "import tensorflow, keras, keras_tuner, sklearn.model_selection, tuner_app.tuners.grid_search",
}
QUICK = ("--nodes", "8", "--learning-rates", "0.001", "--epochs", "1")


def prepare(folder: pathlib.Path, quick: bool) -> Runner:
    """Make the project that `predict` predicts with, and return what runs one contender."""
    logs = folder / "logs"
    options = [*QUICK] * quick
    run_process("tune", [sys.executable, *_tune(logs, options)], folder=folder, memory=False)
    return functools.partial(run_contender, folder=folder, logs=logs, options=options)


def run_contender(contender: str, *, folder: pathlib.Path, logs: pathlib.Path, options: list[str]) -> Run:
    """Run one command in a process and a folder of its own.

    Raises:
        ContenderError: The process failed.
    """
    own = pathlib.Path(tempfile.mkdtemp(dir=folder))
    commands = {
        **{name: ["-c", code] for name, code in IMPORTS.items()},
        "predict": ["-m", "tuner_app.predict", "--directory", str(logs)],
        "tune": _tune(own / "logs", options),
    }
    finished = run_process(contender, [sys.executable, *commands[contender]], folder=own, memory=False)
    return {"contender": contender, "scores": {}, "details": {}, **finished.measures()}


def _tune(logs: pathlib.Path, options: list[str]) -> list[str]:
    return ["-m", "tuner_app.tune", "--directory", str(logs), *options]


def figures(rows: Mapping[str, Row]) -> list[Figure]:
    """What `predict` and `tune` take beside their imports."""
    ratios = []
    if {"predict", "bare_import"} <= rows.keys():
        ratios.append(at_most("predict / bare import", rows["predict"]["ratio"], 1.3))
    if {"tune", "tune_imports"} <= rows.keys():
        beyond = rows["tune"]["process_seconds"] - rows["tune_imports"]["process_seconds"]
        ratios.append(at_most("tune beyond its imports", beyond, 9.0, " s"))
    return ratios


def table(report: Report) -> str:
    """Whole processes."""
    columns: tuple[tables.Column, ...] = (
        tables.CONTENDER,
        ("process s", tables.value("process_seconds")),
        ("range", tables.seconds_range("process_seconds")),
        ("x bare import", tables.value("ratio")),
        ("processor s", tables.value("processor_seconds")),
    )
    return tables.grid(columns, report["table"])


START = Case(
    name="start",
    contenders=("bare_import", "predict", "tune_imports", "tune"),
    workload=lambda quick: {"data": "digits", "options": [*QUICK] * quick, **IMPORTS},
    prepare=prepare,
    figures=figures,
    table=table,
    measure="process_seconds",
    reference="bare_import",
    repeats=7,
)
