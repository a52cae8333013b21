"""Searches whose fits cost nothing: what is left is the bookkeeping."""

from __future__ import annotations

import pathlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from workloads import MARKS, OverheadWorkload

from contenders.outcome import Clock, Outcome


def fake_score(values: Mapping[str, Any]) -> float:
    """A known score between 0 and 1."""
    return float((values["a"] * 31 + values["b"] * 17) % 101 / 101)


def run_tuner_app_overhead(workload: OverheadWorkload, clock: Clock, *, folds: int) -> Outcome:
    """This package's whole search, journal and tables included, with a fit that costs nothing."""
    with clock("import"):
        import keras
        import numpy as np
        from sklearn.model_selection import KFold

        from tuner_app import GridSearchCV

    def build(hp: Any) -> Any:
        hp.Choice("a", list(range(workload.side)))
        hp.Choice("b", list(range(workload.side)))
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, activation="softmax")])
        model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(task: Any) -> Any:
        return task.record(
            scores={"val_accuracy": fake_score(task.values)},
        )

    x, y = np.zeros((40, 1), np.float32), np.arange(40) % 2
    folder = tempfile.mkdtemp()  # `bench` deletes it when all is measured: deleting slows down what comes next
    begun = time.time()
    with clock("search"):
        tuner = GridSearchCV(
            build,
            objective="val_accuracy",
            cv=KFold(folds),
            n_jobs=1,
            refit=False,
            seed=0,
            directory=folder,
            project_name="bench",
            overwrite=True,
            fold_fitter=fit,
        )
        tuner.search(x, y, epochs=1, batch_size=32)
    ended = journal_times(pathlib.Path(folder) / "bench", begun)
    return Outcome(details=growth(ended, clock.seconds["search"]))


def run_keras_tuner_oracle(workload: OverheadWorkload, clock: Clock) -> Outcome:
    """Keras Tuner's grid oracle alone, without the tuner around it: the least that a search with it can cost."""
    with clock("import"):
        import keras_tuner
    space = keras_tuner.HyperParameters()
    space.Choice("a", list(range(workload.side)))
    space.Choice("b", list(range(workload.side)))
    ended, folder = [], tempfile.mkdtemp()
    with clock("search"):
        begun = time.perf_counter()
        oracle = keras_tuner.oracles.GridSearchOracle(
            objective=keras_tuner.Objective("val_accuracy", "max"),
            max_trials=workload.oracle_trials,
            hyperparameters=space,
        )
        oracle.verbose = 0
        # Private, but it is how Keras Tuner's own tuners tell an oracle where its files go.
        oracle._set_project_dir(folder, "bench")
        while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
            oracle.update_trial(trial.trial_id, {"val_accuracy": fake_score(trial.hyperparameters.values)})
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
            ended.append(time.perf_counter() - begun)
    return Outcome(details=growth(ended, clock.seconds["search"]))


def journal_times(project: pathlib.Path, begun: float) -> list[float]:
    """When each candidate's last fold was on disk.

    Args:
        project: The folder of a finished search.
        begun: When the search began, in seconds since 1970.

    Returns:
        Seconds since the search began, ascending.
    """
    folders: dict[str, float] = {}
    for file in project.glob("trial_*/fold_*.json"):
        folders[file.parent.name] = max(folders.get(file.parent.name, 0.0), file.stat().st_mtime - begun)
    return sorted(folders.values())


def growth(ended: Sequence[float], total: float) -> dict[str, float]:
    """What a candidate costs, and whether a late one costs more than an early one.

    Args:
        ended: When each candidate ended, in seconds since the search began, ascending.
        total: The seconds of the whole search.

    Returns:
        Milliseconds per candidate: over all of the search, in its first and its last tenth, the ratio of the last
        to the first, and the average up to each of `MARKS`.

    Raises:
        ValueError: Fewer than two candidates ended.
    """
    if len(ended) < 2:
        raise ValueError(f"The search must end at least two candidates. It ended {len(ended)}; look at its output.")
    few = max(1, len(ended) // 10)
    # Counted from the first candidate's end: what a search costs to begin must not hide that it slows down later.
    first = 1e3 * (ended[few] - ended[0]) / few
    last = 1e3 * (ended[-1] - ended[-few - 1]) / few
    averages = {f"first_{mark}_ms": 1e3 * ended[mark - 1] / mark for mark in MARKS if mark <= len(ended)}
    return {
        "candidates": len(ended),
        "candidate_ms": 1e3 * total / len(ended),
        "early_ms": first,
        "late_ms": last,
        "growth": last / first if first > 0 else float("inf"),
        **averages,
    }
