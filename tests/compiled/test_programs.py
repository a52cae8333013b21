"""Programs are shared by models of one architecture, and by no others."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tuner_app.compiled import model_fit
from tuner_app.compiled.arrays import NotCompilableError
from tuner_app.compiled.building import build_lock
from tuner_app.compiled.engine import XLA_MINIMUM_STEPS
from tuner_app.compiled.model_fit import FitContext
from tuner_app.compiled.program import Program
from tuner_app.compiled.programs import ProgramCache
from tuner_app.compiled.signature import signature
from tuner_app.compiled.traced import variables_of
from tuner_app.compiled.validation import LARGE_BATCH
from tuner_app.models.dense import StandardizingHyperModel
from tuner_app.models.preprocessing import Standardization

layers, losses, optimizers, regularizers = keras.layers, keras.losses, keras.optimizers, keras.regularizers

RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(24, 4)).astype(np.float32)
Y = np.eye(3, dtype=np.float32)[RANDOM.integers(0, 3, 24)]


def in_new_thread(function: Callable[[], Any]) -> Any:
    """Keras counts the names of layers per thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def make(
    *more: Any,
    units: int = 4,
    activation: Any = "tanh",
    optimizer: Any = None,
    loss: Any = "mse",
    metrics: Any = ("mae",),
    **dense: Any,
) -> keras.Model:
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(units, activation=activation, **dense), *more, layers.Dense(3)]
    )
    model.compile(optimizer=optimizer or optimizers.SGD(0.1, momentum=0.5), loss=loss, metrics=list(metrics))
    return model


def fit(build: Callable[[], keras.Model], cache: ProgramCache, **context: Any) -> tuple[list[Any], dict[str, Any]]:
    def run() -> Any:
        with build_lock:  # Python's random numbers belong to all threads
            keras.utils.set_random_seed(7)
            model = build()
        model_fit.attach(model, FitContext(**{"seed": 1, "cache": cache, "jit_compile": False, **context}))
        history = model.fit(X, Y, batch_size=10, epochs=2, verbose=0, validation_data=(X[:7], Y[:7])).history
        return model.get_weights(), history

    return in_new_thread(run)


def assert_equal(one: Any, other: Any) -> None:
    assert one[1] == other[1]
    for left, right in zip(one[0], other[0], strict=True):
        np.testing.assert_array_equal(left, right)


SAME: dict[str, Callable[[], keras.Model]] = {
    "learning rate": lambda: make(optimizer=optimizers.SGD(0.01, momentum=0.5)),
    "initializer": lambda: make(kernel_initializer="he_normal"),
    "seed": lambda: make(kernel_initializer=keras.initializers.GlorotUniform(seed=3)),
}


@pytest.mark.parametrize("change", SAME)
def test_a_model_that_differs_in_what_is_a_variable_shares_the_program(change: str) -> None:
    cache = ProgramCache()
    first = fit(make, cache)
    second = fit(SAME[change], cache)
    assert cache.compiled == 1
    assert_equal(second, fit(SAME[change], ProgramCache()))
    assert_equal(first, fit(make, cache))
    assert first[1] != second[1]


def test_xla_programs_are_shared_too() -> None:
    cache = ProgramCache()
    fit(make, cache, jit_compile=True)
    second = fit(SAME["learning rate"], cache, jit_compile=True)
    assert cache.compiled == 1
    assert_equal(second, fit(SAME["learning rate"], ProgramCache(), jit_compile=True))


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


def test_models_that_compute_otherwise_have_other_signatures() -> None:
    found = {name: signature_of(build) for name, build in OTHER.items()}
    assert None not in found.values()
    assert len({*found.values(), signature_of(make)}) == len(OTHER) + 1


def test_data_of_another_shape_or_kind_is_another_program() -> None:
    cache, model = ProgramCache(), make()
    asked = [
        cache.program(
            signature(model),
            (tf.TensorSpec((None, 4), kind), None, None),
            batch_size=size,
            evaluation_batch_size=8,
            xla=xla,
        )
        for kind, size, xla in [("float32", 8, True), ("float64", 8, True), ("float32", 9, True), ("float32", 8, False)]
    ]
    assert len(set(map(id, asked))) == cache.compiled == 4


