"""What `predict` says: real searches of tiny models on targets of every form."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas
import pytest

from tuner_app.commands import predict
from tuner_app.errors import InputError
from tuner_app.prediction.predictor import load_predictor

# Keras 3.15 reads its variables in the way of NumPy 1 when it saves a model.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

Make = Callable[..., Any]

RANDOM = np.random.default_rng(0)
TWO = np.arange(60) % 2
THREE = np.arange(60) % 3
X = np.stack([np.where(TWO == 1, 1.0, -1.0), RANDOM.normal(size=60), *np.eye(3)[THREE].T], axis=1).astype(np.float32)


def model_of(
    width: int, activation: str | None, loss: Any, rate: float = 0.3, inputs: int = 5
) -> Callable[[Any], keras.Model]:
    """A hypermodel of one candidate with a single layer."""

    def build(hp: Any) -> keras.Model:
        hp.Fixed("rate", rate)
        model = keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(width, activation=activation)])
        model.compile(keras.optimizers.Adam(rate), loss)
        return model

    return build


def search(make_tuner: Make, build: Any, y: Any, x: Any = X, **options: Any) -> Any:
    fit_options = {"epochs": 12, "batch_size": 10} | options.pop("fit_options", {})
    tuner = make_tuner(build, objective="val_loss", fold_fitter=None, cv=options.pop("cv", 2), n_jobs=1, **options)
    tuner.search(x, y, **fit_options)
    return tuner


def some_quick(cases: Iterable[str], quick: Collection[str]) -> list[Any]:
    """All cases, those that are not quick marked as slow."""
    return [case if case in quick else pytest.param(case, marks=pytest.mark.slow) for case in cases]


BCE = "binary_crossentropy"
BCE_LOGITS = keras.losses.BinaryCrossentropy(from_logits=True)
SPARSE = "sparse_categorical_crossentropy"
SPARSE_LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
WORDS = np.array(["no", "yes"])[TWO]

TWO_CLASSES = {
    "class numbers": (TWO, "sigmoid", BCE),
    "logits": (TWO, None, BCE_LOGITS),
    "Booleans": (TWO == 1, "sigmoid", BCE),
    "text": (WORDS, "sigmoid", BCE),
    "text and logits": (WORDS, None, BCE_LOGITS),
    "text and a loss of regression": (WORDS, "sigmoid", "mse"),
    "any integers": (np.array([3, 7])[TWO], "sigmoid", BCE),
    "signs": (TWO * 2 - 1, "sigmoid", BCE),
    "signs and a hinge": (TWO * 2 - 1, "tanh", "hinge"),
    "text and a hinge": (WORDS, "tanh", "hinge"),
    "floats": (TWO.astype(np.float32), "sigmoid", BCE),
    "a column": (TWO[:, None], "sigmoid", BCE),
    "a column of text": (WORDS[:, None], "sigmoid", BCE),
    "a column of objects": (np.array([bool(one) for one in TWO], dtype=object), "sigmoid", BCE),
    "a table of one column": (pandas.DataFrame({"label": WORDS}), "sigmoid", BCE),
    "a list": (WORDS.tolist(), "sigmoid", BCE),
}


# The other forms are read by the same code (`tests/data/test_targets.py`): quick tests need one of each way.
QUICK_OF_TWO = {"logits", "text", "signs and a hinge", "a column of text", "a table of one column", "floats"}


@pytest.mark.parametrize("case", some_quick(TWO_CLASSES, QUICK_OF_TWO))
def test_a_model_of_one_output_answers_in_the_labels_of_its_target(make_tuner: Make, case: str) -> None:
    y, activation, loss = TWO_CLASSES[case]
    tuner = search(make_tuner, model_of(1, activation, loss), y)
    answers, expected = tuner.predict(X), np.asarray(y)
    assert answers.shape == expected.shape
    assert np.mean(answers == expected) == 1
    assert {type(label) for label in answers.ravel().tolist()} == {type(expected.ravel().tolist()[0])}
    assert tuner.classes_.tolist() == sorted(set(expected.ravel().tolist()))
    again = load_predictor(tuner.project)
    assert np.array_equal(again.predict(X), answers)
    if "hinge" in case:
        with pytest.raises(InputError, match=r"Probabilities need .* hinge loss has margins"):
            tuner.predict_proba(X)
        return
    probabilities = tuner.predict_proba(X)
    assert probabilities.shape == (60, 2)
    assert np.array_equal(probabilities.argmax(axis=1), TWO)
    assert 0 <= probabilities.min() <= probabilities.max() <= 1
    assert np.array_equal(again.predict_proba(X), probabilities)


THREE_CLASSES = {
    "class numbers": (THREE, 3, "softmax", SPARSE),
    "logits": (THREE, 3, None, SPARSE_LOGITS),
    "from one on": (THREE + 1, 3, "softmax", SPARSE),
    "any integers": (np.array([-4, 7, 20])[THREE], 3, "softmax", SPARSE),
    "text": (np.array(["a", "b", "c"])[THREE], 3, None, SPARSE_LOGITS),
    "text of numbers": (np.array(["1", "10", "2"])[THREE], 3, "softmax", SPARSE),
    "text in one of ten outputs each": (np.array(["a", "b", "c"])[THREE], 10, "softmax", SPARSE),
    "a column": (THREE[:, None] + 1, 3, "softmax", SPARSE),
    "objects": ((THREE * 7).astype(object), 3, "softmax", SPARSE),
    "floats": (THREE + 1.0, 3, "softmax", SPARSE),
}


QUICK_OF_THREE = {"from one on", "text", "text in one of ten outputs each", "a column"}


@pytest.mark.parametrize("case", some_quick(THREE_CLASSES, QUICK_OF_THREE))
def test_a_model_of_several_outputs_answers_in_the_labels_of_its_target(make_tuner: Make, case: str) -> None:
    y, width, activation, loss = THREE_CLASSES[case]
    tuner = search(make_tuner, model_of(width, activation, loss), y)
    answers = tuner.predict(X)
    assert answers.shape == y.shape
    assert np.mean(answers == y) == 1
    assert tuner.classes_.tolist() == sorted(set(y.ravel().tolist()))
    probabilities = tuner.predict_proba(X)
    assert probabilities.shape == (60, 3)
    if width == 3:
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert np.array_equal(load_predictor(tuner.project).predict(X), answers)
    assert np.sum([fold.confusion for fold in tuner.candidates()[0].folds]) == 60


def test_a_new_tuner_on_a_finished_project_answers_in_labels(make_tuner: Make) -> None:
    build = model_of(1, "sigmoid", BCE)
    done = search(make_tuner, build, WORDS)
    again = make_tuner(build, objective="val_loss", fold_fitter=None, cv=2)
    assert np.array_equal(again.predict(X), WORDS)
    assert np.array_equal(again.predict_proba(X), done.predict_proba(X))
    assert (again.best_params_, again.refit_time_) == (done.best_params_, done.refit_time_)


def test_the_manifest_of_an_earlier_version_learns_what_the_outputs_are(make_tuner: Make) -> None:
    build = model_of(1, None, BCE_LOGITS)
    done = search(make_tuner, build, TWO)
    path = done.project.manifest_file
    content = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in content.items() if k not in ("decoding", "checksum")}))
    again = search(make_tuner, build, TWO)
    assert again.refit_time_ == done.refit_time_
    assert np.array_equal(again.predict_proba(X), done.predict_proba(X))
    assert json.loads(path.read_text()) == content


def test_ten_outputs_and_two_classes_in_the_target(make_tuner: Make) -> None:
    tuner = search(make_tuner, model_of(10, "softmax", SPARSE), TWO)
    assert np.array_equal(tuner.predict(X), TWO)
    assert tuner.classes_.tolist() == list(range(10))
    assert tuner.predict_proba(X).shape == (60, 10)


@pytest.mark.parametrize("form", ["integers", "objects", "floats as objects", "a column"])
def test_a_regression_is_one_whatever_its_numbers(make_tuner: Make, form: str) -> None:
    amounts: Any = THREE + 3 * TWO
    y = {"integers": amounts, "objects": amounts.astype(object), "a column": amounts[:, None]}.get(
        form, (amounts + 0.5).astype(object)
    )
    tuner = search(make_tuner, model_of(1, None, "mse"), y)
    answers = tuner.predict(X)
    assert answers.shape == y.shape
    assert np.abs(answers - y.astype(float)).max() < 1
    assert tuner.classes_ is None
    with pytest.raises(InputError, match=r"this model is a regression"):
        tuner.predict_proba(X)


def test_one_hot_rows_keep_the_outputs(make_tuner: Make) -> None:
    tuner = search(make_tuner, model_of(3, "softmax", "categorical_crossentropy"), np.eye(3)[THREE])
    answers = tuner.predict(X)
    assert answers.shape == (60, 3)
    np.testing.assert_allclose(answers, tuner.predict_proba(X))
    assert np.array_equal(answers.argmax(axis=1), THREE)


def test_several_outputs_have_answers_of_their_own(make_tuner: Make) -> None:
    def build(hp: Any) -> keras.Model:
        hp.Fixed("rate", 0.3)
        inputs = [keras.Input((2,), name="left"), keras.Input((3,), name="right")]
        joined = keras.layers.Concatenate()(inputs)
        heads = [
            keras.layers.Dense(3, activation="softmax", name="letter")(joined),
            keras.layers.Dense(1, activation="sigmoid", name="answer")(joined),
            keras.layers.Dense(1, name="amount")(joined),
        ]
        model = keras.Model(inputs, heads)
        model.compile(keras.optimizers.Adam(0.3), [SPARSE, BCE, "mse"])
        return model

    letters = np.array(["a", "b", "c"])[THREE]
    y = {"amount": THREE, "answer": WORDS, "letter": letters}
    x = {"left": X[:, :2], "right": X[:, 2:]}
    tuner = search(make_tuner, build, [letters, WORDS, THREE], x)
    for found in (tuner.predict(x), load_predictor(tuner.project).predict(x)):
        letter, answer, amount = found
        assert np.array_equal(letter, letters)
        assert np.array_equal(answer, WORDS)
        assert np.abs(amount - THREE).max() < 1
    tuner = search(make_tuner, build, y, x, project_name="by name")
    assert np.array_equal(tuner.predict(x)[0], letters)


def test_class_weights_belong_to_labels(make_tuner: Make) -> None:
    build = model_of(1, "sigmoid", BCE, rate=0.1)
    named = search(make_tuner, build, WORDS, fit_options={"class_weight": {"no": 0.25, "yes": 3.0}})
    numbered = search(make_tuner, build, TWO, fit_options={"class_weight": {0: 0.25, 1: 3.0}}, project_name="numbered")
    none = search(make_tuner, build, WORDS, project_name="none")
    assert named.histories_ == numbered.histories_ != none.histories_
    with pytest.raises(
        InputError, match=r"keys of class_weight must be labels of y \('no', 'yes'\)\. Received: 'maybe'"
    ):
        search(make_tuner, build, WORDS, fit_options={"class_weight": {"maybe": 2}}, project_name="other")


def test_a_number_of_folds_is_stratified_for_classes(make_tuner: Make) -> None:
    from sklearn.datasets import load_iris

    iris = load_iris()

    def build(hp: Any) -> keras.Model:
        hp.Fixed("rate", 0.05)
        layers = [keras.layers.Dense(16, activation="relu"), keras.layers.Dense(3, activation="softmax")]
        model = keras.Sequential([keras.Input((4,)), keras.layers.Rescaling(0.2), *layers])
        model.compile(keras.optimizers.Adam(0.05), SPARSE, metrics=["accuracy"])
        return model

    tuner = make_tuner(build, cv=3, n_jobs=1, fold_fitter=None, refit=False)
    tuner.search(iris.data, iris.target, epochs=30, batch_size=16)
    assert tuner.best_score_ > 0.93


def test_columns_come_in_any_order(make_tuner: Make) -> None:
    table = pandas.DataFrame(X, columns=list("abcde"))
    tuner = search(make_tuner, model_of(3, "softmax", SPARSE), THREE, table)
    for answer in (tuner.predict, load_predictor(tuner.project).predict):
        assert np.array_equal(answer(table[list("edcba")]), THREE)
        assert np.array_equal(answer(X), THREE)
        with pytest.raises(InputError, match=r"must have the 5 columns .* lacks 'b'\. Give these"):
            answer(table.drop(columns="b"))
        with pytest.raises(InputError, match=r"also has 'f'\. Give these"):
            answer(table.assign(f=1))


@pytest.mark.parametrize("form", [dict, list])
def test_columns_of_several_tables_come_in_any_order(make_tuner: Make, form: type) -> None:
    def build(hp: Any) -> keras.Model:
        hp.Fixed("rate", 0.3)
        inputs = [keras.Input((2,), name="left"), keras.Input((3,), name="right")]
        outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.Concatenate()(inputs))
        model = keras.Model(inputs, outputs)
        model.compile(keras.optimizers.Adam(0.3), SPARSE)
        return model

    def tables(left: str, right: str) -> Any:
        table = pandas.DataFrame(X, columns=list("abcde"))
        parts = {"left": table[list(left)], "right": table[list(right)]}
        return parts if form is dict else list(parts.values())

    tuner = search(make_tuner, build, THREE, tables("ab", "cde"))
    for answer in (tuner.predict, load_predictor(tuner.project).predict):
        assert np.array_equal(answer(tables("ab", "cde")), THREE)
        assert np.array_equal(answer(tables("ba", "ecd")), THREE)
        with pytest.raises(InputError, match="lacks 'e'"):
            answer(tables("ab", "cd"))


def test_a_table_without_rows_has_no_answers(make_tuner: Make) -> None:
    table = pandas.DataFrame({"a": X[:, 0] > 0, "b": X[:, 1]})
    tuner = search(make_tuner, model_of(1, "sigmoid", BCE, inputs=2), TWO, table)
    assert np.array_equal(tuner.predict(table[["b", "a"]]), TWO)
    assert tuner.predict(table.iloc[:0]).shape == (0,)


def test_the_command_brings_columns_into_order_and_gives_probabilities(
    make_tuner: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    letters = np.array(["a", "b", "c"])[THREE]
    table = pandas.DataFrame(X, columns=["v", "w", "x", "y", "z"])
    tuner = search(make_tuner, model_of(3, None, SPARSE_LOGITS), pandas.Series(letters, name="letter"), table)
    table[["z", "y", "x", "w", "v"]].assign(letter=letters).to_csv(tmp_path / "new.csv", index=False)
    output = tmp_path / "answers.csv"
    options = ["--directory", str(tmp_path), "--project-name", "search", "--data", str(tmp_path / "new.csv")]
    assert predict.main([*options, "--output", str(output), "--probabilities"]) == 0
    assert capsys.readouterr().out.startswith("Accuracy: 1.0000 (60 of 60)\n")
    found = pandas.read_csv(output)
    assert found["Label"].tolist() == letters.tolist()
    columns = found[["Probability_a", "Probability_b", "Probability_c"]].to_numpy()
    np.testing.assert_allclose(columns, tuner.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(columns.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("objective", "refit", "name", "sign"),
    [
        ("val_loss", True, "val_loss", -1),
        ("val_accuracy", True, "val_accuracy", 1),
        (["val_loss", "val_accuracy"], "val_loss", "val_loss", -1),
        (["val_loss", "val_accuracy"], True, "val_loss, val_accuracy", 1),
    ],
)
def test_the_manifest_has_the_score_in_the_objectives_own_sign(
    make_tuner: Make, objective: Any, refit: Any, name: str, sign: int
) -> None:
    def build(hp: Any) -> keras.Model:
        hp.Fixed("rate", 0.1)
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1, activation="sigmoid")])
        model.compile("adam", BCE, metrics=["accuracy"])
        return model

    tuner = make_tuner(build, objective=objective, refit=refit, fold_fitter=None, cv=2, n_jobs=1)
    tuner.search(X, TWO, epochs=1)
    manifest = load_predictor(tuner.project).manifest
    assert (manifest.objective, manifest.score) == (name, sign * tuner.best_score_)
