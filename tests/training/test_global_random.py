"""The process's random numbers, drawn in a fit: seeded where fits are alone, told in any case."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
from support.small_models import lines, small

from tuner_app.training import global_random

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

Make = Callable[..., Any]
Data = tuple[Any, Any]
REAL = {"cv": 2, "fold_fitter": None, "refit": False}


class Drawing(keras_tuner.HyperModel):
    """Scores by random numbers of the process."""

    def __init__(self, draw: Callable[[], float]) -> None:
        super().__init__()
        self.draw = draw

    def build(self, hp: Any) -> keras.Model:
        self.built_with = np.random.rand()
        return small(hp.Choice("units", [2, 3]))

    def fit(self, hp: Any, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        return {"val_accuracy": self.draw(), "built_with": self.built_with}


@pytest.mark.parametrize("draw", [lambda: float(np.random.rand()), random.random], ids=["numpy.random", "random"])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_they_are_told_and_with_one_job_the_same_in_each_run(
    make_tuner: Make, data: Data, caplog: pytest.LogCaptureFixture, draw: Any, n_jobs: int, request: Any
) -> None:
    found = []
    for number in range(2):
        tuner = make_tuner(Drawing(draw), **REAL, n_jobs=n_jobs, project_name=f"run{number}")
        tuner.search(*data)
        records = [record for candidate in tuner.candidates() for record in candidate.folds]
        found.append({(r.trial_id, r.fold): r.scores["val_accuracy"] for r in records})
        assert all(r.scores["val_accuracy"] != r.scores["built_with"] for r in records)
    assert len(set(found[0].values())) == 4
    if n_jobs == 1:
        assert found[0] == found[1]
    said = lines(caplog)
    assert len(said) == 2  # once a search
    name = request.node.callspec.id.split("-")[-1]
    assert said[0].startswith(f"Numbers of the process's own {name} were drawn while fits ran.")
    assert "numpy.random.default_rng(seed)" in said[0]


def test_the_process_goes_on_where_it_was(make_tuner: Make, data: Data) -> None:
    tuner = make_tuner(Drawing(lambda: float(np.random.rand()) + random.random()), **REAL, n_jobs=1)
    before = global_random.state()
    tuner.search(*data)
    assert global_random.drawn_since(before) == []


@pytest.mark.parametrize(("n_jobs", "compile_epochs"), [(2, True), pytest.param(1, False, marks=pytest.mark.slow)])
def test_ordinary_fits_draw_none(
    make_tuner: Make, data: Data, caplog: pytest.LogCaptureFixture, tmp_path: Any, n_jobs: int, compile_epochs: bool
) -> None:
    class Late(keras.Model):
        """Builds its layers when it sees data."""

        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.out = keras.layers.Dense(3), keras.layers.Dense(2, "softmax")
            self.drop = keras.layers.Dropout(0.5)
            self.noise = keras.layers.GaussianNoise(0.1)

        def call(self, x: Any, training: bool = False) -> Any:
            return self.out(self.noise(self.drop(self.hidden(x), training=training), training=training))

    def build(hp: Any) -> keras.Model:
        model = Late()
        model.compile(hp.Choice("optimizer", ["adam"]), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    callbacks = [
        keras.callbacks.ModelCheckpoint(str(tmp_path / "m.weights.h5"), "loss", save_weights_only=True),
        keras.callbacks.EarlyStopping("val_loss", restore_best_weights=True),
        keras.callbacks.TensorBoard(str(tmp_path / "board")),
    ]
    tuner = make_tuner(build, cv=2, fold_fitter=None, n_jobs=n_jobs, observers=None, compile_epochs=compile_epochs)
    tuner.search(*data, epochs=2, batch_size=8, callbacks=callbacks)
    assert [line for line in lines(caplog) if "drawn" in line or "draws" in line] == []


def test_tensorflow_s_own_draws_in_a_model_are_told(
    make_tuner: Make, data: Data, caplog: pytest.LogCaptureFixture
) -> None:
    class Sampling(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x + 0.01 * tf.random.normal(tf.shape(x), seed=3)

    def build(hp: Any) -> keras.Model:
        hp.Choice("a", [1])
        model = keras.Sequential([keras.Input((3,)), Sampling(), keras.layers.Dense(2, "softmax")], name="sampler")
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    make_tuner(build, **REAL).search(*data, epochs=1)
    [line] = lines(caplog)
    assert line.startswith("sampler draws random numbers by TensorFlow's RandomStandardNormal, which no seed")
