"""Features of all kinds: what each becomes, what is refused and in which words, and text through a whole search."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import tensorflow as tf

from tuner_app.data.features import plain_features
from tuner_app.errors import DataError, TunerAppError

# Keras 3.15 saves with an `__array__` of NumPy 1's form.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

WORDS = ["good film", "very bad", "bad film", "very good"]


class Tensor:
    """What other packages give: an object with `__array__` and a shape that is no NumPy array."""

    def __init__(self, array: Any) -> None:
        self._array, self.shape = np.asarray(array), np.shape(array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self._array


class Closed(Tensor):
    """A tensor that will not become an array, as those of PyTorch that want gradients."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.\nUse detach().")


# What is given, what comes of it, as NumPy's type and a list.
KINDS = [
    pytest.param(pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5]}), "float64", [[1, 0.5], [2, 1.5]], id="frame"),
    pytest.param(pd.DataFrame({"a": [1, 2], "b": [3, 4]}), "int64", [[1, 3], [2, 4]], id="frame of integers"),
    pytest.param(pd.DataFrame({"a": [1, 2], "b": [True, False]}), "int64", [[1, 1], [2, 0]], id="frame with Booleans"),
    pytest.param(
        pd.DataFrame({"a": [0.5, 2], "b": [True, False]}), "float64", [[0.5, 1], [2, 0]], id="floats, Booleans"
    ),
    pytest.param(
        pd.DataFrame({"a": pd.array([1, 2], "Int64"), "b": pd.array([True, False], "boolean")}),
        "int64",
        [[1, 1], [2, 0]],
        id="frame of nullable columns",
    ),
    pytest.param(pd.DataFrame({"a": pd.Categorical([3, 5]), "b": [1, 2]}), "int64", [[3, 1], [5, 2]], id="categories"),
    pytest.param(pd.DataFrame({"a": pd.Series([1, 2.5], dtype=object)}), "float64", [[1], [2.5]], id="object column"),
    pytest.param(pd.DataFrame({"a": ["x", "y"], "b": ["z", "x"]}), "object", [["x", "z"], ["y", "x"]], id="text frame"),
    pytest.param(pd.DataFrame({"a": ["x", "y"]}, dtype="string"), "object", [["x"], ["y"]], id="pandas text"),
    pytest.param(pd.Series([1.5, 2]), "float64", [1.5, 2], id="series"),
    pytest.param(pd.Series([1, 2], dtype="Int64"), "int64", [1, 2], id="nullable series"),
    pytest.param(np.array([[1, True], [2, False]], dtype=object), "int64", [[1, 1], [2, 0]], id="objects"),
    pytest.param(np.array([decimal.Decimal("0.5"), 1], dtype=object), "float64", [0.5, 1], id="decimals"),
    pytest.param(np.array([2**70, 1], dtype=object), "float64", [2.0**70, 1], id="huge integers"),
    pytest.param(np.array([[True, False]]), "bool", [[True, False]], id="Booleans, which Keras takes"),
    pytest.param(np.array(["a", "bc"]), "object", ["a", "bc"], id="NumPy text"),
    pytest.param(np.array([b"a", b"bc"]), "object", [b"a", b"bc"], id="NumPy bytes"),
    pytest.param(np.array(["a", "bc"], dtype=np.dtypes.StringDType()), "object", ["a", "bc"], id="NumPy 2 text"),
    pytest.param(["a", "bc"], "object", ["a", "bc"], id="list of text"),
    pytest.param([["a"], ["bc"]], "object", [["a"], ["bc"]], id="list of rows of text"),
    pytest.param(tf.constant(["a", "bc"]), "object", [b"a", b"bc"], id="text tensor"),
    pytest.param(tf.constant([[1.0], [2.0]]), "float32", [[1], [2]], id="tensor"),
    pytest.param(Tensor([[1, 2], [3, 4]]), "int64", [[1, 2], [3, 4]], id="foreign tensor"),
    pytest.param([[1, 2], [3, 4]], "int64", [[1, 2], [3, 4]], id="list of rows"),
]


@pytest.mark.parametrize(("x", "dtype", "values"), KINDS)
def test_what_becomes_of_it(x: Any, dtype: str, values: list[Any]) -> None:
    array = plain_features(x)
    assert isinstance(array, np.ndarray)
    assert array.dtype == dtype
    assert array.tolist() == values


