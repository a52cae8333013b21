"""The cases whose contenders `peers` runs: the search is timed inside of their processes."""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib
import sys
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import peers
import tables
from comparison import OURS
from processes import run_process
from workloads import WORKLOADS, candidate_names

from cases.case import Case, Figure, Report, Row, Run, Runner, at_least, plain

SCIKERAS = ("scikeras_n_jobs_1", "scikeras_n_jobs_2")


def prepare(case: str, folder: pathlib.Path, quick: bool) -> Runner:
    """What runs one contender of a case in a process of its own."""
    return functools.partial(run_contender, case=case, folder=folder, quick=quick)


def run_contender(contender: str, *, case: str, folder: pathlib.Path, quick: bool) -> Run:
    """Run a contender in a process of its own.

    Args:
        contender: Who.
        case: One of `workloads.WORKLOADS`.
        folder: Where it gets a folder for its files, which stay there.
        quick: Whether to run a size that takes seconds.

    Returns:
        What `peers.run` returns, with the measures of the process.

    Raises:
        ContenderError: The process failed.
    """
    own = pathlib.Path(tempfile.mkdtemp(dir=folder))
    outcome = own / "outcome.json"
    command = [sys.executable, peers.__file__, contender, case, "--json", str(outcome), *["--quick"] * quick]
    finished = run_process(contender, command, folder=own)
    result: Run = json.loads(outcome.read_text(encoding="utf-8"))
    return {"contender": contender, **result, **finished.measures()}


def search_figures(rows: Mapping[str, Row], *, bar: float | None) -> list[Figure]:
    """How many times this package's seconds the peers need."""
    if OURS not in rows:
        return []
    bars = {**dict.fromkeys(SCIKERAS, bar), "keras_tuner_loop": None}
    return [peer_figure(name, rows[name]["ratio"], bar) for name, bar in bars.items() if name in rows]


def peer_figure(name: str, ratio: float, bar: float | None) -> Figure:
    """How many times this package's seconds a peer needs."""
    text = f"{name} / {OURS}"
    return at_least(text, ratio, bar) if bar else plain(text, ratio)


def overhead_figures(rows: Mapping[str, Row]) -> list[Figure]:
    """What a candidate costs, and what Keras Tuner's oracle alone costs beside it."""
    costs = {name: row["details"]["candidate_ms"] for name, row in rows.items()}
    names = {
        OURS: "per candidate with two folds",
        "tuner_app_4_folds": "per candidate with four folds",
        "keras_tuner_oracle": "per candidate by Keras Tuner's oracle alone",
    }
    return [plain(text, costs[name], " ms") for name, text in names.items() if name in costs]


def overhead_table(report: Report) -> str:
    """The costs of a candidate, and how they grow."""
    rows = report["table"]
    return f"{tables.grid(tables.OVERHEAD, rows)}\n\n{tables.grid(tables.averages(rows), rows)}"


def _case(name: str, *, bar: float | None = None, **options: Any) -> Case:
    table: Callable[[Report], str] = lambda report: tables.grid(tables.SEARCH, report["table"])  # noqa: E731
    return Case(
        name=name,
        contenders=peers.contenders_of(name),
        workload=lambda quick: dataclasses.asdict(_workload(name, quick)),
        prepare=functools.partial(prepare, name),
        candidates=lambda quick: candidate_names(_workload(name, quick)),
        **{"table": table, "figures": functools.partial(search_figures, bar=bar), **options},
    )


def _workload(name: str, quick: bool) -> Any:
    return WORKLOADS[name].quick() if quick else WORKLOADS[name]


TUTORIAL = _case("tutorial", once=("scikeras_n_jobs_1", "keras_tuner_loop"))
DIGITS = _case("digits", bar=10.0, once=("keras_tuner_loop",))
OVERHEAD = _case("overhead", table=overhead_table, figures=overhead_figures)
FULL = _case("full", repeats=1)
