"""From how much work on XLA pays for a kind of model: near what was measured, in the order that was measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
from support.compiled_fits import sequential

from tuner_app.compiled.savings import pays_back

layers = keras.layers


def classifier(*inner: Any, inputs: tuple[int, ...]) -> keras.Model:
    return sequential(keras.Input(inputs), *inner, layers.Dense(10))


def norms() -> list[Any]:
    return [layer for _ in range(3) for layer in (layers.Dense(128), layers.BatchNormalization())]


# How many steps both engines took as long for, in batches of 64 but for one.
MEASURED: dict[str, tuple[Callable[[], keras.Model], int, int]] = {
    "32 nodes": (lambda: classifier(layers.Dense(32), inputs=(784,)), 64, 11_000),
    "512 nodes": (lambda: classifier(layers.Dense(512), inputs=(784,)), 64, 2_200),
    "2048 nodes": (lambda: classifier(layers.Dense(2048), inputs=(784,)), 64, 900),
    "small": (lambda: classifier(layers.Dense(16), inputs=(30,)), 16, 23_000),
    "norms": (lambda: classifier(*norms(), inputs=(784,)), 64, 3_200),
    "lstm": (lambda: classifier(layers.LSTM(32), inputs=(40, 8)), 64, 630),
    "gru": (lambda: classifier(layers.Bidirectional(layers.GRU(32)), inputs=(30, 8)), 64, 260),
}


@pytest.mark.parametrize("kind", MEASURED)
def test_it_is_near_what_was_measured(kind: str) -> None:
    build, batch_size, steps = MEASURED[kind]
    model = build()
    assert pays_back(model, 2 * steps, batch_size)
    assert not pays_back(model, steps // 2, batch_size)


def test_attention_alone_gains_nothing_that_would_pay() -> None:
    inputs = keras.Input((32, 16))
    model = keras.Model(inputs, layers.MultiHeadAttention(4, 16)(inputs, inputs))
    assert not pays_back(model, 50_000, 64)


@pytest.mark.parametrize("layer", [layers.MaxPooling1D, lambda: layers.Conv1D(2, 2)], ids=["pooling", "convolution"])
def test_layers_that_are_slow_or_were_not_measured_never_pay(layer: Callable[[], Any]) -> None:
    assert not pays_back(classifier(layer(), layers.Flatten(), inputs=(8, 2)), 10**9, 64)


def test_layers_within_models_count() -> None:
    inner = keras.Sequential([keras.Input((784,)), layers.Dense(512)])
    assert pays_back(classifier(inner, inputs=(784,)), 4_400, 64)
