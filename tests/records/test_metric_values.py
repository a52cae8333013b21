"""Metrics of several numbers: seen as one metric for each."""

from __future__ import annotations

import logging
from typing import Any

import keras
import numpy as np
import pytest

from tuner_app.errors import InputError
from tuner_app.records import metric_values

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def hypermodel(metric: Any) -> Any:
    def build(hp: Any) -> keras.Model:
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])
        optimizer = keras.optimizers.SGD(hp.Choice("rate", [0.1, 0.2]))
        model.compile(optimizer, "categorical_crossentropy", metrics=[metric()])
        return model

    return build


class Many(keras.metrics.Mean):
    """A mean, told 101 times."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().update_state(y_pred)

    def result(self) -> Any:
        return keras.ops.ones((101,)) * super().result()


def one_hot(data: Any) -> tuple[Any, Any]:
    x, y = data
    return x, np.eye(2, dtype=np.float32)[y]


@pytest.mark.parametrize("compile_epochs", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_metric_of_each_class_is_a_metric_for_each_class(make_tuner: Any, data: Any, compile_epochs: bool) -> None:
    tuner = make_tuner(
        hypermodel(keras.metrics.F1Score),
        fold_fitter=None,
        objective=_maximum("val_f1_score_1"),
        compile_epochs=compile_epochs,
        return_train_score=True,
        refit=False,
    )
    tuner.search(*one_hot(data), epochs=2)
    history = tuner.histories_[0][0]
    assert [name for name in history if "f1" in name] == [
        *("f1_score_0", "f1_score_1", "val_f1_score_0", "val_f1_score_1")
    ]
    assert {len(values) for values in history.values()} == {2}
    assert tuner.cv_results_["split0_test_score"][0] == history["val_f1_score_1"][-1]
    assert 0 <= tuner.cv_results_["mean_train_score"][0] <= 1


def test_the_numbers_are_those_of_keras(make_tuner: Any, data: Any) -> None:
    x, y = one_hot(data)
    tuner = make_tuner(
        hypermodel(keras.metrics.F1Score), fold_fitter=None, objective="val_loss", keep_fold_models=True, refit=False
    )
    tuner.search(x, y, epochs=1)
    model = keras.models.load_model(tuner.project.fold_file("0000", 0).with_suffix(".keras"))
    wanted = model.evaluate(x[:8], y[:8], verbose=0, return_dict=True)["f1_score"]
    history = tuner.histories_[0][0]
    assert [history[f"val_f1_score_{i}"][-1] for i in range(2)] == pytest.approx(np.asarray(wanted), abs=1e-6)


def test_as_the_objective_it_is_refused_before_the_first_fold(make_tuner: Any, data: Any) -> None:
    tuner = make_tuner(
        hypermodel(keras.metrics.F1Score), fold_fitter=None, objective=_maximum("val_f1_score"), refit=False
    )
    with pytest.raises(InputError, match=r"one number.*'val_f1_score', which has 2.*\['val_f1_score_0', 'val_f1_sco"):
        tuner.search(*one_hot(data), epochs=1)
    assert not list(tuner.project.path.glob("*/fold_*.json"))


def test_one_of_too_many_numbers_is_left_out_in_one_line(make_tuner: Any, data: Any, caplog: Any) -> None:
    tuner = make_tuner(
        hypermodel(lambda: Many(name="many")), fold_fitter=None, objective="val_loss", refit=False, n_jobs=1
    )
    with caplog.at_level(logging.WARNING, "tuner_app"):
        tuner.search(*one_hot(data), epochs=1)
    assert [record.getMessage() for record in caplog.records if "many" in record.getMessage()] == [
        f"The metric {name} is left out: it has 101 numbers, of which at most 100 are kept. Give it an average "
        "(average='macro', say) to have it as one."
        for name in ("many", "val_many")
    ]
    assert not any("many" in name for name in tuner.histories_[0][0])


def test_names_have_places_and_own_names_come_first() -> None:
    assert metric_values.names_of("table", (1, 2)) == ["table_0_0", "table_0_1"]
    assert metric_values.numbers_of({"a": [1, 2], "a_1": 5.0}) == {"a_0": 1.0, "a_1": 5.0}
    assert metric_values.history_of({"a": [np.array([1, 2])], "a_1": [5.0]}) == {"a_0": [1.0], "a_1": [5.0]}
    assert metric_values.history_of({"a": [[1, 2], [3, 4]], "b": []}) == {"a_0": [1.0, 3.0], "a_1": [2.0, 4.0], "b": []}
    assert metric_values.parts_of("a", ["a_10", "a_2", "a", "a_b", "b_a_1"]) == ["a_2", "a_10"]


def _maximum(name: str) -> Any:
    import keras_tuner

    return keras_tuner.Objective(name, "max")