def test_structures_keep_their_form() -> None:
    frame = pd.DataFrame({"a": [1, 2]})
    several = plain_features({"text": ["a", "b"], "parts": [frame, np.ones((2, 3), np.float32)]})
    assert several["text"].tolist() == ["a", "b"]
    assert [part.shape for part in several["parts"]] == [(2, 1), (2, 3)]


# What is given, what the message says.
REFUSED = [
    pytest.param(
        pd.DataFrame({"a": [1], "when": pd.to_datetime(["2020-01-01"])}),
        r"^x must hold numbers or text\. Received: datetime64\[.*\] in column 'when'\. Turn times into numbers",
        id="date column",
    ),
    pytest.param(pd.DataFrame({"t": pd.to_timedelta([1])}), r"timedelta64\[.*\] in column 't'", id="durations"),
    pytest.param(
        pd.DataFrame({"a": [1], "when": [datetime.date(2020, 1, 1)]}),
        r"Received: datetime\.date\(2020, 1, 1\) in row 0 in column 'when'\. Turn times into numbers",
        id="dates as objects",
    ),
    pytest.param(
        pd.DataFrame({"a": [1, 2], "colour": ["red", "blue"]}),
        r"^The columns of x must all be numbers, or all be text\. Received: text such as 'red' in column 'colour', "
        r"numbers in others\. Encode it as numbers, such as with pandas\.get_dummies, or drop it\.$",
        id="text column",
    ),
    pytest.param(
        pd.DataFrame({"a": [1], "c": pd.Categorical(["red"])}), r"'red' in column 'c'", id="categories of text"
    ),
    pytest.param(np.array([[1, "red"]], dtype=object), r"such as 'red' in column 1, numbers", id="text among objects"),
    pytest.param(pd.DataFrame({"a": [1, "red"]}), r"text everywhere.*Received: 1 in row 0 in column 'a'", id="mixture"),
    pytest.param(
        np.array(["a", None], dtype=object), r"x must hold text everywhere.*Received: None in row 1", id="gap"
    ),
    pytest.param(
        pd.DataFrame({"a": [1, 2], "b": pd.array([1, None], "Int64")}),
        r"^x must hold finite numbers\. Received: NaN or infinity in row 1 of column 'b'\. Remove or fill",
        id="nullable integers with a gap",
    ),
    pytest.param(pd.DataFrame({"b": pd.array([None, True], "boolean")}), r"in row 0 of column 'b'", id="Boolean gap"),
    pytest.param(
        np.array([[1, {}]], dtype=object), r"numbers or text\. Received: \{\} in row 0 in column 1", id="dict"
    ),
    pytest.param(
        np.array([np.ones(2), np.ones(3)], dtype=object),
        r"^x must hold rows of the same length\. Received: a ndarray in row 0\. Pad or cut the rows",
        id="rows of several lengths",
    ),
    pytest.param(np.zeros(2, dtype=[("a", int)]), r"numbers or text\. Received: \[\('a', ", id="structured array"),
    pytest.param(
        scipy.sparse.csr_matrix(np.eye(3)),
        r"^x must be a dense array\. Received: a sparse csr_matrix of shape \(3, 3\)\. Give x\.toarray\(\)\.$",
        id="sparse matrix",
    ),
    pytest.param(
        tf.ragged.constant([[1, 2], [3]]),
        r"^x must be a dense array\. Received: a RaggedTensor\. Give x\.to_tensor\(\)\.$",
        id="ragged tensor",
    ),
    pytest.param(tf.sparse.eye(3), r"Received: a SparseTensor\. Give tf\.sparse\.to_dense\(x\)", id="sparse tensor"),
    pytest.param(Closed([1]), r"^x must be an array\. Received: Closed, of which NumPy says: Can't call", id="closed"),
    pytest.param(
        {"a": np.ones(2), "b": scipy.sparse.csr_array(np.eye(2))},
        r"^x\['b'\] must be a dense array\. Received: a sparse csr_array",
        id="sparse input among several",
    ),
]


