"""Scores on the training rows: through the program that the validation used, and shown in the report."""

from __future__ import annotations

import pathlib
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.model_selection import KFold
from support.pages import page_of
from support.written_searches import LOSS, record_of, write_search

from tuner_app.analysis.ranking import ranking_of
from tuner_app.compiled.program import Program

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class OwnStep(keras.Model):
    """A model that shares no program."""

    def train_step(self, data: Any) -> Any:
        return super().train_step(data)


def build(hp: Any, cls: Any = keras.Model) -> keras.Model:
    inputs = keras.Input((3,))
    model = cls(inputs, keras.layers.Dense(2, activation="softmax")(inputs))
    optimizer = keras.optimizers.SGD(hp.Choice("rate", [0.1]))
    model.compile(optimizer, "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    return model


@pytest.mark.parametrize(("cls", "weighted"), [(keras.Model, True), (OwnStep, False)])
def test_nothing_is_traced_for_them(
    make_tuner: Any, data: Any, monkeypatch: pytest.MonkeyPatch, cls: Any, weighted: bool
) -> None:
    traced: list[str] = []
    original = Program._evaluate

    def evaluate(self: Program, *arguments: Any) -> Any:
        traced.append("evaluate")
        return original(self, *arguments)

    monkeypatch.setattr(Program, "_evaluate", evaluate)
    weights = {"sample_weight": np.linspace(0.1, 2, 24)} if weighted else {}
    options = {"fold_fitter": None, "refit": False, "n_jobs": 1, "return_train_score": True}
    options["keep_fold_models"] = cls is keras.Model
    tuner = make_tuner(lambda hp: build(hp, cls), objective="val_loss", cv=KFold(3), **options)
    by_keras: list[Any] = []
    with monkeypatch.context() as patched:
        patched.setattr(keras.Model, "make_test_function", lambda *arguments, **_: by_keras.append(arguments))
        tuner.search(*data, epochs=2, **weights)
    assert by_keras == []
    assert len(traced) == 1
    if cls is OwnStep:
        return
    x, y = data
    [fold] = [fold for fold in tuner.candidates()[0].folds if fold.fold == 0]
    model = keras.models.load_model(tuner.project.fold_file("0000", 0).with_suffix(".keras"))
    given = {name: weight[8:] for name, weight in weights.items()}
    wanted = model.evaluate(x[8:], y[8:], verbose=0, return_dict=True, **given)
    assert fold.train_scores == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("recompiled", [False, True])
def test_a_fit_by_keras_or_a_model_compiled_anew_is_scored_by_keras(
    make_tuner: Any, data: Any, recompiled: bool
) -> None:
    import keras_tuner

    class Recompiling(keras_tuner.HyperModel):
        def build(self, hp: Any) -> keras.Model:
            return build(hp)

        def fit(self, hp: Any, model: Any, *arguments: Any, **options: Any) -> Any:
            history = model.fit(*arguments, **options)
            model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy", "sparse_categorical_accuracy"])
            return history

    hypermodel = Recompiling() if recompiled else build
    options = {"fold_fitter": None, "refit": False, "return_train_score": True, "compile_epochs": recompiled}
    tuner = make_tuner(hypermodel, objective="val_loss", cv=2, **options)
    tuner.search(*data, epochs=1)
    [names] = {tuple(fold.train_scores) for candidate in tuner.candidates() for fold in candidate.folds}
    assert set(names) == ({"accuracy", "loss", "sparse_categorical_accuracy"} if recompiled else {"accuracy", "loss"})


def test_the_report_shows_them(tmp_path: pathlib.Path) -> None:
    scores = {"train_scores": {"loss": 0.0625, "accuracy": 0.5}}
    arguments = (tmp_path, [{"a": 1}, {"a": 2}], lambda v, k: 0.5 + v["a"] / 10)
    record = record_of(*arguments, objectives=LOSS, fold=lambda v, k: scores)
    assert [row.train_mean for row in ranking_of(record).rows] == [0.0625, 0.0625]
    page = page_of(record.project)
    assert "Mean loss on the training rows" in page.text
    assert "0.062500" in page.text
    without = page_of(write_search(*arguments, name="without"))
    assert "on the training rows" not in without.text
