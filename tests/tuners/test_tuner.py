"""`GridSearchCV` as its users meet it: mostly with a fitter whose scores are known, here and there with real fits."""

from __future__ import annotations

import json
import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from keras_tuner.engine.trial import TrialStatus
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit, StratifiedKFold
from support.fakes import FakeFitter, record, space_of, weigh

from tuner_app.data import targets
from tuner_app.errors import DataError, InputError, ProjectError, SearchError, SearchInterrupted
from tuner_app.execution import threads
from tuner_app.execution.base import FoldStopped
from tuner_app.execution.threads import ThreadExecutor
from tuner_app.process.signals import StopRequest
from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.tasks import FoldTask
from tuner_app.search.observers import SearchObserver, SearchPlan
from tuner_app.training.declared import declared_by_fit
from tuner_app.tuners.grid_search import GridSearchCV

Make = Callable[..., GridSearchCV]
Data = tuple[Any, Any]
GRID = {"a": [1, 2, 3], "b": ["x", "y"]}

# Keras turns variables into arrays in a way that NumPy has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class CrashError(Exception):
    """What ends a process in the middle of a search."""


def crash_after(count: int) -> Callable[[FoldTask], None]:
    """A fitter's `before` that ends the search at its fit number `count`, counted from 0."""
    counter = iter(range(1_000_000))

    def before(task: FoldTask) -> None:
        if next(counter) >= count:
            raise CrashError

    return before


def by_value(tuner: GridSearchCV) -> dict[str, Any]:
    """Everything that must be the same, whatever the order of work: no times, no trial numbers."""
    same = {
        name: np.asarray(column).tolist() for name, column in tuner.cv_results_.items() if not name.endswith("_time")
    }
    return {**same, "histories": tuner.histories_, "seeds": seeds(tuner)}


