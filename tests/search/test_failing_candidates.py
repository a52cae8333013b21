"""Candidates that fail: records like the others, counted, ranked last, and no harm to the rest."""

from __future__ import annotations

import errno
import json
import math
import pathlib
from collections.abc import Callable
from typing import Any

import keras_tuner
import numpy as np
import pytest
from sklearn.exceptions import FitFailedWarning
from support.fakes import FakeFitter
from support.interruptible import build, model_of
from support.processes import numbers

from tuner_app.commands import console, tune
from tuner_app.errors import ProjectError, SearchError
from tuner_app.storage import fold_record

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")


def failing(*bad: Any, fold: int | None = None) -> FakeFitter:
    """Fits that fail for some values of `a`, in one fold or all."""

    def score(values: Any, number: int) -> float:
        if values["a"] in bad and fold in (None, number):
            raise ArithmeticError(f"no {values['a']}")
        return float(values["a"])

    return FakeFitter(score)


def search(tuner: Any, data: tuple[Any, Any], **options: Any) -> Any:
    with pytest.warns(FitFailedWarning):
        tuner.search(*data, **options)
    return tuner


def test_raise_stops_with_the_traceback_and_tries_again_next_time(
    make_tuner: Callable[..., Any], data: tuple[Any, Any]
) -> None:
    fitter = failing(2)
    with pytest.raises(SearchError, match=r"(?s)error_score is 'raise'.*ArithmeticError: no 2"):
        make_tuner(fold_fitter=fitter, error_score="raise", n_jobs=1).search(*data)
    assert len(fitter.tasks) < 9
    again = failing()
    tuner = make_tuner(fold_fitter=again, error_score="raise")
    tuner.search(*data)
    assert 0 < len(again.tasks) < 9
    assert tuner.best_params_ == {"a": 3}


@pytest.mark.parametrize("n_jobs", [1, 5])
@pytest.mark.parametrize(
    ("bad", "stops"), [((1, 2, 3), True), ((3, 4, 5), True), ((1, 2, 4, 5), False), ((1, 3, 5), False)]
)
def test_failures_in_a_row_are_those_of_the_grid(
    make_tuner: Callable[..., Any], data: tuple[Any, Any], n_jobs: int, bad: tuple[int, ...], stops: bool
) -> None:
    tuner = make_tuner({"a": [1, 2, 3, 4, 5]}, fold_fitter=failing(*bad), n_jobs=n_jobs)
    if stops:
        with pytest.raises(RuntimeError, match=r"(?s)consecutive failures exceeded the limit of 3.*no \d"):
            tuner.search(*data)
    else:
        search(tuner, data)


def test_the_record_keeps_the_traceback(
    make_tuner: Callable[..., Any], data: tuple[Any, Any], tmp_path: pathlib.Path
) -> None:
    tuner = search(make_tuner(fold_fitter=failing(3)), data)
    record = fold_record.decode((tmp_path / "search" / "trial_0002" / "fold_0.json").read_text())
    assert record.error is not None
    assert record.error.endswith("ArithmeticError: no 3\n")
    assert json.loads((tmp_path / "search" / "trial_0002" / "trial.json").read_text())["status"] == "FAILED"
    fitter = FakeFitter()
    resumed = search(make_tuner(fold_fitter=fitter), data)
    assert fitter.tasks == []
    assert numbers(resumed) == numbers(tuner)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_finite_number_is_never_best(
    make_tuner: Callable[..., Any], data: tuple[Any, Any], score: float
) -> None:
    fitter = FakeFitter(lambda values, fold: score if values["a"] == 3 else values["a"])
    tuner = make_tuner(fold_fitter=fitter)
    tuner.search(*data)
    assert tuner.best_params_ == {"a": 2}
    assert tuner.cv_results_["rank_test_score"].tolist() == [2, 1, 3]


# Real fits ------------------------------------------------------------------------------------------------------------


class Trouble(keras_tuner.HyperModel):
    """Fails in a way of its own for one candidate of two.

    Args:
        where: `"build"` or `"fit"`.
        make_error: Makes what is raised.
    """

    def __init__(self, where: str, make_error: Callable[[], BaseException]) -> None:
        super().__init__()
        attempts: list[int] = []
        # Functions are not copied: all fits count in one place.
        self.where, self.make_error, self.count_attempt = where, make_error, lambda: attempts.append(1)
        self.attempts = lambda: len(attempts)

    def build(self, hp: Any) -> Any:
        if hp.Choice("bad", [0, 1]) and self.where == "build":
            raise self.make_error()
        return model_of(2)

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        if self.where == "fit" and hp.get("bad"):
            self.count_attempt()
            raise self.make_error()
        return model.fit(*args, **kwargs)


def _resource_exhausted() -> Exception:
    import tensorflow as tf

    error: Exception = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
    return error


_REAL = {"fold_fitter": None, "cv": 2, "n_jobs": 2, "refit": False}
_FIT = {"epochs": 2, "batch_size": 8}


