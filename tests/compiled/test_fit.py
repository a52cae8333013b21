"""Both ways through `fit` give the same: as programs, and by Keras itself on the same order of rows."""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import pytest
from support.compiled_fits import (
    CLASSES,
    LABELS,
    NUMBERS,
    SAME_AS_KERAS,
    VALIDATION,
    N,
    Outcome,
    X,
    assert_same,
    dense,
    regression,
    some_slow,
    train,
)

from tuner_app.compiled.programs import ProgramCache
from tuner_app.compiled.stages import Stages
from tuner_app.folds.rows import Rows
from tuner_app.records.refit_plan import RefitPlan

# TensorFlow 2.21's variables and NumPy 2, in Keras's own callbacks.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

layers, callbacks, losses, optimizers = keras.layers, keras.callbacks, keras.losses, keras.optimizers

# Kinds that are not of Keras's common parts alone, so that the plain graph is enough of a test.
XLA = (
    "dense",
    "exact batches",
    "list in, dict out",
    "validation weights",
    "own train_step",
    "batch normalization",
    "images",
)

UNTOUCHED = (
    *("dense", "list in, dict out", "dict in", "one weight, two outputs", "class weight", "class weight of one-hot"),
    *(
        "class weight and split",
        "validation weights",
        "validation split",
        "dropout",
        "own train_step",
        "float64",
        "tokens",
    ),
    *("x alone", "average of weights at the end"),
)

# Together the kinds take minutes: these run each time, the others with the slow tests.
QUICK = (
    *("dense", "list in, dict out", "class weight and split", "dropout"),
    *("own train_step", "half precision"),
)


@pytest.mark.parametrize("kind", some_slow(SAME_AS_KERAS, QUICK))
def test_a_compiled_fit_gives_the_numbers_of_keras(kind: str, said: Callable[[], list[str]]) -> None:
    build, options = SAME_AS_KERAS[kind]
    one = train(build, options, jit_compile=False)
    assert said() == []
    assert_same(one, train(build, options, compile_epochs=False))
    assert len(said()) == 1


@pytest.mark.parametrize("kind", some_slow(UNTOUCHED, ()))
def test_a_compiled_fit_gives_the_numbers_of_an_untouched_model(kind: str) -> None:
    build, options = SAME_AS_KERAS[kind]
    options = {**options, "shuffle": False}
    assert_same(train(build, options, jit_compile=False), train(build, options, attached=False))


@pytest.mark.parametrize("kind", some_slow(XLA, ("dense",)))
def test_xla_gives_the_numbers_of_keras(kind: str, said: Callable[[], list[str]]) -> None:
    build, options = SAME_AS_KERAS[kind]
    one = train(build, options, jit_compile=True)
    assert said() == []
    assert_same(one, train(build, options, jit_compile=False), tolerance=2e-5)


def both_ways(
    build: Callable[[], keras.Model], options: Callable[[], Mapping[str, Any]], said: Any
) -> tuple[Outcome, Outcome]:
    one = train(build, options, jit_compile=False)
    assert said() == []
    other = train(build, options, compile_epochs=False)
    assert_same(one, other)
    return one, other


def test_early_stopping_stops_at_the_same_epoch_and_restores(said: Callable[[], list[str]]) -> None:
    def options() -> Mapping[str, Any]:
        stopping = callbacks.EarlyStopping("val_loss", patience=1, restore_best_weights=True)
        return {**CLASSES, "validation_data": VALIDATION, "epochs": 40, "callbacks": [stopping]}

    one, _ = both_ways(lambda: dense(optimizer=optimizers.SGD(3.0)), options, said)
    assert 1 < len(one.history["loss"]) < 40


def test_learning_rates_change_between_epochs(said: Callable[[], list[str]]) -> None:
    def options() -> Mapping[str, Any]:
        reduce = callbacks.ReduceLROnPlateau("loss", factor=0.1, patience=0, min_delta=10.0)
        schedule = callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9)
        return {**CLASSES, "epochs": 4, "callbacks": [schedule, reduce]}

    one, _ = both_ways(dense, options, said)
    np.testing.assert_allclose(one.history["learning_rate"][2], 0.001 * 0.9**3 * 0.1**1, rtol=1e-4)


