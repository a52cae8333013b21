"""What makes two models one architecture: strictly, and never more than the configuration says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
import tensorflow as tf
from support.shared_programs import adapted, in_new_thread, make, scaled, standardized

from tuner_app.compiled.programs import ProgramCache
from tuner_app.compiled.signature import configured, signature
from tuner_app.models.preprocessing import Standardization

layers, losses, optimizers, regularizers = keras.layers, keras.losses, keras.optimizers, keras.regularizers


SAME: dict[str, Callable[[], keras.Model]] = {
    "learning rate": lambda: make(optimizer=optimizers.SGD(0.01, momentum=0.5)),
    "initializer": lambda: make(kernel_initializer="he_normal"),
    "seed": lambda: make(kernel_initializer=keras.initializers.GlorotUniform(seed=3)),
}


def signature_of(build: Callable[[], keras.Model]) -> str | None:
    return in_new_thread(lambda: signature(build()))


def frozen() -> keras.Model:
    model = make()
    model.layers[0].trainable = False
    return model


def changed(attribute: str, value: Any) -> Callable[[], keras.Model]:
    def build() -> keras.Model:
        model = make()
        setattr(model.layers[0].kernel, attribute, value)
        return model

    return build


def with_policy() -> keras.Model:
    return make(dtype="mixed_float16")


OTHER: dict[str, Callable[[], keras.Model]] = {
    "units": lambda: make(units=5),
    "activation": lambda: make(activation="relu"),
    "momentum": lambda: make(optimizer=optimizers.SGD(0.1, momentum=0.6)),
    "optimizer": lambda: make(optimizer=optimizers.Adam(0.1)),
    "clipping": lambda: make(optimizer=optimizers.SGD(0.1, momentum=0.5, clipnorm=1.0)),
    "schedule": lambda: make(
        optimizer=optimizers.SGD(optimizers.schedules.ExponentialDecay(0.1, 5, 0.5), momentum=0.5)
    ),
    "loss": lambda: make(loss="mae"),
    "metrics": lambda: make(metrics=["mse"]),
    "regularizer": lambda: make(kernel_regularizer="l2"),
    "strength": lambda: make(kernel_regularizer=regularizers.L2(0.5)),
    "constraint": lambda: make(kernel_constraint="non_neg"),
    "frozen": frozen,
    "policy": with_policy,
    "dropout": lambda: make(layers.Dropout(0.2)),
    "dropout rate": lambda: make(layers.Dropout(0.3)),
    "bias": lambda: make(use_bias=False),
    "regularizer of a variable": changed("regularizer", regularizers.L1(0.1)),
    "constraint of a variable": changed("constraint", keras.constraints.NonNeg()),
}


def test_models_that_differ_in_what_is_a_variable_have_one_signature() -> None:
    alike = {name: signature_of(build) for name, build in SAME.items()}
    assert set(alike.values()) == {signature_of(make)}
    assert signature_of(lambda: standardized(0.0)) == signature_of(lambda: standardized(5.0)) is not None


def test_models_that_compute_otherwise_have_other_signatures() -> None:
    found = {name: signature_of(build) for name, build in OTHER.items()}
    assert None not in found.values()
    assert len({*found.values(), signature_of(make)}) == len(OTHER) + 1


class Doubled(layers.Layer):
    def call(self, x: Any) -> Any:
        return x * 2


@keras.saving.register_keras_serializable("test_programs")
class Registered(regularizers.Regularizer):
    def __call__(self, x: Any) -> Any:
        return 0.1 * keras.ops.sum(x * x)

    def get_config(self) -> dict[str, Any]:
        return {}


def patched() -> keras.Model:
    model = make()
    call = model.layers[0].call
    object.__setattr__(model.layers[0], "call", lambda x: call(x) * 3)
    return model


def with_own_step() -> keras.Model:
    model = make()
    object.__setattr__(model, "train_step", lambda data: {"loss": keras.ops.zeros(())})
    return model


def without_decay() -> keras.Model:
    optimizer = optimizers.AdamW(0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return make(optimizer=optimizer)


def discretized() -> keras.Model:
    return make(layers.Discretization(bin_boundaries=[0.0, 1.0], output_mode="int"))


class OwnStandardization(Standardization):
    pass


def patched_standardization() -> keras.Model:
    layer = Standardization()
    model = make(layer)
    object.__setattr__(layer, "call", lambda x: x * 3)
    return model


class OwnModel(keras.Sequential):
    pass


def own_model() -> keras.Model:
    model = OwnModel([keras.Input((4,)), layers.Dense(3)])
    model.compile(loss="mse")
    return model


def of_main(name: str) -> type[regularizers.Regularizer]:
    """A class as a script has it: Keras writes no module for it."""
    return type(name, (Registered,), {"__module__": "__main__"})


WITH_OWN_CODE: dict[str, Callable[[], keras.Model]] = {
    "lambda layer": lambda: make(layers.Lambda(lambda x: x * 2)),
    "lambda activation": lambda: make(activation=lambda x: x * 2),
    "own layer": lambda: make(Doubled()),
    "own loss": lambda: make(loss=scaled(1.0)),
    "own loss in a list": lambda: make(loss=[scaled(1.0)]),
    "own metric": lambda: make(metrics=[scaled(1.0)]),
    "wrapped metric": lambda: make(metrics=[keras.metrics.MeanMetricWrapper(scaled(1.0))]),
    "lambda metric": lambda: make(metrics=[lambda true, found: keras.ops.mean(found)]),
    "registered regularizer": lambda: make(kernel_regularizer=Registered()),
    "regularizer of a script": lambda: make(kernel_regularizer=of_main("OfMain")()),
    "own model": own_model,
    "patched call": patched,
    "patched step": with_own_step,
    "patched standardization": patched_standardization,
}
UNDESCRIBED: dict[str, Callable[[], keras.Model]] = {
    "exclusions": without_decay,
    "normalization": lambda: adapted(0.0),
    "discretization": discretized,
    "own standardization": lambda: make(OwnStandardization()),
}


@pytest.mark.parametrize("kind", WITH_OWN_CODE)
def test_no_configuration_says_what_code_of_the_users_does(kind: str) -> None:
    model = in_new_thread(WITH_OWN_CODE[kind])
    assert signature(model) is not None  # `described` has words for it
    assert configured(signature(model)) is None


@pytest.mark.parametrize("kind", UNDESCRIBED)
def test_what_the_configuration_does_not_say_is_never_shared(kind: str) -> None:
    model = in_new_thread(UNDESCRIBED[kind])
    assert signature(model) is None
    cache, specs = ProgramCache(), (tf.TensorSpec((None, 4)), None, None)
    made = [cache.program(signature(model), specs, batch_size=8, evaluation_batch_size=8, xla=False) for _ in range(2)]
    assert made[0] is not made[1]
    assert cache.compiled == 2


def test_a_name_that_the_user_gave_is_not_trusted() -> None:
    with keras.saving.CustomObjectScope({"mine": scaled(1.0)}):
        assert signature(make(loss="mine")) is None
    with keras.saving.CustomObjectScope({"Standardization": OwnStandardization}):
        assert signature(standardized(0.0)) is None
    assert signature(make()) is not None
