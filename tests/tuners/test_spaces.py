"""Search spaces that only running the model can tell: the same candidates for any number of jobs, each model once."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from support.fakes import FakeFitter, record

from tuner_app.errors import InputError, SearchError
from tuner_app.records.tasks import FoldTask
from tuner_app.search.observers import SearchObserver, SearchPlan
from tuner_app.training.declared import declared_by_fit
from tuner_app.training.hyperparameters import RecordedHyperParameters
from tuner_app.tuners.grid import Grid, grid

Make = Callable[..., Any]
Data = tuple[Any, Any]

# Keras turns variables into arrays in a way that NumPy has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class CrashError(Exception):
    """The process ends here."""


def layers(hp: Any) -> None:
    """Keras Tuner's own example: how many layers there are decides which hyperparameters there are."""
    for i in range(hp.Int("num_layers", 1, 3)):
        hp.Choice(f"units_{i}", [8, 16, 32])
    hp.Choice("rate", [0.1, 0.2])


EXPECTED_LAYERS = [
    {"num_layers": n, **{f"units_{i}": u for i, u in enumerate(units)}, "rate": rate}
    for n in (1, 2, 3)
    for units in itertools.product((8, 16, 32), repeat=n)
    for rate in (0.1, 0.2)
]


class TrainingFitter(FakeFitter):
    """A fake whose fits ask for hyperparameters of their own: a batch size, `sgd` a momentum, a large one `warm`.

    Args:
        slow: A fit's place in the order of begin to the seconds that it takes longer.
        before: Called with each task first.
    """

    def __init__(self, slow: Callable[[FoldTask], float] = lambda task: 0.0, before: Any = None) -> None:
        super().__init__(before=before)
        self.slow = slow

    def __call__(self, task: FoldTask) -> Any:
        hp = RecordedHyperParameters(task.space, task.values)
        size = hp.Choice("batch_size", [4, 8])
        if task.values.get("optimizer") == "sgd" and hp.Choice("momentum", [0.0, 0.5, 0.9]) > 0.8:
            hp.Boolean("warm")
        time.sleep(self.slow(task))
        with self._lock:
            self.tasks.append(task)
        if self.before is not None:
            self.before(task)
        declared = declared_by_fit(hp, task.values, ())
        return record(task, history={"val_accuracy": [size / 10]}, final_epoch=1, declared=declared)


def optimizers(hp: Any) -> None:
    hp.Choice("optimizer", ["adam", "sgd"])
    hp.Choice("units", [1, 2])


TRAINING = [{"optimizer": "adam", "units": units, "batch_size": size} for units in (1, 2) for size in (4, 8)] + [
    {"optimizer": "sgd", "units": units, "batch_size": size, **momentum}
    for units in (1, 2)
    for size in (4, 8)
    for momentum in (
        {"momentum": 0.0},
        {"momentum": 0.5},
        {"momentum": 0.9, "warm": False},
        {"momentum": 0.9, "warm": True},
    )
]


def crash_after(fits: int) -> Callable[[FoldTask], None]:
    left = itertools.count(fits, -1)

    def crash(task: FoldTask) -> None:
        if next(left) <= 0:
            raise CrashError

    return crash


def logistic(optimizer: str) -> keras.Model:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
    return model


def rows(tuner: Any) -> list[Any]:
    """The whole table but for times: ids, values, scores of the folds, seeds."""
    return [
        (candidate.trial_id, candidate.values, [(fold.fold, fold.seed, fold.history) for fold in candidate.folds])
        for candidate in tuner.candidates()
    ]


def unordered(params: Any) -> list[Any]:
    return sorted(sorted(values.items()) for values in params)