@pytest.mark.slow
def test_callbacks_that_write_files(tmp_path: Any, said: Callable[[], list[str]]) -> None:
    def run(folder: Any, **context: Any) -> Outcome:
        def note(epoch: int, logs: Any) -> None:
            (folder / f"seen{epoch}").write_text(str(sorted(logs)))

        made = [
            callbacks.CSVLogger(str(folder / "log.csv")),
            callbacks.ModelCheckpoint(str(folder / "{epoch}.weights.h5"), save_weights_only=True),
            callbacks.TensorBoard(str(folder / "board"), write_graph=True, profile_batch=0, update_freq="epoch"),
            callbacks.BackupAndRestore(str(folder / "backup"), delete_checkpoint=False),
            callbacks.LambdaCallback(on_epoch_end=note),
        ]
        folder.mkdir()
        return train(dense, {**CLASSES, "validation_data": VALIDATION, "callbacks": made}, **context)

    one, other = run(tmp_path / "one"), run(tmp_path / "other", compile_epochs=False)
    assert len(said()) == 1
    assert_same(one, other)
    names = ["1.weights.h5", "2.weights.h5", "log.csv", "seen0", "seen1"]
    for folder in (tmp_path / "one", tmp_path / "other"):
        assert sorted(path.name for path in folder.iterdir() if path.is_file()) == names
        with (folder / "log.csv").open() as file:
            assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1"]
        for part in ("train", "validation"):
            assert len(list((folder / "board" / part).glob("events.out.tfevents.*"))) == 1
    assert (tmp_path / "one" / "seen1").read_text() == (tmp_path / "other" / "seen1").read_text()


def test_backup_and_restore_goes_on_after_the_epochs_that_it_kept(tmp_path: Any) -> None:
    def options() -> Mapping[str, Any]:
        return {**CLASSES, "callbacks": [callbacks.BackupAndRestore(str(tmp_path), delete_checkpoint=False)]}

    assert len(train(dense, options).history["loss"]) == 2
    again = train(dense, lambda: {**options(), "epochs": 5})
    assert len(again.history["loss"]) == 3
    assert again.iterations == 15


