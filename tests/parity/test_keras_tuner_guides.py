"""What Keras Tuner's guides teach, run with `GridSearchCV` in place of their tuner and with default arguments.

The guides: "Getting started", "Tailor the search space", "Tune hyperparameters in your custom training loop" (before:
"Writing your own Tuner") and "Handling failed trials". Each pattern is written anew here, on less data.
docs/keras-tuner-guides.md is the table of these tests for users.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from sklearn.exceptions import FitFailedWarning

from tuner_app import GridSearchCV
from tuner_app.errors import InputError

# Keras's own, on saving a model.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

Search = Callable[..., GridSearchCV]

TRIALS = 2
"""Candidates of a search; each has an architecture of its own, which costs most of the time."""


@pytest.fixture(name="pictures")
def pictures_fixture() -> tuple[Any, Any]:
    """60 grey pictures of 28 x 28 with one-hot labels of ten classes, each class six times."""
    random = np.random.default_rng(0)
    labels = random.permutation(np.repeat(np.arange(10), 6))
    return random.random((60, 28, 28, 1), dtype=np.float32), keras.utils.to_categorical(labels, 10)


@pytest.fixture(name="numbers")
def numbers_fixture() -> tuple[Any, Any]:
    """60 rows of ten numbers, and a number to predict in a column of its own."""
    random = np.random.default_rng(0)
    return random.random((60, 10)), random.random((60, 1))


@pytest.fixture(name="make")
def make_fixture(tmp_path: Path) -> Search:
    """A tuner with the arguments that the guides give it; all others have their defaults."""

    def make(hypermodel: Any = None, *, cls: Any = GridSearchCV, **options: Any) -> Any:
        given = {
            "max_trials": TRIALS,
            "overwrite": True,
            "directory": tmp_path / "my_dir",
            "project_name": "helloworld",
        }
        return cls(hypermodel, **(given | options))

    return make


def classifier(hp: Any, *more: Any) -> keras.Model:
    """Flat pictures, one hidden layer, one-hot classes."""
    model = keras.Sequential(
        [
            layers.Flatten(),
            layers.Dense(hp.Int("units", min_value=8, max_value=16, step=8), activation="relu"),
            *more,
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    return model


def regressor(hp: Any, **compile_options: Any) -> keras.Model:
    model = keras.Sequential([layers.Dense(hp.Int("units", 8, 24, 8), activation="relu"), layers.Dense(1)])
    model.compile(optimizer="adam", loss="mean_squared_error", **compile_options)
    return model


class Regressor(keras_tuner.HyperModel):
    """Has a `fit` of its own in each test."""

    def build(self, hp: Any) -> keras.Model:
        return regressor(hp)


def check_finished(tuner: GridSearchCV, candidates: int, folds: int = 3) -> None:
    """A whole table of finite scores, the best by it, and a model."""
    table = tuner.cv_results_
    assert len(table["params"]) == candidates
    assert np.isfinite([table[f"split{fold}_test_score"] for fold in range(folds)]).all()
    assert table["params"][tuner.best_index_] == tuner.best_params_
    assert tuner.get_best_hyperparameters()[0].values == tuner.best_params_
    assert isinstance(tuner.best_model_, keras.Model)


class TestGettingStarted:
    def test_architecture_with_a_loop_over_layers(self, make: Search, pictures: Any, capsys: Any) -> None:
        def build(hp: Any) -> keras.Model:
            model = keras.Sequential([layers.Flatten()])
            for i in range(hp.Int("num_layers", 1, 3)):
                units = hp.Int(f"units_{i}", min_value=8, max_value=16, step=8)
                model.add(layers.Dense(units, activation=hp.Choice("activation", ["relu", "tanh"])))
            if hp.Boolean("dropout"):
                model.add(layers.Dropout(rate=0.25))
            model.add(layers.Dense(10, activation="softmax"))
            rate = hp.Float("lr", min_value=1e-4, max_value=1e-2, sampling="log")
            model.compile(keras.optimizers.Adam(rate), "categorical_crossentropy", metrics=["accuracy"])
            return model

        x, y = pictures
        tuner = make(build, objective="val_accuracy", executions_per_trial=2)
        tuner.search_space_summary()
        tuner.search(x, y, epochs=2)
        check_finished(tuner, TRIALS)
        best, second = tuner.get_best_models(num_models=2)
        best.summary()  # Keras Tuner's must be built first; these are trained.
        assert second.count_params() > 0
        tuner.results_summary()
        assert "Results summary" in capsys.readouterr().out
        again = build(tuner.get_best_hyperparameters(5)[0])
        again.fit(x, y, epochs=1, verbose=0)
        assert np.isin(np.unique(tuner.predict(x).argmax(axis=-1)), np.arange(10)).all()

    def test_existing_code_behind_hyperparameters(self, make: Search, pictures: Any) -> None:
        def existing(units: int, activation: str, dropout: bool, rate: float) -> keras.Model:
            model = keras.Sequential([layers.Flatten(), layers.Dense(units, activation=activation)])
            if dropout:
                model.add(layers.Dropout(0.25))
            model.add(layers.Dense(10, activation="softmax"))
            model.compile(keras.optimizers.Adam(rate), "categorical_crossentropy", metrics=["accuracy"])
            return model

        def build(hp: Any) -> keras.Model:
            return existing(
                hp.Int("units", min_value=8, max_value=16, step=8),
                hp.Choice("activation", ["relu", "tanh"]),
                hp.Boolean("dropout"),
                hp.Float("lr", min_value=1e-4, max_value=1e-2, sampling="log"),
            )

        tuner = make(build, objective="val_accuracy")
        tuner.search(*pictures, epochs=1)
        check_finished(tuner, TRIALS)

    @pytest.mark.slow
    def test_fit_that_tunes_how_it_shuffles(self, make: Search, pictures: Any) -> None:
        class HyperModel(keras_tuner.HyperModel):
            def build(self, hp: Any) -> keras.Model:
                return classifier(hp)

            def fit(self, hp: Any, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
                return model.fit(*args, shuffle=hp.Boolean("shuffle"), **kwargs)

        tuner = make(HyperModel(), objective="val_accuracy", max_trials=4)
        tuner.search(*pictures, epochs=1)
        check_finished(tuner, 4)
        assert {(p["units"], p["shuffle"]) for p in tuner.cv_results_["params"]} == {
            *((8, False), (8, True), (16, False), (16, True))
        }

    @pytest.mark.slow
    def test_fit_that_tunes_preprocessing(self, make: Search, pictures: Any) -> None:
        class HyperModel(keras_tuner.HyperModel):
            def build(self, hp: Any) -> keras.Model:
                return classifier(hp)

            def fit(self, hp: Any, model: keras.Model, x: Any, y: Any, **kwargs: Any) -> Any:
                if hp.Boolean("normalize"):
                    x = layers.Normalization()(x)
                return model.fit(x, y, shuffle=hp.Boolean("shuffle"), **kwargs)

        tuner = make(HyperModel(), objective="val_accuracy")
        tuner.search(*pictures, epochs=1)
        check_finished(tuner, TRIALS)

    def test_hyperparameter_of_both_build_and_fit(self, make: Search, pictures: Any) -> None:
        class HyperModel(keras_tuner.HyperModel):
            def build(self, hp: Any) -> keras.Model:
                size = hp.Int("image_size", 10, 28)
                inputs = keras.Input((size, size))
                hidden = layers.Dense(hp.Int("units", 8, 16, 8), activation="relu")(layers.Flatten()(inputs))
                model = keras.Model(inputs, layers.Dense(10, activation="softmax")(hidden))
                model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
                return model

            def fit(
                self, hp: Any, model: keras.Model, x: Any, y: Any, validation_data: Any = None, **kwargs: Any
            ) -> Any:
                if hp.Boolean("normalize"):
                    x = layers.Normalization()(x)
                size = hp.get("image_size")
                if validation_data:
                    x_val, y_val = validation_data
                    validation_data = (x_val[:, :size, :size, 0], y_val)
                shuffle = hp.Boolean("shuffle")
                return model.fit(x[:, :size, :size, 0], y, shuffle=shuffle, validation_data=validation_data, **kwargs)

        hypermodel = HyperModel()
        tuner = make(hypermodel, objective="val_accuracy")
        tuner.search(*pictures, epochs=2)
        check_finished(tuner, TRIALS)
        best = tuner.get_best_hyperparameters()[0]
        hypermodel.fit(best, hypermodel.build(best), *pictures, epochs=1, verbose=0)

    @pytest.mark.slow
    def test_metric_as_objective(self, make: Search, numbers: Any) -> None:
        tuner = make(
            lambda hp: regressor(hp, metrics=[keras.metrics.MeanAbsoluteError()]),
            objective=keras_tuner.Objective("val_mean_absolute_error", direction="min"),
        )
        tuner.search(*numbers)
        check_finished(tuner, TRIALS)
        assert (tuner.cv_results_["mean_test_score"] < 0).all()
        tuner.results_summary()

    def test_metric_of_ones_own_as_objective(self, make: Search, numbers: Any) -> None:
        class Squares(keras.metrics.Metric):
            def __init__(self, **options: Any) -> None:
                super().__init__(name="squares", **options)
                self.sum = self.add_weight(name="sum", initializer="zeros")
                self.count = self.add_weight(name="count", dtype="int32", initializer="zeros")

            def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
                self.sum.assign_add(tf.reduce_sum(tf.math.squared_difference(y_pred, y_true)))
                self.count.assign_add(tf.shape(y_true)[0])

            def result(self) -> Any:
                return self.sum / tf.cast(self.count, tf.float32)

        tuner = make(
            lambda hp: regressor(hp, metrics=[Squares()]),
            objective=keras_tuner.Objective("val_squares", direction="min"),
        )
        tuner.search(*numbers)
        check_finished(tuner, TRIALS)
        losses = [history["val_loss"] for folds in tuner.histories_ for history in folds]
        own = [history["val_squares"] for folds in tuner.histories_ for history in folds]
        np.testing.assert_allclose(own, losses, rtol=1e-4)

    def test_fit_that_returns_the_number_to_minimise(self, make: Search, numbers: Any) -> None:
        class HyperModel(Regressor):
            def fit(self, hp: Any, model: keras.Model, x: Any, y: Any, validation_data: Any, **kwargs: Any) -> Any:
                model.fit(x, y, **kwargs)
                x_val, y_val = validation_data
                return np.mean(np.abs(model.predict(x_val, verbose=0) - y_val))

        tuner = make(HyperModel())
        tuner.search(*numbers)
        check_finished(tuner, TRIALS)
        assert (tuner.cv_results_["mean_test_score"] < 0).all()

    @pytest.mark.slow
    def test_fit_that_returns_several_numbers(self, make: Search, numbers: Any) -> None:
        class HyperModel(Regressor):
            def fit(self, hp: Any, model: keras.Model, x: Any, y: Any, validation_data: Any, **kwargs: Any) -> Any:
                model.fit(x, y, **kwargs)
                x_val, y_val = validation_data
                error = model.predict(x_val, verbose=0) - y_val
                return {"metric_a": -np.mean(np.abs(error)), "metric_b": np.mean(np.square(error))}

        tuner = make(HyperModel(), objective=keras_tuner.Objective("metric_a", "max"))
        tuner.search(*numbers)
        check_finished(tuner, TRIALS)
        assert (tuner.cv_results_["mean_test_score"] < 0).all()

    def test_validation_data_are_refused(self, make: Search, numbers: Any) -> None:
        """Every search of the guides is given them; here the folds are the validation data."""
        with pytest.raises(InputError, match="the folds are the validation data"):
            make(regressor, objective="val_loss").search(*numbers, validation_data=numbers)

    def test_run_trial_of_ones_own_is_refused(self, make: Search, numbers: Any) -> None:
        """A trial is several fits here; what `run_trial` did belongs into `HyperModel.fit`."""

        class Tuner(GridSearchCV):
            def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
                x = trial.hyperparameters.Float("x", min_value=-1.0, max_value=1.0)
                return x * x + 1

        with pytest.raises(InputError, match=r"HyperModel\.fit"):
            make(cls=Tuner).search(*numbers)

    @pytest.mark.slow
    def test_application_of_keras_tuner(self, make: Search, pictures: Any) -> None:
        hypermodel = keras_tuner.applications.HyperResNet(input_shape=(28, 28, 1), classes=10)
        tuner = make(hypermodel, objective="val_accuracy", max_trials=1)
        tuner.search(*pictures, epochs=1)
        check_finished(tuner, 1)


class TestTailorTheSearchSpace:
    """`labels` come as a column of integers, as in the guide."""

    @staticmethod
    def build(hp: Any) -> keras.Model:
        model = keras.Sequential([layers.Flatten(), layers.Dense(hp.Int("units", 32, 64, step=32, default=64))])
        if hp.Boolean("dropout"):
            model.add(layers.Dropout(rate=0.25))
        optimizer = keras.optimizers.Adam(hp.Choice("learning_rate", values=[1e-2, 1e-3, 1e-4]))
        model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    @pytest.fixture(name="labelled")
    def labelled_fixture(self, pictures: Any) -> tuple[Any, Any]:
        x, y = pictures
        return x, y.argmax(axis=1)[:, None]

    def test_search_a_few_and_fix_the_rest(self, make: Search, labelled: Any) -> None:
        hp = keras_tuner.HyperParameters()
        hp.Float("learning_rate", min_value=1e-4, max_value=1e-2, sampling="log")
        tuner = make(self.build, hyperparameters=hp, tune_new_entries=False, objective="val_accuracy")
        tuner.search(*labelled, epochs=1)
        check_finished(tuner, TRIALS)
        assert [hp.name for hp in tuner.oracle.get_space().space] == ["learning_rate"]
        assert [params["units"] for params in tuner.cv_results_["params"]] == [64] * TRIALS

    def test_fix_a_few_and_tune_the_rest(self, make: Search, labelled: Any) -> None:
        hp = keras_tuner.HyperParameters()
        hp.Fixed("learning_rate", value=1e-4)
        tuner = make(self.build, hyperparameters=hp, tune_new_entries=True, objective="val_accuracy")
        tuner.search(*labelled, epochs=1)
        check_finished(tuner, TRIALS)
        assert {params["learning_rate"] for params in tuner.cv_results_["params"]} == {1e-4}

    def test_override_compile_arguments(self, make: Search, labelled: Any) -> None:
        tuner = make(
            self.build,
            optimizer=keras.optimizers.Adam(1e-3),
            loss="mse",
            metrics=["sparse_categorical_crossentropy"],
            objective="val_loss",
        )
        tuner.search(*labelled, epochs=1)
        check_finished(tuner, TRIALS)
        assert tuner.get_best_models()[0].loss == "mse"
        assert "val_sparse_categorical_crossentropy" in tuner.histories_[0][0]

    @pytest.mark.slow
    def test_application_with_another_loss(self, make: Search, labelled: Any) -> None:
        x, y = labelled
        hp = keras_tuner.HyperParameters()
        hp.Choice("learning_rate", values=[1e-2, 1e-3, 1e-4])
        tuner = make(
            keras_tuner.applications.HyperXception(input_shape=(28, 28, 1), classes=10),
            hyperparameters=hp,
            tune_new_entries=False,
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            objective="val_accuracy",
            max_trials=1,
        )
        tuner.search(x, y, epochs=1)
        check_finished(tuner, 1)


class TestCustomTrainingLoop:
    class HyperModel(keras_tuner.HyperModel):
        """The model is not compiled: the loop brings its own optimizer and loss."""

        def build(self, hp: Any) -> keras.Model:
            inputs = keras.Input((28, 28, 1))
            hidden = layers.Dense(hp.Choice("units", [8, 16]), activation="relu")(layers.Flatten()(inputs))
            return keras.Model(inputs, layers.Dense(10)(hidden))

        def fit(
            self,
            hp: Any,
            model: keras.Model,
            x: Any,
            y: Any,
            validation_data: Any,
            callbacks: Any = None,
            **kwargs: Any,
        ) -> float:
            batch_size = hp.Int("batch_size", 32, 64, step=32, default=64)
            train = tf.data.Dataset.from_tensor_slices((x, y)).batch(batch_size)
            validation = tf.data.Dataset.from_tensor_slices(validation_data).batch(batch_size)
            optimizer = keras.optimizers.Adam(hp.Float("learning_rate", 1e-4, 1e-2, sampling="log", default=1e-3))
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            mean = keras.metrics.Mean()

            @tf.function
            def train_step(images: Any, labels: Any) -> None:
                with tf.GradientTape() as tape:
                    value = loss(labels, model(images))
                gradients = tape.gradient(value, model.trainable_variables)
                optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

            for callback in callbacks:
                callback.set_model(model)
            best = float("inf")
            for epoch in range(2):
                for images, labels in train:
                    train_step(images, labels)
                for images, labels in validation:
                    mean.update_state(loss(labels, model(images)))
                for callback in callbacks:
                    callback.on_epoch_end(epoch, logs={"my_metric": float(mean.result())})
                best = min(best, float(mean.result()))
                mean.reset_state()
            return best

    @pytest.mark.slow
    def test_own_loop_on_a_model_that_is_not_compiled(self, make: Search, pictures: Any) -> None:
        x, y = pictures
        tuner = make(self.HyperModel(), objective=keras_tuner.Objective("my_metric", "min"), max_trials=2)
        tuner.search(x=x, y=y.argmax(axis=1)[:, None])
        check_finished(tuner, 2)
        assert tuner.get_best_models()[0].count_params() > 0
        assert (tuner.cv_results_["mean_test_score"] < 0).all()


class TestFailedTrials:
    TOO_LARGE = 1_200

    def build(self, error: type[Exception]) -> Callable[[Any], keras.Model]:
        def build(hp: Any) -> keras.Model:
            first, second = hp.Int("units_1", 10, 40, step=30), hp.Int("units_2", 10, 30, step=20)
            model = keras.Sequential([keras.Input((20,)), layers.Dense(first), layers.Dense(second), layers.Dense(1)])
            model.compile(loss="mse")
            if model.count_params() > self.TOO_LARGE:
                self.refusals.append((first, second))
                raise error(f"Model too large! It contains {model.count_params()} params.")
            return model

        self.refusals: list[tuple[int, int]] = []
        return build

    @pytest.fixture(name="rows")
    def rows_fixture(self) -> tuple[Any, Any]:
        random = np.random.default_rng(0)
        return random.random((30, 20)), random.random((30, 1))

    def options(self) -> dict[str, Any]:
        return {"objective": "val_loss", "max_retries_per_trial": 3, "max_consecutive_failed_trials": 8}

    @pytest.mark.parametrize(("error", "attempts"), [(ValueError, 4), (keras_tuner.errors.FailedTrialError, 1)])
    def test_failed_candidates_are_tolerated(
        self, make: Search, rows: Any, error: type[Exception], attempts: int
    ) -> None:
        tuner = make(self.build(error), max_trials=None, **self.options())
        with pytest.warns(FitFailedWarning, match="Model too large!"):
            tuner.search(*rows, epochs=1)
        scores = tuner.cv_results_["mean_test_score"]
        assert len(scores) == 4
        failed = [
            (p["units_1"], p["units_2"])
            for p, s in zip(tuner.cv_results_["params"], scores, strict=True)
            if np.isnan(s)
        ]
        assert failed == [(40, 10), (40, 30)]
        in_fits = [self.refusals.count(pair) for pair in failed]
        assert set(in_fits) <= {3 * attempts, 3 * attempts + 1}  # each fold's attempts, and a look before them
        tuner.results_summary()

    @pytest.mark.parametrize(
        "error",
        [keras_tuner.errors.FatalError, pytest.param(keras_tuner.errors.FatalValueError, marks=pytest.mark.slow)],
    )
    def test_fatal_errors_end_the_search(self, make: Search, rows: Any, error: type[Exception]) -> None:
        tuner = make(self.build(error), max_trials=None, **self.options())
        with pytest.raises(error, match="Model too large!"):
            tuner.search(*rows, epochs=1)
