"""Models with code of a user's share a program where all that a trace can depend on is equal, and nowhere else."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import own_code
from support.own_code import (
    OwnStep,
    Penalty,
    Scaled,
    Settings,
    Slotted,
    Slow,
    compiled,
    doubled,
    functional,
    power,
    stepping,
    subclassed,
)
from support.shared_programs import X, in_new_thread, make

from tuner_app.compiled.signature import configured, signature

layers, ops = keras.layers, keras.ops

Build = Callable[[], keras.Model]


def signature_of(build: Build) -> str | None:
    return in_new_thread(lambda: signature(build()))


def with_attribute(name: str, value: Any) -> keras.Model:
    model = functional()
    setattr(model, name, value)
    return model


def patched(factor: float) -> keras.Model:
    model = make()
    call = model.layers[0].call
    object.__setattr__(model.layers[0], "call", lambda x: call(x) * factor)
    return model


def wired(swapped: bool) -> keras.Model:
    inputs = keras.Input((4,))
    # One after the other, so that the order of the layers is the same.
    first = layers.Dense(4)(inputs)
    second = Scaled()(first)
    outputs = layers.Subtract()([second, first] if swapped else [first, second])
    return compiled(OwnStep(inputs, outputs))


def in_one_or_two(shared: bool) -> keras.Model:
    layer = layers.Dense(4)
    return subclassed(layer, layer if shared else layers.Dense(4))


def with_default(strength: float) -> keras.Model:
    def penalty(model: Any, strength: float = strength) -> Any:
        return strength * ops.sum(model.layers[1].kernel)

    return stepping(penalty)


def with_global(value: float) -> keras.Model:
    namespace: dict[str, Any] = {"VALUE": value, "ops": ops}
    exec("def step(model):\n    return VALUE * ops.sum(model.layers[1].kernel)", namespace)
    return stepping(namespace["step"])


def with_helper(factor: float) -> keras.Model:
    namespace: dict[str, Any] = {"FACTOR": factor}
    exec("def help(x):\n    return x * FACTOR\ndef step(model):\n    return help(1.0)", namespace)
    return stepping(namespace["step"])


# Each by what it differs in: the same value twice is one signature, another value another.
VARIED: dict[str, Callable[[Any], keras.Model]] = {
    "an attribute": lambda value: with_attribute("alpha", value),
    "an attribute in containers": lambda value: with_attribute("alpha", {"a": [1, (value,)]}),
    "an array": lambda value: with_attribute("weights_of_classes", np.array([1.0, value])),
    "a constant of TensorFlow": lambda value: with_attribute("limit", tf.constant([1.0, value])),
    "an object": lambda value: with_attribute("settings", Settings(value)),
    "a closure": lambda value: functional(loss=power(value)),
    "a closure of a class": lambda value: stepping(lambda model: value * ops.sum(model.layers[1].kernel)),
    "a closure of a lambda": lambda value: make(activation=lambda x: x * value),
    "a partial": lambda value: make(loss=functools.partial(lambda true, found, by: ops.mean(found) * by, by=value)),
    "a default": with_default,
    "a global": with_global,
    "a global of a helper": with_helper,
    "a member of a class": lambda value: stepping(lambda model: model.alpha, alpha=value),
    "a property": lambda value: stepping(lambda model: model.alpha, alpha=property(lambda self: value)),
    "an own layer": lambda value: make(Scaled(value)),
    "an own layer in a list": lambda value: subclassed(Scaled(value)),
    "an attribute of Keras's layer": lambda value: subclassed(own_layer_with(value)),
    "a lambda layer": lambda value: make(layers.Lambda(lambda x: x * value)),
    "an own regularizer": lambda value: make(kernel_regularizer=Penalty(value)),
    "an own metric": lambda value: make(metrics=[power(value)]),
    "a wrapped metric": lambda value: make(metrics=[keras.metrics.MeanMetricWrapper(power(value))]),
    "an own optimizer": lambda value: functional(optimizer=Slow(0.1, momentum=value / 10)),
    "a method of an instance": patched,
    "an attribute of a name that Keras uses": lambda value: subclassed(Scaled(), quantize=value),
    "a rate of Keras's layer": lambda value: subclassed(layers.Dropout(value / 10)),
    "a bound method": lambda value: with_attribute("half", Settings(value).half),
}


def own_layer_with(value: float) -> Any:
    layer = layers.Dense(4)
    layer.alpha = value
    return layer


@pytest.mark.parametrize("kind", VARIED)
def test_code_of_the_users_is_known_by_all_that_it_can_depend_on(kind: str) -> None:
    one, again, other = (signature_of(lambda value=value: VARIED[kind](value)) for value in (2.0, 2.0, 3.0))
    assert one is not None
    assert configured(one) is None
    assert one == again
    assert one != other


DIFFERENT: dict[str, tuple[Build, Build]] = {
    "connections": (lambda: wired(False), lambda: wired(True)),
    "one layer twice": (lambda: in_one_or_two(False), lambda: in_one_or_two(True)),
    "order of layers": (
        lambda: subclassed(layers.Dense(4), layers.Activation("relu")),
        lambda: subclassed(layers.Activation("relu"), layers.Dense(4)),
    ),
    "code": (
        lambda: make(loss=lambda true, found: ops.mean(true - found)),
        lambda: make(loss=lambda true, found: ops.mean(true + found)),
    ),
    "number or text": (lambda: with_attribute("a", 1), lambda: with_attribute("a", "1")),
    "number or truth": (lambda: with_attribute("a", 1), lambda: with_attribute("a", True)),
    "order of a dict": (lambda: with_attribute("a", {1: 1, 2: 2}), lambda: with_attribute("a", {2: 2, 1: 1})),
    "frozen": (lambda: subclassed(layers.Dense(4)), lambda: subclassed(layers.Dense(4, trainable=False))),
    "momentum": (functional, lambda: functional(optimizer=keras.optimizers.SGD(0.1, momentum=0.6))),
    "loss": (functional, lambda: functional(loss="mae")),
    "metrics": (functional, lambda: functional(metrics=["mse"])),
}


@pytest.mark.parametrize("kind", DIFFERENT)
def test_what_computes_otherwise_has_another_signature(kind: str) -> None:
    one, other = map(signature_of, DIFFERENT[kind])
    assert one is not None
    assert other is not None
    assert one != other


def test_what_is_a_variable_may_differ() -> None:
    assert signature_of(functional) == signature_of(lambda: functional(rate=0.01)) is not None
    builds = [lambda kind=kind: subclassed(Scaled(kernel_initializer=kind)) for kind in ("ones", "ones")]
    seeds = [lambda seed=seed: subclassed(layers.Dropout(0.1, seed=seed)) for seed in (1, 2)]
    assert len({signature_of(build) for build in builds}) == len({signature_of(build) for build in seeds}) == 1


def drawn_by_python(model: Any) -> Any:
    return random.random()


# What a step adds to its loss, none of which any description can hold.
STEPS: dict[str, Callable[[Any], Any]] = {
    "NumPy's random numbers": lambda model: np.random.normal(),
    "Python's random numbers": drawn_by_python,
    "the time": lambda model: time.time(),
    "a counter of the module": lambda model: own_code.counted_globally(),
    "an iterator of the module": lambda model: next(own_code.TICKS),
    "an object without attributes": lambda model: own_code.SLOTTED.strength,
    "a variable of nobody's": lambda model: own_code.UNSEEN,
    "an import": lambda model: own_code.imported(),
    "a module that is handed on": lambda model: getattr(np, "random").normal(),  # noqa: B009
    "a module in a tuple": lambda model: own_code.EVERYTHING[1].random(),
    "an initializer without a seed": lambda model: keras.initializers.RandomNormal()((1,))[0],
    "an initializer by its name": lambda model: keras.initializers.get("normal")((1,))[0],
    "a file that TensorFlow looks for": lambda model: float(tf.io.gfile.exists("x")),
    "memory as it is": lambda model: np.sum(np.empty(3)),
    "a file": lambda model: len(open("x").read()),  # noqa: SIM115
    "an identity": lambda model: id(model),
    "code at run time": lambda model: eval("1.0"),
    "a value out of the graph": lambda model: initial(model),
    "a call of Python": lambda model: tf.py_function(lambda: 1.0, [], tf.float32),
    "what Keras keeps for itself": lambda model: len(model._outbound_nodes),
    "that by its name": lambda model: len(getattr(model, "_outbound_nodes")),  # noqa: B009
    "what variables start with": lambda model: model.layers[1].kernel_initializer((1,)),
    "that by its own name": lambda model: getattr(model.layers[1], "kernel_initializer")((1,)),  # noqa: B009
    "an undefined name": lambda model: nothing_of_this_name,  # type: ignore[name-defined]  # noqa: F821
}


def initial(model: Any) -> Any:
    with tf.init_scope():
        return float(model.layers[1].kernel[0, 0])


@pytest.mark.parametrize("kind", STEPS)
def test_a_step_that_depends_on_more_than_can_be_described_is_never_shared(kind: str) -> None:
    assert signature_of(lambda: stepping(STEPS[kind])) is None
    assert signature_of(lambda: stepping(lambda model: 1.0)) is not None


class Tuple(tuple[int, ...]):
    pass


def traced_step() -> keras.Model:
    class Traced(OwnStep):
        train_step = tf.function(OwnStep.train_step)

    return functional(Traced)


def with_random_seed() -> keras.Model:
    return subclassed(layers.RandomFlip(), seed=np.random.default_rng(0))


UNDESCRIBED: dict[str, Build] = {
    "a generator of random numbers": lambda: with_attribute("random", np.random.default_rng(1)),
    "a random state": lambda: with_attribute("random", random.Random(1)),
    "a lock": lambda: with_attribute("lock", __import__("threading").Lock()),
    "an iterator": lambda: with_attribute("steps", iter([1, 2])),
    "a variable of TensorFlow's": lambda: with_attribute("count", tf.Variable(1.0)),
    "a tensor of the graph": lambda: with_attribute("kept", keras.Input((2,))),
    "a module": lambda: with_attribute("math", np),
    "a subclass of a tuple": lambda: with_attribute("shape_of_it", Tuple((1, 2))),
    "slots": lambda: with_attribute("settings", Slotted(1.0)),
    "a large array": lambda: with_attribute("table", np.zeros(2**18)),
    "an array of objects": lambda: with_attribute("table", np.array([{}, None])),
    "a traced step": traced_step,
    "an optimizer with exclusions": lambda: functional(optimizer=without_decay()),
    "what a layer has learnt": lambda: functional(OwnStep, learnt()),
}


def without_decay() -> Any:
    optimizer = keras.optimizers.AdamW(0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def learnt() -> Any:
    normalization = layers.Normalization()
    normalization.adapt(np.ones((3, 5), np.float32))
    return normalization


@pytest.mark.parametrize("kind", UNDESCRIBED)
def test_what_cannot_be_described_is_never_shared(kind: str) -> None:
    assert signature_of(UNDESCRIBED[kind]) is None


def test_a_text_that_may_mean_code_of_the_users_is_not_trusted() -> None:
    with keras.saving.CustomObjectScope({"mine": power(2.0)}):
        assert signature(functional(loss="mine")) is None
    assert signature(functional(loss="mse")) is not None


def test_an_unbuilt_model_has_no_signature() -> None:
    model = own_code.Subclassed()
    model.compile(loss="mse")
    assert signature(model) is None
    model(X[:1])
    assert signature(model) is not None


def test_a_fit_changes_no_signature() -> None:
    model = subclassed(Scaled(2.0), helper=doubled)
    before = signature(model)
    model.fit(X, np.zeros((24, 3)), verbose=0)
    assert before == signature(model) is not None
