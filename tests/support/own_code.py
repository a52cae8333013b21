"""Models with code of a user's: own steps, layers, losses, as users write them."""

from __future__ import annotations

import functools
import itertools
import random
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

layers, ops = keras.layers, keras.ops

FACTOR = 2.0
CALLS = [0]


def doubled(x: Any) -> Any:
    return x * FACTOR


class OwnStep(keras.Model):
    """A functional model with a `train_step` of its own, much as Keras's documentation has it."""

    def train_step(self, data: Any) -> Any:
        x, y = data
        with tf.GradientTape() as tape:
            predicted = self(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=predicted)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        self.metrics[0].update_state(loss)
        return self.compute_metrics(x, y, predicted)


class Scaled(layers.Layer):
    """A layer with weights, a sub-layer and a number."""

    def __init__(self, factor: float = 1.0, kernel_initializer: Any = "glorot_uniform", **options: Any) -> None:
        super().__init__(**options)
        self.factor = factor
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.inner = layers.Dense(4, kernel_initializer=kernel_initializer)

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer=self.kernel_initializer)
        self.inner.build(shape)
        self.built = True

    def call(self, x: Any) -> Any:
        return self.inner(x * self.scale) * self.factor


class Subclassed(keras.Model):
    """A model with a `call` of its own, layers in a list and what else it is given."""

    def __init__(self, *blocks: Any, **attributes: Any) -> None:
        super().__init__()
        self.blocks = list(blocks) or [layers.Dense(4, activation="tanh"), layers.Dropout(0.1)]
        self.head = layers.Dense(3)
        for name, value in attributes.items():
            setattr(self, name, value)

    def call(self, x: Any, training: bool = False) -> Any:
        for block in self.blocks:
            x = block(x, training=training) if isinstance(block, layers.Dropout) else block(x)
        return self.head(x)


def compiled(model: keras.Model, rate: float = 0.1, optimizer: Any = None, **options: Any) -> keras.Model:
    model.compile(
        optimizer or keras.optimizers.SGD(rate, momentum=0.5), **{"loss": "mse", "metrics": ["mae"], **options}
    )
    if not model.built:
        model(np.zeros((1, 4), np.float32))
    assert model.optimizer is not None
    model.optimizer.build(model.trainable_variables)
    return model


def functional(kind: Any = OwnStep, *more: Any, **options: Any) -> keras.Model:
    inputs = keras.Input((4,))
    outputs = layers.Dense(5, activation="tanh")(inputs)
    for layer in more:
        outputs = layer(outputs)
    return compiled(kind(inputs, layers.Dense(3)(outputs)), **options)


def subclassed(*blocks: Any, **attributes: Any) -> keras.Model:
    return compiled(Subclassed(*blocks, **attributes))


def stepping(step: Callable[[Any], Any], **members: Any) -> keras.Model:
    """A model whose class is made anew, with a method `extra` that its `train_step` adds to the loss."""

    class Made(OwnStep):
        def compute_loss(self, *arguments: Any, **options: Any) -> Any:
            return super().compute_loss(*arguments, **options) + step(self)

    for name, member in members.items():
        setattr(Made, name, member)
    return functional(Made)


def power(exponent: float) -> Callable[[Any, Any], Any]:
    def loss(true: Any, predicted: Any) -> Any:
        return ops.mean(ops.abs(true - predicted) ** exponent, axis=-1)

    return loss


class Penalty(keras.regularizers.Regularizer):
    def __init__(self, strength: float) -> None:
        self.strength = strength

    def __call__(self, x: Any) -> Any:
        return self.strength * ops.sum(ops.abs(x))


class Slow(keras.optimizers.SGD):
    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        super().update_step(gradient * 0.5, variable, learning_rate)


class Settings:
    def __init__(self, strength: float) -> None:
        self.strength = strength

    def half(self) -> float:
        return self.strength / 2


class Slotted:
    __slots__ = ("strength",)

    def __init__(self, strength: float) -> None:
        self.strength = strength


class OwnReset(keras.metrics.Mean):
    """A mean that begins with a one."""

    def update_state(self, true: Any, found: Any, sample_weight: Any = None) -> None:
        super().update_state(ops.abs(true - found))

    def reset_state(self) -> None:
        self.total.assign(1.0)
        self.count.assign(1.0)


def counted_globally() -> float:
    global FACTOR
    FACTOR += 1.0
    return FACTOR


def imported() -> Any:
    import math

    return math.pi


TICKS = itertools.count()
SLOTTED = Slotted(0.5)
UNSEEN = tf.Variable(1.0)
EVERYTHING = (functools, random, time)
