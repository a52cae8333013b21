from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil

import numpy as np
import pytest
from support.bad_inputs_data import BAD_ROWS, FOREIGN_MODELS, MANIFESTS_OF_ANOTHER_MODEL
from support.manifests import manifest

from tuner_app.errors import DataError, InputError, ProjectError
from tuner_app.prediction.predictor import Predictor, load_predictor
from tuner_app.process.loading import import_tensorflow_quietly
from tuner_app.storage.manifest import load_manifest, save_predictor
from tuner_app.storage.project import Project

# Keras 3.15 reads its variables in the way of NumPy 1 when it saves a model.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

MANIFEST = manifest(
    hyperparameters={"nodes": np.int64(5), "learning_rate": np.float32(0.5), "layers": (1, 2)},
    image_shape=[2, 2],
    data={"source": "train.csv", "target": "label", "fingerprint": "0f"},
    versions={"keras": "3"},
)


def make_model(inputs: int = 4, outputs: int = 3, activation: str = "softmax"):
    import_tensorflow_quietly()
    import keras

    keras.utils.set_random_seed(1)
    layers = [keras.layers.Dense(300, activation="relu"), keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)]
    return keras.Sequential([keras.Input((inputs,)), *layers, keras.layers.Dense(outputs, activation=activation)])


@pytest.fixture(name="model", scope="module")
def model_fixture():
    return make_model()


@pytest.fixture(name="saved", scope="module")
def saved_fixture(model, tmp_path_factory):
    """A project with a model; tests that change it work on a copy."""
    project = Project(tmp_path_factory.mktemp("saved"), "tiny")
    save_predictor(project, model, MANIFEST)
    return project


@pytest.fixture(name="predictor", scope="module")
def predictor_fixture(saved):
    return load_predictor(saved)


@pytest.fixture(name="project")
def project_fixture(saved, tmp_path):
    shutil.copytree(saved.path, tmp_path / "tiny")
    return Project(tmp_path, "tiny")


def rows(n: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 4)).astype(np.float32)


def unsealed(project):
    """The manifest as the first version wrote it, without a checksum over itself, which a change would not fit."""
    return {name: value for name, value in json.loads(project.manifest_file.read_text()).items() if name != "checksum"}


def put_model(project: Project, content: bytes) -> None:
    """Another model, and the manifest's checksum of it."""
    project.model_file.write_bytes(content)
    manifest = unsealed(project)
    manifest["model_sha256"] = hashlib.sha256(content).hexdigest()
    project.manifest_file.write_text(json.dumps(manifest))


class TestSaving:
    def test_the_round_trip_keeps_model_and_manifest(self, saved, predictor, model):
        plain = dataclasses.replace(MANIFEST, hyperparameters={"nodes": 5, "learning_rate": 0.5, "layers": [1, 2]})
        assert predictor.manifest == plain == load_manifest(saved)
        expected = model.predict(rows(5), verbose=0)
        np.testing.assert_allclose(predictor.predict_proba(rows(5)), expected, atol=1e-6)

    def test_the_folder_holds_the_two_files_and_nothing_else(self, saved):
        assert sorted(os.listdir(saved.path)) == ["best_model.json", "best_model.keras"]
        content = json.loads(saved.manifest_file.read_text())
        assert content["model_sha256"] == hashlib.sha256(saved.model_file.read_bytes()).hexdigest()

    def test_a_failed_save_leaves_the_old_pair_as_it_was(self, project, monkeypatch, model):
        before = project.model_file.read_bytes(), project.manifest_file.read_bytes()

        def fill_the_disk(path):
            path.write_bytes(b"half a model")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(model, "save", fill_the_disk)
        with pytest.raises(ProjectError, match=r"Cannot write .*best_model\.keras: No space left on device"):
            save_predictor(project, model, MANIFEST)
        assert (project.model_file.read_bytes(), project.manifest_file.read_bytes()) == before
        assert len(os.listdir(project.path)) == 2

    def test_only_the_weights_of_a_model_that_keras_cannot_save(self, project, monkeypatch, model):
        def refuse(path):
            path.write_bytes(b"half a model")
            raise NotImplementedError("Layer Odd must override `get_config()`.\nExample: ...")

        with monkeypatch.context() as patched:
            patched.setattr(model, "save", refuse)
            save_predictor(project, model, MANIFEST)
        assert sorted(os.listdir(project.path)) == ["best_model.json", "best_model.weights.h5"]
        content = json.loads(project.manifest_file.read_text())
        assert content["model_sha256"] == hashlib.sha256(project.weights_file.read_bytes()).hexdigest()
        with pytest.raises(ProjectError, match=r"has only the weights of its model, since Keras .* Predict in Python"):
            load_predictor(project)
        save_predictor(project, model, MANIFEST)
        assert sorted(os.listdir(project.path)) == ["best_model.json", "best_model.keras"]

    def test_a_model_whose_weights_keras_cannot_save_either(self, tmp_path, monkeypatch, model):
        def refuse(path):
            raise ValueError("no room in this format.\nExample: ...")

        monkeypatch.setattr(model, "save", refuse)
        monkeypatch.setattr(model, "save_weights", refuse)
        with pytest.raises(ProjectError, match=r"but it is not \(ValueError: no room in this format\)\. Build its"):
            save_predictor(Project(tmp_path, "odd"), model, MANIFEST)

    @pytest.mark.parametrize(("shape", "accepted"), [((1,), [[], [1], [1, 1]]), ((), [[], [1]]), ((4,), [[4], [4, 1]])])
    def test_keras_adds_and_drops_a_last_axis_of_one(self, tmp_path, shape, accepted):
        import keras

        model = keras.Sequential([keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(1)])
        for number, found in enumerate([[], [1], [1, 1], [4], [4, 1], [2, 1]]):
            project = Project(tmp_path, f"shape_{number}")
            manifest = dataclasses.replace(MANIFEST, classes=None, input_shape=found, feature_names=None)
            save_predictor(project, model, manifest)
            if found in accepted:
                assert load_predictor(project).predict(np.zeros((3, *found))).shape == (3,)
            else:
                with pytest.raises(ProjectError, match="must give the input shape of its model"):
                    load_predictor(project)

    def test_whole_numbers_that_are_no_classes_make_a_regression(self, tmp_path):
        project = Project(tmp_path, "counts")
        save_predictor(project, make_model(4, 1, "linear"), dataclasses.replace(MANIFEST, classes=[0, 1, 2]))
        predictor = load_predictor(project)
        assert predictor.manifest.classes is None
        assert predictor.predict(rows(3)).shape == (3,)


