"""Searches written to disk by hand, record by record, for what reads them."""

from __future__ import annotations

import itertools
import math
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tuner_app.records.results import FoldResult
from tuner_app.records.score import ScoreRule
from tuner_app.storage.files import write_json
from tuner_app.storage.journal import Journal, SearchRecord, load_search, rule_to_json
from tuner_app.storage.project import Project

ACCURACY = (("val_accuracy", "max"),)


LOSS = (("val_loss", "min"),)


def grid_of(space: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]


def write_search(
    directory: pathlib.Path,
    grid: Iterable[dict[str, Any]],
    score: Callable[[dict[str, Any], int], float],
    *,
    name: str = "digits",
    objectives: tuple[tuple[str, str], ...] = ACCURACY,
    epoch: str = "last",
    n_splits: int = 3,
    executions: int = 1,
    missing: Iterable[tuple[int, int]] = (),
    failed: Iterable[tuple[int, int]] = (),
    fold: Callable[[dict[str, Any], int], dict[str, Any]] = lambda values, k: {},
    **description: Any,
) -> Project:
    """A search on disk, made without training: accuracy ends at `score(values, fold)`, the loss at one minus it.

    `missing` and `failed` name folds as (trial, fold); `fold` changes what a record holds.
    """
    project = Project(directory, name)
    search = {
        "search_id": "a search",
        "asked": {"seed": 0, "fit_options": {"epochs": 3}},
        "rule": rule_to_json(ScoreRule(objectives, epoch)),
        "n_splits": n_splits,
        "executions_per_trial": executions,
        "versions": {"keras": "3.15.1"},
        "command_line": ["tune.py", "--nodes", "32", "64"],
    }
    write_json(project.search_file, search | description)
    journal = Journal(project, "a search")
    for (trial, values), k, execution in itertools.product(enumerate(grid), range(n_splits), range(executions)):
        if (trial, k) in missing:
            continue
        content = (
            {"error": "Traceback\nValueError: no <such> thing\n"} if (trial, k) in failed else good(score(values, k))
        )
        record = {"fit_seconds": 2.0 * (trial + 1), "score_seconds": 0.5, "values": values, "seed": 7} | content
        journal.write(FoldResult(trial_id=f"{trial:04d}", fold=k, execution=execution, **record | fold(values, k)))
    return project


def good(score: float) -> dict[str, Any]:
    curve, loss = [score - 0.2, score - 0.1, score], [1.2 - score, 1.1 - score, 1 - score]
    history = {"accuracy": [v + 0.01 for v in curve], "loss": loss, "val_accuracy": curve, "val_loss": list(loss)}
    return {"history": history, "final_epoch": 3}


def record_of(directory: pathlib.Path, *arguments: Any, **options: Any) -> SearchRecord:
    return load_search(write_search(directory, *arguments, **options))


def nodes(*values: int) -> list[dict[str, Any]]:
    return grid_of({"nodes": values})


def itertools_all(n_candidates: int, n_splits: int = 3) -> list[tuple[int, int]]:
    return list(itertools.product(range(n_candidates), range(n_splits)))


TUTORIAL = {"nodes": [32, 64, 128, 256, 512], "learning_rate": [0.001, 0.002, 0.003]}


def tutorial_score(values: dict[str, Any], fold: int) -> float:
    """The best lies at the most nodes and inside the learning rates."""
    better_rate = 0.002 if values["learning_rate"] == 0.002 else 0.0
    return 0.9 + 0.01 * math.log2(values["nodes"] / 32) + better_rate + 0.001 * (fold - 1)


def by_nodes(scores: Mapping[int, Sequence[float]]) -> Callable[[dict[str, Any], int], float]:
    return lambda values, k: scores[values["nodes"]][k]
