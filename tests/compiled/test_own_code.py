"""Fits of models with code of a user's: traced once where they are described, with the numbers of their own traces."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.own_code import OwnReset, OwnStep, Scaled, Slow, functional, power, stepping, subclassed
from support.shared_programs import X, Y, in_new_thread, make

from tuner_app.compiled import model_fit, signature
from tuner_app.compiled.building import build_lock
from tuner_app.compiled.context import ENGINE_RULE, FitContext
from tuner_app.compiled.programs import ProgramCache
from tuner_app.compiled.traced import NotTransferableError

layers, ops = keras.layers, keras.ops

Build = Callable[[], keras.Model]


def fit(
    build: Build, cache: ProgramCache, fold: int = 0, rule: int = ENGINE_RULE, **options: Any
) -> tuple[list[Any], Any, Any, Any, Any]:
    """Weights, history, evaluation, classes and metrics of one fit."""

    def run() -> Any:
        with build_lock:
            keras.utils.set_random_seed(7 + fold)
            model = build()
        context = FitContext(seed=fold, cache=cache, jit_compile=False, engine_rule=rule)
        model_fit.attach(model, context)
        rows = np.arange(24) % 3 != fold
        held = (X[~rows], Y[~rows])
        history = model.fit(
            X[rows], Y[rows], batch_size=5, epochs=2, verbose=0, **{"validation_data": held, **options}
        ).history
        held_rows = [context.rows(part) for part in held]
        assert held_rows[0] is not None
        assert held_rows[1] is not None
        scores = model_fit.evaluate(model, context, held_rows[0], held_rows[1], None, batch_size=5)
        classes = model_fit.predict_classes(model, context, held[0])
        return model.get_weights(), history, scores, classes, [float(m.result()) for m in model.metrics[:1]]

    return in_new_thread(run)


def assert_equal(one: Any, other: Any) -> None:
    assert one[1:3] == other[1:3]
    assert one[4] == other[4]
    for left, right in zip([*one[0], one[3]], [*other[0], other[3]], strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.fixture(name="alone")
def alone_fixture(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A fit with a trace of its own, as all models with code of the user's had it."""

    def run(*arguments: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(signature, "_own_code", lambda model: None)
            return fit(*arguments)

    return run


_SLOW = ("own loss", "own metric", "own optimizer", "own class each time")
SHARED: dict[str, Callable[[float], keras.Model]] = {
    "own step": lambda rate: functional(rate=rate),
    "subclassed": lambda rate: subclassed(Scaled(2.0), layers.Dropout(0.2), layers.BatchNormalization()),
    "own loss": lambda rate: functional(rate=rate, loss=power(1.5)),
    "own metric": lambda rate: make(metrics=[OwnReset(name="own")], optimizer=keras.optimizers.SGD(rate)),
    "own optimizer": lambda rate: functional(optimizer=Slow(rate)),
    "own class each time": lambda rate: stepping(lambda model: 0.1 * ops.sum(model.layers[1].kernel)),
}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow if kind in _SLOW else ()) for kind in SHARED]
)
def test_folds_and_candidates_share_one_trace_and_keep_their_numbers(kind: str, alone: Callable[..., Any]) -> None:
    cache, build = ProgramCache(), SHARED[kind]
    tasks = [(lambda rate=rate: build(rate), fold) for rate in (0.1, 0.01) for fold in range(3)]
    together = [fit(task, cache, fold) for task, fold in tasks]
    assert cache.compiled == 1
    last, fold = tasks[-1]
    assert_equal(together[-1], alone(last, ProgramCache(), fold))


class AsDocumented(OwnStep):
    """Returns what Keras's guide returns: the metrics of `compile` are a dict within the dict."""

    def train_step(self, data: Any) -> Any:
        super().train_step(data)
        return {metric.name: metric.result() for metric in self.metrics}


