"""The way in: what takes the place of a model's `fit`, and how a model is evaluated afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from support.compiled_fits import (
    CLASSES,
    LABELS,
    ONE_HOT,
    SECOND,
    SOFT,
    LateModel,
    N,
    X,
    compiled,
    dense,
    in_new_thread,
    sequential,
    train,
    two_by_two,
)

from tuner_app.compiled import LOGGER, model_fit
from tuner_app.compiled.context import FitContext
from tuner_app.compiled.programs import ProgramCache
from tuner_app.folds.rows import Rows

# TensorFlow 2.21's variables and NumPy 2, in Keras's own callbacks.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

layers, callbacks, losses = keras.layers, keras.callbacks, keras.losses


def test_the_readme_names_the_logger_that_says_why() -> None:
    readme = Path(__file__).parents[2] / "README.md"
    assert f"the logger `{LOGGER}` says why" in " ".join(readme.read_text(encoding="utf-8").split())


def test_an_option_that_fit_does_not_have_is_named() -> None:
    model = dense()
    model_fit.attach(model, FitContext(seed=0, cache=ProgramCache()))
    with pytest.raises(model_fit.UnknownOptionError, match="'epoch'") as caught:
        model.fit(X, LABELS, epoch=3)
    assert caught.value.option == "epoch"


def test_a_reason_is_told_once_per_search(said: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_fit, "fit_by_keras", lambda *arguments: callbacks.History())
    cache = ProgramCache()
    for _ in range(2):
        train(lambda: dense(run_eagerly=True), {**CLASSES, "epochs": 1}, cache=cache)
    train(dense, {**CLASSES, "epochs": 1, "steps_per_epoch": 1}, cache=cache)
    assert [message.split("because ")[1] for message in said()] == ["it runs eagerly.", "steps_per_epoch is given."]


def test_a_model_with_a_fit_of_its_own_keeps_it(said: Callable[[], list[str]]) -> None:
    class Stubborn(keras.Sequential):
        def fit(self, x: Any, labels: Any, **options: Any) -> Any:
            return super().fit(x, labels, **{**options, "epochs": 1})

    def run() -> Any:
        model = compiled(Stubborn([keras.Input((6,)), layers.Dense(3)]))
        model_fit.attach(model, FitContext(seed=0, cache=ProgramCache()))
        return model.fit(Rows(X, np.arange(20)), labels=ONE_HOT[:20], epochs=5, verbose=0)

    assert len(in_new_thread(run).history["loss"]) == 1
    assert said() == ["stubborn trains with model.fit, because its class overrides fit."]


def test_detach_gives_fit_back() -> None:
    model = dense()
    model_fit.attach(model, FitContext(seed=0, cache=ProgramCache()))
    assert "fit" in vars(model)
    model_fit.detach(model)
    assert "fit" not in vars(model)


def logits() -> keras.Model:
    return sequential(keras.Input((6,)), layers.Dense(1), loss=losses.BinaryCrossentropy(from_logits=True))


def single() -> keras.Model:
    return sequential(keras.Input((6,)), layers.Dense(1, activation="sigmoid"), loss="binary_crossentropy")


def margin() -> keras.Model:
    return sequential(keras.Input((6,)), layers.Dense(1, activation="tanh"), loss="hinge")


@pytest.mark.parametrize(("compile_epochs", "batch"), [(True, 5), (False, 16)])
def test_predicted_classes_are_those_of_the_largest_output(compile_epochs: bool, batch: int) -> None:
    outcome = train(dense, {**CLASSES, "batch_size": batch}, compile_epochs=compile_epochs)
    found = model_fit.predict_classes(outcome.model, outcome.context, Rows(X, np.arange(3, N)))
    np.testing.assert_array_equal(found, outcome.model.predict(X[3:], verbose=0).argmax(axis=1))
    assert outcome.context.cache.compiled == 1


@pytest.mark.parametrize(("build", "threshold"), [(single, 0.5), (logits, 0.0), (margin, 0.0)])
def test_a_single_output_says_class_1_above_its_threshold(build: Callable[[], keras.Model], threshold: float) -> None:
    model = build()
    classes = model_fit.predict_classes(model, FitContext(seed=0, cache=ProgramCache()), X)
    assert classes.tolist() == (model.predict(X, verbose=0)[:, 0] > threshold).astype(int).tolist()
    assert 0 < classes.sum() < N


def test_several_outputs_have_no_classes() -> None:
    context = FitContext(seed=0, cache=ProgramCache())
    assert model_fit.predict_classes(two_by_two(), context, [X, SECOND]).shape == (0,)


def test_classes_of_a_model_that_shares_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = train(lambda: compiled(LateModel()), SOFT)
    with monkeypatch.context() as patch:  # It would trace each such model anew, and TensorFlow warn of it.
        patch.setattr(keras.Model, "predict", lambda *arguments, **options: pytest.fail("predicted by Keras"))
        found = model_fit.predict_classes(outcome.model, outcome.context, X)
    np.testing.assert_array_equal(found, outcome.model.predict(X, verbose=0).argmax(axis=1))
