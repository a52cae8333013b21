"""What one model tells before the first fold."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from tuner_app.errors import InputError
from tuner_app.training.probe import ModelFacts, OutputFacts, Probe, facts_of, probe_model
from tuner_app.tuners.grid_search import GridSearchCV

Make = Callable[..., Any]
Data = tuple[Any, Any]

# Keras turns variables into arrays in a way that NumPy has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ROW = np.zeros((1, 3), np.float32)
dense = keras.layers.Dense


def facts(last: Any, **compiled: Any) -> OutputFacts:
    """The facts of a model's one output."""
    last = last if isinstance(last, list) else [last]
    model = keras.Sequential([keras.Input((3,)), *last])
    if compiled:
        model.compile(**compiled)
    found = facts_of(model, ROW).outputs
    assert found is not None
    [output] = found
    return output


class OneCall(keras.Model):
    """A subclassed model, which has no variables until it is called."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def call(self, inputs: Any) -> Any:
        return self.answer(inputs)


@pytest.mark.parametrize(
    ("loss", "name", "from_logits"),
    [
        ("mse", "mean_squared_error", False),
        ("MeanSquaredError", "mean_squared_error", False),
        (keras.losses.MeanSquaredError(), "mean_squared_error", False),
        (keras.losses.mean_squared_error, "mean_squared_error", False),
        ("sparse_categorical_crossentropy", "sparse_categorical_crossentropy", False),
        (keras.losses.SparseCategoricalCrossentropy(from_logits=True), "sparse_categorical_crossentropy", True),
        (keras.losses.BinaryCrossentropy(from_logits=True), "binary_crossentropy", True),
        (lambda true, guessed: keras.ops.mean(true - guessed), None, False),
        ("no_such_loss", None, False),
        (None, None, False),
    ],
)
def test_a_loss_has_one_name_whatever_form_it_came_in(loss: Any, name: str | None, from_logits: bool) -> None:
    model = keras.Sequential([keras.Input((3,)), dense(2)])
    model.compile()
    model.loss = loss  # `compile` would refuse the unknown name; `build` may recompile later
    [output] = facts_of(model, ROW).outputs or ()
    assert (output.loss, output.from_logits) == (name, from_logits)


@pytest.mark.parametrize(
    ("last", "shape", "activation"),
    [
        (dense(2, activation="softmax"), (2,), "softmax"),
        (dense(1), (1,), "linear"),
        ([dense(2), keras.layers.Softmax()], (2,), "softmax"),
        ([dense(2), keras.layers.Activation("sigmoid"), keras.layers.Activation("linear")], (2,), "sigmoid"),
        ([dense(4, activation="sigmoid"), keras.layers.Reshape((2, 2))], (2, 2), "sigmoid"),
        ([keras.Sequential([dense(2, activation="softmax")])], (2,), "softmax"),
        (keras.layers.Rescaling(2.0), (3,), None),
    ],
)
def test_the_last_activation_is_found_through_layers_of_form(last: Any, shape: Any, activation: str | None) -> None:
    assert facts(last) == OutputFacts(shape, activation=activation)


def test_operations_have_names_too() -> None:
    entry = keras.Input((3,))
    [output] = facts_of(keras.Model(entry, keras.ops.sigmoid(entry)), ROW).outputs or ()
    assert output.activation == "sigmoid"


def two_heads(loss: Any) -> ModelFacts:
    left, right = keras.Input((3,)), keras.Input((2,))
    both = keras.layers.concatenate([left, right])
    heads = {"kind": dense(4, activation="softmax", name="kind_head")(both), "age": dense(1, name="age_head")(both)}
    model = keras.Model([left, right], heads)
    model.compile(loss=loss)
    return facts_of(model, None)


@pytest.mark.parametrize(
    "loss",
    [
        {"kind": "sparse_categorical_crossentropy", "age": "mse"},
        {"kind_head": "sparse_categorical_crossentropy", "age_head": "mse"},
        {"age": "mse"},
    ],
)
def test_each_of_several_outputs_has_its_own_loss(loss: Any) -> None:
    found = two_heads(loss)
    kind = "sparse_categorical_crossentropy" if len(loss) == 2 else None
    assert found.n_inputs == 2
    assert found.is_compiled
    assert found.outputs == (  # in Keras's order, which is that of the keys
        OutputFacts((1,), loss="mean_squared_error", activation="linear", name="age"),
        OutputFacts((4,), loss=kind, activation="softmax", name="kind"),
    )


def test_a_subclassed_model_is_asked_with_one_row() -> None:
    model = OneCall(dense(2, activation="softmax"))
    model.compile(loss="mse")
    assert facts_of(model, ROW) == ModelFacts((OutputFacts((2,), loss="mean_squared_error"),), None, True)


def test_a_sequential_model_without_an_input_tells_all_once_it_has_seen_a_row() -> None:
    model = keras.Sequential([dense(2, activation="softmax")])
    assert facts_of(model, ROW) == ModelFacts((OutputFacts((2,), activation="softmax"),), 1, False)


def test_a_subclassed_model_that_does_not_answer_tells_the_rest() -> None:
    def fail(inputs: Any) -> Any:
        raise ValueError("not in this form")

    assert facts_of(OneCall(fail), ROW) == ModelFacts(None, None, False)


def test_a_build_that_fails_tells_nothing() -> None:
    def build(hp: Any) -> Any:
        raise ZeroDivisionError

    assert probe_model(build, keras_tuner.HyperParameters(), ROW, seed=0) is None


def test_nothing_else_is_disturbed() -> None:
    """Names of layers, random numbers: what a user's own code gets next is what it would have got without."""

    def names_and_numbers(look: bool) -> list[Any]:
        keras.utils.set_random_seed(3)
        keras.utils.clear_session()
        names = [keras.layers.Flatten().name]
        if look:
            assert isinstance(probe_model(build, keras_tuner.HyperParameters(), ROW, seed=5), Probe)
        names.append(keras.layers.Flatten().name)
        return [*names, random.random(), np.random.random(), float(keras.random.normal(()))]

    def build(hp: Any) -> keras.Model:
        return keras.Sequential([keras.Input((3,)), keras.layers.Flatten(), dense(2)])

    assert names_and_numbers(True) == names_and_numbers(False)


