"""A fitter by itself: what it makes of tasks, where another process has it, and what keeps it from going there."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from support.small_models import small
from support.staged_fits import Data, Make

from tuner_app import GridSearchCV
from tuner_app.errors import InputError
from tuner_app.execution.base import FoldStopped
from tuner_app.models.dense import DenseHyperModel
from tuner_app.records.refit_plan import RefitPlan, StagePlan
from tuner_app.records.results import FoldResult
from tuner_app.records.score import ScoreRule
from tuner_app.records.tasks import REFIT_FOLD, FoldTask
from tuner_app.training.fitter import FoldFitter
from tuner_app.training.keras_settings import KerasSettings
from tuner_app.training.spec import FitSpec
from tuner_app.tuners.base import CVTuner
from tuner_app.tuners.hooks import fit_hooks

# What another process does: unpickle the fitter and the tasks, fit, and hand back what came of them.
# Without the classes that other tests have registered with Keras, some of which cannot be pickled.
PLAIN_SETTINGS = KerasSettings(keras.config.dtype_policy(), {})
ELSEWHERE = """
import pickle, sys
content = open(sys.argv[1], "rb").read()
fitter, tasks = pickle.loads(content)
results = [fitter(task) for task in tasks]
weights = fitter.take_model(tasks[-1].trial_id).get_weights()
open(sys.argv[2], "wb").write(pickle.dumps((results, weights)))
"""


def fitter_of(data: Data, hypermodel: Any, *, fit_callbacks: Sequence[Any] = (), **options: Any) -> FoldFitter:
    common = {"x": data[0], "y": data[1], "rule": ScoreRule((("val_accuracy", "max"),)), "search_seed": 1}
    fit_options = {"epochs": 2, "callbacks": list(fit_callbacks)}
    return FoldFitter(FitSpec(hypermodel=hypermodel, fit_options=fit_options, **common, **options))


def tasks_of(data: Data, space: Any = (), **values: Any) -> list[FoldTask]:
    """A fold, and the refit that follows it."""
    rows = np.arange(len(data[1]))
    common: dict[str, Any] = {"trial_id": "0000", "execution": 0, "values": values, "space": space}
    plan = RefitPlan((StagePlan(epochs=1),))
    return [
        FoldTask(fold=0, seed=5, train_rows=rows[::2], validation_rows=rows[1::2], **common),
        FoldTask(fold=REFIT_FOLD, seed=6, train_rows=rows, validation_rows=None, plan=plan, **common),
    ]


def without_clock(result: FoldResult) -> FoldResult:
    return dataclasses.replace(result, started=0.0, fit_seconds=0.0, score_seconds=0.0, compile_seconds=0.0)


def built(hp: Any) -> keras.Model:
    return small(hp.Choice("units", [2, 3]))


def test_fits_on_a_large_array_hold_one_copy_of_it_and_none_of_their_rows() -> None:
    rows, columns = 2_000, 2_500  # 20 MB of float32
    data = (np.ones((rows, columns), np.float32), np.arange(rows) % 2)
    fold, refit = tasks_of(data)
    fitter = fitter_of(data, DenseHyperModel((columns,), 2))
    tracemalloc.start()  # NumPy's arrays, the memory of the one tensor among them; not what is within TensorFlow
    try:
        for task in (fold, refit):
            fitter(task)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 1.0 < peak / data[0].nbytes < 1.4


@pytest.mark.slow
def test_another_process_makes_the_same_numbers(data: Data, tmp_path: Path) -> None:
    hypermodel, hyperparameters = DenseHyperModel((3,), 2), keras_tuner.HyperParameters()
    hypermodel.build(hyperparameters)
    tasks = tasks_of(data, hyperparameters.space, **hyperparameters.values)
    fitter = fitter_of(data, hypermodel, settings=PLAIN_SETTINGS)
    here = [fitter(task) for task in tasks]  # what the fitter has made on the way stays in this process
    (tmp_path / "asked").write_bytes(pickle.dumps((fitter, tasks)))
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path / "asked"), str(tmp_path / "made")]
    subprocess.run(command, check=True, timeout=120)
    there, weights = pickle.loads((tmp_path / "made").read_bytes())
    assert here[0].history["val_accuracy"]
    assert list(map(without_clock, there)) == list(map(without_clock, here))
    assert all(map(np.array_equal, weights, fitter.take_model("0000").get_weights()))


def test_a_function_travels_by_value(make_tuner: Make, data: Data) -> None:
    cloudpickle = pytest.importorskip("cloudpickle")
    fitter = fitter_of(data, make_tuner(lambda hp: built(hp)).hypermodel, fit_callbacks=[keras.callbacks.Callback()])
    [task, _] = tasks_of(data, units=3)
    twin = pickle.loads(cloudpickle.dumps(fitter))
    assert without_clock(twin(task)) == without_clock(fitter(task))
    assert twin(task).error is None


def test_a_refit_is_a_task_whose_model_is_handed_out_once(make_tuner: Make, data: Data) -> None:
    fitter = fitter_of(data, make_tuner(built).hypermodel)
    result = fitter(tasks_of(data, units=2)[1])
    assert (result.fold, result.error, result.history) == (REFIT_FOLD, None, {})
    assert result.fit_seconds > 0
    assert fitter.take_model("0000").layers[0].units == 2
    with pytest.raises(KeyError):
        fitter.take_model("0000")


def test_a_refit_hands_on_what_the_users_code_raises_and_a_fold_keeps_it(data: Data) -> None:
    class Failing(keras_tuner.HyperModel):
        def build(self, hp: Any) -> keras.Model:
            return small(1 // 0)

    fitter = fitter_of(data, Failing())
    fold, refit = tasks_of(data)
    assert str(fitter(fold).error).endswith("ZeroDivisionError: integer division or modulo by zero\n")
    with pytest.raises(ZeroDivisionError):
        fitter(refit)


@pytest.mark.parametrize("number", [0, 1], ids=["fold", "refit"])
def test_a_fit_that_is_stopped_ends_after_the_running_epoch(make_tuner: Make, data: Data, number: int) -> None:
    asked: list[bool] = []
    fitter = fitter_of(data, make_tuner(built).hypermodel)
    with pytest.raises(FoldStopped):
        fitter(tasks_of(data)[number], lambda: asked.append(True) or True)
    assert len(asked) == 1


@pytest.mark.parametrize("number", [0, 1], ids=["fold", "refit"])
def test_a_fit_that_is_stopped_leaves_no_file_open(make_tuner: Make, data: Data, tmp_path: Path, number: int) -> None:
    files: list[Any] = []

    class Logger(keras.callbacks.CSVLogger):
        def on_train_begin(self, logs: Any = None) -> None:
            super().on_train_begin(logs)
            files.append(self.csv_file)

    logger = Logger(str(tmp_path / "log.csv"))
    fitter = fitter_of(data, make_tuner(built).hypermodel, fit_callbacks=[logger])
    with pytest.raises(FoldStopped):
        fitter(tasks_of(data)[number], lambda: True)
    assert [file.closed for file in files] == [True]


def test_what_a_fit_declares_is_in_its_record(make_tuner: Make, data: Data) -> None:
    class Late(keras_tuner.HyperModel):
        def build(self, hp: Any) -> keras.Model:
            return built(hp)

        def fit(self, hp: Any, model: keras.Model, *arguments: Any, **options: Any) -> Any:
            return model.fit(*arguments, batch_size=hp.Int("batch_size", 4, 8), **options)

    hyperparameters = keras_tuner.HyperParameters()
    built(hyperparameters)
    asked = hyperparameters.get_config()["space"]
    fitter = fitter_of(data, Late(), asked_space=asked)
    declared = fitter(tasks_of(data, hyperparameters.space, units=2)[0]).declared
    assert declared is not None
    assert [entry["config"]["name"] for entry in declared["space"]] == ["batch_size"]
    assert declared["values"] == {"batch_size": 4}
    assert (
        fitter_of(data, make_tuner(built).hypermodel, asked_space=asked)(
            tasks_of(data, hyperparameters.space, units=2)[0]
        ).declared
        == {}
    )


def test_fits_that_call_the_tuner_stay_with_it(make_tuner: Make, data: Data) -> None:
    class Hooked(GridSearchCV):
        def on_epoch_end(self, *arguments: Any, **options: Any) -> None:
            pass

    assert fit_hooks(make_tuner(built), CVTuner, lambda trial_id: None) is None
    hooks = fit_hooks(make_tuner(built, cls=Hooked), CVTuner, lambda trial_id: None)
    with pytest.raises(InputError, match=r"^Hooked overrides on_epoch_end of the tuner itself"):
        pickle.dumps(fitter_of(data, make_tuner(built).hypermodel, hooks=hooks, settings=PLAIN_SETTINGS))
