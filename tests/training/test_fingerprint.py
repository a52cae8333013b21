"""A hypermodel that is not the one that a project was made with."""

from __future__ import annotations

import importlib.util
import itertools
import json
import logging
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import pytest

from tuner_app.errors import ProjectError
from tuner_app.models.dense import DenseHyperModel
from tuner_app.training.fingerprint import describe_model, source_digest

Make = Callable[..., Any]
Data = tuple[Any, Any]
dense = keras.layers.Dense
NUMBERS = itertools.count()

# Keras turns variables into arrays in a way that NumPy has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def two_layers(hidden: Any = None, *, more: tuple[Any, ...] = (), **compiled: Any) -> Callable[[Any], keras.Model]:
    """A build function whose model differs in what is given."""

    def build(hp: Any) -> keras.Model:
        hp.Choice("a", [1])
        first = hidden() if hidden else dense(4, activation="relu")
        model = keras.Sequential([keras.Input((3,)), first, *(kind() for kind in more), dense(2, activation="softmax")])
        options = {"optimizer": "sgd", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
        model.compile(**{**options, **compiled})
        return model

    return build


def crossed(hp: Any, *, turned: bool = False) -> keras.Model:
    """A layer's outputs less its inputs, or the other way round."""
    hp.Choice("a", [1])
    entry = keras.Input((3,))
    parts = [entry, dense(3)(entry)]
    model = keras.Model(entry, keras.layers.Subtract()(parts[::-1] if turned else parts))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


def search(make_tuner: Make, data: Data, build: Any) -> Any:
    tuner = make_tuner(build, fold_fitter=None, refit=False, n_jobs=1)
    tuner.search(*data, epochs=1)
    return tuner


OTHERS = [
    (two_layers(lambda: dense(8, activation="relu")), "build layer 2 units: 4 then, 8 now; build layer 2 weights"),
    (two_layers(lambda: dense(4, activation="tanh")), 'build layer 2 activation: "relu" then, "tanh" now'),
    (two_layers(lambda: keras.layers.Dropout(0.5)), 'layer 2 class: "Dense" then, "Dropout" now'),
    (
        two_layers(lambda: dense(4, activation="relu", kernel_regularizer="l2")),
        r'nothing then, "L2\(l2=0.01\)" now',
    ),
    (two_layers(more=(keras.layers.BatchNormalization,)), 'layer 3 class: "Dense" then, "BatchNorm.*and . more'),
    (two_layers(optimizer="adam"), 'build compile optimizer class: "SGD" then, "Adam" now'),
    (two_layers(optimizer=keras.optimizers.SGD(0.1)), r"optimizer learning_rate: 0\.00\d* then, 0\.1\d* now"),
    (two_layers(metrics=["accuracy", "mse"]), r'metrics: \["accuracy"\] then, \["accuracy", "mse"\] now'),
]


def test_another_model_is_refused_with_what_differs(make_tuner: Make, data: Data) -> None:
    search(make_tuner, data, two_layers())
    for build, differences in OTHERS:
        with pytest.raises(ProjectError, match=rf"was made by another search: .*({differences})") as caught:
            search(make_tuner, data, build)
        assert "\n" not in str(caught.value)
        assert "overwrite=True" in str(caught.value)
        assert len(str(caught.value)) < 900


def test_layers_that_are_connected_otherwise_are_another_model(make_tuner: Make, data: Data) -> None:
    search(make_tuner, data, crossed)
    with pytest.raises(ProjectError, match="was made by another search: build connections"):
        search(make_tuner, data, lambda hp: crossed(hp, turned=True))


def test_names_seeds_and_what_keras_counts_are_no_difference(make_tuner: Make, data: Data) -> None:
    seeds = itertools.count(1)
    other = keras.initializers.RandomNormal

    def build() -> Any:
        return dense(4, activation="relu", name=f"hidden_{next(seeds)}", kernel_initializer=other(seed=next(seeds)))

    first = search(make_tuner, data, two_layers(build))
    keras.layers.Dense(1)
    again = make_tuner(two_layers(build), fold_fitter=None, refit=False)
    again.search(*data, epochs=1)
    assert again.best_score_ == first.best_score_


def test_a_project_of_a_version_that_kept_none_of_it_resumes(make_tuner: Make, data: Data) -> None:
    first = search(make_tuner, data, two_layers())
    known = json.loads(first.project.search_file.read_text())
    assert known["asked"]["build"]["layer 2"]["units"] == 4
    from tuner_app.storage.files import digest, sealed, write_json

    for name in ("checksum", "code"):
        del known[name]
    del known["asked"]["build"]
    known["search_id"] = digest(known["asked"])
    write_json(first.project.search_file, sealed(known))
    for path in first.project.path.glob("trial_*/fold_*.json"):
        path.unlink()
    search(make_tuner, data, two_layers())
    again = json.loads(first.project.search_file.read_text())
    assert again["search_id"] == known["search_id"]
    assert again["asked"]["build"]["layer 2"]["units"] == 4


def test_the_words_of_another_keras_are_not_compared(make_tuner: Make, data: Data) -> None:
    from tuner_app.storage.files import digest, sealed, write_json

    first = search(make_tuner, data, two_layers())
    known = json.loads(first.project.search_file.read_text())
    del known["checksum"]
    known["asked"]["build"]["keras"] = "3.0.0"
    known["asked"]["build"]["layer 2"]["brand"] = "new"
    known["search_id"] = digest(known["asked"])
    write_json(first.project.search_file, sealed(known))
    for path in first.project.path.glob("trial_*/fold_*.json"):
        path.unlink()
    for _ in range(2):
        search(make_tuner, data, two_layers())
        again = json.loads(first.project.search_file.read_text())
        assert (again["search_id"], again["asked"]["build"]) == (known["search_id"], known["asked"]["build"])


CODE = '''
import keras
import keras_tuner

class Mine(keras_tuner.HyperModel):
    """Mine."""

    def build(self, hp):
        hp.Choice("a", [1, 2])
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp, model, *args, **kwargs):
        return model.fit(*args, **kwargs)

def build(hp):
    return Mine().build(hp)
'''


def module_of(code: str, folder: Path) -> Any:
    """A module with some code, imported from a file of its own."""
    path = folder / f"hypermodel_{next(NUMBERS)}.py"
    path.write_text(textwrap.dedent(code))
    found = importlib.util.spec_from_file_location(path.stem, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    import sys

    sys.modules[path.stem] = module  # where `inspect` looks for a class's file
    found.loader.exec_module(module)
    return module


def test_other_code_that_builds_the_same_is_a_warning(
    make_tuner: Make, data: Data, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    search(make_tuner, data, module_of(CODE, tmp_path).Mine())
    changes = [
        ("if False", "", 0),
        ('    """Mine."""\n', "    # Mine, they say.\n", 0),
        ("keras.Sequential([keras.Input((3,)), ", "keras.Sequential([\n   keras.Input((3,)),\n   ", 0),
        ("return model.fit(*args", "kwargs['shuffle'] = False; return model.fit(*args", 1),
    ]
    for old, new, count in changes:
        with caplog.at_level(logging.WARNING, "tuner_app"):
            search(make_tuner, data, module_of(CODE.replace(old, new), tmp_path).Mine())
        warnings = [record.getMessage() for record in caplog.records if "code has changed" in record.getMessage()]
        assert len(warnings) == count
        assert all("\n" not in line for line in warnings)


def test_the_code_of_a_function_counts_too(tmp_path: Path, make_tuner: Make) -> None:
    other = CODE.replace("Mine().build(hp)", "Mine('x').build(hp)")
    codes = [make_tuner(module_of(code, tmp_path).build).hypermodel for code in (CODE, f"# New.\n{CODE}", other)]
    first, commented, changed = map(source_digest, codes)
    assert first is not None
    assert first == commented
    assert first != changed


def test_code_that_is_not_to_be_had_or_not_the_users_is_no_matter() -> None:
    typed_in: dict[str, Any] = {"__name__": "__main__"}
    exec("import keras_tuner\nclass Typed(keras_tuner.HyperModel):\n  def build(self, hp): return None", typed_in)
    assert source_digest(typed_in["Typed"]()) is None
    assert source_digest(DenseHyperModel((3,), 2)) is None


def test_a_layer_without_a_configuration_is_known_by_its_class_and_weights() -> None:
    class Odd(keras.layers.Layer):
        def __init__(self, *sizes: int) -> None:
            super().__init__()
            self.sizes = sizes

        def build(self, shape: Any) -> None:
            self.kernel = self.add_weight(shape=self.sizes)

        def call(self, inputs: Any) -> Any:
            return inputs

    described = describe_model(keras.Sequential([keras.Input((3,)), Odd(2, 5)]))
    assert described["layer 2"] == {"class": "Odd", "weights": "2x5"}
    assert described["compile"] == {}


def test_arguments_that_keras_leaves_out_of_a_loss_are_told() -> None:
    words = [describe_model(two_layers(loss=keras.losses.Huber(d))(keras_tuner.HyperParameters())) for d in (1.0, 2.0)]
    assert words[0]["compile"]["loss"] != words[1]["compile"]["loss"]