class Doubled(layers.Layer):
    def call(self, x: Any) -> Any:
        return x * 2


@keras.saving.register_keras_serializable("test_programs")
class Registered(regularizers.Regularizer):
    def __call__(self, x: Any) -> Any:
        return 0.1 * keras.ops.sum(x * x)

    def get_config(self) -> dict[str, Any]:
        return {}


def scaled(factor: float) -> Callable[..., Any]:
    def loss(y_true: Any, y_pred: Any) -> Any:
        return factor * keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)

    return loss


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


def adapted(mean: float) -> keras.Model:
    normalize = layers.Normalization()
    normalize.adapt(X + mean)
    return make(normalize)


def discretized() -> keras.Model:
    return make(layers.Discretization(bin_boundaries=[0.0, 1.0], output_mode="int"))


class OwnModel(keras.Sequential):
    pass


def own_model() -> keras.Model:
    model = OwnModel([keras.Input((4,)), layers.Dense(3)])
    model.compile(loss="mse")
    return model


def of_main(name: str) -> type[regularizers.Regularizer]:
    """A class as a script has it: Keras writes no module for it."""
    return type(name, (Registered,), {"__module__": "__main__"})


UNDESCRIBED: dict[str, Callable[[], keras.Model]] = {
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
    "exclusions": without_decay,
    "normalization": lambda: adapted(0.0),
    "discretization": discretized,
}


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
    assert signature(make()) is not None


def test_two_losses_of_one_name_give_two_results() -> None:
    cache = ProgramCache()
    one, two = (fit(lambda factor=factor: make(loss=scaled(factor)), cache)[1]["loss"][0] for factor in (1.0, 3.0))
    assert two > 1.5 * one


def standardized(mean: float) -> keras.Model:
    standardization = Standardization()
    model = make(standardization)
    standardization.adapt(np.repeat(X[:, :1] + mean, 4, axis=1))
    return model


def test_a_standardization_of_other_rows_shares_the_program_and_not_the_statistics() -> None:
    cache = ProgramCache()
    one, two = (fit(lambda mean=mean: standardized(mean), cache) for mean in (0.0, 5.0))
    assert cache.compiled == 1
    assert one[1]["loss"] != two[1]["loss"]
    assert_equal(two, fit(lambda: standardized(5.0), ProgramCache()))


@pytest.fixture(name="made")
def made_fixture(monkeypatch: pytest.MonkeyPatch) -> list[Program]:
    """Every program that is made from now on."""
    programs_made: list[Program] = []
    initialize = Program.__init__

    def counted(self: Program, **options: Any) -> None:
        programs_made.append(self)
        initialize(self, **options)

    monkeypatch.setattr(Program, "__init__", counted)
    return programs_made


# TensorFlow 2.21's variables and NumPy 2, where Keras saves the refit model.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_search_that_standardises_makes_a_program_per_architecture_and_not_per_fit(
    made: list[Program], make_tuner: Callable[..., Any], data: tuple[Any, Any]
) -> None:
    hypermodel = StandardizingHyperModel((3,), 2, nodes=[2, 3], learning_rates=[0.1, 0.2])
    tuner = make_tuner(hypermodel, fold_fitter=None, n_jobs=2, cv=3)
    tuner.search(*data, epochs=1)
    assert len(tuner.histories_) == 4  # 12 fits and a refit
    assert len(made) == 2


def test_a_model_that_standardises_keeps_the_engine_of_one_that_shares_nothing(made: list[Program]) -> None:
    """Its recorded searches were made so: another engine, or other validation steps, would change last digits."""
    for build in (make, lambda: standardized(0.0)):
        fit(build, ProgramCache(), jit_compile=None, planned_fits=XLA_MINIMUM_STEPS)
    assert [(program.xla, program.evaluation_batch_size) for program in made] == [
        (True, LARGE_BATCH),
        (False, 10),
    ]


def test_layers_adapted_to_other_data_give_other_results() -> None:
    cache = ProgramCache()
    one, two = (fit(lambda mean=mean: adapted(mean), cache) for mean in (0.0, 5.0))
    assert cache.compiled == 2
    assert one[1]["loss"] != two[1]["loss"]
    assert_equal(two, fit(lambda: adapted(5.0), ProgramCache()))


