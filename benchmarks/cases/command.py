"""The tutorial as a command: whole processes, from their start on a CSV file to the model that is saved.

Ours also writes its journal and its report. Where the time goes is read from the journal and the files' times.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import json
import pathlib
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import tables
from comparison import OURS
from contenders import scikeras_command
from processes import ContenderError, Finished, run_process
from workloads import COMMAND as WORKLOAD
from workloads import Workload, candidate_name, candidate_names, write_kaggle_csv

from cases.case import Case, Figure, Report, Row, Run, Runner, at_least, at_most, fastest_peer

PEERS = {"scikeras_n_jobs_1": 1, "scikeras_n_jobs_2": 2}
PROJECT = "train"


def prepare(folder: pathlib.Path, quick: bool) -> Runner:
    """Write the CSV file that all contenders read, and return what runs one of them."""
    workload = _workload(quick)
    table = folder / "train.csv"
    write_kaggle_csv(table, workload.rows)
    return functools.partial(run_contender, table=table, workload=workload)


def run_contender(contender: str, *, table: pathlib.Path, workload: Workload) -> Run:
    """Run a contender in a process of its own, in a folder beside the table.

    Raises:
        ContenderError: The process failed, or left no model.
    """
    own = pathlib.Path(tempfile.mkdtemp(dir=table.parent))
    if contender == OURS:
        command = ["-m", "tuner_app.tune", "--data", str(table), "--target", "label", *options(workload)]
        finished = run_process(contender, [sys.executable, *command], folder=own)
        project = own / "logs" / PROJECT
        model, scores, details = project / "best_model.keras", our_scores(project), phases(project, finished)
    else:
        model, outcome = own / "best.keras", own / "scores.json"
        results = ["--n-jobs", str(PEERS[contender]), "--model", str(model), "--scores", str(outcome)]
        command = [scikeras_command.__file__, str(table), *options(workload), *results]
        finished = run_process(contender, [sys.executable, *command], folder=own)
        pairs = json.loads(outcome.read_text(encoding="utf-8"))
        scores, details = {candidate_name(params): score for params, score in pairs}, {}
    if not model.exists():
        raise ContenderError(f"{contender} must leave its best model. There is no {model.name}.")
    return {"contender": contender, "scores": scores, "details": details, **finished.measures()}


def options(workload: Workload) -> list[str]:
    """The options that both commands understand."""
    return [
        *("--nodes", *map(str, workload.nodes)),
        *("--learning-rates", *map(str, workload.learning_rates)),
        *("--folds", str(workload.folds)),
        *("--epochs", str(workload.epochs)),
        *("--batch-size", str(workload.batch_size)),
    ]


def our_scores(project: pathlib.Path) -> dict[str, float]:
    """Each candidate's mean score, from the search's table on disk."""
    with (project / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        candidate_name({"nodes": row["param_nodes"], "learning_rate": row["param_learning_rate"]}): float(
            row["mean_test_score"]
        )
        for row in rows
    }


def phases(project: pathlib.Path, finished: Finished) -> dict[str, float]:
    """Where the seconds of a `tune` went.

    Args:
        project: The folder of the finished search.
        finished: Its process.

    Returns:
        Seconds until the first fit began, then until the last fold was on disk, then until the process ended (the
        refit, as far as it was not made beside the folds, and the report), and the share of the last in the whole.
    """
    records = {path: json.loads(path.read_text(encoding="utf-8"))["record"] for path in _journal(project)}
    first = min(record["started"] for record in records.values()) - finished.started
    last = max(path.stat().st_mtime for path in records) - finished.started
    tail = finished.seconds - last
    return {
        "before_seconds": first,
        "fits_seconds": last - first,
        "tail_seconds": tail,
        "tail_share": tail / finished.seconds,
    }


def _journal(project: pathlib.Path) -> list[pathlib.Path]:
    return list(project.glob("trial_*/fold_*.json"))


def figures(rows: Mapping[str, Row]) -> list[Figure]:
    """The ratios to both peers, and the tail."""
    if OURS not in rows:
        return []
    ours = rows[OURS]
    ratios: list[Figure] = []
    if "scikeras_n_jobs_1" in rows:
        ratios.append(at_least("scikeras_n_jobs_1 / tuner_app", rows["scikeras_n_jobs_1"]["ratio"], 6.5))
    if (fastest := fastest_peer(rows, tuple(PEERS), "process_seconds")) is not None:
        ratios.append(at_least("SciKeras with its better n_jobs / tuner_app", fastest / ours["process_seconds"], 5.0))
    ratios.append(at_most("tail after the last fold", 100 * ours["details"]["tail_share"], 15.0, " % of the whole"))
    return ratios


def table(report: Report) -> str:
    """Whole processes, and the phases of ours."""
    columns: tuple[tables.Column, ...] = (
        tables.CONTENDER,
        ("process s", tables.value("process_seconds")),
        ("range", tables.seconds_range("process_seconds")),
        ("x ours", tables.value("ratio")),
        ("until the first fit s", tables.detail("before_seconds")),
        ("fits s", tables.detail("fits_seconds")),
        ("tail s", tables.detail("tail_seconds")),
        ("processor s", tables.value("processor_seconds")),
        tables.PEAK,
        ("memory x ours", tables.value("memory_ratio")),
        ("max diff of means", tables.value("score_difference", ".4f")),
    )
    return tables.grid(columns, report["table"])


def _workload(quick: bool) -> Workload:
    return WORKLOAD.quick() if quick else WORKLOAD


def _description(quick: bool) -> dict[str, Any]:
    return dataclasses.asdict(_workload(quick))


COMMAND = Case(
    name="command",
    contenders=(OURS, *PEERS),
    workload=_description,
    prepare=prepare,
    candidates=lambda quick: candidate_names(_workload(quick)),
    figures=figures,
    table=table,
    measure="process_seconds",
    once=tuple(PEERS),
)