def test_the_initial_weights_are_those_of_the_seed() -> None:
    def build(hp: Any) -> keras.Model:
        return keras.Sequential([keras.Input((3,)), dense(2)])

    def weights(seed: int) -> list[Any]:
        found = probe_model(build, keras_tuner.HyperParameters(), ROW, seed=seed)
        assert found is not None
        return [np.asarray(weight.value).tolist() for weight in found.model.weights]

    assert weights(1) == weights(1)
    assert weights(1) != weights(2)


def test_a_search_looks_at_a_model_once_and_not_at_all_beside_a_fold_fitter(
    make_tuner: Make, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tuner_app.training import probe

    looked_at: list[Any] = []
    monkeypatch.setattr(probe, "probe_model", lambda *a, **o: looked_at.append(probe_model(*a, **o)) or looked_at[-1])

    def build(hp: Any) -> keras.Model:
        hp.Choice("a", [1, 2])
        model = keras.Sequential([keras.Input((3,)), dense(2, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    make_tuner(build).search(*data)
    assert looked_at == []
    make_tuner(build, fold_fitter=None, project_name="real", refit=False).search(*data)
    [found] = looked_at
    [output] = found.facts.outputs
    assert (output.shape, output.loss, output.activation) == ((2,), "sparse_categorical_crossentropy", "softmax")


def classifier(hp: Any, metrics: Any = ("AUC", "accuracy"), kind: Any = keras.Sequential) -> keras.Model:
    model = kind([keras.Input((3,)), dense(1, activation="sigmoid")])
    model.compile(
        keras.optimizers.SGD(hp.Choice("rate", [0.1, 0.2])), "binary_crossentropy", metrics=list(metrics) or None
    )
    return model


class Summed(keras.Sequential):
    """A model with steps of its own, whose logs are its own too."""

    def train_step(self, data: Any) -> Any:
        return {"energy": keras.ops.sum(self(data[0]))}

    def test_step(self, data: Any) -> Any:
        return {"entropy": keras.ops.sum(self(data[0]))}


class Told(keras.callbacks.Callback):
    """A callback that a user has written: it may add metrics."""

    fits = 0

    def on_train_begin(self, logs: Any = None) -> None:
        Told.fits += 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["val_f1"] = 0.5


class HandMade(keras_tuner.HyperModel):
    """A `fit` of its own."""

    fits = 0

    def build(self, hp: Any) -> keras.Model:
        return classifier(hp)

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        HandMade.fits += 1
        return {"val_f1": 0.5, "val_loss": 0.1}


def objective(name: str) -> Any:
    return keras_tuner.Objective(name, "max")


@pytest.mark.parametrize("name", ["val_auc", "val_AUC_1", "val_acuracy", "val_f1"])
def test_an_objective_that_no_fit_will_have_is_told_before_the_first_fold(
    make_tuner: Make, data: Data, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tuner_app.training import fitter

    begun: list[Any] = []
    monkeypatch.setattr(fitter.FoldFitter, "__call__", lambda self, task, *_: begun.append(task))
    tuner = make_tuner(classifier, objective=objective(name), fold_fitter=None)
    names = r"\['AUC', 'accuracy', 'loss', 'val_AUC', 'val_accuracy', 'val_loss'\]"
    with pytest.raises(InputError, match=rf"The objective must be one of .*{names}\. Received: '{name}'"):
        tuner.search(*data)
    assert not begun


def test_the_logs_of_steps_of_its_own_are_the_names(make_tuner: Make, data: Data) -> None:
    tuner = make_tuner(
        lambda hp: classifier(hp, (), Summed), objective=objective("val_energy"), fold_fitter=None, refit=False
    )
    with pytest.raises(InputError, match=r"\['energy', 'val_entropy'\]. Received: 'val_energy'"):
        tuner.search(*data)
    rule = {"objective": objective("val_entropy"), "project_name": "right"}
    tuner = make_tuner(lambda hp: classifier(hp, (), Summed), fold_fitter=None, refit=False, **rule)
    tuner.search(*data)
    assert tuner.best_score_ > 0


@pytest.mark.parametrize("name", ["val_AUC", "AUC", "val_loss", "learning_rate"])
def test_one_that_they_will_have_is_searched(make_tuner: Make, data: Data, name: str) -> None:
    plateau = keras.callbacks.ReduceLROnPlateau("loss")
    tuner = make_tuner(classifier, objective=objective(name), fold_fitter=None, refit=False)
    tuner.search(*data, epochs=1, callbacks=[plateau])
    assert np.isfinite(tuner.best_score_)


def test_where_a_callback_may_add_metrics_the_first_fit_tells(make_tuner: Make, data: Data) -> None:
    tuner = make_tuner(classifier, objective=objective("val_f1"), fold_fitter=None, refit=False)
    tuner.search(*data, epochs=1, callbacks=[Told()])
    assert tuner.best_score_ == 0.5
    Told.fits = 0
    tuner = make_tuner(classifier, objective=objective("val_f2"), fold_fitter=None, project_name="wrong", n_jobs=1)
    with pytest.raises(InputError, match=r"'val_f1', 'val_loss'.*Received: 'val_f2'"):
        tuner.search(*data, epochs=1, callbacks=[Told()])
    assert Told.fits == 1


def test_where_fit_is_their_own_the_first_fit_tells(make_tuner: Make, data: Data) -> None:
    HandMade.fits = 0
    tuner = make_tuner(HandMade(), objective=objective("val_auc"), fold_fitter=None, n_jobs=1)
    with pytest.raises(InputError, match=r"\['val_f1', 'val_loss'\]. Received: 'val_auc'"):
        tuner.search(*data)
    assert HandMade.fits == 1


def test_what_a_hook_of_the_tuner_adds_is_not_refused(make_tuner: Make, data: Data) -> None:
    class Adding(GridSearchCV):
        def on_epoch_end(self, trial: Any, model: Any, epoch: int, logs: Any = None) -> None:
            logs["val_f1"] = 0.25

    tuner = make_tuner(classifier, cls=Adding, objective=objective("val_f1"), fold_fitter=None, refit=False)
    tuner.search(*data, epochs=1)
    assert tuner.best_score_ == 0.25