def test_two_threads_on_one_program_give_the_numbers_of_one_after_the_other() -> None:
    builds = [
        lambda rate=rate: make(layers.Dropout(0.2), optimizer=optimizers.Adam(rate)) for rate in (0.1, 0.01, 0.001, 1.0)
    ]
    alone = [fit(build, ProgramCache()) for build in builds]
    cache, barrier = ProgramCache(), threading.Barrier(2)

    def run(build: Callable[[], keras.Model]) -> Any:
        barrier.wait()
        return fit(build, cache)

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(run, builds))
    assert cache.compiled == 1
    for one, other in zip(alone, together, strict=True):
        assert_equal(one, other)


def test_a_first_model_that_is_changed_later_spoils_nothing() -> None:
    cache = ProgramCache()

    def run() -> None:
        model = make()
        model_fit.attach(model, FitContext(seed=1, cache=cache, jit_compile=False))
        model.fit(X, Y, batch_size=10, verbose=0)  # traces no validation
        model.compile(optimizer="sgd", loss="mae", metrics=["mse"])

    in_new_thread(run)
    assert_equal(fit(make, cache), fit(make, ProgramCache()))
    assert cache.compiled == 1


def test_the_least_recently_used_program_is_dropped() -> None:
    cache, specs = ProgramCache(limit=2), (tf.TensorSpec((None, 4)), None, None)
    options = {"batch_size": 8, "evaluation_batch_size": 8, "xla": False}
    models = [in_new_thread(lambda units=units: make(units=units)) for units in (2, 3, 4)]
    one, two, three = map(signature, models)
    first = cache.program(one, specs, **options)
    cache.program(two, specs, **options)
    assert cache.program(one, specs, **options) is first
    cache.program(three, specs, **options)
    assert cache.program(one, specs, **options) is first
    assert cache.compiled == 3
    cache.program(two, specs, **options)
    assert cache.compiled == 4


def test_models_and_dropped_programs_are_let_go() -> None:
    cache, alive = ProgramCache(limit=1), []

    def run(units: int) -> None:
        model = make(units=units)
        model_fit.attach(model, FitContext(seed=1, cache=cache, jit_compile=False))
        model.fit(X, Y, batch_size=10, verbose=0)
        model_fit.detach(model)
        alive.append(weakref.ref(model))
        alive.extend(weakref.ref(program) for program in cache._programs.values())
        alive.extend(
            weakref.ref(function._concrete.graph)
            for program in cache._programs.values()
            for function in program._functions.values()
        )

    for units in (2, 3, 4):
        in_new_thread(lambda units=units: run(units))
    gc.collect()
    assert [found() is None for found in alive] == [True] * 6 + [True, False, False]


def test_a_kept_array_is_one_tensor_and_a_changed_type_is_what_keras_feeds() -> None:
    cache, wide = ProgramCache(), X.astype(np.float64)
    cache.keep(wide)
    assert cache.tensor(wide) is cache.tensor(wide)
    assert cache.tensor(wide).dtype == tf.float32
    assert cache.tensor(X) is not cache.tensor(X)
    assert cache.tensor(np.arange(3, dtype=np.uint8)).dtype == tf.uint8


def test_arrays_that_are_no_tensors_are_refused() -> None:
    with pytest.raises(NotCompilableError, match="arrays of type object"):
        ProgramCache().tensor(np.array([{}, None], dtype=object))


def test_news_is_told_once() -> None:
    cache = ProgramCache()
    assert [cache.is_news("a"), cache.is_news("a"), cache.is_news("a", "b")] == [True, False, True]


def test_variables_come_in_an_order_that_depends_on_the_architecture_alone() -> None:
    shapes = []
    for _ in range(2):
        model = in_new_thread(lambda: make(layers.BatchNormalization(), layers.Dropout(0.1)))
        model.optimizer.build(model.trainable_variables)
        shapes.append({kind: [tuple(v.shape) for v in found] for kind, found in variables_of(model).items()})
    assert shapes[0] == shapes[1]
    assert len(shapes[0]["model"]) == 9
