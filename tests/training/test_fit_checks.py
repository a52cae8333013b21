"""What is told in one line before the first fit, instead of by the tracebacks of all fits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from sklearn.exceptions import FitFailedWarning
from support.fakes import FakeFitter
from support.small_models import small

from tuner_app.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

Make = Callable[..., Any]
Data = tuple[Any, Any]
REAL = {"cv": 2, "fold_fitter": None, "refit": False}


class Own(keras_tuner.HyperModel):
    """Its `fit` is given by the test."""

    def build(self, hp: Any) -> keras.Model:
        return small(hp.Choice("units", [2, 3]))


def plain(hp: Any) -> keras.Model:
    return small(hp.Choice("units", [2]))


def uncompiled(hp: Any) -> keras.Model:
    hp.Choice("units", [2, 3])
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, "softmax")], name="bare")


@pytest.mark.parametrize("hypermodel", [None, 3, "dense"])
def test_a_hypermodel_that_builds_nothing(tmp_path: Path, hypermodel: Any) -> None:
    from tuner_app import GridSearchCV

    with pytest.raises(InputError, match=r"^hypermodel must be a keras_tuner\.HyperModel, or a function of hp"):
        GridSearchCV(hypermodel, "val_accuracy", directory=tmp_path, fold_fitter=FakeFitter())
    assert list(tmp_path.iterdir()) == []


class TestOptions:
    def test_one_that_model_fit_does_not_have(self, make_tuner: Make, data: Data, tmp_path: Path) -> None:
        for option, advice in (("epoch", "Did you mean epochs?"), ("temperature", "It has x, y, batch_size, epochs,")):
            with pytest.raises(InputError) as caught:
                make_tuner(plain, **REAL).search(*data, **{option: 3})
            start = f"search() hands its options on to model.fit, which has no {option}. {advice}"
            assert str(caught.value).startswith(start)
        assert not (tmp_path / "search" / "search.json").exists()
        make_tuner(plain, **REAL).search(*data, epochs=1)

    def test_one_that_the_model_s_own_fit_has(self, make_tuner: Make, data: Data) -> None:
        class Warm(keras.Sequential):
            def fit(self, *args: Any, temperature: float = 1.0, **kwargs: Any) -> Any:
                assert temperature == 3.0
                return super().fit(*args, **kwargs)

        def build(hp: Any) -> keras.Model:
            model = Warm([keras.Input((3,)), keras.layers.Dense(2, "softmax")])
            model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
            return model

        make_tuner(build, **REAL).search(*data, epochs=1, temperature=3.0)

    def test_one_that_an_own_fit_does_not_have(self, make_tuner: Make, data: Data) -> None:
        class Exact(Own):
            def fit(
                self, hp: Any, model: Any, x: Any, y: Any, validation_data: Any, callbacks: Any, epochs: int
            ) -> Any:
                return model.fit(x, y, validation_data=validation_data, callbacks=callbacks, epochs=epochs, verbose=0)

        with pytest.raises(InputError, match=r"on to HyperModel\.fit, which has no epoch\. Did you mean epochs\?$"):
            make_tuner(Exact(), **REAL).search(*data, epoch=3)
        tuner = make_tuner(Exact(), **REAL)
        tuner.search(*data, epochs=1)  # It takes no verbose either, and is not given it.
        assert np.isfinite(tuner.cv_results_["mean_test_score"]).all()

    def test_one_that_an_own_fit_hands_on(self, make_tuner: Make, data: Data) -> None:
        class HandsOn(Own):
            def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
                return model.fit(*args, **kwargs)

        with pytest.raises(InputError, match=r"model\.fit, which has no epoch\. Did you mean epochs\?$"):
            make_tuner(HandsOn(), **REAL).search(*data, epoch=3)

    def test_one_that_an_own_fit_takes_for_itself(self, make_tuner: Make, data: Data) -> None:
        class Takes(Own):
            def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
                assert kwargs.pop("temperature") == 3
                return model.fit(*args, **kwargs)

        tuner = make_tuner(Takes(), **REAL)
        tuner.search(*data, temperature=3)
        assert np.isfinite(tuner.cv_results_["mean_test_score"]).all()

    def test_one_that_an_own_fit_makes_up_is_its_failure(self, make_tuner: Make, data: Data) -> None:
        class MakesUp(Own):
            def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
                return model.fit(*args, **kwargs, **({"epoch": 3} if hp.get("units") == 2 else {}))

        with pytest.warns(FitFailedWarning, match="unexpected keyword argument 'epoch'"):
            make_tuner(MakesUp(), **REAL).search(*data)


class TestNotCompiled:
    def test_model_fit_would_refuse_it(self, make_tuner: Make, data: Data, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"^The models must be compiled.*the Sequential 'bare', which build\(\)"):
            make_tuner(uncompiled, **REAL).search(*data)
        assert not (tmp_path / "search" / "search.json").exists()

    def test_the_tuner_compiles_it(self, make_tuner: Make, data: Data) -> None:
        options = {"optimizer": "sgd", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
        tuner = make_tuner(uncompiled, **REAL, **options)
        tuner.search(*data, epochs=1)
        assert np.isfinite(tuner.cv_results_["mean_test_score"]).all()

    def test_an_own_loop_needs_none(self, make_tuner: Make, data: Data) -> None:
        class Loop(keras_tuner.HyperModel):
            def build(self, hp: Any) -> keras.Model:
                return uncompiled(hp)

            def fit(self, hp: Any, model: Any, x: Any, y: Any, validation_data: Any, **kwargs: Any) -> float:
                return float(hp.get("units"))

        tuner = make_tuner(Loop(), **REAL, objective=keras_tuner.Objective("score", "max"))
        tuner.search(data[0], data[0][:, 0])
        assert tuner.best_params_ == {"units": 3}


class TestCompileArgumentsOfTheTuner:
    @pytest.mark.parametrize(
        "options",
        [
            {"optimizer": keras.optimizers.SGD(0.05)},
            {"loss": "sparse_categorical_crossentropy"},
            {"metrics": ["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(1, name="top")]},
        ],
    )
    def test_each_alone(self, make_tuner: Make, data: Data, options: dict[str, Any]) -> None:
        def build(hp: Any) -> keras.Model:
            model = plain(hp)
            accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
            model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=[accuracy], loss_weights=2.0)
            return model

        def same(hp: Any) -> keras.Model:
            """Compiled as the tuner is asked to."""
            model = plain(hp)
            settings = {"optimizer": "rmsprop", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
            chosen = settings | options
            if not isinstance(chosen["optimizer"], str):
                chosen["optimizer"] = keras.optimizers.SGD(0.05)
            chosen["metrics"] = [
                m if isinstance(m, str) else keras.metrics.SparseTopKCategoricalAccuracy(1, name="top")
                for m in chosen["metrics"]
            ]
            model.compile(**chosen, loss_weights=2.0)
            return model

        found = []
        for name, hypermodel, given in (("tuner", build, options), ("model", same, {})):
            tuner = make_tuner(hypermodel, **REAL, n_jobs=2, project_name=name, **given)
            tuner.search(*data, epochs=2, batch_size=8)
            found.append(tuner.histories_)
        assert found[0] == found[1]
        assert ("top" in found[0][0][0]) == ("top" in str(options))


@keras.saving.register_keras_serializable("tests")
class Counts(keras.metrics.Metric):
    """A metric whose result is a dict."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.rows = self.add_variable((), "zeros", name="rows")
        self.right = self.add_variable((), "zeros", name="right")

    def update_state(self, y: Any, predicted: Any, sample_weight: Any = None) -> None:
        chosen = keras.ops.argmax(predicted, axis=-1)
        right = keras.ops.cast(keras.ops.equal(keras.ops.reshape(y, (-1,)), keras.ops.cast(chosen, y.dtype)), "float32")
        self.rows.assign_add(keras.ops.sum(keras.ops.ones_like(right)))
        self.right.assign_add(keras.ops.sum(right))

    def result(self) -> Any:
        return {"rows": self.rows.value, "share": self.right / self.rows}


