"""How many fits a search is known to have before TensorFlow starts, and the threads that its operations get."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
import pytest
from sklearn.model_selection import KFold, LeaveOneOut, ShuffleSplit
from support.fakes import FakeFitter

from tuner_app.execution import threads
from tuner_app.folds.splits import number_of_splits
from tuner_app.models.dense import DenseHyperModel
from tuner_app.process import devices
from tuner_app.storage.project import Project
from tuner_app.tuners import operation_threads

HOLD_OUT = [(np.arange(8), np.arange(8, 10))]


@pytest.fixture(autouse=True)
def _sixteen_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    assert operation_threads.count_jobs is threads.count_jobs
    monkeypatch.setattr(operation_threads, "count_jobs", lambda n_jobs: 16)
    # What is asked for: TensorFlow may have been started already in this process.
    monkeypatch.setattr(devices, "configure", lambda count: {"intra_op_threads": count})


def build(hp: Any) -> Any:
    """A hypermodel that says nothing of its space before it is called."""
    raise AssertionError("to count the fits builds no model")


class OwnBuild(DenseHyperModel):
    """One whose space is another than that of its parent."""

    def build(self, hp: Any) -> Any:
        return build(hp)


def a_space() -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    hp.Choice("rate", [0.1, 0.2])
    return hp


def dense(cls: type = DenseHyperModel) -> Any:
    return cls((4,), 3, nodes=[2, 4], learning_rates=[0.1])


@pytest.mark.parametrize(
    ("cv", "number"),
    [
        (3, 3),
        (np.int64(4), 4),
        (KFold(6), 6),
        (ShuffleSplit(1), 1),
        (HOLD_OUT, 1),
        (LeaveOneOut(), None),
        (iter(HOLD_OUT), None),
        (None, None),
    ],
)
def test_the_number_of_splits_is_known_without_the_data(cv: Any, number: int | None) -> None:
    assert number_of_splits(cv) == number


@pytest.mark.parametrize(
    ("hypermodel", "options", "expected"),
    [
        (build, {"cv": HOLD_OUT}, 16),  # Nothing is declared: one candidate on one split.
        (build, {"cv": HOLD_OUT, "executions": 2}, 1),
        (build, {"cv": 3}, 1),
        (build, {"cv": LeaveOneOut(), "max_trials": 1}, 1),
        (build, {"cv": 3, "max_trials": 1}, 15),
        (build, {"cv": 3, "hyperparameters": a_space()}, 12),
        (build, {"cv": 3, "hyperparameters": a_space(), "max_trials": 1, "executions": 2}, 12),
        (dense(), {"cv": HOLD_OUT}, 16),
        (dense(), {"cv": 4}, 16),
        (dense(), {"cv": 5}, 1),
        (dense(OwnBuild), {"cv": 4}, 1),
    ],
)
def test_a_search_of_few_fits_gives_each_more_threads(
    tmp_path: Path, hypermodel: Any, options: dict[str, Any], expected: int
) -> None:
    assert threads_of(tmp_path, hypermodel, **options) == expected


def threads_of(folder: Path | None, hypermodel: Any, **options: Any) -> int:
    project = None if folder is None else Project(folder, "search")
    defaults = {"hyperparameters": None, "executions": 1, "max_trials": None}
    return operation_threads.configure(project, hypermodel, **{**defaults, **options})["intra_op_threads"]


@pytest.mark.parametrize(("recorded", "expected"), [(1, 1), (0, 0), (7, 7), (-1, 16), ("many", 16), (True, 16)])
def test_a_project_goes_on_with_the_threads_that_it_was_begun_with(
    tmp_path: Path, recorded: Any, expected: int
) -> None:
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "search.json").write_text(json.dumps({"asked": {"intra_op_threads": recorded}}))
    assert threads_of(tmp_path, build, cv=HOLD_OUT) == expected
    assert threads_of(None, build, cv=HOLD_OUT) == 16


SEARCH = """
import json, pathlib, sys
import numpy as np
import tuner_app.tuners.operation_threads as operation_threads
operation_threads.count_jobs = lambda n_jobs: int(sys.argv[1])
import keras
from tuner_app import GridSearchCV

def build(hp):
    hidden = [keras.layers.Dense(256, "relu") for _ in range(2)]
    model = keras.Sequential([keras.Input((32,)), *hidden, keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(hp.Choice("rate", [0.001, 0.002])), loss, metrics=["accuracy"])
    return model

random = np.random.default_rng(0)
x, y = random.normal(size=(400, 32)).astype("float32"), random.integers(0, 3, 400)
split = [(np.arange(320), np.arange(320, 400))]
project, jobs = sys.argv[2], int(sys.argv[3])
tuner = GridSearchCV(build, "val_accuracy", cv=split, n_jobs=jobs, seed=0, verbose=0, project_name=project)
tuner.search(x, y, epochs=2, batch_size=32)
content = json.loads(pathlib.Path(project, "search.json").read_text())
losses = [history["loss"] for folds in tuner.histories_ for history in folds]
print(json.dumps([content["asked"]["intra_op_threads"], content["devices"]["intra_op_threads"], losses]))
"""


def search(folder: Path, *, cores: int, project: str, jobs: int) -> list[Any]:
    """A search in a process of its own: the threads recorded and in force, and the losses."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_NUM_INTRAOP_THREADS"}
    command = [sys.executable, "-c", SEARCH, str(cores), project, str(jobs)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    content: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return content


@pytest.mark.slow
def test_one_split_takes_all_cores_with_the_same_numbers_for_any_number_of_jobs(tmp_path: Path) -> None:
    alone, beside = (search(tmp_path, cores=4, project=f"jobs_{jobs}", jobs=jobs) for jobs in (1, 2))
    assert alone == beside
    assert alone[:2] == [4, 4]
    # On a machine of fewer cores the search goes on as it was begun.
    record = tmp_path / "jobs_1" / "trial_0001" / "fold_0.json"
    record.unlink()
    assert search(tmp_path, cores=2, project="jobs_1", jobs=1) == alone
    assert record.exists()


@pytest.mark.parametrize("lost", [False, True])
def test_where_tensorflow_has_other_threads_a_search_keeps_its_own_and_says_so(
    make_tuner: Callable[..., Any], data: Any, caplog: pytest.LogCaptureFixture, lost: bool
) -> None:
    first = make_tuner()
    first.devices = {"intra_op_threads": 1, "inter_op_threads": 0, "gpus": 0}
    first.search(*data)
    assert "for an operation" not in caplog.text
    if lost:
        first.project.search_file.unlink()
    fitter = FakeFitter()
    second = make_tuner(fold_fitter=fitter)
    second.devices = {**first.devices, "intra_op_threads": 7}
    second.search(*data)
    assert fitter.tasks == []
    assert json.loads(second.project.search_file.read_text())["asked"]["intra_op_threads"] == 1
    assert "was begun with 1 thread for an operation, and TensorFlow has been started with 7" in caplog.text
