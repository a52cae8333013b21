"""What one model tells before the first fold."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from tuner_app.probe import ModelFacts, OutputFacts, Probe, facts_of, probe_model

Make = Callable[..., Any]
Data = tuple[Any, Any]

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
        OutputFacts((1,), loss="mean_squared_error", activation="linear"),
        OutputFacts((4,), loss=kind, activation="softmax"),
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


def test_a_search_looks_at_a_model_once_and_not_at_all_beside_a_fold_fitter(make_tuner: Make, data: Data) -> None:
    threads: list[str] = []

    def build(hp: Any) -> keras.Model:
        threads.append(threading.current_thread().name)
        hp.Choice("a", [1])
        model = keras.Sequential([keras.Input((3,)), dense(2, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    make_tuner(build).search(*data)
    declared = len(threads)
    tuner = make_tuner(build, fold_fitter=None, project_name="real", refit=False)
    del threads[:]
    tuner.search(*data)
    assert threads.count("MainThread") == 1
    assert tuner._model_facts.outputs == (
        OutputFacts((2,), loss="sparse_categorical_crossentropy", activation="softmax"),
    )
    assert declared >= 1
