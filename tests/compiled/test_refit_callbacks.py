"""Callbacks in a refit, which has no rows to validate on: replaced by what the folds did, or left out and named."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import keras
import pytest
from support.staged_fits import WAYS, Data, Make, hypermodel, model_of, search

from tuner_app.compiled import refit_callbacks
from tuner_app.compiled.refit_callbacks import RefitCallbacks
from tuner_app.storage.manifest import load_manifest

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

FOLD, REFIT = 1, 2  # steps per epoch


class Rates(keras.callbacks.Callback):
    """Collects the learning rate of each epoch by the steps per epoch, over all copies."""

    def __init__(self, seen: dict[int, list[float]]) -> None:
        super().__init__()
        self.seen = seen

    def __deepcopy__(self, memory: Any) -> Rates:
        return Rates(self.seen)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.seen[self.params["steps"]].append(round(float(self.model.optimizer.learning_rate), 6))


class Reader(keras.callbacks.Callback):
    """Looks at the validation in one of several ways."""

    def __init__(self, read: Callable[[Any], Any], seen: list[int]) -> None:
        super().__init__()
        self.read, self.seen = read, seen

    def __deepcopy__(self, memory: Any) -> Reader:
        return Reader(self.read, self.seen)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.read(logs)
        self.seen.append(self.params["steps"])


def reducing() -> keras.callbacks.Callback:
    """Divides the rate by ten after each epoch but the first."""
    return keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.1, patience=1, min_delta=100.0)


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == refit_callbacks.__name__]


@WAYS
@pytest.mark.parametrize("inside", [pytest.param(False, marks=pytest.mark.slow), True], ids=["given", "inside"])
def test_the_refit_trains_at_the_rates_of_the_folds(
    make_tuner: Make, data: Data, caplog: pytest.LogCaptureFixture, way: dict[str, Any], inside: bool
) -> None:
    seen: dict[int, list[float]] = defaultdict(list)

    def fit(model: keras.Model, *arguments: Any, callbacks: Any, **options: Any) -> Any:
        return model.fit(*arguments, callbacks=[Rates(seen), reducing(), *callbacks], **options)

    with caplog.at_level(logging.INFO, "tuner_app"):
        if inside:
            search(make_tuner, data, hypermodel(fit), fit={"epochs": 4}, **way)
        else:
            search(make_tuner, data, model_of, fit={"epochs": 4, "callbacks": [Rates(seen), reducing()]}, **way)
    assert sorted(seen[FOLD]) == sorted([0.25, 0.25, 0.025, 0.0025] * 2)
    assert seen[REFIT] == [0.25, 0.25, 0.025, 0.0025]
    [line] = lines_of(caplog)
    assert "ReduceLROnPlateau" in line
    assert "val_loss" in line
    assert "geometric mean" in line


@WAYS
def test_a_schedule_of_the_users_goes_on_as_it_is(make_tuner: Make, data: Data, way: dict[str, Any]) -> None:
    seen: dict[int, list[float]] = defaultdict(list)
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=9)
    search(make_tuner, data, model_of, fit={"epochs": 3, "callbacks": [schedule, Rates(seen), stopping]}, **way)
    assert seen[REFIT] == [0.125, 0.0625, 0.03125]


@WAYS
def test_one_that_keeps_the_best_model_is_left_out_and_named(
    make_tuner: Make, data: Data, caplog: pytest.LogCaptureFixture, tmp_path: Any, way: dict[str, Any]
) -> None:
    def fit(model: keras.Model, x: Any, y: Any, callbacks: Any, **options: Any) -> Any:
        path = tmp_path / f"rows_{len(x)}_{id(model)}.weights.h5"
        best = keras.callbacks.ModelCheckpoint(path, save_best_only=True, save_weights_only=True, monitor="val_loss")
        return model.fit(x, y, callbacks=[*callbacks, best], **options)

    search(make_tuner, data, hypermodel(fit), fit={"epochs": 1}, **way)
    assert len(list(tmp_path.rglob("rows_12_*"))) == 2
    assert list(tmp_path.rglob("rows_24_*")) == []
    assert lines_of(caplog) == [
        "The refit leaves out the callback ModelCheckpoint: it monitors val_loss, and a refit on all rows has none to "
        "validate on."
    ]


@WAYS
@pytest.mark.parametrize(
    "read",
    [
        lambda logs: logs["val_loss"],
        pytest.param(lambda logs: f"{logs.get('val_loss'):.3f}", marks=pytest.mark.slow),
        pytest.param(lambda logs: min(9.0, logs.get("val_loss")), marks=pytest.mark.slow),
    ],
    ids=["key", "format", "compared"],
)
def test_a_users_callback_that_reads_the_validation_is_left_out_once_it_fails(
    make_tuner: Make,
    data: Data,
    caplog: pytest.LogCaptureFixture,
    way: dict[str, Any],
    read: Callable[[Any], Any],
) -> None:
    seen: list[int] = []
    rates: dict[int, list[float]] = defaultdict(list)
    options = {"epochs": 3, "callbacks": [Reader(read, seen), Rates(rates)]}
    tuner = search(make_tuner, data, model_of, fit=options, **way)
    assert seen == [FOLD] * 6
    assert rates[REFIT] == [0.25] * 3
    assert tuner.predict(data[0]).shape == (24,)
    assert lines_of(caplog) == [
        "The refit leaves out the callback Reader: it reads val_loss, and a refit on all rows has none to validate on."
    ]


@WAYS
def test_one_that_can_do_without_validation_stays(make_tuner: Make, data: Data, way: dict[str, Any]) -> None:
    seen: list[int] = []
    tuner = search(
        make_tuner, data, model_of, fit={"callbacks": [Reader(lambda logs: logs.get("val_loss"), seen)]}, **way
    )
    assert sorted(seen) == [FOLD, FOLD, REFIT]
    assert tuner.best_model_ is not None


@WAYS
def test_any_other_error_of_a_callback_is_an_error(make_tuner: Make, data: Data, way: dict[str, Any]) -> None:
    def read(logs: Any) -> None:
        if "val_loss" not in logs:
            raise ArithmeticError("not for want of validation")

    tuner = make_tuner(model_of, cv=2, fold_fitter=None, **way)
    with pytest.raises(Exception, match="not for want of validation"):
        tuner.search(*data, epochs=1, callbacks=[Reader(read, [])])


def test_a_refit_that_does_not_know_the_rates_says_so(caplog: pytest.LogCaptureFixture) -> None:
    assert RefitCallbacks(knows_rates=False).able([reducing()]) == []
    [line] = lines_of(caplog)
    assert line.endswith("The folds kept no learning rates, so it trains at the optimizer's own.")


def test_an_early_refit_trains_at_the_same_rates_as_a_late_one(make_tuner: Make, data: Data) -> None:
    def build(hp: Any) -> keras.Model:
        hp.Choice("unused", [1, 2, 3])
        return model_of(hp)

    weights = []
    for n_jobs in (1, 2):
        callbacks = [reducing(), keras.callbacks.EarlyStopping("val_loss", patience=2, min_delta=100.0)]
        options = {"n_jobs": n_jobs, "project_name": f"jobs_{n_jobs}"}
        tuner = search(make_tuner, data, build, fit={"epochs": 5, "callbacks": callbacks}, **options)
        weights.append([weight.tobytes() for weight in tuner.best_model_.get_weights()])
        assert load_manifest(tuner.project).epochs == 3
    assert weights[0] == weights[1]
