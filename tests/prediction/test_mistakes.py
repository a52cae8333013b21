"""The test pictures that the refit model got wrong: which, in what order, kept for whom."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from support.manifests import manifest
from support.written_searches import grid_of, write_search

from tuner_app.analysis.confusion import ConfusedPicture
from tuner_app.data.datasets import Dataset
from tuner_app.prediction.mistakes import confused_pictures, keep_pictures, kept_pictures
from tuner_app.prediction.predictor import Predictor
from tuner_app.storage.manifest import Manifest
from tuner_app.storage.project import Project
from tuner_app.views.report import write_report

MANIFEST = manifest(
    epochs=3,
    classes=["cat", "dog", "eel"],
    feature_names=None,
    input_shape=[6],
    image_shape=[2, 3],
    data={"source": "digits", "target": "label", "fingerprint": "0f"},
)
# One row each: what the model says of it.
PROBABILITIES = np.array(
    [
        *([0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.05, 0.9, 0.05], [0.5, 0.3, 0.2], [0.7, 0.2, 0.1]),
    ],
    dtype=np.float32,
)
TRUE = np.array([0, 1, 0, 2, 0, 2])


class KnownAnswers(Predictor):
    """Answers with given probabilities, and remembers what it was asked."""

    def __init__(self, manifest: Manifest, probabilities: npt.NDArray[np.float32] = PROBABILITIES) -> None:
        super().__init__(None, manifest)
        self.probabilities = probabilities

    def predict_proba(self, x: npt.ArrayLike, batch_size: int = 1024) -> npt.NDArray[np.float32]:
        assert np.shape(x) == (len(self.probabilities), *(self.manifest.input_shape or []))
        return self.probabilities


def dataset(**changes: Any) -> Dataset:
    x_test = np.arange(36, dtype=np.uint8).reshape(6, 6)
    known: dict[str, Any] = {"name": "d", "source": "d", "x": x_test, "y": TRUE, "image_shape": (2, 3)}
    known |= {"classes": np.array(["cat", "dog", "eel"]), "x_test": x_test, "y_test": TRUE}
    return Dataset(**known | changes)


def put_manifest(project: Project, **changes: Any) -> None:
    content = dataclasses.asdict(MANIFEST) | {"model_sha256": "abc", "search_id": "a search"}
    project.path.mkdir(parents=True, exist_ok=True)
    project.manifest_file.write_text(json.dumps(content | changes))


def of_this_model(pictures: str) -> str:
    return f'{{"model_sha256": "abc", "pictures": {pictures}}}'


def plain(pictures: list[ConfusedPicture]) -> list[tuple[Any, ...]]:
    return [(p.true_label, p.predicted_label, p.probability, np.asarray(p.image).tolist()) for p in pictures]


def test_mistakes_alone_the_surest_first_and_equals_in_the_order_of_the_rows() -> None:
    found = confused_pictures(dataset(), KnownAnswers(MANIFEST))
    said = [(picture.true_label, picture.predicted_label, round(picture.probability, 4)) for picture in found]
    assert said == [("eel", "dog", 0.9), ("dog", "cat", 0.7), ("cat", "eel", 0.7), ("eel", "cat", 0.7)]
    assert np.asarray(found[1].image).tolist() == [[6, 7, 8], [9, 10, 11]]


def test_no_more_than_asked_for() -> None:
    assert [p.true_label for p in confused_pictures(dataset(), KnownAnswers(MANIFEST), limit=2)] == ["eel", "dog"]


def test_labels_are_compared_by_what_they_say_not_by_their_place() -> None:
    """The model may know its classes in another order than the data have them."""
    manifest = dataclasses.replace(MANIFEST, classes=["eel", "dog", "cat"])
    found = confused_pictures(dataset(), KnownAnswers(manifest, np.eye(3, dtype=np.float32)[[2, 1, 2, 0, 2, 0]]))
    assert found == []


def test_a_row_of_another_shape_than_the_test_part_is_reshaped() -> None:
    manifest = dataclasses.replace(MANIFEST, input_shape=[2, 3, 1])
    assert len(confused_pictures(dataset(), KnownAnswers(manifest))) == 4


@pytest.mark.parametrize("lacks", ["x_test", "y_test", "image_shape"])
def test_no_pictures_without_a_labelled_test_part_of_pictures(lacks: str) -> None:
    assert confused_pictures(dataset(**{lacks: None}), KnownAnswers(MANIFEST)) == []


@pytest.mark.parametrize("lacks", ["classes", "input_shape"])
def test_no_pictures_of_another_model_than_a_classifier_of_one_input(lacks: str) -> None:
    manifest = dataclasses.replace(MANIFEST, **{lacks: None})
    assert confused_pictures(dataset(), KnownAnswers(manifest)) == []


class TestKept:
    @pytest.fixture(name="project")
    def project_fixture(self, tmp_path: Path) -> Project:
        project = Project(tmp_path, "p")
        put_manifest(project)
        return project

    def test_what_is_kept_comes_back(self, project: Project) -> None:
        colours = ConfusedPicture(np.full((2, 2, 3), 0.25), 3, 8, 0.5)
        keep_pictures(project, [*confused_pictures(dataset(), KnownAnswers(MANIFEST)), colours])
        kept = kept_pictures(project)
        assert [picture[:2] for picture in plain(kept)] == [
            *(("eel", "dog"), ("dog", "cat"), ("cat", "eel"), ("eel", "cat"), (3, 8)),
        ]
        assert plain(kept)[-1][2:] == (0.5, np.full((2, 2, 3), 0.25).tolist())
        assert plain(kept)[1][3] == [[6, 7, 8], [9, 10, 11]]

    def test_none_is_kept_too(self, project: Project) -> None:
        keep_pictures(project, [])
        assert project.pictures_file.exists()
        assert kept_pictures(project) == []

    def test_pictures_of_another_model_are_left_out(self, project: Project, caplog: pytest.LogCaptureFixture) -> None:
        keep_pictures(project, [ConfusedPicture([[1]], 1, 2, 0.5)])
        put_manifest(project, model_sha256="another")
        assert kept_pictures(project) == []
        assert caplog.records == []

    def test_nothing_without_a_model(self, project: Project) -> None:
        keep_pictures(project, [ConfusedPicture([[1]], 1, 2, 0.5)])
        project.manifest_file.unlink()
        assert kept_pictures(project) == []

    @pytest.mark.parametrize(
        "content",
        [
            *(
                "{",
                "[]",
                "{}",
                '{"model_sha256": "abc"}',
                of_this_model("1"),
                of_this_model("[{}]"),
                of_this_model("[[]]"),
            ),
            of_this_model('[{"image": [[1], [1, 2]], "true_label": 1, "predicted_label": 2, "probability": 1}]'),
            of_this_model('[{"image": 5, "true_label": 1, "predicted_label": 2, "probability": 1}]'),
            of_this_model('[{"image": [[1]], "true_label": 1, "predicted_label": 2, "probability": "x"}]'),
        ],
    )
    def test_a_damaged_file_is_left_out_and_named(
        self, project: Project, content: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        project.pictures_file.write_text(content)
        with caplog.at_level(logging.WARNING):
            assert kept_pictures(project) == []
        assert "confused.json is left out of the report: it is damaged" in caplog.text


class TestReport:
    @pytest.fixture(name="project")
    def project_fixture(self, tmp_path: Path) -> Project:
        project = write_search(tmp_path, grid_of({"nodes": [5]}), lambda values, fold: 0.5)
        put_manifest(project)
        keep_pictures(project, [ConfusedPicture([[0, 1], [1, 0]], "cat", "dog", 0.97)])
        return project

    def test_it_shows_what_was_kept_and_that_the_test_part_did_not_choose(self, project: Project) -> None:
        page = write_report(project).read_text(encoding="utf-8")
        assert "Most confused test pictures" in page
        assert "cat taken for dog, 97% sure" in page
        assert "That part had no say in the search" in page

    def test_given_pictures_take_the_place_of_kept_ones(self, project: Project) -> None:
        page = write_report(project, pictures=[]).read_text(encoding="utf-8")
        assert "Most confused test pictures" not in page

    def test_a_model_of_another_search_brings_no_pictures(self, project: Project) -> None:
        put_manifest(project, search_id="another search")
        assert "Most confused test pictures" not in write_report(project).read_text(encoding="utf-8")


# Keras 3.15 reads its variables in the way of NumPy 1 when it saves a model.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")
def test_the_command_keeps_the_pictures_of_its_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tuner_app.commands import report, tune
    from tuner_app.data.datasets import load_dataset
    from tuner_app.prediction.predictor import load_predictor

    options = "--nodes 8 --learning-rates 0.01 --folds 2 --epochs 2 --n-jobs 1 --quiet --directory"
    assert tune.main([*options.split(), str(tmp_path)]) == 0
    project = Project(tmp_path, "digits")
    kept = kept_pictures(project)
    assert plain(kept) == plain(
        [
            dataclasses.replace(p, probability=round(p.probability, 6), image=np.asarray(p.image, dtype=float))
            for p in confused_pictures(load_dataset("digits"), load_predictor(project))
        ]
    )
    assert len(kept) == 12
    assert all(np.shape(picture.image) == (8, 8) for picture in kept)
    assert report.main(["--directory", str(tmp_path)]) == 0
    assert project.report_file.read_text(encoding="utf-8").count("% sure") == 12
