"""What each fit has of its own: hypermodels and callbacks are copied, data are not."""

from __future__ import annotations

import dataclasses
import functools
import threading
import time
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from support.small_models import lines, small

from tuner_app.errors import InputError
from tuner_app.training import copies
from tuner_app.tuners.grid_search import GridSearchCV

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

Make = Callable[..., Any]
Data = tuple[Any, Any]


class Remembering(keras_tuner.HyperModel):
    """Keeps in `build` what it reads in `fit`, in an attribute and in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, int] = {}

    def build(self, hp: Any) -> keras.Model:
        self.units = hp.Choice("units", list(range(2, 12)))
        self.kept["units"] = self.units
        return small()

    def fit(self, hp: Any, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        time.sleep(0.002)  # the other fit builds meanwhile
        return {"val_accuracy": float(self.units), "attribute": float(self.units), "dict": float(self.kept["units"])}


class TestHypermodelsOfTheirOwn:
    @pytest.mark.parametrize("n_jobs", [1, 2, 4])
    def test_each_fit_reads_what_its_own_build_kept(self, make_tuner: Make, data: Data, n_jobs: int) -> None:
        tuner = make_tuner(Remembering(), cv=2, n_jobs=n_jobs, fold_fitter=None, refit=False)
        tuner.search(*data)
        read = {(r.values["units"], *r.scores.values()) for candidate in tuner.candidates() for r in candidate.folds}
        assert read == {(units, units, units, units) for units in range(2, 12)}

    def test_the_tuners_hooks_meet_the_hypermodel_of_their_fit(self, make_tuner: Make, data: Data) -> None:
        met: list[tuple[int, int]] = []

        class Hooked(GridSearchCV):
            def on_epoch_end(self, trial: Any, model: Any, epoch: int, logs: Any = None) -> None:
                time.sleep(0.002)
                met.append((trial.hyperparameters.values["units"], self.hypermodel.units))

        class Plain(Remembering):
            fit = keras_tuner.HyperModel.fit

        hypermodel = Plain()
        tuner = make_tuner(hypermodel, cls=Hooked, cv=2, n_jobs=2, max_trials=4, fold_fitter=None, refit=False)
        tuner.search(*data, epochs=1, batch_size=24)
        assert len(met) == 8
        assert all(asked == kept for asked, kept in met)
        assert tuner.hypermodel is hypermodel

    def test_a_build_that_a_subclass_overrides_uses_it_too(self, make_tuner: Make, data: Data) -> None:
        built: list[Any] = []

        class Own(GridSearchCV):
            def _build_hypermodel(self, hp: Any) -> keras.Model:
                built.append(self.hypermodel)
                return super()._build_hypermodel(hp)

        hypermodel = Remembering()
        make_tuner(hypermodel, cls=Own, cv=2, n_jobs=2, max_trials=2, fold_fitter=None, refit=False).search(*data)
        own = [one for one in built if one is not hypermodel]
        assert len({id(one) for one in own}) == len(own) == 5  # four fits, and the model that is looked at before

    def test_the_refit_has_a_copy_too(self, make_tuner: Make, data: Data) -> None:
        class Noting(Remembering):
            notes: list[Any] = []  # noqa: RUF012 - of the class, which is no copy's own

            def fit(self, hp: Any, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
                self.notes.append(self)
                return model.fit(*args, **kwargs)

        hypermodel = Noting()
        make_tuner(hypermodel, cv=2, n_jobs=2, max_trials=1, fold_fitter=None).search(*data, epochs=1)
        assert len({id(one) for one in hypermodel.notes}) == 3
        assert all(one is not hypermodel for one in hypermodel.notes)

    def test_a_given_hypermodel_is_left_as_it_was(self, make_tuner: Make, data: Data) -> None:
        hypermodel = Remembering()
        tuner = make_tuner(hypermodel, cv=2, n_jobs=2, fold_fitter=None, refit=False)
        hypermodel.units, hypermodel.kept = -1, {"units": -1}
        tuner.search(*data)
        assert (hypermodel.units, hypermodel.kept) == (-1, {"units": -1})

    @pytest.mark.parametrize("kind", ["function", "bound method", "callable", "partial", "__main__"])
    def test_all_that_builds_may_be_a_hypermodel(self, make_tuner: Make, data: Data, kind: str) -> None:
        class Owner:
            def build(self, hp: Any) -> keras.Model:
                self.units = hp.Choice("units", [2])
                return small(self.units)

            __call__ = build

        def build(hp: Any, plus: int = 0) -> keras.Model:
            return small(hp.Choice("units", [2]) + plus)

        scope: dict[str, Any] = {"__name__": "__main__", "keras_tuner": keras_tuner, "small": small}
        exec(
            "class Typed(keras_tuner.HyperModel):\n    def build(self, hp): return small(hp.Choice('units', [2]))",
            scope,
        )
        made = {
            "function": build,
            "bound method": Owner().build,
            "callable": Owner(),
            "partial": functools.partial(build, plus=1),
            "__main__": scope["Typed"](),
        }
        tuner = make_tuner(made[kind], cv=2, n_jobs=2, fold_fitter=None)
        tuner.search(*data, epochs=1, batch_size=24)
        assert [params["units"] for params in tuner.cv_results_["params"]] == [2]
        assert np.isfinite(tuner.cv_results_["mean_test_score"]).all()
        assert tuner.best_model_.built


class Locked(Remembering):
    def __init__(self) -> None:
        super().__init__()
        self.waits = (number for number in range(3))


def test_a_hypermodel_that_cannot_be_copied_is_told_before_the_first_fit(
    make_tuner: Make, data: Data, tmp_path: Any
) -> None:
    tuner = make_tuner(Locked(), cv=2, n_jobs=2, fold_fitter=None)
    with pytest.raises(InputError, match=r"^A hypermodel must be deep-copyable.*Locked.*'generator'.*n_jobs=1\.$"):
        tuner.search(*data)
    assert not (tmp_path / "search" / "search.json").exists()


def test_one_that_cannot_be_copied_serves_one_fit_after_another(make_tuner: Make, data: Data) -> None:
    hypermodel = Locked()
    tuner = make_tuner(hypermodel, cv=2, n_jobs=1, fold_fitter=None, refit=False)
    tuner.search(*data)
    assert hypermodel.kept == {"units": hypermodel.units}  # the last fit's: it was used itself
    records = [record for candidate in tuner.candidates() for record in candidate.folds]
    assert all(record.scores["dict"] == record.values["units"] for record in records)


def test_a_fake_fitter_needs_no_copy(make_tuner: Make, data: Data) -> None:
    make_tuner(Locked(), n_jobs=2).search(*data)


# What a copy collects -------------------------------------------------------------------------------------------------


class LossHistory(keras.callbacks.Callback):
    """Keras's own example of a callback: the user reads `losses` afterwards."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.losses: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.losses.append(logs["loss"])