def test_a_callback_may_read_the_metrics_of_a_model_that_shares_its_program() -> None:
    cache = ProgramCache()
    found: list[tuple[float, float]] = []

    class Reader(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            found.append((float(self.model.get_metrics_result()["accuracy"]), logs["accuracy"]))

    for _ in range(2):
        train(dense, lambda: {**CLASSES, "callbacks": [Reader()]}, cache=cache)
    assert cache.compiled == 1
    assert len(found) == 4
    assert all(read == told for read, told in found)


def test_a_callback_may_change_the_model_before_the_first_step() -> None:
    class Freezer(callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.model.layers[0].trainable = False

    def options() -> Mapping[str, Any]:
        return {**CLASSES, "callbacks": [Freezer()]}

    one = train(dense, options)
    # What the seed of `train` builds, the frozen layer's weights with it.
    np.testing.assert_array_equal(one.weights[0], train(dense, CLASSES, fits=False).weights[0])
    assert_same(one, train(dense, options, compile_epochs=False))


def test_a_callback_that_stops_before_an_epoch_costs_one_step_as_in_keras() -> None:
    class Stopper(callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = epoch == 1

    def options() -> Mapping[str, Any]:
        return {**CLASSES, "epochs": 5, "callbacks": [Stopper()]}

    one = train(dense, options)
    assert one.iterations == 4
    assert_same(one, train(dense, options, compile_epochs=False))


@pytest.mark.parametrize("compile_epochs", some_slow([True, False], [True]))
def test_a_second_fit_goes_on_where_the_first_ended(compile_epochs: bool) -> None:
    build = lambda: dense(optimizer="adam")  # noqa: E731
    again = {**CLASSES, "batch_size": 16, "epochs": 1, "verbose": 0}
    twice = train(
        build, {**CLASSES, "epochs": 1}, after=lambda model: model.fit(**again), compile_epochs=compile_epochs
    )
    once = train(build, CLASSES, compile_epochs=True)
    assert twice.iterations == once.iterations == 6
    for left, right in zip(twice.weights, once.weights, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "context",
    [
        pytest.param({}, id="compiled"),
        pytest.param({"compile_epochs": False}, id="plain", marks=pytest.mark.slow),
        pytest.param({"jit_compile": True}, id="xla", marks=pytest.mark.slow),
    ],
)
def test_rows_of_the_whole_give_the_numbers_of_their_copies(context: Mapping[str, Any]) -> None:
    train_rows, validation_rows = np.arange(10, N), np.arange(10)
    wide = X.astype(np.float64)
    rows = {
        "x": Rows(wide, train_rows),
        "y": Rows(LABELS, train_rows),
        "validation_data": (Rows(wide, validation_rows), Rows(LABELS, validation_rows)),
    }
    copies = {
        **{"x": X[train_rows], "y": LABELS[train_rows], "validation_data": (X[:10], LABELS[:10])},
        "shuffle": False,
    }
    of_copies = train(dense, copies, attached=False)
    assert_same(train(dense, {**rows, "shuffle": False}, **context), of_copies, tolerance=2e-5)


@pytest.mark.parametrize("compile_epochs", some_slow([True, False], [True]))
def test_the_check_ends_a_fit_after_an_epoch(compile_epochs: bool) -> None:
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(dense, {**CLASSES, "epochs": 9}, check=check, compile_epochs=compile_epochs)
    assert len(calls) == 2


@pytest.mark.parametrize("compile_epochs", some_slow([True, False], [True]))
def test_validation_time_is_counted(compile_epochs: bool) -> None:
    outcome = train(dense, {**CLASSES, "validation_data": VALIDATION}, compile_epochs=compile_epochs)
    assert 0 < outcome.context.score_seconds < 60


@pytest.mark.parametrize("verbose", some_slow([1, 2], [2]))
def test_progress_is_shown_as_keras_does(verbose: int, capsys: pytest.CaptureFixture[str]) -> None:
    train(dense, {**CLASSES, "verbose": verbose})
    shown = capsys.readouterr().out
    assert "Epoch 2/2" in shown
    assert "loss: " in shown


def test_diverging_numbers_are_told_not_hidden() -> None:
    outcome = train(lambda: regression(optimizer=optimizers.SGD(1e30)), {**NUMBERS, "epochs": 3})
    assert math.isnan(outcome.history["loss"][-1])


@pytest.mark.parametrize("acts", [False, True], ids=["nobody acts on it", "a callback may"])
def test_a_refit_is_not_validated_on_its_own_rows_unless_somebody_acts_on_it(acts: bool) -> None:
    class Reader(callbacks.Callback):
        pass

    rows = {"x": X, "y": LABELS, "validation_data": (X, LABELS), "epochs": 3}
    options = {**rows, "callbacks": [Reader()] if acts else []}
    plain = train(dense, {**options, "validation_data": None}, stages=Stages(RefitPlan()))
    refit = train(dense, options, stages=Stages(RefitPlan()))
    assert list(refit.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert (refit.history["val_loss"] == refit.history["loss"]) == (not acts)
    assert refit.context.last is not None
    assert ("evaluate" in refit.context.last.bound.functions) == acts
    assert_same(dataclasses.replace(refit, history=plain.history), plain, tolerance=0)


def test_a_refit_is_validated_on_other_rows() -> None:
    refit = train(dense, {"x": X, "y": LABELS, "validation_data": VALIDATION}, stages=Stages(RefitPlan()))
    assert refit.history["val_loss"] != refit.history["loss"]