class TestGrowingSpaces:
    @pytest.mark.parametrize("n_jobs", [1, 2, 5])
    def test_each_model_of_keras_tuners_example_is_a_candidate_once(
        self, make_tuner: Make, data: Data, n_jobs: int
    ) -> None:
        tuner = make_tuner(layers, n_jobs=n_jobs, cv=2)
        tuner.search(*data)
        assert unordered(tuner.cv_results_["params"]) == unordered(EXPECTED_LAYERS)
        first = make_tuner(layers, n_jobs=1, cv=2, project_name="first")
        first.search(*data)
        assert rows(tuner) == rows(first)

    def test_what_a_candidate_does_not_have_is_masked(self, make_tuner: Make, data: Data) -> None:
        tuner = make_tuner(layers, cv=2)
        tuner.search(*data)
        column = tuner.cv_results_["param_units_2"]
        assert column.mask.tolist() == [values["num_layers"] < 3 for values in tuner.cv_results_["params"]]

    @pytest.mark.parametrize("fits", [1, 20])
    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_a_resumed_search_ends_like_an_undisturbed_one(
        self, make_tuner: Make, data: Data, fits: int, n_jobs: int
    ) -> None:
        whole = make_tuner(layers, project_name="whole", cv=2)
        whole.search(*data)
        fitter = FakeFitter(before=crash_after(fits))
        with pytest.raises(CrashError):
            make_tuner(layers, fold_fitter=fitter, n_jobs=n_jobs, cv=2).search(*data)
        rest = FakeFitter()
        tuner = make_tuner(layers, fold_fitter=rest, n_jobs=n_jobs, cv=2)
        tuner.search(*data)
        assert rows(tuner) == rows(whole)
        assert len(rest.tasks) <= 2 * len(EXPECTED_LAYERS) - fits + n_jobs - 1
        assert not list(tuner.project.path.rglob("*.damaged"))

    def test_a_finished_search_trains_nothing_again(self, make_tuner: Make, data: Data) -> None:
        first = make_tuner(layers, cv=2)
        first.search(*data)
        fitter = FakeFitter()
        again = make_tuner(layers, cv=2, fold_fitter=fitter)
        again.search(*data)
        assert fitter.tasks == []
        assert rows(again) == rows(first)

    def test_a_given_space_holds_the_values_and_no_model_comes_twice(self, make_tuner: Make, data: Data) -> None:
        """All of it is known before: still a model of one layer has no `units_1`."""
        hp = keras_tuner.HyperParameters()
        hp.Int("num_layers", 1, 2)
        hp.Choice("units_0", [8, 16])
        hp.Choice("units_1", [8, 16])
        tuner = make_tuner(layers, cv=2, hyperparameters=hp, tune_new_entries=False)
        tuner.search(*data)
        expected = [
            {"num_layers": n, **{f"units_{i}": u for i, u in enumerate(units)}, "rate": 0.1}
            for n in (1, 2)
            for units in itertools.product((8, 16), repeat=n)
        ]
        assert unordered(tuner.cv_results_["params"]) == unordered(expected)

    def test_new_entries_that_are_not_allowed_are_told(self, make_tuner: Make, data: Data) -> None:
        hp = keras_tuner.HyperParameters()
        hp.Int("num_layers", 1, 2)
        hp.Choice("units_0", [8, 16])
        hp.Choice("rate", [0.1])
        tuner = make_tuner(layers, cv=2, hyperparameters=hp, allow_new_entries=False)
        with pytest.raises(SearchError, match=r"`allow_new_entries` is `False`.*units_1"):
            tuner.search(*data)

    def test_scopes_under_conditions_are_as_before(self, make_tuner: Make, data: Data) -> None:
        def build(hp: Any) -> None:
            kind = hp.Choice("kind", ["dense", "deep"])
            with hp.conditional_scope("kind", ["deep"]):
                if kind == "deep":
                    for i in range(hp.Int("depth", 1, 2)):
                        hp.Choice(f"width_{i}", [1, 2])
            hp.Boolean("bias", parent_name="kind", parent_values=["dense"])
            hp.Fixed("seven", 7)
            hp.Float("rate", 0.1, 0.2, step=0.1)

        tuner = make_tuner(build, cv=2)
        tuner.search(*data)
        dense = [{"kind": "dense", "bias": bias, "seven": 7} for bias in (False, True)]
        deep = [
            {"kind": "deep", "depth": n, **{f"width_{i}": w for i, w in enumerate(widths)}, "seven": 7}
            for n in (1, 2)
            for widths in itertools.product((1, 2), repeat=n)
        ]
        expected = [{**values, "rate": rate} for values in (*dense, *deep) for rate in (0.1, 0.2)]
        assert unordered(tuner.cv_results_["params"]) == unordered(expected)

    def test_a_hypermodel_that_must_not_extend_the_space_does_not(self, make_tuner: Make, data: Data) -> None:
        class Fixed(keras_tuner.HyperModel):
            def build(self, hp: Any) -> None:
                hp.Choice("a", [1, 2, 3])
                hp.Choice("b", [1, 2, 3])

        hp = keras_tuner.HyperParameters()
        hp.Choice("a", [7, 8])
        tuner = make_tuner(Fixed(tunable=False), cv=2, hyperparameters=hp)
        tuner.search(*data)
        assert tuner.cv_results_["params"] == [{"a": 7}, {"a": 8}]

    def test_reading_a_value_is_asking_for_it_and_what_nobody_asks_for_is_named(
        self, make_tuner: Make, data: Data, caplog: pytest.LogCaptureFixture
    ) -> None:
        hp = keras_tuner.HyperParameters()
        hp.Choice("a", [1, 2])
        hp.Choice("b", [1, 2])
        hp.Choice("nobody asks for it", [1, 2])
        tuner = make_tuner(lambda hp: hp.get("a") + hp.values["b"], cv=2, hyperparameters=hp)
        tuner.search(*data)
        assert tuner.cv_results_["params"] == [{"a": a, "b": b} for a in (1, 2) for b in (1, 2)]
        assert caplog.text.count("no fit has asked for it: nobody asks for it.") == 1


