"""What is not public stands in one module, and does what its name says in the versions that are installed."""

from __future__ import annotations

import ast
import types
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
from support.compiled_fits import dense

from tuner_app.compiled import private
from tuner_app.compiled.traced import GRAPH_NAME, tf_function

FOLDER = Path(private.__file__).parent
MODULES = sorted(path for path in FOLDER.glob("*.py") if path.name != "private.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_other_module_reaches_behind_a_public_name(path: Path) -> None:
    reached = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("tuner_app"):
            reached += [node.module] if {"src", "python"} & set(node.module.split(".")[1:]) else []
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            reached += [] if isinstance(node.value, ast.Name) and node.value.id == "self" else [node.attr]
    assert reached == []


def test_layers_within_models_and_their_shapes() -> None:
    inner = keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)])
    model = keras.Sequential([keras.Input((6,)), inner, keras.layers.Dense(3)])
    assert [type(layer).__name__ for layer in private.layers_of(model)].count("Dense") == 2
    assert model in private.layers_of(model, include_self=True)
    assert private.output_shapes_of(model.layers[-1]) == [(None, 3)]


def test_building_makes_the_variables_of_metrics_and_optimizer() -> None:
    model = dense()
    assert not model.optimizer.built
    private.build_symbolically(model, (keras.KerasTensor((None, 6)), keras.KerasTensor((None,), "int64")))
    assert model.optimizer.built
    assert len(model.metrics_variables) == 4


def test_each_compiling_is_another_object() -> None:
    model = dense()
    first = private.compiling_of(model)
    assert first.config["loss"] == "sparse_categorical_crossentropy"
    model.compile(loss="mse")
    assert private.compiling_of(model) is not first
    assert private.compiling_of(keras.Sequential([keras.layers.Dense(1)])) is None


def test_epoch_and_strategy_of_an_ordinary_model() -> None:
    model = dense()
    assert private.restored_epoch(model) is None
    assert not private.is_distributed(model)


def test_a_board_that_profiles() -> None:
    assert private.profiles_batches(keras.callbacks.TensorBoard("b", profile_batch=2))
    assert not private.profiles_batches(keras.callbacks.TensorBoard("b"))


def test_exclusions_from_weight_decay() -> None:
    optimizer = keras.optimizers.AdamW(0.1)
    assert not private.excludes_from_weight_decay(optimizer)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    assert private.excludes_from_weight_decay(optimizer)


def test_objects_of_a_scope() -> None:
    assert dict(private.scoped_objects()) == {}
    with keras.saving.CustomObjectScope({"mine": len}):
        assert dict(private.scoped_objects()) == {"mine": len}


def test_a_traced_function_on_other_variables() -> None:
    one, other = tf.Variable(1.0), tf.Variable(10.0)
    with private.in_one_thread():
        concrete = tf.function(lambda x: x + one).get_concrete_function(tf.TensorSpec(()))
    assert [capture is one.handle for capture in private.captures_of(concrete)] == [True]
    bound = private.on_other_variables(concrete, [other])
    assert (float(concrete(tf.constant(1.0))), float(bound(tf.constant(1.0)))) == (2.0, 11.0)


@tf.custom_gradient
def twice(x: Any) -> Any:
    return 2 * x, lambda upstream: 2 * upstream


def registered() -> int:
    from tensorflow.python.framework import ops

    return sum(name.startswith("CustomGradient-") for name in ops.gradient_registry._registry)


def test_gradients_of_named_graphs_are_forgotten_and_others_kept() -> None:
    before = registered()
    foreign = tf.function(lambda x: twice(x)).get_concrete_function(tf.TensorSpec(()))
    ours = tf_function(lambda x: twice(x)).get_concrete_function(tf.TensorSpec(()))
    assert registered() == before + 2
    private.forget_gradients(GRAPH_NAME)
    assert registered() == before + 1
    assert float(foreign(tf.constant(3.0))) == float(ours(tf.constant(3.0))) == 6.0


def test_gradients_of_a_models_graphs_are_forgotten_and_others_kept() -> None:
    model, other = dense(), dense()
    before = registered()
    for each in (model, other):
        tf.function(lambda x, each=each: twice(each(x))).get_concrete_function(tf.TensorSpec((None, 6)))
    assert registered() == before + 2
    private.forget_gradients_of(model)
    assert registered() == before + 1
    private.forget_gradients_of(other)
    assert registered() == before


def test_a_variable_without_a_handle_keeps_no_gradient_from_being_forgotten() -> None:
    model, before = dense(), registered()
    tf.function(lambda x: twice(model(x))).get_concrete_function(tf.TensorSpec((None, 6)))

    class Described:
        variables = (types.SimpleNamespace(value=tf.zeros(())), *model.variables)

    private.forget_gradients_of(Described())
    assert registered() == before
