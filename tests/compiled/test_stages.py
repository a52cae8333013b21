"""A refit trains as the folds did: as many epochs in each call of `model.fit`, whatever a `HyperModel.fit` does."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import keras
import pytest
from support.staged_fits import WAYS, Data, Make, hypermodel, model_of, search

from tuner_app.compiled.stages import kept_epochs
from tuner_app.storage.manifest import load_manifest

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

PEAK_AT_2 = [0.1, 0.9, 0.3, 0.2, 0.1, 0.1]
PEAK_AT_4 = [0.1, 0.2, 0.3, 0.9, 0.3, 0.2]
ALL_ROWS = 24


class Curve(keras.callbacks.Callback):
    """Reports a curve as a metric, wherever that is measured or `always`."""

    def __init__(self, values: Sequence[float], name: str = "val_accuracy", *, always: bool = False) -> None:
        super().__init__()
        self.values, self.name, self.always = values, name, always

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.always or self.name in logs:
            logs[self.name] = self.values[epoch]


class Epochs(keras.callbacks.Callback):
    """Counts epochs by a word, over all copies."""

    def __init__(self, counted: Counter[Any], word: Any) -> None:
        super().__init__()
        self.counted, self.word = counted, word

    def __deepcopy__(self, memory: Any) -> Epochs:
        return Epochs(self.counted, self.word)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.counted[self.word] += 1


@WAYS
def test_weights_that_a_fits_own_early_stopping_restores_are_those_that_are_scored(
    make_tuner: Make, data: Data, way: dict[str, Any]
) -> None:
    counted: Counter[int] = Counter()

    def fit(model: keras.Model, x: Any, y: Any, callbacks: Any, **options: Any) -> Any:
        stopping = keras.callbacks.EarlyStopping("val_accuracy", mode="max", patience=2, restore_best_weights=True)
        own = [Curve(PEAK_AT_2), stopping, Epochs(counted, len(x))]
        return model.fit(x, y, epochs=6, callbacks=[*callbacks, *own], **options)

    tuner = search(make_tuner, data, hypermodel(fit), **way)
    folds = tuner.candidates()[0].folds
    assert [len(fold.history["val_loss"]) for fold in folds] == [4, 4]
    assert [(fold.final_epoch, fold.stage_epochs) for fold in folds] == [(2, [2]), (2, [2])]
    assert tuner.best_score_ == 0.9
    assert counted == {12: 8, ALL_ROWS: 2}
    assert load_manifest(tuner.project).epochs == 2


@WAYS
@pytest.mark.parametrize(
    ("score_epoch", "epochs", "score"), [pytest.param("last", 5, 0.7, marks=pytest.mark.slow), ("best", 4, 0.9)]
)
def test_epochs_without_validation_are_gaps_in_the_history_and_never_chosen(
    make_tuner: Make, data: Data, way: dict[str, Any], score_epoch: str, epochs: int, score: float
) -> None:
    values = [0.1, 0.2, 0.3, 0.9, 0.3] if score_epoch == "best" else [0.1, 0.9, 0.3, 0.7, 0.3]
    counted: Counter[str] = Counter()
    options = {"epochs": 5, "validation_freq": 2, "callbacks": [Curve(values), Epochs(counted, "any")]}
    tuner = search(make_tuner, data, model_of, fit=options, score_epoch=score_epoch, **way)
    folds = tuner.histories_[0]
    assert [[math.isnan(value) for value in fold["val_accuracy"]] for fold in folds] == [[True, False] * 2 + [True]] * 2
    assert [len(fold["loss"]) for fold in folds] == [5, 5]
    assert tuner.best_score_ == score
    assert counted["any"] == 10 + epochs
    assert load_manifest(tuner.project).epochs == epochs


@WAYS
def test_a_later_first_epoch_makes_the_refit_no_shorter(make_tuner: Make, data: Data, way: dict[str, Any]) -> None:
    counted: Counter[str] = Counter()
    options = {"epochs": 6, "initial_epoch": 3, "callbacks": [Epochs(counted, "any")]}
    search(make_tuner, data, model_of, fit=options, **way)
    assert counted["any"] == 3 * 3


@WAYS
def test_each_training_of_a_fit_that_trains_twice_has_its_own_epochs(
    make_tuner: Make, data: Data, way: dict[str, Any]
) -> None:
    counted: Counter[Any] = Counter()

    def fit(model: keras.Model, x: Any, y: Any, callbacks: Any, **options: Any) -> Any:
        first = [*callbacks, Epochs(counted, (len(x), "first"))]
        model.fit(x, y, epochs=5, callbacks=first, **options)
        model.compile(keras.optimizers.SGD(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        last = [*callbacks, Curve(PEAK_AT_2), Epochs(counted, (len(x), "last"))]
        return model.fit(x, y, epochs=3, callbacks=last, **options)

    tuner = search(make_tuner, data, hypermodel(fit), score_epoch="best", **way)
    assert tuner.best_score_ == 0.9
    assert counted == {(12, "first"): 10, (12, "last"): 6, (ALL_ROWS, "first"): 5, (ALL_ROWS, "last"): 2}
    assert load_manifest(tuner.project).epochs == 7


@WAYS
def test_a_fit_that_drops_the_callbacks_trains_for_as_long_as_the_manifest_says(
    make_tuner: Make, data: Data, way: dict[str, Any]
) -> None:
    counted: Counter[int] = Counter()

    def fit(model: keras.Model, x: Any, y: Any, callbacks: Any, **options: Any) -> Any:
        return model.fit(x, y, epochs=6, callbacks=[Curve(PEAK_AT_4), Epochs(counted, len(x))], **options)

    tuner = search(make_tuner, data, hypermodel(fit), score_epoch="best", **way)
    assert counted == {12: 12, ALL_ROWS: 4}
    assert load_manifest(tuner.project).epochs == 4


def test_callbacks_that_come_as_a_list_of_keras_are_watched_and_given_back(make_tuner: Make, data: Data) -> None:
    counted: Counter[int] = Counter()
    kinds: list[list[str]] = []

    def fit(model: keras.Model, x: Any, y: Any, callbacks: Any, **options: Any) -> Any:
        stopping = keras.callbacks.EarlyStopping("val_accuracy", mode="max", patience=1, restore_best_weights=True)
        own = [*callbacks, Curve(PEAK_AT_2), stopping, Epochs(counted, len(x))]
        given = keras.callbacks.CallbackList(own, add_history=True, model=model, epochs=5, steps=1)
        history = model.fit(x, y, epochs=5, callbacks=given, **options)
        kinds.append([type(callback).__name__ for callback in given.callbacks])
        return history

    tuner = search(make_tuner, data, hypermodel(fit))
    assert tuner.best_score_ == 0.9
    assert counted == {12: 6, ALL_ROWS: 2}
    assert kinds == [["Curve", "EarlyStopping", "Epochs", "History"]] * 3


def test_a_resumed_search_reads_the_gaps_as_it_wrote_them(make_tuner: Make, data: Data) -> None:
    options = {"epochs": 3, "validation_freq": 2}
    first = search(make_tuner, data, model_of, fit=options)
    again = search(make_tuner, data, model_of, fit=options)
    assert repr(again.histories_) == repr(first.histories_)
    assert again.best_score_ == first.best_score_


def test_the_epoch_of_restored_weights_counts_from_the_first_that_was_run_and_the_last_to_restore_decides() -> None:
    def stopping(best: int, *, restores: bool = True) -> keras.callbacks.EarlyStopping:
        callback = keras.callbacks.EarlyStopping(restore_best_weights=restores)
        callback.best_epoch, callback.best_weights = best, [1.0] if restores else None
        return callback

    assert kept_epochs([stopping(7)], 5, 6) == 3
    assert kept_epochs([stopping(2), stopping(4), stopping(0, restores=False)], 0, 6) == 5
    assert kept_epochs([], 5, 6) == 6


@WAYS
def test_lists_of_callbacks_in_lists_are_one(make_tuner: Make, data: Data, way: dict[str, Any]) -> None:
    counted: Counter[int] = Counter()

    def fit(model: keras.Model, x: Any, y: Any, callbacks: Any, **options: Any) -> Any:
        return model.fit(x, y, epochs=5, callbacks=[callbacks, [Curve(PEAK_AT_2), Epochs(counted, len(x))]], **options)

    search(make_tuner, data, hypermodel(fit), score_epoch="best", **way)
    assert counted == {12: 10, ALL_ROWS: 2}