def seeds(tuner: GridSearchCV) -> list[list[int]]:
    return [[fold.seed for fold in candidate.folds] for candidate in tuner.candidates()]


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def linear(hp: Any, *, rates: Sequence[float] = (0.1, 0.5)) -> keras.Model:
    """A real model, small enough to train in a moment."""
    layer = keras.layers.Dense(2, activation="softmax")
    model = keras.Sequential([keras.Input((3,)), layer])
    rate = hp.Choice("rate", list(rates))
    model.compile(keras.optimizers.SGD(rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


class TestSearch:
    def test_every_candidate_is_fitted_on_every_fold(self, make_tuner: Make, data: Data) -> None:
        fitter = FakeFitter()
        tuner = make_tuner(GRID, cv=4, fold_fitter=fitter)
        tuner.search(*data)
        assert sorted(fitter.keys) == [(f"{trial:04d}", fold, 0) for trial in range(6) for fold in range(4)]
        assert tuner.n_splits_ == 4
        assert tuner.best_params_ == {"a": 3, "b": "x"}
        assert tuner.best_score_ == pytest.approx(np.mean([weigh({"a": 3}, fold) for fold in range(4)]))
        assert tuner.cv_results_["rank_test_score"].tolist() == [5, 5, 3, 3, 1, 1]

    def test_the_rows_are_those_of_the_splitter(self, make_tuner: Make, data: Data) -> None:
        fitter = FakeFitter()
        cv = KFold(3, shuffle=True, random_state=1)
        make_tuner({"a": [1]}, cv=cv, fold_fitter=fitter, n_jobs=1).search(*data)
        for task in fitter.tasks:
            train, validation = list(cv.split(data[0]))[task.fold]
            assert task.train_rows.tolist() == train.tolist()
            assert task.validation_rows is not None
            assert task.validation_rows.tolist() == validation.tolist()

    def test_groups_reach_the_splitter(self, make_tuner: Make, data: Data) -> None:
        groups, fitter = np.arange(24) // 4, FakeFitter()
        make_tuner({"a": [1]}, cv=GroupKFold(3), fold_fitter=fitter).search(*data, groups=groups)
        for task in fitter.tasks:
            assert not set(groups[task.train_rows]) & set(groups[task.validation_rows])

    @pytest.mark.parametrize("labels", ["text", "one-hot"])
    def test_stratified_folds_work_for_text_and_one_hot_targets(
        self, make_tuner: Make, data: Data, labels: str
    ) -> None:
        x, y = data
        fitter = FakeFitter()
        targets = np.array(["no", "yes"])[y] if labels == "text" else np.eye(2)[y]
        tuner = make_tuner({"a": [1]}, cv=StratifiedKFold(3), fold_fitter=fitter)
        tuner.search(x, targets)
        shares = [float(y[task.validation_rows].mean()) for task in fitter.tasks]
        assert max(shares) - min(shares) <= 1 / 8 + 1e-9
        assert (tuner.classes_ is None) == (labels == "one-hot")

    def test_text_labels_are_kept_as_classes(self, make_tuner: Make, data: Data) -> None:
        tuner = make_tuner({"a": [1]})
        tuner.search(data[0], ["cat", "dog"] * 12)
        assert tuner.classes_.tolist() == ["cat", "dog"]

    def test_at_most_max_trials_candidates(self, make_tuner: Make, data: Data) -> None:
        tuner = make_tuner(GRID, max_trials=4)
        tuner.search(*data)
        assert tuner.cv_results_["params"] == [{"a": a, "b": b} for a in (1, 2) for b in "xy"]
        assert tuner.remaining_trials == 0

    def test_a_space_without_hyperparameters_is_one_candidate(self, make_tuner: Make, data: Data) -> None:
        tuner = make_tuner(lambda hp: None)
        tuner.search(*data)
        assert tuner.cv_results_["params"] == [{}]
        assert tuner.best_params_ == {}

    def test_more_candidates_than_are_handed_out_at_once(self, make_tuner: Make, data: Data) -> None:
        fitter = FakeFitter()
        tuner = make_tuner({"a": list(range(300))}, cv=2, fold_fitter=fitter)
        tuner.search(*data)
        assert len(fitter.tasks) == 600
        assert tuner.best_params_ == {"a": 299}

    def test_conditional_values_are_masked(self, make_tuner: Make, data: Data) -> None:
        def space(hp: Any) -> None:
            hp.Choice("kind", ["p", "q"])
            with hp.conditional_scope("kind", ["q"]):
                hp.Choice("n", [1, 2])

        tuner = make_tuner(space)
        tuner.search(*data)
        assert tuner.cv_results_["params"] == [{"kind": "p"}, {"kind": "q", "n": 1}, {"kind": "q", "n": 2}]
        assert tuner.cv_results_["param_n"].mask.tolist() == [True, False, False]

    def test_executions_repeat_each_fold_with_seeds_of_their_own(self, make_tuner: Make, data: Data) -> None:
        fitter = FakeFitter()
        tuner = make_tuner({"a": [1]}, executions_per_trial=2, fold_fitter=fitter)
        tuner.search(*data)
        assert sorted(fitter.keys) == [("0000", fold, execution) for fold in range(3) for execution in range(2)]
        assert len(set(seeds(tuner)[0])) == 6
        assert [len(fold) for fold in tuner.histories_[0]] == [2, 2, 2]
        assert tuner.project.fold_file("0000", 1, 1).exists()

    def test_the_candidates_of_a_given_space_are_searched(self, make_tuner: Make, data: Data) -> None:
        hp = keras_tuner.HyperParameters()
        hp.Choice("a", [7, 8])
        tuner = make_tuner({"a": [1, 2, 3], "b": ["x", "y"]}, hyperparameters=hp, tune_new_entries=False)
        tuner.search(*data)
        assert [params["a"] for params in tuner.cv_results_["params"]] == [7, 8]


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"n_jobs": 0}, "n_jobs must be"),
            ({"max_trials": 0}, "max_trials must be a whole number from 1. Received: 0"),
            ({"executions_per_trial": None}, "executions_per_trial must be a whole number from 1. Received: None"),
            ({"executions_per_trial": 1.5}, "Received: 1.5"),
            ({"seed": -1}, "seed must be a whole number from 0. Received: -1"),
            ({"seed": True}, "seed must be"),
            ({"error_score": "zero"}, "error_score must be a number or 'raise'. Received: 'zero'"),
            ({"error_score": None}, "error_score must be"),
            ({"score_epoch": "first"}, "score_epoch must be"),
            ({"project_name": "../x"}, "project name"),
        ],
    )
    def test_options_are_checked_before_anything_is_done(
        self, make_tuner: Make, tmp_path: Path, options: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(InputError, match=message):
            make_tuner(**options)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"validation_data": (1, 2)}, "validation_data must not be given"),
            ({"validation_split": 0.2}, "validation_split must not be given"),
            ({"epochs": 0}, "epochs must be a whole number from 1. Received: 0"),
            ({"epochs": 1.5}, "epochs must be"),
            ({"batch_size": -1}, "batch_size must be"),
        ],
    )
    def test_fit_options_that_cannot_work_are_refused(
        self, make_tuner: Make, data: Data, options: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(InputError, match=message):
            make_tuner().search(*data, **options)

    def test_data_are_checked(self, make_tuner: Make, data: Data) -> None:
        x, y = data
        tuner = make_tuner()
        with pytest.raises(InputError, match=r"search\(\) needs x and y. Received: None for y"):
            tuner.search(x)
        with pytest.raises(DataError, match="same number of rows"):
            tuner.search(x, y[:-1])
        with pytest.raises(DataError, match="x must hold finite numbers"):
            tuner.search(np.where(x == x[3, 1], np.nan, x), y)
        with pytest.raises(InputError, match="cv must be able to split"):
            make_tuner(cv=GroupKFold(2)).search(x, y)

    def test_an_objective_that_no_fit_has_is_told(self, make_tuner: Make, data: Data) -> None:
        objective = keras_tuner.Objective("val_f1", "max")
        with pytest.raises(InputError, match=r"The objective must be one of .*'val_accuracy'.*Received: 'val_f1'"):
            make_tuner(objective=objective).search(*data)

    @pytest.mark.parametrize("index", [6, -1, 1.0, None])
    def test_a_refit_function_must_give_a_row(self, make_tuner: Make, data: Data, index: Any) -> None:
        with pytest.raises(InputError, match="refit must return the index of a candidate"):
            make_tuner(GRID, refit=lambda table: index).search(*data)


class TestObjectives:
    def test_a_loss_is_negated_so_that_higher_is_better(self, make_tuner: Make, data: Data) -> None:
        tuner = make_tuner(objective=keras_tuner.Objective("val_loss", "min"))
        tuner.search(*data)
        assert tuner.best_params_ == {"a": 3}
        assert tuner.best_score_ == pytest.approx(-(1 - 0.29))
        best = tuner.oracle.get_best_trials()[0]
        assert best.hyperparameters.values == {"a": 3}
        assert best.score == pytest.approx(0.71)

    def test_several_objectives_are_summed(self, make_tuner: Make, data: Data) -> None:
        tuner = make_tuner(objective=["val_accuracy", keras_tuner.Objective("val_loss", "min")])
        tuner.search(*data)
        table = tuner.cv_results_
        np.testing.assert_allclose(table["mean_test_score"], table["mean_test_accuracy"] + table["mean_test_loss"])
        assert tuner.oracle.get_best_trials()[0].score == pytest.approx(-tuner.best_score_)

    @pytest.mark.parametrize(
        ("refit", "best", "score"),
        [
            *((True, 2, 0.0), (False, 2, 0.0), ("val_cost", 1, -1.0), ("cost", 1, -1.0)),
            *(("val_gain", 3, 2.5), ("gain", 3, 2.5), (lambda table: 0, 1, -0.5)),
        ],
    )
    def test_refit_names_the_objective_that_decides(
        self, make_tuner: Make, data: Data, caplog: pytest.LogCaptureFixture, refit: Any, best: int, score: float
    ) -> None:
        def fit(task: FoldTask) -> FoldResult:
            a = task.values["a"]
            return record(
                task, scores={"val_cost": {1: 1.0, 2: 2.0, 3: 4.0}[a], "val_gain": {1: 0.5, 2: 2.0, 3: 2.5}[a]}
            )

        objectives = [keras_tuner.Objective("val_cost", "min"), keras_tuner.Objective("val_gain", "max")]
        tuner = make_tuner(objective=objectives, fold_fitter=fit, refit=refit)
        tuner.search(*data)
        assert (tuner.best_params_, tuner.best_score_) == ({"a": best}, score)
        assert tuner.get_best_hyperparameters()[0].values == {"a": 2}
        said = f"refit has chosen another than the one with the best mean score: {{'a': {best}}}." in caplog.text
        assert said == (best != 2)

    @pytest.mark.parametrize("refit", ["val_accuracy", "accuracy"])
    def test_with_one_objective_refit_may_name_it(self, make_tuner: Make, data: Data, refit: str) -> None:
        tuner = make_tuner(refit=refit)
        tuner.search(*data)
        assert tuner.best_params_ == {"a": 3}

    @pytest.mark.parametrize("refit", ["val_loss", "score", "", 1, None, ["val_accuracy"]])
    def test_refit_that_names_no_objective_is_refused(self, make_tuner: Make, refit: Any) -> None:
        with pytest.raises(
            InputError, match=r"refit must be True, False, a function or one of \['val_accuracy'\]. Rec"
        ):
            make_tuner(refit=refit)

    def test_without_an_objective_a_number_is_minimised(self, make_tuner: Make, data: Data) -> None:
        def fit(task: FoldTask) -> FoldResult:
            return record(task, scores={"default_objective": float(task.values["a"])})

        tuner = make_tuner(objective=None, fold_fitter=fit)
        tuner.search(*data)
        assert tuner.best_params_ == {"a": 1}
        assert tuner.best_score_ == -1.0

    def test_best_reads_one_epoch_for_all_folds(self, make_tuner: Make, data: Data) -> None:
        curves = {0: [0.9, 0.6, 0.1], 1: [0.1, 0.6, 0.9], 2: [0.1, 0.6, 0.1]}

        def fit(task: FoldTask) -> FoldResult:
            return record(task, history={"val_accuracy": curves[task.fold]}, final_epoch=3)

        tuner = make_tuner({"a": [1]}, score_epoch="best", fold_fitter=fit)
        tuner.search(*data)
        assert tuner.best_score_ == pytest.approx(0.6)
        assert tuner.oracle.trials["0000"].best_step == 1
        assert tuner.histories_ == [[{"val_accuracy": curve} for curve in curves.values()]]


class TestKerasTunersSurface:
    def test_results_are_reported_the_way_keras_tuner_does(
        self, make_tuner: Make, data: Data, capsys: pytest.CaptureFixture[str]
    ) -> None:
        tuner = make_tuner(GRID)
        tuner.search(*data)
        assert [hp.values for hp in tuner.get_best_hyperparameters(2)] == [{"a": 3, "b": "x"}, {"a": 3, "b": "y"}]
        assert {trial.status for trial in tuner.oracle.trials.values()} == {TrialStatus.COMPLETED}
        capsys.readouterr()
        tuner.results_summary(1)
        tuner.search_space_summary()
        shown = capsys.readouterr().out
        assert "Trial 0004 summary" in shown
        assert "Score: 0.29" in shown
        assert "a (Choice)" in shown

    def test_a_trial_has_the_mean_of_every_metric(self, make_tuner: Make, data: Data) -> None:
        tuner = make_tuner({"a": [1]})
        tuner.search(*data)
        metrics = tuner.oracle.trials["0000"].metrics
        assert metrics.get_best_value("val_accuracy") == pytest.approx(0.09)
        assert metrics.get_best_value("loss") == pytest.approx(0.91)

    def test_the_files_are_keras_tuners_and_the_journals(self, make_tuner: Make, data: Data) -> None:
        tuner = make_tuner({"a": [1]}, cv=2)
        tuner.search(*data)
        expected = {"search.json", "oracle.json", "tuner0.json", "results.csv"}
        expected |= {f"trial_0000/{name}.json" for name in ("trial", "fold_0", "fold_1")}
        assert files_of(tuner.project.path) == expected
        assert tuner.project_dir == str(tuner.project.path)

    def test_nothing_is_printed_at_verbose_0(
        self, make_tuner: Make, data: Data, capsys: pytest.CaptureFixture[str]
    ) -> None:
        make_tuner().search(*data)
        make_tuner(observers=None).search(*data)
        found = capsys.readouterr()
        assert found.out + found.err == ""

    def test_what_a_build_prints_is_passed_on(self, make_tuner: Make, capsys: pytest.CaptureFixture[str]) -> None:
        make_tuner(lambda hp: print("building"))
        assert capsys.readouterr().out == "building\n"

    def test_run_trial_says_what_to_call(self, make_tuner: Make) -> None:
        with pytest.raises(NotImplementedError, match=r"Call search\(\)"):
            make_tuner().run_trial(None)

    def test_hooks_of_a_subclass_are_called_once_a_trial(self, make_tuner: Make, data: Data) -> None:
        events = []

        class Hooked(GridSearchCV):
            def on_search_begin(self) -> None:
                events.append("search begins")

            def on_trial_begin(self, trial: Any) -> None:
                events.append(f"{trial.trial_id} begins")

            def on_trial_end(self, trial: Any) -> None:
                events.append(f"{trial.trial_id} ends")
                super().on_trial_end(trial)

            def on_search_end(self) -> None:
                events.append("search ends")

        make_tuner({"a": [1, 2]}, cls=Hooked, n_jobs=1).search(*data)
        assert (events[0], events[-1]) == ("search begins", "search ends")
        assert sorted(events[1:-1]) == ["0000 begins", "0000 ends", "0001 begins", "0001 ends"]

    def test_a_hook_may_change_the_model_before_its_first_step(self, make_tuner: Make, data: Data) -> None:
        class Freezing(GridSearchCV):
            def on_epoch_begin(self, trial: Any, model: keras.Model, epoch: int, logs: Any = None) -> None:
                model.layers[0].trainable = False

        def two_layers(hp: Any) -> keras.Model:
            layers = [keras.layers.Dense(4, activation="relu"), keras.layers.Dense(2, activation="softmax")]
            model = keras.Sequential([keras.Input((3,)), *layers])
            model.compile("sgd", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
            return model

        found = {}
        for name, options in {
            "compiled": {"cls": Freezing},
            "keras": {"cls": Freezing, "compile_epochs": False},
            "unfrozen": {},
        }.items():
            tuner = make_tuner(two_layers, cv=2, fold_fitter=None, refit=False, project_name=name, **options)
            tuner.search(*data, epochs=2, batch_size=8)
            found[name] = np.array([[fold["loss"] for fold in folds] for folds in tuner.histories_])
        np.testing.assert_allclose(found["compiled"], found["keras"], rtol=1e-5)
        assert np.abs(found["compiled"] - found["unfrozen"]).max() > 1e-4

    def test_more_models_than_were_kept_need_a_search(self, make_tuner: Make, data: Data) -> None:
        tuner = make_tuner()
        tuner.search(*data)
        with pytest.raises(ProjectError, match=r"Call search\(\) in this process first"):
            tuner.get_best_models()
        with pytest.raises(ProjectError, match="no refit model yet"):
            tuner.predict(data[0])


class TestObservers:
    def test_they_hear_of_everything_in_order(self, make_tuner: Make, data: Data) -> None:
        heard: list[tuple[str, Any]] = []

        class Listener(SearchObserver):
            def search_begun(self, plan: SearchPlan) -> None:
                heard.append(("search", (dict(plan.space), plan.n_candidates, plan.n_splits, len(plan.finished))))

            def fold_begun(self, trial_id: str, values: Mapping[str, Any], fold: int, execution: int) -> None:
                heard.append(("begun", (trial_id, fold)))

            def fold_ended(self, result: FoldResult) -> None:
                assert threading.current_thread() is threading.main_thread()
                assert tuner.project.fold_file(result.trial_id, result.fold).exists()
                heard.append(("ended", (result.trial_id, result.fold)))

            def candidate_ended(self, candidate: Candidate) -> None:
                heard.append(("candidate", candidate.trial_id))

            def search_ended(
                self, candidates: Sequence[Candidate], *, table: Mapping[str, Any], interrupted: bool
            ) -> None:
                heard.append(("over", ([c.trial_id for c in candidates], len(table["params"]), interrupted)))

        tuner = make_tuner({"a": [1, 2]}, cv=2, observers=[Listener()], n_jobs=1)
        tuner.search(*data)
        assert heard[0] == ("search", ({"a": [1, 2]}, 2, 2, 0))
        assert heard[-1] == ("over", (["0000", "0001"], 2, False))
        for event, count in (("begun", 4), ("ended", 4), ("candidate", 2)):
            assert sum(name == event for name, _ in heard) == count

    def test_the_table_is_on_disk_while_the_search_runs(self, make_tuner: Make, data: Data) -> None:
        seen = []

        class Reader(SearchObserver):
            def candidate_ended(self, candidate: Candidate) -> None:
                seen.append(len(tuner.project.results_file.read_text().splitlines()))

        tuner = make_tuner(observers=[Reader()])
        tuner.search(*data)
        assert seen[0] == 2
        assert len(tuner.project.results_file.read_text().splitlines()) == 4


class TestBatches:
    """Fits that take less time than to hand them over are handed over together."""

    @pytest.fixture(name="sizes")
    def sizes_fixture(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """Makes every fit but the first count as short; the sizes of the batches so far."""
        sizes: list[int] = []
        serve = ThreadExecutor._serve_batch

        def counting(executor: ThreadExecutor, batch: Sequence[FoldTask]) -> Any:
            sizes.append(len(batch))
            return serve(executor, batch)

        monkeypatch.setattr(threads, "HAND_OVER_SECONDS", math.inf)
        monkeypatch.setattr(ThreadExecutor, "_serve_batch", counting)
        return sizes

    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_they_change_no_number(
        self, make_tuner: Make, data: Data, sizes: list[int], monkeypatch: pytest.MonkeyPatch, n_jobs: int
    ) -> None:
        batched = make_tuner({"a": list(range(40))}, n_jobs=n_jobs)
        batched.search(*data)
        assert sizes[n_jobs:] == [32, 32, 32, 24 - n_jobs]
        monkeypatch.setattr(threads, "HAND_OVER_SECONDS", 0.0)
        sizes.clear()
        single = make_tuner({"a": list(range(40))}, n_jobs=n_jobs, project_name="single")
        single.search(*data)
        assert sizes == [1] * 120
        assert by_value(batched) == by_value(single)

    def test_a_failure_is_looked_at_before_the_next_fit(self, make_tuner: Make, data: Data, sizes: list[int]) -> None:
        fitter = FakeFitter(divide)
        with pytest.raises(SearchError, match="error_score is 'raise'"):
            make_tuner({"a": [4, 0, 8]}, fold_fitter=fitter, error_score="raise", n_jobs=1).search(*data)
        assert [task.values["a"] for task in fitter.tasks].index(0) == len(fitter.tasks) - 1
        assert sizes == [1, 8]

    def test_behind_a_failure_the_others_are_done_once(self, make_tuner: Make, data: Data, sizes: list[int]) -> None:
        fitter = FakeFitter(divide)
        tuner = make_tuner({"a": [4, 0, 8]}, fold_fitter=fitter, n_jobs=1)
        with pytest.warns(FitFailedWarning, match="3 fits failed out of a total of 9"):
            tuner.search(*data)
        assert sorted(fitter.keys) == [(f"000{trial}", fold, 0) for trial in range(3) for fold in range(3)]
        assert sizes[0] == 1 < sizes[1]

    def test_what_a_crash_leaves_behind_it_is_kept(self, make_tuner: Make, data: Data, sizes: list[int]) -> None:
        with pytest.raises(CrashError):
            make_tuner(GRID, fold_fitter=FakeFitter(before=crash_after(7)), n_jobs=1).search(*data)
        assert sizes == [1, 17]
        rest = FakeFitter()
        make_tuner(GRID, fold_fitter=rest, n_jobs=1).search(*data)
        assert len(rest.tasks) == 11

    def test_a_request_to_stop_is_heard_within_one(self, make_tuner: Make, data: Data, sizes: list[int]) -> None:
        def stop(task: FoldTask) -> None:
            if len(fitter.tasks) == 6:
                signal.raise_signal(signal.SIGTERM)
                deadline = time.monotonic() + 10
                while not handled and time.monotonic() < deadline:
                    time.sleep(0.001)

        handled: list[int] = []
        handle = StopRequest.ask
        fitter = FakeFitter(before=stop)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(StopRequest, "ask", lambda request, number=2: (handle(request, number), handled.append(1)))
            with pytest.raises(SearchInterrupted, match=r"^Interrupted: 6 of 18 fits are done"):
                make_tuner(GRID, fold_fitter=fitter, n_jobs=1).search(*data)
        assert len(fitter.tasks) == 6


class TestSameNumbers:
    def test_the_number_of_jobs_changes_nothing(self, make_tuner: Make, data: Data) -> None:
        found = []
        for n_jobs in (1, 2, 5):
            tuner = make_tuner(GRID, n_jobs=n_jobs, project_name=f"jobs {n_jobs}")
            tuner.search(*data)
            found.append(by_value(tuner))
        assert found[0] == found[1] == found[2]

    def test_a_fit_has_its_own_seed_and_0_is_a_seed(self, make_tuner: Make, data: Data) -> None:
        found = {}
        for seed in (0, 1):
            tuner = make_tuner(GRID, seed=seed, project_name=f"seed {seed}")
            tuner.search(*data)
            found[seed] = seeds(tuner)
        assert len({seed for rows in (*found[0], *found[1]) for seed in rows}) == 36

    def test_a_drawn_seed_is_kept_for_a_resume(self, make_tuner: Make, data: Data) -> None:
        with pytest.raises(CrashError):
            make_tuner(GRID, seed=None, fold_fitter=FakeFitter(before=crash_after(4)), n_jobs=1).search(*data)
        seed = json.loads((make_tuner().project.search_file).read_text())["asked"]["seed"]
        tuner = make_tuner(GRID, seed=None)
        tuner.search(*data)
        whole = make_tuner(GRID, seed=seed, project_name="whole")
        whole.search(*data)
        assert by_value(tuner) == by_value(whole)

    def test_a_larger_space_keeps_the_seeds_of_its_candidates(self, make_tuner: Make, data: Data) -> None:
        small, large = make_tuner({"a": [2]}), make_tuner({"a": [1, 2, 3]}, project_name="large")
        small.search(*data)
        large.search(*data)
        assert seeds(small)[0] == seeds(large)[1]

    def test_a_late_hyperparameter_is_searched_and_its_default_keeps_its_seed(
        self, make_tuner: Make, data: Data
    ) -> None:
        def fit(task: FoldTask) -> FoldResult:
            hp = keras_tuner.HyperParameters()
            hp.values = dict(task.values)
            hp.Choice("late", [10, 20])
            declared = declared_by_fit(hp, task.values, ())
            history = {"val_accuracy": [float(sum(hp.values.values()))]}
            return record(task, history=history, final_epoch=1, declared=declared)

        tuner = make_tuner({"a": [1, 2, 3]}, fold_fitter=fit)
        tuner.search(*data)
        assert tuner.cv_results_["params"] == [{"a": a, "late": late} for a in (1, 2, 3) for late in (10, 20)]
        plain = make_tuner({"a": [1, 2, 3]}, project_name="plain")
        plain.search(*data)
        assert seeds(tuner)[::2] == seeds(plain)


class TestResuming:
    @pytest.mark.parametrize("fits", [0, 3, 17])
    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_after_a_crash_only_what_is_missing_is_trained(
        self, make_tuner: Make, data: Data, fits: int, n_jobs: int
    ) -> None:
        whole = make_tuner(GRID, project_name="whole")
        whole.search(*data)
        with pytest.raises(CrashError):
            make_tuner(GRID, fold_fitter=FakeFitter(before=crash_after(fits)), n_jobs=n_jobs).search(*data)
        done = len(list(make_tuner(GRID).project.path.glob("trial_*/fold_*.json")))
        fitter = FakeFitter()
        tuner = make_tuner(GRID, fold_fitter=fitter, n_jobs=n_jobs)
        tuner.search(*data)
        assert by_value(tuner) == by_value(whole)
        assert len(fitter.tasks) == 18 - done
        assert done in (fits, fits - n_jobs + 1)

    def test_a_finished_search_trains_nothing_again(self, make_tuner: Make, data: Data) -> None:
        first = make_tuner(GRID)
        first.search(*data)
        fitter = FakeFitter()
        again = make_tuner(GRID, fold_fitter=fitter)
        again.search(*data)
        again.search(*data)
        assert fitter.tasks == []
        assert by_value(again) == by_value(first)
        assert again.cv_results_["mean_fit_time"].tolist() == [0.5] * 6

    def test_lost_and_damaged_folds_are_trained_again(
        self, make_tuner: Make, data: Data, caplog: pytest.LogCaptureFixture
    ) -> None:
        first = make_tuner(GRID)
        first.search(*data)
        project = first.project
        project.fold_file("0001", 2).unlink()
        project.fold_file("0003", 0).write_text(project.fold_file("0003", 1).read_text())
        project.fold_file("0004", 1).write_bytes(project.fold_file("0004", 1).read_bytes()[:-20])
        (project.trial_folder("0005") / "trial.json").write_text("{")
        fitter = FakeFitter()
        with caplog.at_level(logging.WARNING):
            again = make_tuner(GRID, fold_fitter=fitter)
            again.search(*data)
        assert sorted(fitter.keys) == [("0001", 2, 0), ("0003", 0, 0), ("0004", 1, 0)]
        assert by_value(again) == by_value(first)
        assert caplog.text.count("is done again") == 3
        assert again.oracle.get_best_trials()[0].trial_id == "0004"

    @pytest.mark.parametrize("lost", ["oracle.json", "tuner0.json", "results.csv"])
    def test_a_lost_file_of_the_project_does_no_harm(self, make_tuner: Make, data: Data, lost: str) -> None:
        first = make_tuner(GRID)
        first.search(*data)
        (first.project.path / lost).unlink()
        fitter = FakeFitter()
        again = make_tuner(GRID, fold_fitter=fitter)
        again.search(*data)
        assert fitter.tasks == []
        assert by_value(again) == by_value(first)
        assert len(again.oracle.trials) == 6

    def test_a_request_to_stop_keeps_what_is_done(self, make_tuner: Make, data: Data) -> None:
        def stop(task: FoldTask) -> None:
            if len(fitter.tasks) > 4:
                raise FoldStopped

        class Stop(SearchObserver):
            ended = 0

            def fold_ended(self, result: FoldResult) -> None:
                self.ended += 1
                if self.ended == 4:
                    signal.raise_signal(signal.SIGTERM)

        fitter = FakeFitter(before=stop)
        with pytest.raises(
            SearchInterrupted, match=r"4 of \d+ fits are done and kept in .*Call search\(\) again"
        ) as caught:
            make_tuner(GRID, fold_fitter=fitter, observers=[Stop()], n_jobs=1).search(*data)
        assert caught.value.signal_number == 15
        rest = FakeFitter()
        tuner = make_tuner(GRID, fold_fitter=rest)
        tuner.search(*data)
        assert len(rest.tasks) == 14
        assert tuner.project.results_file.read_text().count("\n") == 7

    @pytest.mark.parametrize("kind", ["generator", "splitter", "random state"])
    def test_folds_are_compared_by_their_rows_not_by_the_text_of_the_splitter(
        self, make_tuner: Make, data: Data, kind: str
    ) -> None:
        class Splitter:
            def split(self, x: Any, y: Any = None, groups: Any = None) -> Any:
                return KFold(3).split(x)

        def cv() -> Any:
            if kind == "random state":
                return ShuffleSplit(3, random_state=np.random.RandomState(0))
            return KFold(3).split(data[0]) if kind == "generator" else Splitter()

        first, second = cv(), cv()
        make_tuner(GRID, cv=first).search(*data)
        fitter = FakeFitter()
        make_tuner(GRID, cv=second, fold_fitter=fitter).search(*data)
        assert fitter.tasks == []

    @pytest.mark.parametrize("description", ["there", "lost"])
    def test_a_number_of_folds_goes_on_as_the_first_version_split_it(
        self, make_tuner: Make, data: Data, monkeypatch: pytest.MonkeyPatch, description: str
    ) -> None:
        with monkeypatch.context() as first_version:
            first_version.setattr(targets, "stratification", lambda target, y: None)
            make_tuner(GRID, cv=3).search(*data)
        fitter = FakeFitter()
        again = make_tuner(GRID, cv=3, fold_fitter=fitter)
        if description == "lost":
            again.project.search_file.unlink()
        again.search(*data)
        assert fitter.tasks == []
        fresh = FakeFitter()
        make_tuner(GRID, cv=3, fold_fitter=fresh, overwrite=True).search(*data)
        expected = list(StratifiedKFold(3).split(*data))
        assert all(task.validation_rows.tolist() == expected[task.fold][1].tolist() for task in fresh.tasks)

    def test_a_new_tuner_on_a_finished_project_has_its_results_without_a_search(
        self, make_tuner: Make, data: Data
    ) -> None:
        done = make_tuner(GRID, cv=4)
        done.search(data[0], np.array(["no", "yes"])[data[1]])
        for name in ("best_index_", "best_params_", "best_score_", "n_splits_", "histories_"):
            assert getattr(make_tuner(GRID, cv=4), name) == getattr(done, name)
        again = make_tuner(GRID, cv=4)
        assert again.classes_.tolist() == ["no", "yes"]
        assert list(again.cv_results_) == list(done.cv_results_)
        for column, values in done.cv_results_.items():
            assert np.array_equal(again.cv_results_[column], values), column
        last = make_tuner(GRID, cv=4, refit=lambda table: 1)
        assert (last.best_index_, last.best_params_) == (1, done.cv_results_["params"][1])

    def test_of_an_unfinished_project_the_whole_candidates_count(self, make_tuner: Make, data: Data) -> None:
        done = make_tuner({"a": [1, 2, 3]}, cv=3)
        done.search(*data)
        done.project.fold_file("0002", 1).unlink()
        again = make_tuner({"a": [1, 2, 3]}, cv=3)
        assert again.best_params_ == {"a": 2}
        again.search(*data)
        assert again.best_params_ == {"a": 3}

    def test_there_is_nothing_before_a_search(self, make_tuner: Make, data: Data) -> None:
        tuner = make_tuner(GRID)
        for name in ("cv_results_", "best_params_", "classes_", "n_splits_", "histories_"):
            with pytest.raises(AttributeError, match=r"There are no results in .*search yet\. Call search\(\) first\."):
                getattr(tuner, name)
        with pytest.raises(AttributeError, match="'GridSearchCV' object has no attribute 'best_parameters_'"):
            _ = tuner.best_parameters_
        make_tuner(GRID).search(*data)
        with pytest.raises(
            ProjectError, match=r"those of another search: objective was .*'val_accuracy'.* project_name"
        ):
            _ = make_tuner(GRID, objective="val_loss").best_params_

    def test_failed_fits_alone_have_no_best(self, make_tuner: Make, data: Data) -> None:
        def fail(values: Any, fold: int) -> float:
            raise ArithmeticError("nothing works")

        options = {"fold_fitter": FakeFitter(fail), "max_consecutive_failed_trials": 9}
        with pytest.raises(SearchError, match="All 9 fits failed"):
            make_tuner(**options).search(*data)
        with pytest.raises(AttributeError, match="No candidate has a score"):
            _ = make_tuner().best_params_


class TestProjectOfAnotherSearch:
    @pytest.mark.parametrize(
        ("changes", "fit_options", "message"),
        [
            ({"space": {"a": [1, 2]}}, {}, "space a config values"),
            ({"space": {"c": [1, 2, 3]}}, {}, "space a: .* then, nothing now"),
            ({"cv": 4}, {}, "folds number: 3 then, 4 now"),
            ({"cv": KFold(3, shuffle=True, random_state=0)}, {}, "folds fingerprint"),
            ({"seed": 1}, {}, "seed: 0 then, 1 now"),
            ({"score_epoch": "best"}, {}, 'score_epoch: "last" then, "best" now'),
            ({"executions_per_trial": 2}, {}, "executions_per_trial: 1 then, 2 now"),
            ({"objective": "val_loss"}, {}, "objective"),
            ({}, {"epochs": 3}, "fit_options epochs: 2 then, 3 now"),
            ({}, {"epochs": 2, "class_weight": {0: 1.0, 1: 2.0}}, "fit_options class_weight: nothing then"),
            ({}, {"epochs": 2, "sample_weight": np.ones(24)}, "data fingerprint"),
        ],
    )
    def test_what_differs_is_named_and_nothing_is_trained(
        self, make_tuner: Make, data: Data, changes: dict[str, Any], fit_options: dict[str, Any], message: str
    ) -> None:
        make_tuner({"a": [1, 2, 3]}, cv=3).search(*data, epochs=2)
        fitter = FakeFitter()
        options: dict[str, Any] = {"space": {"a": [1, 2, 3]}, "cv": 3, "fold_fitter": fitter} | changes
        project = make_tuner().project.path
        before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
        with pytest.raises(ProjectError, match=rf"made by another search: .*{message}.*Start over with overwrite=True"):
            make_tuner(**options).search(*data, **(fit_options or {"epochs": 2}))
        assert fitter.tasks == []
        assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before

    def test_other_data_are_named(self, make_tuner: Make, data: Data) -> None:
        x, y = data
        make_tuner().search(x, y)
        with pytest.raises(ProjectError, match="data fingerprint"):
            make_tuner().search(x + 1, y)
        with pytest.raises(ProjectError, match="data rows: 24 then, 23 now"):
            make_tuner().search(x[1:], y[1:])

    def test_what_cannot_change_a_number_may_differ(self, make_tuner: Make, data: Data) -> None:
        make_tuner(n_jobs=1).search(*data)
        fitter = FakeFitter()
        make_tuner(n_jobs=2, verbose=0, error_score=0.0, fold_fitter=fitter).search(*data, verbose=0)
        assert fitter.tasks == []

    def test_overwriting_starts_over(self, make_tuner: Make, data: Data) -> None:
        make_tuner().search(*data)
        fitter = FakeFitter()
        tuner = make_tuner({"a": [1]}, overwrite=True, fold_fitter=fitter)
        tuner.search(*data)
        assert len(fitter.tasks) == 3
        assert not tuner.project.trial_folder("0001").exists()

    @pytest.mark.parametrize("overwrite", [True, False])
    def test_a_folder_that_no_search_made_is_left_alone(
        self, make_tuner: Make, data: Data, tmp_path: Path, overwrite: bool
    ) -> None:
        photo = tmp_path / "search" / "photo.png"
        photo.parent.mkdir()
        photo.write_text("x")
        with pytest.raises(ProjectError, match="was not made by a search"):
            make_tuner(overwrite=overwrite).search(*data)
        assert files_of(tmp_path / "search") == {"photo.png"}

    def test_a_second_search_is_refused_while_the_first_runs(self, make_tuner: Make, data: Data) -> None:
        refused = []

        class Intruder(SearchObserver):
            def candidate_ended(self, candidate: Candidate) -> None:
                for options in ({}, {"overwrite": True}):
                    with pytest.raises(ProjectError, match="Another search is running"):
                        make_tuner(**options).search(*data)
                    refused.append(options)

        tuner = make_tuner({"a": [1]}, observers=[Intruder()])
        tuner.search(*data)
        assert len(refused) == 2
        assert tuner.best_params_ == {"a": 1}


def divide(values: Mapping[str, Any], fold: int) -> float:
    """Fails for the candidates 0 (all folds) and 5 (its second fold)."""
    if values["a"] == 5 and fold == 1:
        raise OverflowError("too much")
    return 1 / values["a"]


class TestFailures:
    @pytest.mark.filterwarnings("ignore:4 fits failed:RuntimeWarning")
    def test_failing_candidates_harm_no_others_and_are_never_best(self, make_tuner: Make, data: Data) -> None:
        tuner = make_tuner({"a": [0, 4, 5, 8]}, fold_fitter=FakeFitter(divide))
        tuner.search(*data)
        assert np.isnan(tuner.cv_results_["mean_test_score"]).tolist() == [True, False, True, False]
        assert tuner.cv_results_["split0_test_score"][2] == 0.2
        assert tuner.cv_results_["rank_test_score"].tolist() == [3, 1, 3, 2]
        assert tuner.best_params_ == {"a": 4}
        assert [trial.status for trial in tuner.oracle.trials.values()] == [
            "FAILED",
            "COMPLETED",
            "FAILED",
            "COMPLETED",
        ]
        assert "ZeroDivisionError" in tuner.oracle.trials["0000"].message

    def test_the_warning_counts_equal_tracebacks_once(self, make_tuner: Make, data: Data) -> None:
        tuner = make_tuner({"a": [0, 4, 5]}, fold_fitter=FakeFitter(divide))
        with pytest.warns(RuntimeWarning, match="4 fits failed out of a total of 9") as caught:
            tuner.search(*data)
        (warning,) = caught
        text = str(warning.message)
        assert text.count("3 fits failed with:\nTraceback\nZeroDivisionError") == 1
        assert text.count("1 fits failed with:\nTraceback\nOverflowError") == 1

    def test_when_all_fail_the_commonest_traceback_is_the_error(self, make_tuner: Make, data: Data) -> None:
        def score(values: Mapping[str, Any], fold: int) -> float:
            raise (OverflowError("rare") if values["a"] == 1 else ZeroDivisionError("common"))

        tuner = make_tuner({"a": [1, 2, 3]}, fold_fitter=FakeFitter(score), max_consecutive_failed_trials=99)
        with pytest.raises(
            SearchError, match=r"All 9 fits failed. 6 of them with:\nTraceback\nZeroDivisionError: common"
        ):
            tuner.search(*data)
        assert np.isnan(tuner.cv_results_["mean_test_score"]).all()
        fitter = FakeFitter()
        make_tuner({"a": [1, 2, 3]}, fold_fitter=fitter).search(*data)  # Nothing came of it: all of it is tried again.
        assert len(fitter.tasks) == 9

    def test_too_many_failures_in_a_row_stop_the_search(self, make_tuner: Make, data: Data) -> None:
        def score(values: Mapping[str, Any], fold: int) -> float:
            raise OverflowError("Boom")

        fitter = FakeFitter(score)
        tuner = make_tuner({"a": list(range(9))}, fold_fitter=fitter, max_consecutive_failed_trials=2, n_jobs=1)
        with pytest.raises(SearchError, match=r"exceeded the limit of 2(.|\n)*OverflowError: Boom"):
            tuner.search(*data)
        assert 6 <= len(fitter.tasks) < 27

    def test_raising_again_when_run_again(self, make_tuner: Make, data: Data) -> None:
        for _ in range(2):
            tuner = make_tuner({"a": [4, 0, 8]}, fold_fitter=FakeFitter(divide), error_score="raise")
            with pytest.raises(SearchError, match="error_score is 'raise'"):
                tuner.search(*data)

    def test_a_crash_of_the_fitter_ends_the_search(self, make_tuner: Make, data: Data) -> None:
        def crash(task: FoldTask) -> None:
            raise OSError("gone")

        with pytest.raises(OSError, match="gone"):
            make_tuner(fold_fitter=FakeFitter(before=crash), n_jobs=2).search(*data)
        make_tuner().search(*data)


class TestRealFits:
    """What only real models show. Each search here trains a few models of eight numbers."""

    def test_a_search_with_its_refit_and_its_models(self, make_tuner: Make, data: Data) -> None:
        x, y = data
        tuner = make_tuner(linear, cv=2, fold_fitter=None)
        labels = np.array(["no", "yes"])[y]
        tuner.search(x, labels, epochs=3, batch_size=5)
        assert [len(fold["val_loss"]) for folds in tuner.histories_ for fold in folds] == [3] * 4
        assert set(tuner.histories_[0][0]) == {"accuracy", "loss", "val_accuracy", "val_loss"}
        assert set(tuner.predict(x)) <= {"no", "yes"}
        assert tuner.refit_time_ > 0
        (best,) = tuner.get_best_models(1)
        assert best is tuner.best_model_
        assert np.sum([fold.confusion for fold in tuner.candidates()[0].folds]) == 24
        again = make_tuner(linear, cv=2, fold_fitter=None)
        assert again.best_model_.count_params() == 8
        again.search(x, labels, epochs=3, batch_size=5)
        assert by_value(again) == by_value(tuner)
        np.testing.assert_array_equal(again.best_model_.predict(x, verbose=0), best.predict(x, verbose=0))
        rebuilt = tuner.hypermodel.build(tuner.get_best_hyperparameters()[0])
        assert rebuilt.optimizer.learning_rate.numpy() == np.float32(tuner.best_params_["rate"])

    def test_an_overridden_fit_tunes_how_long_it_trains(self, make_tuner: Make, data: Data) -> None:
        class Tuned(keras_tuner.HyperModel):
            def build(self, hp: Any) -> keras.Model:
                hp.Choice("epochs", [1, 2])
                return linear(hp, rates=[0.1])

            def fit(self, hp: Any, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
                return model.fit(*args, epochs=hp.get("epochs"), **kwargs)

        tuner = make_tuner(Tuned(), cv=2, fold_fitter=None, refit=False)
        tuner.search(*data, batch_size=12)
        assert [[len(fold["val_loss"]) for fold in folds] for folds in tuner.histories_] == [[1, 1], [2, 2]]

    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_an_overridden_fit_may_declare_hyperparameters_of_its_own(
        self, make_tuner: Make, data: Data, n_jobs: int
    ) -> None:
        class Tuned(keras_tuner.HyperModel):
            def build(self, hp: Any) -> keras.Model:
                hp.Choice("epochs", [1, 2, 3])
                return linear(hp, rates=[0.1])

            def fit(self, hp: Any, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
                return {"val_accuracy": hp.get("epochs") + hp.Choice("batch_size", [4, 12]) / 100}

        tuner = make_tuner(Tuned(), cv=2, n_jobs=n_jobs, fold_fitter=None, refit=False)
        tuner.search(*data)
        assert tuner.cv_results_["params"] == [
            {"epochs": epochs, "rate": 0.1, "batch_size": size} for epochs in (1, 2, 3) for size in (4, 12)
        ]
        assert tuner.best_params_ == {"epochs": 3, "rate": 0.1, "batch_size": 12}
        assert tuner.best_score_ == pytest.approx(3.12)

    @pytest.mark.parametrize("kind", ["number", "metrics"])
    def test_a_fit_may_return_a_number_or_metrics(self, make_tuner: Make, data: Data, kind: str) -> None:
        class Returning(keras_tuner.HyperModel):
            def build(self, hp: Any) -> keras.Model:
                return linear(hp, rates=[1.0, 2.0, 3.0])

            def fit(self, hp: Any, model: keras.Model, x: Any, y: Any, validation_data: Any, **options: Any) -> Any:
                assert len(x) == len(y) == 12
                assert len(validation_data[0]) == 12
                return hp.get("rate") if kind == "number" else {"val_accuracy": hp.get("rate"), "other": 1}

        objective = None if kind == "number" else "val_accuracy"
        tuner = make_tuner(Returning(), objective=objective, cv=2, fold_fitter=None, refit=False)
        tuner.search(*data)
        assert tuner.best_params_ == {"rate": 1.0 if kind == "number" else 3.0}
        assert tuner.histories_[0] == [{}, {}]

    def test_a_fit_that_returns_nothing_is_told(self, make_tuner: Make, data: Data) -> None:
        class Forgetful(keras_tuner.HyperModel):
            def build(self, hp: Any) -> keras.Model:
                return linear(hp)

            def fit(self, *args: Any, **kwargs: Any) -> Any:
                return None

        with pytest.raises(keras_tuner.errors.FatalTypeError, match=r"must return a History.*Received: None"):
            make_tuner(Forgetful(), fold_fitter=None).search(*data)

    def test_failures_in_build_and_fit_and_of_the_loss_are_records(self, make_tuner: Make, data: Data) -> None:
        attempts: list[str] = []

        class Failing(keras_tuner.HyperModel):
            def build(self, hp: Any) -> keras.Model:
                kind = hp.Choice("kind", ["good", "build", "fit", "nan"])
                attempts.append(kind)
                if kind == "build":
                    raise ValueError("no such layer")
                return linear(hp, rates=[0.1])

            def fit(self, hp: Any, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
                if hp.get("kind") == "fit":
                    raise RuntimeError("out of memory")
                if hp.get("kind") == "nan":
                    return {"val_accuracy": math.nan}
                return {"val_accuracy": 0.5}

        tuner = make_tuner(
            Failing(), cv=2, fold_fitter=None, refit=False, max_retries_per_trial=1, max_consecutive_failed_trials=9
        )
        attempts.clear()
        with pytest.warns(RuntimeWarning, match="6 fits failed out of a total of 8") as caught:
            tuner.search(*data)
        text = str(caught[0].message)
        assert all(
            reason in text for reason in ("no such layer", "out of memory", "val_accuracy must be a finite number")
        )
        attempts.remove("good")  # the model that is looked at before the first fold
        for kind in ("good", "build", "fit", "nan"):
            attempts.remove(kind)  # the build that tells which hyperparameters a candidate has
        assert {kind: attempts.count(kind) for kind in set(attempts)} == {"good": 2, "build": 4, "fit": 4, "nan": 4}
        assert tuner.best_params_["kind"] == "good"

    def test_a_model_too_large_is_a_failed_candidate(self, make_tuner: Make, data: Data) -> None:
        tuner = make_tuner(linear, cv=2, fold_fitter=None, max_model_size=7)
        with pytest.raises(SearchError, match=r"All 4 fits failed(.|\n)*Oversized model: 8 parameters"):
            tuner.search(*data)

    def test_a_build_that_gives_no_model_is_told(self, make_tuner: Make, data: Data) -> None:
        with pytest.raises(keras_tuner.errors.FatalTypeError, match="valid Keras Model instance"):
            make_tuner(space_of({"a": [1]}), fold_fitter=None).search(*data)

    def test_compile_arguments_of_the_tuner_override_the_models(self, make_tuner: Make, data: Data) -> None:
        built: list[keras.Model] = []

        class Watched(keras_tuner.HyperModel):
            def build(self, hp: Any) -> keras.Model:
                return linear(hp, rates=[0.1])

            def fit(self, hp: Any, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
                built.append(model)
                return {"val_accuracy": 0.5}

        options = {"optimizer": "adam", "loss": "mse", "metrics": ["mae"]}
        make_tuner(Watched(), cv=2, fold_fitter=None, refit=False, **options).search(*data)
        assert isinstance(built[0].optimizer, keras.optimizers.Adam)
        assert built[0].loss == "mse"

    def test_callbacks_are_copied_for_each_fold_and_early_stopping_is_respected(
        self, make_tuner: Make, data: Data
    ) -> None:
        class Climbing(keras.callbacks.Callback):
            """Reports a curve that is best at epoch 2."""

            def __init__(self) -> None:
                super().__init__()
                self.seen: list[int] = []

            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                self.seen.append(epoch)
                logs["val_accuracy"] = [0.1, 0.9, 0.3, 0.2, 0.1, 0.1][epoch]

        climbing = Climbing()
        stopping = keras.callbacks.EarlyStopping("val_accuracy", patience=2, restore_best_weights=True, mode="max")
        tuner = make_tuner(lambda hp: linear(hp, rates=[0.1]), cv=2, fold_fitter=None, refit=False)
        tuner.search(*data, epochs=6, batch_size=12, callbacks=[climbing, stopping])
        assert climbing.seen == []
        folds = tuner.candidates()[0].folds
        assert [fold.final_epoch for fold in folds] == [2, 2]
        assert [len(fold.history["val_loss"]) for fold in folds] == [4, 4]
        assert tuner.best_score_ == pytest.approx(0.9)
        assert tuner.rule.refit_epochs(folds) == 2

    def test_callbacks_that_cannot_be_copied_are_told(self, make_tuner: Make, data: Data) -> None:
        class Locked(keras.callbacks.Callback):
            def __init__(self) -> None:
                super().__init__()
                self.lock = threading.Lock()

        tuner = make_tuner(linear, fold_fitter=None)
        with pytest.raises(keras_tuner.errors.FatalValueError, match="must be deep-copyable"):
            tuner.search(*data, callbacks=[Locked()])

    def test_every_fit_finds_keras_as_if_it_were_the_first(self, make_tuner: Make, data: Data) -> None:
        names, seeds = [], []

        def build(hp: Any) -> keras.Model:
            model = linear(hp, rates=[0.1])
            names.append([layer.name for layer in model.layers])
            seeds.append(keras.random.uniform((1,)).numpy()[0])
            return model

        keras.layers.Dense(1)  # what the search's own thread has built does not count either
        tuner = make_tuner(build, cv=3, n_jobs=1, fold_fitter=None, refit=False)
        tuner.search(*data, epochs=1)
        assert names[-3:] == [["dense"]] * 3
        first = seeds[-3:]
        make_tuner(build, cv=3, n_jobs=1, fold_fitter=None, refit=False, overwrite=True).search(*data, epochs=1)
        assert seeds[-3:] == first
        assert len(set(first)) == 3

    def test_hooks_by_epoch_hear_of_each_epoch(self, make_tuner: Make, data: Data) -> None:
        heard: list[tuple[str, int]] = []

        class Hooked(GridSearchCV):
            def on_epoch_end(self, trial: Any, model: Any, epoch: int, logs: Any = None) -> None:
                assert isinstance(model, keras.Model)
                assert "val_accuracy" in logs
                heard.append((trial.trial_id, epoch))

        tuner = make_tuner(lambda hp: linear(hp, rates=[0.1]), cls=Hooked, cv=2, fold_fitter=None, refit=False)
        tuner.search(*data, epochs=2, batch_size=12)
        assert sorted(heard) == [("0000", 0), ("0000", 0), ("0000", 1), ("0000", 1)]
