"""`cv_results_` next to that of scikit-learn's own `GridSearchCV`, given the same folds and the same scores."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import GridSearchCV, KFold, RepeatedKFold, StratifiedKFold, TimeSeriesSplit
from support.fakes import record

from tuner_app.errors import SearchError
from tuner_app.records.results import FoldResult
from tuner_app.records.tasks import FoldTask

X = np.random.default_rng(3).normal(size=(30, 2))
Y = np.arange(30) % 3


def score_of(values: Mapping[str, Any], rows: Any, weight: float = 1.0) -> float:
    """A score that depends on the candidate and on the rows, and ties some candidates."""
    if values["a"] == 99:
        raise ArithmeticError("Boom")
    return weight * (values["a"] * 0.1 + float(np.mean(rows)) + (0.5 if values.get("b") == "y" else 0.0))


class Estimator(ClassifierMixin, BaseEstimator):
    """scikit-learn's side: trains nothing, scores by the rows that it is given."""

    def __init__(self, a: Any = 1, b: Any = "x") -> None:
        self.a = a
        self.b = b

    def fit(self, x: Any, y: Any) -> Estimator:
        if self.a == 99:
            raise ArithmeticError("Boom")
        self.classes_ = np.unique(y)
        return self

    def score(self, x: Any, y: Any = None) -> float:
        return score_of({"a": self.a, "b": self.b}, x)


def fit(task: FoldTask) -> FoldResult:
    """Our side: the same scores from the same rows."""
    try:
        accuracy = score_of(task.values, X[task.validation_rows])
        loss = score_of(task.values, X[task.validation_rows], weight=-2.0)
    except ArithmeticError as error:
        return record(task, error=f"ArithmeticError: {error}\n")
    train = score_of(task.values, X[task.train_rows])
    return record(
        task,
        history={"val_accuracy": [accuracy], "val_loss": [loss]},
        final_epoch=1,
        train_scores={"accuracy": train, "loss": -2.0 * train},
    )


GRIDS: dict[str, dict[str, list[Any]]] = {
    "numbers and words": {"a": [1, 2, 3], "b": ["x", "y"]},
    "floats": {"a": [0.5, 0.25, 1.0]},
    "ties": {"a": [2, 1], "b": ["x", "z", "y"]},
    "one candidate": {"a": [4]},
}


def assert_same_table(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    assert list(ours) == list(theirs)
    assert ours["params"] == theirs["params"]
    for name, column in theirs.items():
        if name == "params":
            continue
        assert type(ours[name]) is type(column), name
        assert ours[name].dtype == column.dtype, name
        assert ours[name].shape == column.shape, name
        if name.endswith("_time"):
            assert np.isfinite(ours[name]).all()
            assert (ours[name] >= 0).all()
        elif name.startswith("param_"):
            assert ours[name].tolist() == column.tolist()
            assert np.ma.getmaskarray(ours[name]).tolist() == np.ma.getmaskarray(column).tolist()
        else:
            np.testing.assert_allclose(ours[name], column, rtol=1e-12, atol=1e-12, err_msg=name)


def theirs_for(grid: Mapping[str, Any], **options: Any) -> GridSearchCV:
    search = GridSearchCV(Estimator(), grid, **{"refit": False, **options})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, Y)
    return search


@pytest.mark.parametrize("return_train_score", [False, True], ids=["", "train"])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_the_table_is_scikit_learns(
    make_tuner: Callable[..., Any], grid: dict[str, list[Any]], return_train_score: bool
) -> None:
    theirs = theirs_for(grid, cv=KFold(4), return_train_score=return_train_score)
    ours = make_tuner(grid, cv=KFold(4), return_train_score=return_train_score, fold_fitter=fit)
    ours.search(X, Y)
    assert_same_table(ours.cv_results_, theirs.cv_results_)
    assert (ours.best_index_, ours.best_params_, ours.n_splits_) == (
        theirs.best_index_,
        theirs.best_params_,
        theirs.n_splits_,
    )
    assert ours.best_score_ == pytest.approx(theirs.best_score_)


@pytest.mark.parametrize(
    "cv",
    [
        KFold(3, shuffle=True, random_state=7),
        StratifiedKFold(5),
        TimeSeriesSplit(4),
        RepeatedKFold(n_splits=2, n_repeats=2, random_state=0),
        [(list(range(20)), list(range(20, 30))), (list(range(10, 30)), list(range(10)))],
    ],
    ids=lambda cv: type(cv).__name__,
)
def test_every_splitter_gives_scikit_learns_columns(make_tuner: Callable[..., Any], cv: Any) -> None:
    theirs = theirs_for(GRIDS["ties"], cv=cv)
    ours = make_tuner(GRIDS["ties"], cv=cv, fold_fitter=fit)
    ours.search(X, Y)
    assert_same_table(ours.cv_results_, theirs.cv_results_)


