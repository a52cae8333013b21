"""Keras Tuner's documented forms of `HyperModel.fit` run with default arguments, their refit included."""

from __future__ import annotations

import logging
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
from support.staged_fits import BOTH_WAYS, WAYS, Data, Make, hypermodel, search

from tuner_app.storage.manifest import load_manifest

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")


def mean_error(model: keras.Model, validation_data: Any) -> float:
    x, y = validation_data[:2]
    return float(np.mean(np.abs(model.predict(x, verbose=0)[:, 1] - y)))


@WAYS
@pytest.mark.parametrize("kind", ["number", "dict"])
def test_one_that_reads_the_validation_data_and_returns_what_it_computes(
    make_tuner: Make, data: Data, way: dict[str, Any], kind: str
) -> None:
    rows = []

    def fit(model: keras.Model, x: Any, y: Any, validation_data: Any, **options: Any) -> Any:
        model.fit(x, y, epochs=3, **options)
        rows.append((len(x), len(validation_data[0])))
        error = mean_error(model, validation_data)
        return error if kind == "number" else {"error": error, "other": 1.0}

    objective = None if kind == "number" else keras_tuner.Objective("error", "min")
    tuner = search(make_tuner, data, hypermodel(fit), objective=objective, **way)
    assert sorted(rows) == [(12, 12), (12, 12), (24, 24)]
    assert tuner.best_score_ < 0
    assert tuner.best_params_ == {"rate": 0.25}
    assert tuner.predict(data[0]).shape == (24,)
    assert load_manifest(tuner.project).epochs == 3


@BOTH_WAYS
def test_one_that_stops_early_and_returns_the_best_of_its_history(
    make_tuner: Make, data: Data, way: dict[str, Any]
) -> None:
    epochs = []

    def fit(model: keras.Model, x: Any, y: Any, callbacks: Any, **options: Any) -> Any:
        stopping = keras.callbacks.EarlyStopping("val_loss", patience=1, min_delta=100.0)
        history = model.fit(x, y, epochs=6, callbacks=[*callbacks, stopping], **options)
        epochs.append((len(x), len(history.epoch)))
        return min(history.history["val_loss"])

    tuner = search(make_tuner, data, hypermodel(fit), objective=None, **way)
    assert sorted(epochs) == [(12, 2), (12, 2), (24, 2)]
    assert tuner.best_model_ is not None


class OwnLoop(keras_tuner.HyperModel):
    """Trains a model that is not compiled, and calls the callbacks by itself."""

    def build(self, hp: Any) -> keras.Model:
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(hp.Choice("units", [2]))])

    def fit(self, hp: Any, model: Any, x: Any, y: Any, validation_data: Any, callbacks: Any = None, **_: Any) -> Any:
        batches = tf.data.Dataset.from_tensor_slices((x, y)).batch(hp.Choice("batch_size", [6, 12]))
        held_out = tf.data.Dataset.from_tensor_slices(validation_data).batch(12)
        optimizer = keras.optimizers.Adam(0.01)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        mean = keras.metrics.Mean()
        for callback in callbacks:
            callback.set_model(model)
        for epoch in range(2):
            for features, labels in batches:
                with tf.GradientTape() as tape:
                    value = loss(labels, model(features))
                gradients = tape.gradient(value, model.trainable_variables)
                optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            mean.reset_state()
            for features, labels in held_out:
                mean.update_state(loss(labels, model(features)))
            for callback in callbacks:
                callback.on_epoch_end(epoch, logs={"my_metric": float(mean.result())})
        return float(mean.result())


@pytest.mark.parametrize(("n_jobs", "return_train_score"), [(1, False), (2, True)])
def test_a_training_loop_of_its_own_on_a_model_that_is_not_compiled(
    make_tuner: Make, data: Data, caplog: pytest.LogCaptureFixture, n_jobs: int, return_train_score: bool
) -> None:
    with caplog.at_level(logging.INFO, "tuner_app.training.fitter"):
        tuner = search(
            *(make_tuner, data, OwnLoop()),
            objective=keras_tuner.Objective("my_metric", "min"),
            n_jobs=n_jobs,
            return_train_score=return_train_score,
        )
    folds = [fold for candidate in tuner.candidates() for fold in candidate.folds]
    assert len(folds) == 4
    assert all(fold.error is None and np.sum(fold.confusion) == 12 for fold in folds)
    assert set(tuner.best_params_) == {"units", "batch_size"}
    assert tuner.predict(data[0]).shape == (24,)
    told = [record.message for record in caplog.records if "training rows" in record.message]
    assert len(told) == return_train_score
    assert np.isnan(tuner.cv_results_["mean_train_score"]).all() if return_train_score else True


def test_a_model_that_cannot_predict_has_no_confusion_matrix(
    make_tuner: Make, data: Data, caplog: pytest.LogCaptureFixture
) -> None:
    @keras.saving.register_keras_serializable("test_own_fits")
    class Shy(keras.Model):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.dense = keras.layers.Dense(2, activation="softmax")

        def call(self, x: Any) -> Any:
            return self.dense(x)

        def predict(self, *arguments: Any, **options: Any) -> Any:
            raise RuntimeError("ask me not")

    def build(hp: Any) -> keras.Model:
        model = Shy()
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    with caplog.at_level(logging.INFO, "tuner_app.training.fitter"):
        tuner = search(make_tuner, data, build, n_jobs=1, refit=False)
    [candidate] = tuner.candidates()
    assert [(fold.error, fold.confusion) for fold in candidate.folds] == [(None, None)] * 2
    [line] = [record.message for record in caplog.records if "confusion" in record.message]
    assert "ask me not" in line