@pytest.mark.parametrize(
    ("where", "make_error"),
    [
        ("build", lambda: ValueError("bad\nvalue")),
        ("build", lambda: OSError(2, "gone")),
        ("fit", lambda: MemoryError()),
        ("fit", _resource_exhausted),
    ],
)
def test_one_candidate_s_trouble_is_no_one_else_s(
    make_tuner: Callable[..., Any], data: tuple[Any, Any], where: str, make_error: Callable[[], Exception]
) -> None:
    tuner = search(make_tuner(Trouble(where, make_error), **_REAL), data, **_FIT)
    bad = np.array([params["bad"] == 1 for params in tuner.cv_results_["params"]])
    assert np.isnan(tuner.cv_results_["mean_test_score"][bad]).all()
    assert np.isfinite(tuner.cv_results_["mean_test_score"][~bad]).all()
    assert tuner.best_params_ == {"bad": 0}
    errors = {record.error for candidate in tuner.candidates() for record in candidate.folds} - {None}
    assert [type(make_error()).__name__ in text for text in errors] == [True]


def test_a_failed_fit_is_tried_again_as_often_as_was_said(
    make_tuner: Callable[..., Any], data: tuple[Any, Any]
) -> None:
    hypermodel = Trouble("fit", lambda: ValueError("always"))
    search(make_tuner(hypermodel, **_REAL, max_retries_per_trial=2), data, **_FIT)
    assert hypermodel.attempts() == 2 * 3  # folds, one attempt and two more


def test_a_retry_that_goes_well_is_no_failure(make_tuner: Callable[..., Any], data: tuple[Any, Any]) -> None:
    class Once(Trouble):
        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            self.count_attempt()
            if self.attempts() == 1:
                raise self.make_error()
            return model.fit(*args, **kwargs)

    tuner = make_tuner(Once("never", lambda: ValueError("once")), **_REAL, max_retries_per_trial=1)
    tuner.search(*data, **_FIT)
    assert np.isfinite(tuner.cv_results_["mean_test_score"]).all()


def _diverging(hp: Any) -> Any:
    import keras

    model = model_of(2)
    model.compile(keras.optimizers.SGD(hp.Choice("rate", [0.1, 1e30])), model.loss, metrics=["accuracy"])
    return model


@pytest.mark.parametrize(
    ("score_epoch", "compile_epochs"),
    [("last", True), ("best", True), pytest.param("last", False, marks=pytest.mark.slow)],
)
def test_an_endless_loss_is_a_failure_even_where_the_accuracy_is_finite(
    make_tuner: Callable[..., Any], data: tuple[Any, Any], score_epoch: str, compile_epochs: bool
) -> None:
    tuner = make_tuner(_diverging, **_REAL, score_epoch=score_epoch, compile_epochs=compile_epochs)
    with pytest.warns(FitFailedWarning, match=r"loss must be a finite number, but it is (nan|inf)"):
        tuner.search(*data, epochs=3, batch_size=4)
    endless = np.array([params["rate"] == 1e30 for params in tuner.cv_results_["params"]])
    assert np.isnan(tuner.cv_results_["mean_test_score"][endless]).all()
    assert np.isfinite(tuner.cv_results_["mean_test_score"][~endless]).all()


def test_a_disk_that_is_full_is_no_candidate_s_fault(make_tuner: Callable[..., Any], data: tuple[Any, Any]) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "checkpoint.keras")
    with pytest.raises(ProjectError, match=r"^Cannot write checkpoint\.keras: No space left on device\."):
        make_tuner(Trouble("fit", lambda: full), **_REAL).search(*data, **_FIT)


# The same numbers -----------------------------------------------------------------------------------------------------


def test_any_number_of_jobs_and_any_run_give_the_same_numbers(
    make_tuner: Callable[..., Any], data: tuple[Any, Any]
) -> None:
    found = []
    for number, n_jobs in enumerate([1, 3]):
        tuner = make_tuner(build, **{**_REAL, "n_jobs": n_jobs, "refit": True}, project_name=f"run_{number}")
        tuner.search(*data, **_FIT)
        found.append((numbers(tuner), [weight.tobytes() for weight in tuner.best_model_.get_weights()]))
    assert found[0] == found[1]
    other = make_tuner(build, **_REAL, project_name="other", seed=1)
    other.search(*data, **_FIT)
    assert numbers(other) != found[0][0]


# Command line ---------------------------------------------------------------------------------------------------------


def test_a_command_of_which_all_fits_fail_says_it_readably(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--nodes", "4", "8", "--learning-rates", "1e30", "1e31", "--folds", "2", "--epochs", "2", "--directory"]
    assert console.run(tune.main, [*options, str(tmp_path)]) == 1
    message = capsys.readouterr().err
    assert "error: All 8 fits failed. 8 of them with:\nValueError: loss must be a finite number" in message
    assert "Traceback" not in message