def test_a_step_may_return_a_dict_in_a_dict(said: Callable[[], list[str]]) -> None:
    cache = ProgramCache()
    results = [fit(lambda: functional(AsDocumented), cache, fold) for fold in range(2)]
    assert said() == []
    assert cache.compiled == 1
    assert set(results[0][1]) == {"loss", "mae", "val_loss", "val_mae"}
    # The searches of an earlier rule go on by Keras's own fit.
    by_keras = fit(lambda: functional(AsDocumented), ProgramCache(), rule=2)
    assert said() == [
        "as_documented trains with model.fit, because its own train_step does not return a flat dict of numbers."
    ]
    for name, values in by_keras[1].items():
        np.testing.assert_allclose(results[0][1][name], values, rtol=1e-4)


def test_two_candidates_of_another_attribute_do_not_share() -> None:
    cache = ProgramCache()
    one, two = (fit(lambda factor=factor: subclassed(Scaled(factor)), cache) for factor in (1.0, 2.0))
    assert cache.compiled == 2
    assert one[1]["loss"] != two[1]["loss"]


class Counting(OwnStep):
    """Counts its traces in Python, and computes with the count."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.calls = 0

    def compute_loss(self, *arguments: Any, **options: Any) -> Any:
        self.calls += 1
        return super().compute_loss(*arguments, **options) * float(self.calls)


class Drawing(OwnStep):
    def compute_loss(self, *arguments: Any, **options: Any) -> Any:
        return super().compute_loss(*arguments, **options) * (1.0 + tf.random.uniform((), seed=3))


class Remembering(OwnStep):
    """Leaves a tensor of its trace behind."""

    def compute_loss(self, *arguments: Any, **options: Any) -> Any:
        self.last = super().compute_loss(*arguments, **options)
        return self.last


UNSHARED: dict[str, Build] = {
    "a counter": lambda: functional(Counting),
    "random numbers": lambda: functional(Drawing),
    "a tensor that is kept": lambda: functional(Remembering),
}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow if kind == "a tensor that is kept" else ()) for kind in UNSHARED]
)
def test_what_a_trace_changes_or_draws_is_each_models_own(kind: str, alone: Callable[..., Any]) -> None:
    cache = ProgramCache()
    assert in_new_thread(lambda: signature.signature(UNSHARED[kind]())) is not None
    results = [fit(UNSHARED[kind], cache) for _ in range(3)]
    assert cache.compiled >= 3
    expected = alone(UNSHARED[kind], ProgramCache())
    for result in results:
        assert_equal(result, expected)


def test_a_model_that_has_changed_since_it_was_described_traces_for_nobody_else() -> None:
    def build(factor: float) -> keras.Model:
        return make(Scaled(factor))

    specs = (tf.TensorSpec((None, 4)), tf.TensorSpec((None, 3)), None)
    architecture, model = in_new_thread(lambda: signature.signature(build(1.0))), in_new_thread(lambda: build(1.0))
    program = ProgramCache().program(architecture, specs, batch_size=8, evaluation_batch_size=8, xla=False)
    model.layers[1].factor = 2.0
    with pytest.raises(NotTransferableError):
        program.function("loop", model)
    model.layers[1].factor = 1.0
    program.function("loop", model)


def test_an_attribute_that_a_callback_sets_before_the_first_step_counts() -> None:
    class Setting(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.model.layers[1].factor = 3.0

    cache = ProgramCache()
    plain = fit(lambda: make(Scaled(2.0)), cache)
    changed = fit(lambda: make(Scaled(2.0)), cache, 0, callbacks=[Setting()])
    assert changed[1]["loss"] == fit(lambda: make(Scaled(3.0)), cache)[1]["loss"] != plain[1]["loss"]


def test_two_threads_share_one_trace() -> None:
    cache, barrier = ProgramCache(), threading.Barrier(2)

    def run(fold: int) -> Any:
        barrier.wait()
        return fit(functional, cache, fold)

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(run, range(2)))
    assert cache.compiled == 1
    for fold, result in enumerate(together):
        assert_equal(result, fit(functional, ProgramCache(), fold))