class TestHyperparametersOfFits:
    @pytest.mark.parametrize("n_jobs", [1, 2, 4])
    def test_each_comes_once_where_it_is_asked_for(self, make_tuner: Make, data: Data, n_jobs: int) -> None:
        def slow(task: FoldTask) -> float:
            return 0.002 * (task.values["units"] == 1) + 0.001 * (task.fold == 0)

        tuner = make_tuner(optimizers, cv=2, n_jobs=n_jobs, fold_fitter=TrainingFitter(slow))
        tuner.search(*data)
        assert unordered(tuner.cv_results_["params"]) == unordered(TRAINING)
        first = make_tuner(optimizers, cv=2, n_jobs=1, fold_fitter=TrainingFitter(), project_name="first")
        first.search(*data)
        assert rows(tuner) == rows(first)
        assert list(tuner.cv_results_) == list(first.cv_results_)

    @pytest.mark.parametrize("fits", [1, 8, 21])
    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_a_resumed_search_ends_like_an_undisturbed_one(
        self, make_tuner: Make, data: Data, fits: int, n_jobs: int
    ) -> None:
        whole = make_tuner(optimizers, cv=2, fold_fitter=TrainingFitter(), project_name="whole")
        whole.search(*data)
        fitter = TrainingFitter(before=crash_after(fits))
        with pytest.raises(CrashError):
            make_tuner(optimizers, cv=2, fold_fitter=fitter, n_jobs=n_jobs).search(*data)
        tuner = make_tuner(optimizers, cv=2, fold_fitter=TrainingFitter(), n_jobs=n_jobs)
        tuner.search(*data)
        assert rows(tuner) == rows(whole)
        assert tuner.best_params_ == whole.best_params_
        assert not list(tuner.project.path.rglob("*.damaged"))

    def test_a_limit_takes_the_first_ones_for_any_number_of_jobs(self, make_tuner: Make, data: Data) -> None:
        found = []
        for n_jobs in (1, 3):
            options = {"cv": 2, "max_trials": 9, "n_jobs": n_jobs, "project_name": f"jobs {n_jobs}"}
            tuner = make_tuner(optimizers, fold_fitter=TrainingFitter(), **options)
            tuner.search(*data)
            found.append(rows(tuner))
        assert len(found[0]) == 9
        assert found[0] == found[1]

    def test_a_given_hyperparameter_that_only_fits_ask_for_is_searched(self, make_tuner: Make, data: Data) -> None:
        def given() -> keras_tuner.HyperParameters:
            hp = keras_tuner.HyperParameters()
            hp.Choice("nobody asks for it", [1, 2])
            hp.Choice("steps", [2, 4, 6])
            return hp

        class Tuned(keras_tuner.HyperModel):
            def build(self, hp: Any) -> keras.Model:
                return logistic("sgd")

            def fit(self, hp: Any, *args: Any, **kwargs: Any) -> Any:
                fits.append(hp.get("steps"))
                return {"val_accuracy": float(fits[-1])}

        fits: list[int] = []
        options = {"cv": 2, "fold_fitter": None, "refit": False, "tune_new_entries": False}
        for _ in range(2):  # The second time there is nothing left to do.
            tuner = make_tuner(Tuned(), hyperparameters=given(), **options)
            tuner.search(*data)
            assert tuner.cv_results_["params"] == [{"steps": 2}, {"steps": 4}, {"steps": 6}]
            assert tuner.cv_results_["mean_test_score"].tolist() == [2.0, 4.0, 6.0]
        assert sorted(fits) == [2, 2, 4, 4, 6, 6]

    @pytest.mark.parametrize("n_jobs", [pytest.param(1, marks=pytest.mark.slow), 2])
    def test_real_fits_are_the_same_for_any_number_of_jobs(self, make_tuner: Make, data: Data, n_jobs: int) -> None:
        class Tuned(keras_tuner.HyperModel):
            def build(self, hp: Any) -> keras.Model:
                return logistic(hp.Choice("optimizer", ["adam", "sgd"]))

            def fit(self, hp: Any, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
                size = hp.Choice("batch_size", [6, 12])
                if hp.get("optimizer") == "sgd":
                    model.optimizer.learning_rate = hp.Choice("rate", [0.1, 0.5])
                return model.fit(*args, batch_size=size, **kwargs)

        tuner = make_tuner(Tuned(), cv=2, n_jobs=n_jobs, fold_fitter=None, refit=False, objective="val_loss")
        tuner.search(*data, epochs=1)
        assert tuner.cv_results_["params"] == [
            {"optimizer": "adam", "batch_size": 6},
            {"optimizer": "adam", "batch_size": 12},
            *({"optimizer": "sgd", "batch_size": size, "rate": rate} for size in (6, 12) for rate in (0.1, 0.5)),
        ]
        assert [c.trial_id for c in tuner.candidates()] == ["0000", "0002", "0001", "0003", "0004", "0005"]

    def test_the_building_and_the_training_of_one_model_are_not_mixed_with_the_asking(
        self, make_tuner: Make, data: Data
    ) -> None:
        """What `build` leaves on the hypermodel belongs to the fit, not to the build that tells the hyperparameters."""

        class Keeping(keras_tuner.HyperModel):
            units = 0

            def build(self, hp: Any) -> keras.Model:
                self.units = hp.Int("units", 1, 6)
                return logistic("sgd")

            def fit(self, hp: Any, *args: Any, **kwargs: Any) -> Any:
                time.sleep(0.02)
                return {"val_accuracy": self.units}

        tuner = make_tuner(Keeping(), cv=2, n_jobs=1, fold_fitter=None, refit=False)
        tuner.search(*data)
        assert tuner.cv_results_["mean_test_score"].tolist() == [1, 2, 3, 4, 5, 6]


class TestReadBack:
    """A tuner of another process, which has not searched."""

    @pytest.mark.parametrize("n_jobs", [1, 3])
    def test_the_table_is_in_the_same_order(self, make_tuner: Make, data: Data, n_jobs: int) -> None:
        def growing(hp: Any) -> None:
            layers(hp)
            hp.Choice("optimizer", ["adam", "sgd"])

        options = {"cv": 2, "fold_fitter": TrainingFitter(), "n_jobs": n_jobs, "max_trials": 60}
        for space in (optimizers, growing):
            tuner = make_tuner(space, project_name=space.__name__, **options)
            tuner.search(*data)
            again = make_tuner(space, project_name=space.__name__, **options)
            assert list(again.cv_results_) == list(tuner.cv_results_)
            assert again.cv_results_["params"] == tuner.cv_results_["params"]
            assert again.best_params_ == tuner.best_params_


class TestNothingIsEnumerated:
    @pytest.mark.parametrize("limit", [1, 5])
    def test_a_billion_combinations_cost_no_more_than_a_thousand(
        self, make_tuner: Make, data: Data, limit: int
    ) -> None:
        def build(hp: Any) -> None:
            for i in range(9):
                hp.Choice(f"c{i}", list(range(10)))
            hp.Int("huge", 0, 10**9)
            hp.Float("fine", 0.0, 1.0, step=1e-9)
            with hp.conditional_scope("huge", [3, 4]):
                hp.Int("inner", 1, 10**9)

        from tuner_app.views.tensorboard.observer import TensorBoardLogs
        from tuner_app.views.terminal.progress import Progress

        began = time.perf_counter()
        tuner = make_tuner(build, cv=2, max_trials=limit, observers=[Progress(verbosity=0), TensorBoardLogs()])
        tuner.search(*data)
        again = make_tuner(build, cv=2, max_trials=limit)
        again.search(*data)
        assert time.perf_counter() - began < 5.0
        assert [values["fine"] for values in tuner.cv_results_["params"]] == [i * 1e-9 for i in range(limit)]
        assert rows(again) == rows(tuner)

    def test_what_observers_are_told_is_the_number_that_will_be(self, make_tuner: Make, data: Data) -> None:
        plans: list[SearchPlan] = []

        class Listener(SearchObserver):
            def search_begun(self, plan: SearchPlan) -> None:
                plans.append(plan)

        make_tuner(lambda hp: hp.Int("n", 1, 10**12), cv=2, max_trials=2, observers=[Listener()]).search(*data)
        assert plans[0].n_candidates == 2
        assert len(plans[0].space["n"]) == 10**12
        assert plans[0].space["n"][-1] == 10**12


class TestRunsOfBuild:
    """A run of `build` is what a candidate costs most where fits are short."""

    @staticmethod
    def candidates(program: Any) -> tuple[list[dict[str, Any]], int]:
        """The candidates of a space that `program` declares with its defaults, and how often it was run for them."""
        runs = 0

        def counted(hyperparameters: Any) -> None:
            nonlocal runs
            runs += 1
            program(hyperparameters)

        candidates = Grid(_declared(program), counted)
        found = []
        while (proposal := candidates.next()) is not None:
            candidates.tell(proposal.number, ())
            found.append(proposal.values)
        return found, runs

    def test_few_runs_settle_that_a_space_says_all(self) -> None:
        def program(hp: Any) -> None:
            hp.Choice("a", list(range(30)))
            with hp.conditional_scope("a", [1, 2]):
                hp.Choice("b", list(range(30)))
            hp.Choice("c", list(range(30)))

        found, runs = self.candidates(program)
        assert found == list(grid(_declared(program)))
        assert len(found) == (28 + 2 * 30) * 30
        assert runs < 120

    @pytest.mark.parametrize("rare", [1, 9], ids=["the second value", "the last value"])
    def test_what_one_value_of_a_large_space_changes_is_found(self, rare: int) -> None:
        def program(hp: Any) -> None:
            if hp.Choice("a", list(range(10))) != rare:
                hp.Choice("b", list(range(10)))
            hp.Choice("c", list(range(10)))

        found, runs = self.candidates(program)
        assert len(found) == len({repr(values) for values in found}) == 9 * 10 * 10 + 10
        assert all(("b" in values) == (values["a"] != rare) for values in found)
        assert runs > len(found)

    def test_what_only_two_values_together_change_is_met_by_the_fits(self, make_tuner: Make, data: Data) -> None:
        """Nothing is lost where the looks did not come upon it: it is what a fit has asked for then."""

        def build(hp: Any) -> None:
            values = list(range(12))
            hp.Choice("a", values)
            hp.Choice("b", values)

        class Late(FakeFitter):
            def __call__(self, task: Any) -> Any:
                space = _declared(build)
                hyperparameters = RecordedHyperParameters(space, dict(task.values))
                asked = hyperparameters.get_config()["space"]
                if (task.values["a"], task.values["b"]) == (7, 9):
                    hyperparameters.Choice("c", [1, 2])
                declared = declared_by_fit(hyperparameters, task.values, asked)
                return dataclasses.replace(super().__call__(task), declared=declared)

        tuner = make_tuner(build, cv=2, fold_fitter=Late())
        tuner.search(*data)
        params = tuner.cv_results_["params"]
        assert len(params) == 12 * 12 + 1
        assert [values for values in params if "c" in values] == [{"a": 7, "b": 9, "c": 1}, {"a": 7, "b": 9, "c": 2}]


def _declared(program: Any) -> list[Any]:
    declared = RecordedHyperParameters()
    program(declared)
    return declared.space


class TestValues:
    @pytest.mark.parametrize("sampling", ["log", "reverse_log"])
    def test_an_int_is_an_int(self, make_tuner: Make, data: Data, sampling: str) -> None:
        tuner = make_tuner(lambda hp: hp.Int("n", 1, 8, step=2, sampling=sampling), cv=2)
        tuner.search(*data)
        values = [params["n"] for params in tuner.cv_results_["params"]]
        assert values == ([1, 2, 4, 8] if sampling == "log" else [1, 8, 7, 5])
        assert all(type(value) is int for value in values)
        assert tuner.cv_results_["param_n"].dtype.kind == "i"

    def test_numpy_numbers_are_numbers(self, make_tuner: Make, data: Data) -> None:
        def build(hp: Any) -> None:
            hp.Choice("a", np.array([1, 2]))
            hp.Choice("b", [np.float32(0.5), np.float32(0.25)])
            hp.Int("c", np.int64(1), np.int64(2), default=np.int64(2))
            hp.Float("d", np.float32(0.5), np.float32(1.0), step=np.float32(0.5))
            hp.Boolean("e", default=np.True_)
            hp.Fixed("f", np.int64(3))

        tuner = make_tuner(build, cv=2)
        tuner.search(*data)
        assert len(tuner.cv_results_["params"]) == 32
        types = {name: type(value) for name, value in tuner.cv_results_["params"][0].items()}
        assert types == {"a": int, "b": float, "c": int, "d": float, "e": bool, "f": int}
        assert tuner.cv_results_["params"][0] == {"a": 1, "b": 0.5, "c": 2, "d": 0.5, "e": True, "f": 3}

    def test_numpy_numbers_of_a_given_space_are_numbers(self, make_tuner: Make, data: Data) -> None:
        hp = keras_tuner.HyperParameters()
        hp.Float("d", 0.5, 1.0, step=np.float32(0.5), default=np.float32(0.5))
        tuner = make_tuner(lambda hp: hp.get("d"), cv=2, hyperparameters=hp)
        tuner.search(*data)
        assert [type(values["d"]) for values in tuner.cv_results_["params"]] == [float, float]

    @pytest.mark.parametrize(
        ("declare", "message"),
        [
            (lambda hp: hp.Choice("a", [1.0, float("inf")]), "'a' must be finite. Received: inf"),
            (lambda hp: hp.Float("a", 0.0, float("inf"), step=1.0), "'a' must be finite. Received: inf"),
            (lambda hp: hp.Fixed("a", float("nan")), "'a' must be finite. Received: nan"),
            (lambda hp: hp.Choice("a", ["x", "\ud800"]), r"without lone surrogates.*Received: '\\ud800'"),
            (lambda hp: hp.Boolean("\udfff"), r"without lone surrogates.*Received: '\\udfff'"),
        ],
    )
    def test_values_that_cannot_be_kept_are_refused_in_one_line(
        self, make_tuner: Make, declare: Callable[[Any], Any], message: str
    ) -> None:
        with pytest.raises(InputError, match=message) as caught:
            make_tuner(declare)
        assert "\n" not in str(caught.value)

    def test_they_are_refused_in_a_fit_too(self, make_tuner: Make, data: Data) -> None:
        class Tuned(keras_tuner.HyperModel):
            def build(self, hp: Any) -> keras.Model:
                return logistic("sgd")

            def fit(self, hp: Any, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
                hp.Choice("late", [1.0, float("inf")])
                return {"val_accuracy": 1.0}

        with pytest.raises(InputError, match="'late' must be finite"):
            make_tuner(Tuned(), cv=2, fold_fitter=None, refit=False, n_jobs=1).search(*data)
