"""How long whole searches take, refit included, on a clock of their own: no core idles that has something to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.searches import Kept, Listed, spec_of
from support.virtual_clock import VirtualExecutor

from tuner_app.records.tasks import FoldTask
from tuner_app.search.loop import run_search
from tuner_app.search.policy import AllFolds
from tuner_app.search.spec import SearchOutcome
from tuner_app.storage.journal import Journal
from tuner_app.storage.project import Project

ROWS = np.arange(30)
SPLITS = [(np.delete(ROWS, range(first, first + 10)), ROWS[first : first + 10]) for first in (0, 10, 20)]
# Seconds of a fold by the nodes of a hidden layer: 42,000 pictures, three folds, 15 epochs, two jobs.
MEASURED = {32: 1.4, 64: 1.9, 128: 2.5, 256: 3.7, 512: 6.3}
FALLING = dict(zip(MEASURED, reversed(MEASURED.values()), strict=True))
GIANT = dict.fromkeys("abcefgh", 1.0) | {"d": 12.0}
EQUAL = dict.fromkeys(MEASURED, 2.0)
NODES = [{"nodes": nodes} for nodes in MEASURED]
GRID = [{"nodes": nodes, "rate": rate} for nodes in MEASURED for rate in (0.0001, 0.001, 0.01)]
KINDS = [{"kind": kind} for kind in "abcdefgh"]
REFIT = 6.8 / 6.3  # Of a fold's seconds.

Score = Callable[[Mapping[str, Any], int], float]


def best(value: Any) -> Score:
    """The candidate of a value is the best one, of equals that of the middle rate."""
    return lambda values, fold: (value in values.values()) + 0.1 * (values.get("rate") == 0.001) + fold / 100


def late_best(values: Mapping[str, Any], fold: int) -> float:
    """64 nodes look worst before their last fold, and are best with it; 512 lead until then."""
    return {64: (0.0, 0.0, 9.0)[fold], 512: 1.0}.get(values["nodes"], 0.5)


def played(
    folder: Path,
    n_jobs: int,
    values: list[dict[str, Any]],
    seconds: Mapping[Any, float],
    score: Score,
    *,
    records: Any = (),
    **changes: Any,
) -> tuple[VirtualExecutor, SearchOutcome]:
    """A search of three folds on a clock of its own."""

    def seconds_of(task: FoldTask) -> float:
        fold = seconds[next(iter(task.values.values()))]
        return fold * REFIT if task.is_refit else fold

    executor = VirtualExecutor(n_jobs, seconds_of, score)
    strategy = Listed(values, adaptive=False, lookahead=256, **changes)
    parts = {"executor": executor, "records": records, "splits": SPLITS, "rows": 30, "policy": AllFolds(3)}
    spec = spec_of(folder, strategy, keeper=Kept(), **parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tuner_app.search.schedule.perf_counter", executor.clock)
        outcome = run_search(dataclasses.replace(spec, plan=dataclasses.replace(spec.plan, n_splits=3)))
    return executor, outcome


def least_seconds(executor: VirtualExecutor, outcome: SearchOutcome) -> float:
    """No order is faster: all work on all jobs, and the best candidate's refit behind one of its folds."""
    wanted = outcome.candidates[outcome.best_index].trial_id
    refit = next(end - began for began, end, task in reversed(executor.spans) if task.is_refit)
    folds = [(end - began, task.trial_id) for began, end, task in executor.spans if not task.is_refit]
    chain = refit + max(seconds for seconds, trial_id in folds if trial_id == wanted)
    return max((sum(seconds for seconds, _ in folds) + refit) / executor.n_jobs, chain, max(folds)[0])