@pytest.mark.filterwarnings("ignore:4 fits failed:RuntimeWarning")
@pytest.mark.parametrize("error_score", [math.nan, 0.0, -1000.0, 5])
def test_failed_fits_are_scored_and_ranked_as_scikit_learn_does(
    make_tuner: Callable[..., Any], error_score: float
) -> None:
    grid = {"a": [1, 99, 2]}
    theirs = theirs_for(grid, cv=KFold(4), error_score=error_score)
    ours = make_tuner(grid, cv=KFold(4), error_score=error_score, fold_fitter=fit)
    ours.search(X, Y)
    assert_same_table(ours.cv_results_, theirs.cv_results_)
    assert ours.best_index_ == theirs.best_index_


def test_an_error_is_raised_where_that_is_wanted(make_tuner: Callable[..., Any]) -> None:
    with pytest.raises(ArithmeticError):
        theirs_for({"a": [99]}, error_score="raise")
    ours = make_tuner({"a": [99]}, error_score="raise", fold_fitter=fit)
    with pytest.raises(SearchError, match=r"error_score is 'raise'(.|\n)*ArithmeticError: Boom"):
        ours.search(X, Y)


def test_several_metrics_have_scikit_learns_columns(make_tuner: Callable[..., Any]) -> None:
    scoring = {
        "accuracy": lambda estimator, x, y: estimator.score(x),
        "loss": lambda estimator, x, y: 2.0 * estimator.score(x),
    }
    theirs = theirs_for(GRIDS["ties"], cv=KFold(3), scoring=scoring, return_train_score=True)
    ours = make_tuner(
        GRIDS["ties"],
        cv=KFold(3),
        objective=["val_accuracy", "val_loss"],
        return_train_score=True,
        fold_fitter=fit,
    )
    ours.search(X, Y)
    shared = {name: column for name, column in ours.cv_results_.items() if not name.endswith("_score")}
    assert_same_table(shared, theirs.cv_results_)


def test_a_refit_function_chooses_as_it_does_there(make_tuner: Callable[..., Any]) -> None:
    def worst(table: Mapping[str, Any]) -> int:
        return int(np.argmin(table["mean_test_score"]))

    theirs = theirs_for(GRIDS["numbers and words"], cv=KFold(3), refit=worst)
    ours = make_tuner(GRIDS["numbers and words"], cv=KFold(3), refit=worst, fold_fitter=fit)
    ours.search(X, Y)
    assert (ours.best_index_, ours.best_params_) == (theirs.best_index_, theirs.best_params_)


class KerasEstimator(ClassifierMixin, BaseEstimator):
    """A Keras model in scikit-learn's clothes: softmax regression from zero, by whole-batch gradient descent."""

    def __init__(self, rate: float = 0.5) -> None:
        self.rate = rate

    def fit(self, x: Any, y: Any) -> KerasEstimator:
        self.classes_ = np.unique(y)
        self.model_ = softmax_regression(self.rate)
        self.model_.fit(x, y, epochs=3, batch_size=len(x), shuffle=False, verbose=0)
        return self

    def score(self, x: Any, y: Any) -> float:
        return float(self.model_.evaluate(x, y, batch_size=1024, verbose=0, return_dict=True)["accuracy"])


def softmax_regression(rate: float) -> Any:
    import keras

    layer = keras.layers.Dense(3, activation="softmax", kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((2,)), layer])
    model.compile(keras.optimizers.SGD(rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


RATES = [0.5, 5.0]
CLASSES = (X + Y[:, None]).astype(np.float32)


@pytest.fixture(name="keras_in_scikit_learn", scope="module")
def keras_in_scikit_learn_fixture() -> GridSearchCV:
    search = GridSearchCV(KerasEstimator(), {"rate": RATES}, cv=KFold(2), refit=False)
    return search.fit(CLASSES, Y)


@pytest.mark.parametrize(
    "compile_epochs",
    [pytest.param(True, id="compiled"), pytest.param(False, id="plain", marks=pytest.mark.slow)],
)
def test_a_real_keras_model_scores_the_same(
    make_tuner: Callable[..., Any], keras_in_scikit_learn: GridSearchCV, compile_epochs: bool
) -> None:
    tuner = make_tuner(
        lambda hp: softmax_regression(hp.Choice("rate", RATES)),
        cv=KFold(2),
        refit=False,
        compile_epochs=compile_epochs,
        fold_fitter=None,
    )
    tuner.search(CLASSES, Y, epochs=3, batch_size=len(Y), shuffle=False)
    ours, theirs = tuner.cv_results_, keras_in_scikit_learn.cv_results_
    assert list(ours) == list(theirs)
    for name in theirs:
        if name.endswith("_test_score"):
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6, err_msg=name)
