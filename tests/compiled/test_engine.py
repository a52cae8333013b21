"""XLA where the work is enough and the kind of model allows it; the choice is a part of recorded results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
import tensorflow as tf
from support.compiled_fits import dense, sequential

from tuner_app.compiled.context import FitContext
from tuner_app.compiled.engine import XLA_MINIMUM_STEPS, wants_xla
from tuner_app.compiled.programs import ProgramCache
from tuner_app.compiled.signature import configured, signature
from tuner_app.compiled.validation import LARGE_BATCH, evaluation_batch_size
from tuner_app.models.preprocessing import Standardization

layers = keras.layers
cpu_only = pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="the rule is one of CPUs")
STEPS = XLA_MINIMUM_STEPS // 40


def standardizing() -> keras.Model:
    return sequential(keras.Input((6,)), Standardization(), layers.Dense(3))


class Own(layers.Layer):
    def call(self, x: Any) -> Any:
        return x


def wants(model: keras.Model, *, steps: int = STEPS, epochs: int = 10, **context: Any) -> bool:
    options: dict[str, Any] = {"planned_fits": 4, **context}
    made = FitContext(seed=0, cache=ProgramCache(), **options)
    return wants_xla(model, made, configured(signature(model)), steps_per_epoch=steps, epochs=epochs, batch_size=32)


def test_the_work_of_all_planned_fits_decides() -> None:
    assert wants(dense(), engine_rule=2)
    assert not wants(dense(), planned_fits=3, engine_rule=2)
    assert wants(dense(), planned_fits=40)
    assert not wants(dense(), planned_fits=4)
    assert not wants(dense(), steps=0)
    assert wants(dense(), steps=1, jit_compile=True)
    assert not wants(dense(), jit_compile=False)


@pytest.mark.parametrize("build", [lambda: dense(Own()), standardizing], ids=["shares nothing", "adapts"])
def test_by_earlier_rules_a_model_whose_program_served_it_alone_counts_as_one_fit(
    build: Callable[[], keras.Model],
) -> None:
    assert not wants(build(), engine_rule=2)
    assert wants(build(), steps=4 * STEPS, engine_rule=2)


def test_a_model_that_standardises_is_one_of_many() -> None:
    assert wants(standardizing(), planned_fits=40)
    assert not wants(standardizing(), planned_fits=1)


UNMEASURED = {
    "the user's": Own,
    "Keras's": lambda: layers.ELU(),
    "within another": lambda: keras.Sequential([Own()]),
}


@cpu_only
@pytest.mark.parametrize("layer", UNMEASURED.values(), ids=UNMEASURED.keys())
def test_a_layer_that_was_never_measured_stays_with_the_plain_graph(layer: Callable[[], Any]) -> None:
    assert not wants(dense(layer()), steps=100 * STEPS)
    assert wants(dense(layer()), steps=100 * STEPS, engine_rule=2)


def test_recurrent_layers_draw_random_numbers_only_where_they_drop_something() -> None:
    plain, dropping = (sequential(keras.Input((4, 2)), layers.LSTM(2, dropout=rate)) for rate in (0.0, 0.5))
    assert wants(plain, steps=10 * STEPS)
    assert not wants(plain, steps=10 * STEPS, engine_rule=2)
    assert not wants(dropping, steps=10 * STEPS)


CONVOLUTIONS = {
    "pictures": lambda: sequential(keras.Input((8, 8, 1)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3)),
    "rows": lambda: sequential(keras.Input((8, 1)), layers.SeparableConv1D(2, 3), layers.Flatten(), layers.Dense(3)),
    "within another": lambda: sequential(
        keras.Input((4, 8, 1)), layers.TimeDistributed(layers.Conv1D(2, 3)), layers.Flatten(), layers.Dense(3)
    ),
}


@cpu_only
@pytest.mark.parametrize("build", CONVOLUTIONS.values(), ids=CONVOLUTIONS.keys())
def test_convolutions_are_never_for_xla_unless_it_is_asked_for(build: Callable[[], keras.Model]) -> None:
    assert not wants(build(), steps=100 * STEPS)
    assert wants(build(), jit_compile=True)
    assert wants(build(), engine_rule=1)  # as searches go on that were begun by that rule


def test_since_rule_3_a_model_that_standardises_is_validated_in_large_steps() -> None:
    model = standardizing()
    assert signature(model) is not None
    assert evaluation_batch_size(model, 16, signature(model), rule=2) == 16
    assert evaluation_batch_size(model, 16, signature(model), rule=3) == LARGE_BATCH
    assert evaluation_batch_size(dense(), 16, signature(dense()), rule=1) == LARGE_BATCH