CASES: dict[str, tuple[int, list[dict[str, Any]], Mapping[Any, float], Score, float]] = {
    "the longest is best": (2, NODES, MEASURED, best(512), 1.02),
    "the shortest is best": (2, NODES, MEASURED, best(32), 1.04),
    "one between is best": (2, NODES, MEASURED, best(128), 1.02),
    "the leader changes late": (2, NODES, MEASURED, late_best, 1.15),
    "the largest is the fastest": (2, NODES, FALLING, best(32), 1.03),
    "equal, 2 jobs": (2, NODES, EQUAL, best(128), 1.02),
    "equal, 4 jobs": (4, GRID, EQUAL, best(512), 1.06),
    "grid, 2 jobs": (2, GRID, MEASURED, best(512), 1.02),
    "grid, 4 jobs": (4, GRID, MEASURED, best(32), 1.03),
    "grid, 16 jobs": (16, GRID, MEASURED, best(512), 1.02),
    "grid, 16 jobs, the shortest is best": (16, GRID, MEASURED, best(32), 1.2),
    "more jobs than fits": (16, NODES, MEASURED, best(512), 1.0),
    "a giant among dwarfs": (2, KINDS, GIANT, best("b"), 1.01),
    "a giant is best": (2, KINDS, GIANT, best("d"), 1.1),
}


@pytest.mark.parametrize(("n_jobs", "values", "seconds", "score", "factor"), CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("is_told_late", [False, True])
def test_a_search_takes_little_longer_than_it_must(
    tmp_path: Path, n_jobs: int, values: Any, seconds: Any, score: Score, factor: float, is_told_late: bool
) -> None:
    """Also where the strategy says only at the very end that there is no more, as Keras Tuner's grid does."""
    waits = {"waits_at": [len(values)]} if is_told_late else {}
    executor, outcome = played(tmp_path, n_jobs, values, seconds, score, **waits)
    assert executor.now <= least_seconds(executor, outcome) * factor + 1e-9
    assert outcome.model == f"model of {outcome.candidates[outcome.best_index].trial_id}"


def test_the_tutorials_search_ends_with_its_folds(tmp_path: Path) -> None:
    executor, _ = played(tmp_path, 2, NODES, MEASURED, best(512))
    last = max(end for _, end, task in executor.spans if not task.is_refit)
    assert executor.now - last <= 0.05 * executor.now


def test_a_refit_does_not_begin_while_a_fit_waits_that_would_most_likely_drop_it(tmp_path: Path) -> None:
    """All folds of 256 nodes end first; 512 nodes lead them in all their folds, and have one left."""
    executor, _ = played(tmp_path, 2, NODES, MEASURED, lambda values, fold: values["nodes"] / 1000 + fold)
    assert [task.values["nodes"] for task in executor.tasks if task.is_refit] == [512]


def test_one_that_was_beaten_ends_with_its_epoch(tmp_path: Path) -> None:
    executor, outcome = played(tmp_path, 2, NODES, MEASURED, late_best)
    (_, end, dropped), (_, _, kept) = (span for span in executor.spans if span[2].is_refit)
    beaten = max(end for _, end, task in executor.spans if task.values == {"nodes": 64} and not task.is_refit)
    assert (dropped.values["nodes"], kept.values["nodes"]) == (512, 64)
    assert 0 <= end - beaten <= MEASURED[512] * REFIT / executor.epochs + 1e-9
    assert outcome.model == "model of 0001"


def test_with_one_job_the_refit_is_the_last_and_only_one(tmp_path: Path) -> None:
    executor, _ = played(tmp_path, 1, NODES, MEASURED, best(128))
    assert [task.is_refit for task in executor.tasks] == [False] * 15 + [True]


@pytest.mark.parametrize("n_jobs", [1, 2, 3, 16])
def test_the_numbers_are_the_same_for_any_number_of_jobs(tmp_path: Path, n_jobs: int) -> None:
    _, alone = played(tmp_path / "1", 1, GRID, MEASURED, best(128))
    _, outcome = played(tmp_path / "n", n_jobs, GRID, MEASURED, best(128))
    assert outcome.best_index == alone.best_index
    assert [one.score for one in outcome.candidates] == [one.score for one in alone.candidates]
    assert [[fold.seed for fold in one.folds] for one in outcome.candidates] == [
        [fold.seed for fold in one.folds] for one in alone.candidates
    ]


def test_a_resumed_search_knows_how_long_fits_take(tmp_path: Path) -> None:
    played(tmp_path, 2, NODES, MEASURED, best(512))
    records = [record for record in Journal(Project(tmp_path, "search"), "id").read() if record.fold < 2]
    executor, _ = played(tmp_path, 2, NODES, MEASURED, best(512), records=records)
    assert [task.values["nodes"] for task in executor.tasks if not task.is_refit] == [512, 256, 128, 64, 32]