@pytest.mark.parametrize("compile_epochs", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_metric_whose_result_is_a_dict_is_several(make_tuner: Make, data: Data, compile_epochs: bool) -> None:
    def build(hp: Any) -> keras.Model:
        model = plain(hp)
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy", Counts()])
        return model

    tuner = make_tuner(
        build, **REAL, objective=keras_tuner.Objective("val_share", "max"), compile_epochs=compile_epochs
    )
    tuner.search(*data, epochs=2, batch_size=5)
    for candidate in tuner.histories_:
        for history in candidate:
            assert history["rows"] == history["val_rows"] == [12.0, 12.0]
            assert history["share"] == pytest.approx(history["accuracy"])
            assert history["val_share"] == pytest.approx(history["val_accuracy"])
    assert np.isfinite(tuner.cv_results_["mean_test_score"]).all()


def test_a_trial_that_says_that_it_has_failed_is_not_tried_again(make_tuner: Make, data: Data) -> None:
    tried: list[int] = []

    class Gives(Own):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            tried.append(hp.get("units"))
            if hp.get("units") == 3:
                raise keras_tuner.errors.FailedTrialError("too slow")
            if tried.count(2) == 1:
                raise ValueError("once")
            return model.fit(*args, **kwargs)

    with pytest.warns(FitFailedWarning, match="too slow"):
        make_tuner(Gives(), **REAL, n_jobs=1, max_retries_per_trial=2).search(*data, epochs=1)
    assert (tried.count(2), tried.count(3)) == (3, 2)
