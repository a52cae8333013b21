"""Compiling is counted apart: a program is shared, and no candidate is slower for having been the first."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import pytest

from tuner_app.analysis.costs import time_spent
from tuner_app.analysis.ranking import ranking_of
from tuner_app.compiled import model_fit
from tuner_app.compiled.building import build_lock
from tuner_app.compiled.model_fit import FitContext
from tuner_app.compiled.program import Program
from tuner_app.compiled.programs import ProgramCache
from tuner_app.records.results import FoldResult
from tuner_app.search.observers import SearchPlan
from tuner_app.storage import fold_record
from tuner_app.storage.files import digest
from tuner_app.storage.journal import load_search
from tuner_app.views.tensorboard.candidates import end_of
from tuner_app.views.terminal.lines import fold_line
from tuner_app.views.terminal.tally import Tally

SLOW = 1.0


def build(hp: Any) -> keras.Model:
    layers = [keras.Input((3,)), keras.layers.Dense(2, activation="softmax")]
    model = keras.Sequential(layers)
    rate = hp.Choice("rate", [0.1, 0.2])
    model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture(name="slow_traces")
def slow_traces_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first function of a search takes a second to trace."""
    original, traced = Program.function, []

    def function(self: Program, name: str, *arguments: Any) -> Any:
        if not traced:
            traced.append(name)
            time.sleep(SLOW)
        return original(self, name, *arguments)

    monkeypatch.setattr(Program, "function", function)


@pytest.mark.usefixtures("slow_traces")
def test_the_first_candidate_is_not_charged_with_the_program_of_all(make_tuner: Any, data: Any) -> None:
    tuner = make_tuner(build, fold_fitter=None, n_jobs=1, refit=False)
    tuner.search(*data, epochs=1)
    first, *others = [fold for candidate in tuner.candidates() for fold in candidate.folds]
    assert first.compile_seconds > SLOW > first.fit_seconds > 0
    assert max(fold.compile_seconds for fold in others) < SLOW
    assert tuner.cv_results_["mean_fit_time"][0] < SLOW / 3 + 0.2
    assert tuner.cv_results_["mean_fit_time"][0] == tuner.candidates()[0].mean_fit_seconds
    assert [path.read_text().count("compile_seconds") for path in tuner.project.path.glob("*/fold_*.json")] == [1] * 6


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_first_run_is_compiling_too_and_changes_nothing(jit_compile: bool, data: Any) -> None:
    def fit() -> tuple[FitContext, Any]:
        keras.utils.set_random_seed(0)
        model = build(_Rates())
        context = FitContext(seed=1, cache=cache, jit_compile=jit_compile)
        model_fit.attach(model, context)
        model.fit(*data, validation_data=data, batch_size=10, epochs=1, verbose=0)
        return context, model.get_weights()

    cache = ProgramCache()
    # Keras counts names per thread, and names are a part of an architecture.
    (first, weights), (second, same) = (ThreadPoolExecutor(1).submit(fit).result() for _ in range(2))
    [program] = cache._programs.values()
    names = {name.split()[0]: function.has_run for name, function in program._functions.items()}
    assert names == {"loop": True, "evaluate": True} | ({"tail": True} if jit_compile else {})
    assert first.compile_seconds > second.compile_seconds > 0
    assert all(np.array_equal(*pair) for pair in zip(weights, same, strict=True))


class _Rates:
    """Stands for hyperparameters."""

    def Choice(self, name: str, values: list[float]) -> float:  # noqa: N802
        return values[0]


def test_waiting_while_another_fit_compiles_is_compiling() -> None:
    held = threading.Event()

    def compile_something() -> None:
        with build_lock:
            held.set()
            time.sleep(SLOW / 2)

    other = threading.Thread(target=compile_something)
    context = FitContext(seed=0, cache=ProgramCache())
    other.start()
    held.wait(10)
    with context.building():
        pass
    other.join()
    assert context.compile_seconds > SLOW / 4


def test_a_record_of_an_earlier_version_has_compiled_nothing() -> None:
    record = FoldResult(trial_id="0", fold=0, values={}, seed=0, compile_seconds=1.5)
    assert fold_record.decode(fold_record.encode(record, "s")) == record
    content = json.loads(fold_record.encode(record, "s"))["record"]
    del content["compile_seconds"]
    text = json.dumps({"search_id": "s", "checksum": digest(content), "record": content})
    assert fold_record.decode(text).compile_seconds == 0.0


def test_the_whole_time_is_told_with_compiling_the_time_left_without(make_tuner: Any, data: Any) -> None:
    record = FoldResult(
        trial_id="0", fold=0, values={"a": 1}, seed=0, started=100.0, fit_seconds=2.0, score_seconds=1.0
    )
    record = dataclasses.replace(record, compile_seconds=30.0, history={"val_accuracy": [0.5]}, final_epoch=1)
    assert record.total_seconds == 33.0
    assert end_of(record) == 133.0
    tuner = make_tuner({"a": [1, 2]}, refit=False)
    tuner.search(*data)
    plan = _plan(tuner)
    assert fold_line(record, plan).endswith("total time=33.0s")
    tally = Tally.of(plan)
    tally.count(record)
    assert tally.seconds == 3.0


def test_the_report_leaves_compiling_out_of_its_advice_and_says_how_much_it_was(make_tuner: Any, data: Any) -> None:
    tuner = make_tuner({"a": [1, 2]}, fold_fitter=_fit, refit=False)
    tuner.search(*data)
    record = load_search(tuner.project)
    spent = time_spent(record, ranking_of(record))
    assert [row.seconds_per_fit for row in spent.rows] == pytest.approx([3.0, 3.0])
    assert [row.share for row in spent.rows] == pytest.approx([0.5, 0.5])
    assert (spent.total_seconds, spent.compile_seconds) == pytest.approx((18.0, 60.0))


def _fit(task: Any) -> FoldResult:
    compiled = 60.0 if task.values["a"] == 1 and task.fold == 0 else 0.0
    return FoldResult(
        trial_id=task.trial_id,
        fold=task.fold,
        values=dict(task.values),
        seed=task.seed,
        history={"val_accuracy": [0.5]},
        final_epoch=1,
        fit_seconds=2.0,
        score_seconds=1.0,
        compile_seconds=compiled,
    )


def _plan(tuner: Any) -> SearchPlan:
    return SearchPlan(
        project=tuner.project, space={"a": [1, 2]}, rule=tuner.rule, n_splits=3, executions=1, n_candidates=2, n_jobs=1
    )
