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
from support.shared_programs import X, Y, adapted, in_new_thread, make, scaled, standardized

from tuner_app.compiled import model_fit
from tuner_app.compiled.arrays import NotCompilableError
from tuner_app.compiled.building import build_lock
from tuner_app.compiled.context import FitContext
from tuner_app.compiled.program import Program
from tuner_app.compiled.programs import ProgramCache
from tuner_app.compiled.signature import signature
from tuner_app.compiled.traced import variables_of
from tuner_app.models.dense import StandardizingHyperModel

layers, losses, optimizers, regularizers = keras.layers, keras.losses, keras.optimizers, keras.regularizers


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


def of_another_rate() -> keras.Model:
    return make(optimizer=optimizers.SGD(0.01, momentum=0.5))


@pytest.mark.parametrize("jit_compile", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_model_that_differs_in_what_is_a_variable_shares_the_program(jit_compile: bool) -> None:
    cache = ProgramCache()
    first = fit(make, cache, jit_compile=jit_compile)
    second = fit(of_another_rate, cache, jit_compile=jit_compile)
    assert cache.compiled == 1
    assert_equal(second, fit(of_another_rate, ProgramCache(), jit_compile=jit_compile))
    assert first[1] != second[1]


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


@pytest.mark.slow
def test_two_losses_of_one_name_give_two_results() -> None:
    cache = ProgramCache()
    one, two = (fit(lambda factor=factor: make(loss=scaled(factor)), cache)[1]["loss"][0] for factor in (1.0, 3.0))
    assert two > 1.5 * one


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


@pytest.mark.slow
def test_layers_adapted_to_other_data_give_other_results() -> None:
    cache = ProgramCache()
    one, two = (fit(lambda mean=mean: adapted(mean), cache) for mean in (0.0, 5.0))
    assert cache.compiled == 2
    assert one[1]["loss"] != two[1]["loss"]
    assert_equal(two, fit(lambda: adapted(5.0), ProgramCache()))


def test_two_threads_on_one_program_give_the_numbers_of_one_after_the_other() -> None:
    builds = [lambda rate=rate: make(layers.Dropout(0.2), optimizer=optimizers.Adam(rate)) for rate in (0.1, 0.01)]
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