class Board:
    """Collects beside a callback."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    def add(self, epoch: int, logs: Any) -> None:
        self.rows.append(epoch)


class Collecting(keras_tuner.HyperModel):
    def __init__(self) -> None:
        super().__init__()
        self.tried: list[int] = []

    def build(self, hp: Any) -> keras.Model:
        self.names = [str(n) for n in range(hp.Choice("n", [1, 2]))]  # made anew in each build, read by nobody else
        return small()

    def fit(self, hp: Any, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        self.tried.append(hp.get("n"))
        return model.fit(*args, **kwargs)


@pytest.mark.parametrize(
    ("make_callback", "names"),
    [
        (LossHistory, "LossHistory collects in losses"),
        (lambda: keras.callbacks.LambdaCallback(on_epoch_end=Board().add), "LambdaCallback collects in Board.rows"),
    ],
)
def test_a_callback_that_collects_is_told_once(
    make_tuner: Make, data: Data, caplog: pytest.LogCaptureFixture, make_callback: Any, names: str
) -> None:
    tuner = make_tuner(lambda hp: small(), cv=2, fold_fitter=None)
    tuner.search(*data, epochs=1, callbacks=[make_callback()])
    [line] = lines(caplog)
    assert line.startswith(f"{names}, but each fit has its own copy of it")
    assert "histories_" in line
    assert "SearchObserver" in line


def test_a_hypermodel_that_collects_is_told_once(
    make_tuner: Make, data: Data, caplog: pytest.LogCaptureFixture
) -> None:
    make_tuner(Collecting(), cv=2, fold_fitter=None, refit=False).search(*data, epochs=1)
    [line] = lines(caplog)
    assert line.startswith("Collecting collects in tried, but")


def test_what_collects_elsewhere_or_nothing_is_not_told(
    make_tuner: Make, data: Data, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int] = []

    class Own(keras.callbacks.EarlyStopping):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            super().on_epoch_end(epoch, logs)
            seen.append(epoch)

    callbacks = [
        Own("loss", restore_best_weights=True),
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch)),
        keras.callbacks.History(),
    ]
    make_tuner(Remembering.build.__get__(Remembering()), cv=2, max_trials=1, fold_fitter=None, refit=False).search(
        *data, epochs=2, callbacks=callbacks
    )
    assert len(seen) == 8
    assert lines(caplog) == []


# Copies ---------------------------------------------------------------------------------------------------------------


def test_data_are_shared_and_state_is_not() -> None:
    @dataclasses.dataclass
    class Holder:
        table: Any

    class Full(keras_tuner.HyperModel):
        def __init__(self) -> None:
            super().__init__()
            self.x = np.ones(3)
            self.parts = {"frame": pd.DataFrame({"a": [1]}), "deep": [Holder(np.zeros(2))]}
            self.rows = tf.data.Dataset.range(3)
            self.tensor = tf.constant(1.0)
            self.lock = threading.Lock()
            self.module = np
            self.partial = functools.partial(np.add, np.ones(2))
            self.random = np.random.default_rng(0)
            self.seeds = keras.random.SeedGenerator(1)
            self.layer = keras.layers.Dense(2)
            self.layer.build((None, 3))

    given = Full()
    own = copies.copy_hypermodel(given)
    for name in ("x", "rows", "tensor", "lock", "module"):
        assert getattr(own, name) is getattr(given, name)
    assert own.parts is not given.parts
    assert own.parts["frame"] is given.parts["frame"]
    assert own.parts["deep"][0] is not given.parts["deep"][0]
    assert own.parts["deep"][0].table is given.parts["deep"][0].table
    assert own.partial.args[0] is given.partial.args[0]
    assert own.random is not given.random
    assert own.random.random() == given.random.random()
    assert own.seeds.state is not given.seeds.state
    assert own.layer.kernel is not given.layer.kernel
    np.testing.assert_array_equal(own.layer.kernel, given.layer.kernel)
    assert own.build.__self__ is own


def test_to_copy_a_layer_draws_no_random_number() -> None:
    import random

    given = Remembering()
    given.layer = keras.layers.Dense(2)
    random.seed(1)
    expected = random.random()
    random.seed(1)
    copies.copy_hypermodel(given)
    assert random.random() == expected


def test_contents_tell_what_has_grown() -> None:
    class Owner:
        def __init__(self) -> None:
            self.seen: list[int] = []
            self.params = {}
            self._private: list[int] = []
            self.fixed = {"a": 1}

    owner = Owner()
    before = copies.Contents.of(owner)
    owner.params["x"] = owner.fixed["a"] = 2
    owner._private.append(1)
    assert before.grown(owner, in_place=False) == []
    owner.seen.append(1)
    owner.new = [1]
    assert before.grown(owner, in_place=True) == ["seen"]
    assert before.grown(owner, in_place=False) == ["seen", "new"]
    owner.seen = [1, 2]
    assert before.grown(owner, in_place=True) == []


def test_callbacks_are_copied_once_a_fit(make_tuner: Make, data: Data) -> None:
    copied: list[int] = []

    class Counted(keras.callbacks.Callback):
        def __deepcopy__(self, memo: Any) -> Any:
            copied.append(1)
            return type(self)()

    tuner = make_tuner(lambda hp: small(hp.Choice("units", [2, 3])), cv=2, n_jobs=2, fold_fitter=None, refit=False)
    tuner.search(*data, epochs=1, callbacks=[Counted()])
    assert len(copied) == 2 * 2
