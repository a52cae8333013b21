"""Which part of a failed fit's traceback its record keeps."""

from __future__ import annotations

import threading
from typing import Any

import keras
import pytest
from support.small_models import small
from support.staged_fits import Data, Make

from tuner_app.errors import SearchError
from tuner_app.models.dense import DenseHyperModel


class Failing(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        raise ArithmeticError("no sum")


def in_build(hp: Any) -> keras.Model:
    hp.Choice("a", [1, 2])
    if threading.current_thread() is threading.main_thread():
        return small()
    try:
        raise KeyError("first")
    except KeyError as error:
        raise ArithmeticError("no sum") from error


def in_a_layer(hp: Any) -> keras.Model:
    hp.Choice("a", [1, 2])
    model = keras.Sequential([Failing()])
    model.compile("sgd", "mse")
    return model


def texts_of(tuner: Any, data: Data) -> list[str]:
    """What the fits tell of themselves, each text once."""
    with pytest.raises(SearchError, match=r"All 6 fits failed\. 6 of them with"):
        tuner.search(*data)
    return sorted({error for candidate in tuner.candidates() for error in candidate.errors})


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("build", [in_build, in_a_layer])
def test_all_fits_tell_the_same_from_the_users_code_on(make_tuner: Make, data: Data, build: Any, n_jobs: int) -> None:
    tuner = make_tuner(build, cv=3, n_jobs=n_jobs, fold_fitter=None, objective="val_loss")
    [text] = texts_of(tuner, data)
    first = text.index(f"in {'call' if build is in_a_layer else 'in_build'}\n")
    assert text.startswith("Traceback (most recent call last):\n")
    assert "tuner_app" not in text[:first].replace(__file__, "")
    assert "ArithmeticError: " in text[first:]
    assert ("direct cause" in text) is (build is in_build)


def test_without_code_of_the_users_all_of_it_is_told(make_tuner: Make, data: Data) -> None:
    hypermodel = DenseHyperModel((7,), 2, nodes=[2, 3], learning_rates=[0.1])
    [text] = texts_of(make_tuner(hypermodel, cv=3, fold_fitter=None), data)
    assert "in train\n" in text
    assert "ValueError" in text