@pytest.mark.parametrize(("x", "message"), REFUSED)
def test_what_is_refused(x: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as refusal:
        plain_features(x)
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 250


def test_a_data_set_of_tensorflow_is_told_though_y_comes_within(make_tuner: Callable[..., Any]) -> None:
    pairs = tf.data.Dataset.from_tensor_slices((np.ones((4, 2)), np.ones(4)))
    with pytest.raises(TunerAppError, match=r"turn generators and tf\.data into arrays"):
        make_tuner().search(pairs)


def test_predictions_take_what_a_search_takes(make_tuner: Callable[..., Any]) -> None:
    def build(hp: keras_tuner.HyperParameters) -> keras.Model:
        hp.Choice("a", [1])
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    frame = pd.DataFrame({"a": pd.array(range(8), "Int64"), "b": [True, False] * 4})
    tuner = make_tuner(build, objective="val_loss", fold_fitter=None, cv=2, n_jobs=1)
    tuner.search(frame, np.ones(8), epochs=1)
    answers = tuner.predict(frame[["b", "a"]])
    assert answers.tolist() == tuner.predict(np.array([range(8), [1, 0] * 4]).T).tolist()
    assert answers.tolist() == tuner.predict(frame.to_numpy(dtype=object)).tolist()
    with pytest.raises(DataError, match=r"x must be a dense array\. Received: a sparse csr_matrix"):
        tuner.predict(scipy.sparse.csr_matrix(np.eye(2)))


def _read(hp: keras_tuner.HyperParameters) -> keras.Model:
    words = keras.layers.TextVectorization(output_sequence_length=2, vocabulary=["good", "bad", "film", "very"])
    inputs = keras.Input((1,), dtype="string")
    numbers = keras.layers.Embedding(6, hp.Choice("width", [2, 3]))(words(inputs))
    outputs = keras.layers.Dense(1, activation="sigmoid")(keras.layers.Flatten()(numbers))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.1), "binary_crossentropy", metrics=["accuracy"])
    return model


class Reader(keras_tuner.HyperModel):
    """The same with a `fit` of its own."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        return _read(hp)

    def fit(self, hp: Any, model: Any, x: Any, *arguments: Any, **options: Any) -> Any:
        assert isinstance(x, np.ndarray)
        return model.fit(x, *arguments, **options)


def _count(hp: keras_tuner.HyperParameters) -> keras.Model:
    hp.Choice("a", [1])
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)], name="counter")
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(
    ("hypermodel", "x", "message"),
    [
        (_count, WORDS, r"^x holds text, but all inputs of the model 'counter' are numbers\. Encode x as numbers, or"),
        (_read, np.ones((4, 1)), r"^x holds only numbers, but the model '.*' has an input of text\. Give text, or"),
    ],
)
def test_text_and_models_that_do_not_fit_are_refused_before_the_first_fit(
    make_tuner: Callable[..., Any], hypermodel: Any, x: Any, message: str
) -> None:
    with pytest.raises(TunerAppError, match=message):
        make_tuner(hypermodel, objective="val_loss", fold_fitter=None, cv=2).search(x, np.array([0, 1, 1, 0]))


SLOW = pytest.mark.slow  # each traces and trains four models
TEXTS = [
    pytest.param(WORDS * 4, _read, True, id="list, compiled"),
    pytest.param(np.array(WORDS * 4)[:, None], _read, False, id="NumPy, by model.fit", marks=SLOW),
    pytest.param(
        np.array(WORDS * 4, dtype=object)[:, None], Reader(), False, id="objects, with a fit of its own", marks=SLOW
    ),
    pytest.param(tf.constant(WORDS * 4), Reader(), True, id="tensor, with a fit of its own, compiled", marks=SLOW),
]


@pytest.mark.parametrize(("x", "hypermodel", "compiled"), TEXTS)
def test_text_goes_through_a_whole_search(
    make_tuner: Callable[..., Any], x: Any, hypermodel: Any, compiled: bool
) -> None:
    options = {"fold_fitter": None, "cv": 2, "max_trials": 1, "n_jobs": 1, "return_train_score": compiled}
    tuner = make_tuner(hypermodel, compile_epochs=compiled, **options)
    tuner.search(x, np.array([1, 0, 0, 1] * 4), epochs=6, batch_size=4)
    assert tuner.best_score_ == 1.0
    assert tuner.predict(x).tolist() == [1, 0, 0, 1] * 4
    assert tuner.predict(WORDS).tolist() == [1, 0, 0, 1]
    assert sum(map(sum, tuner.candidates()[0].folds[0].confusion or [[]])) == 8