class TestLoading:
    @pytest.mark.parametrize(("change", "message"), MANIFESTS_OF_ANOTHER_MODEL)
    def test_a_manifest_of_another_model(self, project, change, message):
        project.manifest_file.write_text(json.dumps(change(unsealed(project))))
        with pytest.raises(ProjectError, match=message) as caught:
            load_predictor(project)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(("content", "message"), FOREIGN_MODELS)
    def test_foreign_models(self, project, content, message):
        put_model(project, content)
        with pytest.raises(ProjectError, match=message) as caught:
            load_predictor(project)
        assert "\n" not in str(caught.value)

    def test_a_model_with_code_of_its_own(self, tmp_path):
        import keras

        project = Project(tmp_path, "code")
        layers = [keras.layers.Lambda(lambda x: x * 2), keras.layers.Dense(3)]
        save_predictor(project, keras.Sequential([keras.Input((4,)), *layers]), MANIFEST)
        with pytest.raises(ProjectError, match=r"without Python code of its own, .*Lambda"):
            load_predictor(project)

    def test_a_damaged_model(self, project):
        content = bytearray(project.model_file.read_bytes())
        content[len(content) // 2] ^= 1
        project.model_file.write_bytes(content)
        with pytest.raises(ProjectError, match=r"has another checksum"):
            load_predictor(project)

    def test_a_missing_model(self, project):
        project.model_file.unlink()
        with pytest.raises(ProjectError, match=r"best_model\.keras is not there, but its manifest is"):
            load_predictor(project)

    def test_no_manifest(self, tmp_path):
        with pytest.raises(ProjectError, match=r"is not there\. Call search\(\) first"):
            load_predictor(Project(tmp_path, "nothing"))

    def test_a_model_of_two_inputs(self, project, tmp_path):
        import keras

        inputs = [keras.Input((4,)), keras.Input((4,))]
        keras.Model(inputs, keras.layers.Add()(inputs)).save(tmp_path / "two.keras")
        put_model(project, (tmp_path / "two.keras").read_bytes())
        with pytest.raises(ProjectError, match=r"one input and one output, but has several"):
            load_predictor(project)


class TestPredicting:
    @pytest.mark.parametrize("batch_size", [1, 2, 255, 257, 700, 10_000])
    def test_the_batch_size_changes_nothing(self, predictor, batch_size):
        x = rows(700)
        assert np.array_equal(predictor.predict_proba(x), predictor.predict_proba(x, batch_size=batch_size))

    def test_a_row_alone_gives_the_same_numbers_as_among_others(self):
        # 784 inputs: short sums come out the same in a block of any size.
        manifest = dataclasses.replace(MANIFEST, input_shape=[784], feature_names=None)
        predictor = Predictor(make_model(784), manifest)
        x = np.random.default_rng(0).random((300, 784), dtype=np.float32)
        together = predictor.predict_proba(x)
        alone = np.concatenate([predictor.predict_proba(x[i : i + 1]) for i in range(0, 300, 20)])
        assert np.array_equal(alone, together[::20])

    def test_probabilities_and_labels(self, predictor):
        probabilities = predictor.predict_proba(rows(50))
        assert (probabilities.shape, probabilities.dtype) == ((50, 3), np.float32)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
        labels = predictor.predict(rows(50))
        assert labels.tolist() == [MANIFEST.classes[i] for i in probabilities.argmax(axis=1)]
        assert len(set(labels.tolist())) > 1

    @pytest.mark.parametrize(("classes", "kind"), [([10, -3, 7], int), ([False, True], bool), (["1", "2", "3"], str)])
    def test_labels_keep_their_type(self, classes, kind):
        manifest = dataclasses.replace(MANIFEST, classes=classes)
        labels = Predictor(make_model(4, len(classes)), manifest).predict(rows(20)).tolist()
        assert {type(label) for label in labels} == {kind}
        assert set(labels) <= set(classes)

    @pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64, bool])
    def test_numbers_of_any_type_mean_the_same(self, predictor, dtype):
        x = np.array([[0, 1, 1, 0], [1, 1, 1, 1]])
        expected = predictor.predict_proba(x.astype(np.float32))
        assert np.array_equal(predictor.predict_proba(x.astype(dtype)), expected)
        assert np.array_equal(predictor.predict_proba(x.tolist()), expected)

    def test_a_step_of_the_users_own_counts_also_where_it_cannot_be_traced(self):
        import keras

        class Twice(keras.Sequential):
            def predict_step(self, data):
                assert len(data[0].numpy()) == 256
                return 2 * super().predict_step(data)

        model = Twice([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
        model.compile(run_eagerly=True)
        np.testing.assert_allclose(Predictor(model, MANIFEST).predict_proba(rows(5)).sum(axis=1), 2, atol=1e-6)

    def test_large_rows_come_in_smaller_blocks(self):
        import keras

        seen = []

        class Watched(keras.Sequential):
            def predict_step(self, data):
                seen.append(data[0].shape)
                return super().predict_step(data)

        model = Watched([keras.Input((2**14 + 1,)), keras.layers.Dense(3, activation="softmax")])
        predictor = Predictor(
            model, dataclasses.replace(MANIFEST, input_shape=[2**14 + 1], feature_names=None, image_shape=None)
        )
        assert predictor.predict(np.zeros((40, 2**14 + 1), np.float64), batch_size=1).shape == (40,)
        assert seen == [(32, 2**14 + 1)]

    def test_no_rows(self, predictor):
        assert predictor.predict_proba(np.zeros((0, 4))).shape == (0, 3)
        assert predictor.predict(np.zeros((0, 4))).shape == (0,)

    def test_one_output_for_two_classes(self):
        manifest = dataclasses.replace(MANIFEST, classes=["no", "yes"])
        model = make_model(4, 1, "sigmoid")
        predictor = Predictor(model, manifest)
        probabilities = predictor.predict_proba(rows(40))
        np.testing.assert_allclose(probabilities[:, 1:], model.predict(rows(40), verbose=0), atol=1e-6)
        assert predictor.predict(rows(40)).tolist() == ["yes" if p > 0.5 else "no" for p in probabilities[:, 1]]

    @pytest.mark.parametrize(("outputs", "shape"), [(1, (9,)), (2, (9, 2))])
    def test_a_regression_answers_with_its_outputs(self, outputs, shape):
        predictor = Predictor(make_model(4, outputs, "linear"), dataclasses.replace(MANIFEST, classes=None))
        assert predictor.predict(rows(9)).shape == shape
        with pytest.raises(InputError, match=r"need a classifier, but this model is a regression"):
            predictor.predict_proba(rows(9))

    @pytest.mark.parametrize(("x", "message"), BAD_ROWS)
    def test_bad_rows(self, predictor, x, message):
        with pytest.raises(DataError, match=message):
            predictor.predict(x)

    def test_no_batch(self, predictor):
        with pytest.raises(InputError, match=r"batch_size must be a positive whole number\. Received: 0"):
            predictor.predict(rows(2), batch_size=0)

    def test_several_inputs_come_as_the_model_takes_them(self):
        import keras

        inputs = [keras.Input((4,), name="a"), keras.Input((4,), name="b")]
        sums = keras.layers.Add()(inputs)
        predictor = Predictor(
            keras.Model(inputs, sums), dataclasses.replace(MANIFEST, input_shape=None, feature_names=None, classes=None)
        )
        for x in ([rows(5), rows(5)], {"a": rows(5), "b": rows(5)}):
            np.testing.assert_allclose(predictor.predict(x), 2 * rows(5))
        with pytest.raises(DataError, match=r"must have the same number of rows"):
            predictor.predict([rows(5), rows(4)])
