"""Refit models in another process, whatever Keras's own saving makes of them."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from tuner_app.errors import ProjectError
from tuner_app.prediction.predictor import load_predictor
from tuner_app.storage.files import read_json, sealed, write_json
from tuner_app.storage.manifest import load_manifest
from tuner_app.storage.model_file import known_to_all_processes, loading_obstacle, saving_obstacle

Make = Callable[..., Any]
Data = tuple[Any, Any]
dense = keras.layers.Dense

# Keras turns variables into arrays in a way that NumPy has deprecated.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning", "ignore:The object being serialized includes a `lambda`"
)

# The models that another process is to have again, each a hypermodel and its data.
MODELS = '''
import keras
import keras_tuner
import numpy as np
from tuner_app.tuners.grid_search import GridSearchCV

random = np.random.default_rng(0)
x = random.normal(size=(24, 3)).astype(np.float32)
y = (x[:, 0] > 0).astype(np.int64)
dense = keras.layers.Dense

class Unsaved(keras.layers.Layer):
    """A layer that Keras cannot save."""

    def __init__(self, *sizes):
        super().__init__()
        self.parts = [keras.layers.Dense(size) for size in sizes]

    def call(self, inputs):
        for part in self.parts:
            inputs = part(inputs)
        return inputs

class Unregistered(keras.layers.Layer):
    """A layer that another process does not know."""

    def call(self, inputs):
        return inputs * 2.0

class Whole(keras.Model):
    """A subclassed model, which is not built until it sees rows."""

    def __init__(self, layers):
        super().__init__()
        self.parts = layers

    def call(self, inputs):
        for part in self.parts:
            inputs = part(inputs)
        return inputs

def compiled(model, hp, **options):
    options = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]} | options
    model.compile(keras.optimizers.Adam(hp.Choice("rate", [0.01, 0.1])), **options)
    return model

def row(*layers, shape=(3,), last=None):
    return keras.Sequential([keras.Input(shape), *layers, last or dense(2, activation="softmax")])

class Adapted(keras_tuner.HyperModel):
    """Learns words from the training rows, which are no weights."""

    def build(self, hp):
        words = keras.layers.TextVectorization(max_tokens=9, output_sequence_length=3)
        words.adapt(["nothing"])
        entry = keras.Input((), dtype="string")
        means = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(9, 4)(words(entry)))
        return compiled(keras.Model(entry, dense(2, activation="softmax")(means)), hp)

    def fit(self, hp, model, rows, *args, **kwargs):
        for layer in model.layers:
            if isinstance(layer, keras.layers.TextVectorization):
                layer.adapt(rows)
        return model.fit(rows, *args, **kwargs)

def own_loss(true, guessed):
    return keras.ops.mean(keras.losses.sparse_categorical_crossentropy(true, guessed))

def two_and_two(hp):
    left, right = keras.Input((3,), name="left"), keras.Input((1,), name="right")
    both = keras.layers.concatenate([Unregistered()(left), right])
    heads = {"kind": dense(2, activation="softmax")(both), "size": dense(1)(both)}
    return compiled(
        keras.Model({"left": left, "right": right}, heads), hp,
        loss={"kind": "sparse_categorical_crossentropy", "size": "mse"},
        metrics={"kind": ["accuracy"], "size": ["mae"]},
    )

words = np.array(["good film", "bad film", "good"] * 8, dtype=object)
CASES = {
    "plain": (lambda hp: compiled(row(dense(4), keras.layers.Dropout(0.5)), hp), x, y),
    "not saveable": (lambda hp: compiled(row(Unsaved(4, 5)), hp), x, y),
    "not registered": (lambda hp: compiled(row(Unregistered()), hp), x, y),
    "lambda": (lambda hp: compiled(row(keras.layers.Lambda(lambda t: t * 3.0)), hp), x, y),
    "subclassed": (lambda hp: compiled(Whole([dense(4), dense(2, activation="softmax")]), hp), x, y),
    "own loss": (lambda hp: compiled(row(dense(4)), hp, loss=own_loss), x, y),
    "text labels": (lambda hp: compiled(row(Unregistered()), hp), x, np.array(["no", "yes"])[y]),
    "one number a row": (lambda hp: compiled(row(Unregistered(), shape=(1,)), hp), x[:, 0], y),
    "text": (Adapted(), words, y),
    "two and two": (two_and_two, {"left": x, "right": x[:, :1]}, {"kind": y, "size": x[:, 1]}),
}

def tuner_of(name, directory, **options):
    build, x, y = CASES[name]
    metric = "val_kind_accuracy" if isinstance(y, dict) else "val_accuracy"
    tuner = GridSearchCV(
        build, keras_tuner.Objective(metric, "max"), cv=2, seed=3, directory=directory, project_name="kept",
        observers=[], verbose=0, n_jobs=1, **options
    )
    return tuner, x, y

def numbers(tuner, x, y):
    """What must be the same in every process, to the last bit."""
    model = tuner.get_best_models()[0]
    known = (y == "yes").astype(int) if isinstance(y, np.ndarray) and y.dtype.kind == "U" else y
    scores = model.evaluate(x, known, verbose=0, return_dict=True)
    # Keras 3.15 predicts for a column in either form, but not for one after the other; tuner.predict takes two axes.
    rows = x[:, None] if isinstance(x, np.ndarray) and x.ndim == 1 and x.dtype.kind == "f" else x
    outputs = [part.tolist() for part in keras.tree.flatten(model.predict(rows, verbose=0))]
    state = [int(model.optimizer.iterations), float(model.optimizer.learning_rate)]
    answers = [np.asarray(part).tolist() for part in keras.tree.flatten(tuner.predict(x))]
    return [scores, outputs, state, answers, [weight.numpy().tolist() for weight in model.weights]]
'''


@pytest.fixture(name="models", scope="module")
def models_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    (folder / "kept_models.py").write_text(MODELS)
    return folder


def in_a_new_process(models: Path, code: str) -> Any:
    """What a process prints as its last line, read as JSON."""
    script = (
        f"import json, sys\nsys.path.insert(0, {str(models)!r})\nfrom kept_models import *\n{textwrap.dedent(code)}"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_every_model_is_the_same_in_a_new_process(models: Path, tmp_path: Path) -> None:
    searched = in_a_new_process(
        models,
        f"""
        found = {{}}
        for name in CASES:
            tuner, x, y = tuner_of(name, f"{tmp_path}/{{name}}")
            tuner.search(x, y, epochs=2)
            found[name] = numbers(tuner, x, y)
        print(json.dumps(found))
        """,
    )
    again = in_a_new_process(
        models,
        f"""
        found = {{}}
        for name in CASES:
            tuner, x, y = tuner_of(name, f"{tmp_path}/{{name}}")
            found[name] = numbers(tuner, x, y)
        print(json.dumps(found))
        """,
    )
    assert len(searched) == 10
    for name, expected in searched.items():
        assert again[name] == expected, name
    files = {name: {path.name for path in (tmp_path / name / "kept").glob("best_model.*")} for name in searched}
    weights = {"best_model.json", "best_model.weights.h5"}
    only_weights = {"not saveable", "subclassed"}
    assert {name for name, found in files.items() if found == weights} == only_weights
    assert all(found == {"best_model.json", "best_model.keras"} for n, found in files.items() if n not in only_weights)


def linear(*layers: Any, **compiled: Any) -> Callable[[Any], keras.Model]:
    """A build function with some layers made by functions."""

    def build(hp: Any) -> keras.Model:
        hp.Choice("rate", [0.1])
        parts = [keras.Input((3,)), *(layer() for layer in layers), dense(2, activation="softmax")]
        model = keras.Sequential(parts)
        options = {"optimizer": "sgd", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
        model.compile(**{**options, **compiled})
        return model

    return build


class Unsaved(keras.layers.Layer):
    """A layer that Keras cannot save."""

    def __init__(self, *sizes: int) -> None:
        super().__init__()
        self.inner = dense(sizes[0])

    def call(self, inputs: Any) -> Any:
        return self.inner(inputs)


class Doubled(keras.layers.Layer):
    """A layer whose configuration lacks what it does."""

    def __init__(self, factor: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.factor = factor

    def get_config(self) -> Any:
        return keras.layers.Layer.get_config(self)

    def call(self, inputs: Any) -> Any:
        return inputs * self.factor


@keras.saving.register_keras_serializable("test_rebuilding")
class Registered(keras.layers.Layer):
    """Known in this process only."""

    def call(self, inputs: Any) -> Any:
        return inputs


def search(make_tuner: Make, data: Data, build: Any, **options: Any) -> Any:
    tuner = make_tuner(build, fold_fitter=None, cv=2, n_jobs=1, **options)
    tuner.search(*data, epochs=1)
    return tuner


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING and r.name.startswith("tuner_app")]


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (lambda: Unsaved(2), r"cannot save this model whole \(NotImplementedError: .*only its weights .*weights\.h5"),
        (lambda: keras.layers.Lambda(lambda t: t * 2), r"not open in Keras's safe mode, .*code of its own: a Lambda"),
        (Doubled, "not open in Keras's safe mode, so the command .* cannot use it .*: Doubled"),
        (Registered, "not open in Keras's safe mode, so the command .* cannot use it .*: Registered"),
    ],
)
def test_what_the_file_will_lack_is_said_in_one_line_before_the_first_fold(
    make_tuner: Make, data: Data, caplog: pytest.LogCaptureFixture, layer: Any, words: str
) -> None:
    from tuner_app.search.observers import SearchObserver

    class Listening(SearchObserver):
        def search_begun(self, plan: Any) -> None:
            before.extend(told(caplog))

    before: list[str] = []
    tuner = search(make_tuner, data, linear(layer), observers=[Listening()])
    [line] = before
    assert re.search(words, line)
    assert "\n" not in line
    assert "best_model_ comes from build and the weights" in line
    assert told(caplog) == before
    with known_to_all_processes(), pytest.raises(ProjectError, match="Predict in Python: best_model_ of a tuner"):
        load_predictor(tuner.project)


def test_where_all_is_well_nothing_is_said(make_tuner: Make, data: Data, caplog: pytest.LogCaptureFixture) -> None:
    tuner = search(make_tuner, data, linear(lambda: dense(3), keras.layers.BatchNormalization))
    search(make_tuner, data, linear(lambda: Unsaved(2)), refit=False, project_name="no refit")
    assert told(caplog) == []
    manifest = load_manifest(tuner.project)
    assert manifest.rebuild is not None
    assert manifest.rebuild["x"] == {"shape": [3], "dtype": "float32"}
    again = make_tuner(linear(lambda: dense(3), keras.layers.BatchNormalization), fold_fitter=None)
    assert again.best_model_.compiled
    np.testing.assert_array_equal(*(t.best_model_.predict(data[0], verbose=0) for t in (tuner, again)))


def test_a_build_that_has_changed_does_not_take_the_weights(
    make_tuner: Make, data: Data, caplog: pytest.LogCaptureFixture
) -> None:
    """The shapes fit, so that only the fingerprint can tell; the file has the model as it was."""
    first = search(make_tuner, data, linear(lambda: dense(3, activation="tanh")))
    again = make_tuner(linear(lambda: dense(3, activation="relu")), fold_fitter=None)
    np.testing.assert_array_equal(*(t.best_model_.predict(data[0], verbose=0) for t in (first, again)))
    assert again.best_model_.compiled
    [line] = told(caplog)
    assert re.search(r"build makes another model than it did.*best_model\.keras is opened", line)


def test_one_whose_weights_alone_are_kept_is_refused_then(make_tuner: Make, data: Data) -> None:
    first = search(make_tuner, data, linear(lambda: Unsaved(3)))
    assert first.project.weights_file.exists()
    again = make_tuner(linear(lambda: Unsaved(4)), fold_fitter=None)
    with pytest.raises(
        ProjectError, match=r"weights of a model that build does not give back \(.*Put the hypermodel's"
    ):
        _ = again.best_model_


def test_the_weights_of_another_keras_are_taken_where_they_fit(make_tuner: Make, data: Data) -> None:
    first = search(make_tuner, data, linear(lambda: Unsaved(3)))
    content = read_json(first.project.manifest_file)
    content["versions"]["keras"], content["rebuild"]["build"] = "3.0.0", "other words"
    write_json(first.project.manifest_file, sealed(content))
    again = make_tuner(linear(lambda: Unsaved(3)), fold_fitter=None)
    np.testing.assert_array_equal(*(t.best_model_.predict(data[0], verbose=0) for t in (first, again)))
    with pytest.raises(ProjectError, match="build does not give back"):
        _ = make_tuner(linear(lambda: Unsaved(4)), fold_fitter=None).best_model_


def test_fold_models_that_keras_cannot_save_are_kept_as_weights(make_tuner: Make, data: Data) -> None:
    tuner = search(make_tuner, data, linear(lambda: Unsaved(3)), refit=False, keep_fold_models=True)
    assert np.isfinite(tuner.best_score_)
    names = {path.name for path in tuner.project.path.glob("trial_*/*") if path.is_file()}
    assert names == {"trial.json", *(f"fold_{n}.{end}" for n in (0, 1) for end in ("json", "weights.h5"))}


def test_a_model_that_fit_has_compiled_anew_comes_from_its_file(make_tuner: Make, data: Data) -> None:
    class Recompiling(keras_tuner.HyperModel):
        def build(self, hp: Any) -> Any:
            return linear()(hp)

        def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
            model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy", "sparse_categorical_accuracy"])
            return model.fit(*args, **kwargs)

    first = search(make_tuner, data, Recompiling())
    assert load_manifest(first.project).rebuild is None
    again = make_tuner(Recompiling(), fold_fitter=None)
    scores = [t.best_model_.evaluate(*data, verbose=0, return_dict=True) for t in (first, again)]
    assert "sparse_categorical_accuracy" in scores[0]
    assert scores[0] == scores[1]


def test_a_configuration_that_lacks_something_does_not_change_the_answers(make_tuner: Make, data: Data) -> None:
    build = linear(lambda: Doubled(3.0))
    first = search(make_tuner, data, build)
    again = make_tuner(build, fold_fitter=None)
    np.testing.assert_array_equal(*(t.best_model_.predict(data[0], verbose=0) for t in (first, again)))


def test_a_resumed_search_takes_the_kept_weights_and_trains_nothing(
    make_tuner: Make, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tuner_app.training.fitter import FoldFitter

    first = search(make_tuner, data, linear(lambda: Unsaved(3)))
    monkeypatch.setattr(FoldFitter, "__call__", None)
    again = search(make_tuner, data, linear(lambda: Unsaved(3)))
    np.testing.assert_array_equal(*(t.best_model_.predict(data[0], verbose=0) for t in (first, again)))
    assert again.refit_time_ == first.refit_time_


def test_layers_that_assign_while_they_are_built_are_no_obstacle() -> None:
    @keras.saving.register_keras_serializable("tuner_app")
    class Assigning(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.level = self.add_weight(shape=(), initializer="zeros")
            self.level.assign(float(self.level.numpy()) + 3.0)

        def call(self, inputs: Any) -> Any:
            return inputs + self.level

    model = keras.Sequential([keras.Input((3,)), Assigning()])
    assert saving_obstacle(model) is None
    assert loading_obstacle(model) is None
    with known_to_all_processes():
        assert "test_rebuilding>Registered" not in keras.saving.get_custom_objects()
    assert "test_rebuilding>Registered" in keras.saving.get_custom_objects()
