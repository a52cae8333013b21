"""The search space and the model of the tutorial."""

from __future__ import annotations

import doctest
import types
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest

from tuner_app.errors import InputError
from tuner_app.models import dense
from tuner_app.models.dense import DenseHyperModel, Standardization, StandardizingHyperModel, dense_hypermodel

# Keras turns variables into arrays in a way that NumPy has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

X = np.random.default_rng(0).normal([5.0, -3.0, 7.0], [2.0, 0.5, 0.0], size=(20, 3)).astype(np.float32)
Y = np.arange(20) % 2


def build(hypermodel: DenseHyperModel, **values: Any) -> keras.Model:
    hp = keras_tuner.HyperParameters()
    hypermodel.build(hp)
    hp.values |= values
    return hypermodel.build(hp)


def test_the_space_is_the_tutorials() -> None:
    hp = keras_tuner.HyperParameters()
    DenseHyperModel((64,), 10).build(hp)
    assert {one.name: list(one.values) for one in hp.space} == {
        "learning_rate": [0.001, 0.002, 0.003],
        "nodes": [32, 64, 128, 256, 512],
    }


def test_the_model_is_the_tutorials() -> None:
    model = build(DenseHyperModel((784,), 10, input_scale=255.0), nodes=64, learning_rate=0.002)
    assert model.output_shape == (None, 10)
    hidden, output = (layer for layer in model.layers if isinstance(layer, keras.layers.Dense))
    assert (hidden.units, hidden.activation.__name__, output.activation.__name__) == (64, "relu", "softmax")
    assert isinstance(hidden.kernel_initializer, keras.initializers.RandomUniform)
    assert isinstance(model.optimizer, keras.optimizers.RMSprop)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.002)
    assert model.loss == "sparse_categorical_crossentropy"


def test_pictures_are_flattened_and_scaled_in_the_model() -> None:
    model = build(DenseHyperModel((4, 5), 3, nodes=[8], input_scale=16.0))
    assert model.input_shape == (None, 4, 5)
    (scaling,) = (layer for layer in model.layers if isinstance(layer, keras.layers.Rescaling))
    np.testing.assert_allclose(scaling(np.full((1, 20), 16.0, np.float32)), np.ones((1, 20)))


def test_each_fit_standardises_by_its_own_rows() -> None:
    hypermodel = StandardizingHyperModel((3,), 2, nodes=[4])
    model = build(hypermodel)
    hypermodel.fit(keras_tuner.HyperParameters(), model, X, Y, epochs=1, verbose=0)
    (scaling,) = (layer for layer in model.layers if isinstance(layer, Standardization))
    scaled = np.asarray(scaling(X))
    np.testing.assert_allclose(scaled.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=0), [1.0, 1.0, 0.0], atol=1e-5)


def test_a_standardization_comes_back_from_a_file(tmp_path: Any) -> None:
    layer = Standardization()
    model = keras.Sequential([keras.Input((3,)), layer])
    layer.adapt(X)
    assert layer.trainable_variables == []
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))


@pytest.mark.parametrize(("scale", "kind"), [(255.0, DenseHyperModel), (None, StandardizingHyperModel)])
def test_the_hypermodel_follows_the_data(scale: float | None, kind: type) -> None:
    dataset = types.SimpleNamespace(x=np.zeros((5, 4, 4)), classes=["a", "b", "c"], input_scale=scale)
    found = dense_hypermodel(dataset, nodes=[16], learning_rates=[0.1])
    assert type(found) is kind
    assert (found.input_shape, found.n_classes, found.nodes, found.learning_rates) == ((4, 4), 3, [16], [0.1])


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"nodes": []}, "nodes must name at least one value"),
        ({"nodes": [0]}, r"nodes must be whole positive numbers. Received: \[0\]"),
        ({"nodes": [1.5]}, "nodes must be whole positive numbers"),
        ({"nodes": [True]}, "nodes must be whole positive numbers"),
        ({"nodes": [8, 8]}, r"nodes must not name a value twice. Received: \[8, 8\]"),
        ({"learning_rates": []}, "learning_rates must name at least one value"),
        ({"learning_rates": [-0.1]}, "learning_rates must be positive numbers"),
        ({"learning_rates": [float("inf")]}, "learning_rates must be positive numbers"),
        ({"learning_rates": [float("nan")]}, "learning_rates must be positive numbers"),
        ({"nodes": [float("inf")]}, "nodes must be whole positive numbers"),
    ],
)
def test_choices_that_cannot_work_are_refused(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DenseHyperModel((64,), 10, **choices)


def test_the_example_of_the_docstring_works() -> None:
    found = doctest.testmod(dense)
    assert found.attempted > 0
    assert found.failed == 0
