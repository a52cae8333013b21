"""Whatever is changed in a project's files, its results stay or it is told: never another answer without a word."""

from __future__ import annotations

import dataclasses
import random
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tuner_app import journal, pictures, predictor
from tuner_app.errors import TunerAppError
from tuner_app.pictures import ConfusedPicture
from tuner_app.predictor import Manifest
from tuner_app.project import Project, sealed, write_json
from tuner_app.report import write_report

MANIFEST = Manifest(
    hyperparameters={"a": 3},
    score=0.3,
    score_std=0.01,
    objective="val_accuracy",
    n_splits=2,
    epochs=2,
    seed=0,
    classes=["cat", "dog"],
    feature_names=["x", "y", "z"],
    input_shape=[3],
    image_shape=None,
    data={"source": None, "target": None},
    versions={"keras": "3.15"},
    test_score=None,
    created="2026-01-01T00:00:00+00:00",
)
READ = ("search.json", "best_model.json", "confused.json", "trial_0001/fold_1.json")
DESCRIBED = {
    *("search_id", "asked", "rule", "n_splits", "executions_per_trial", "n_jobs", "model", "classes", "data"),
    *("devices", "versions", "command_line", "created"),
}


@pytest.fixture(name="whole")
def whole_fixture(make_tuner: Callable[..., Any], data: Any) -> Project:
    """A finished search with a manifest and pictures."""
    tuner = make_tuner(cv=2, n_jobs=1)
    tuner.search(*data)
    project: Project = tuner.project
    write_json(project.manifest_file, sealed(dataclasses.asdict(MANIFEST) | {"model_sha256": "abc"}))
    pictures.keep_pictures(project, [ConfusedPicture([[0, 12], [255, 0]], "cat", "dog", 0.97)])
    return project


def changes(content: bytes, count: int) -> Iterator[bytes]:
    """The content with one byte that is another letter or digit, gone, or there twice: a sample, the same each time."""
    chance = random.Random(0)
    for _ in range(count):
        place = chance.randrange(len(content))
        byte = bytes([chance.choice(b"abcxyz0123456789.,:[]{} \"'\n\xff")])
        middle = chance.choice([byte, byte, b"", content[place : place + 1] * 2])
        yield content[:place] + middle + content[place + 1 :]


def in_place_of(project: Project, name: str, content: bytes, number: int) -> Project:
    """A copy of a project with another content of one file."""
    folder = project.directory / f"copy{number}"
    shutil.copytree(project.path, folder)
    (folder / name).write_bytes(content)
    return Project(project.directory, folder.name)


def seen(project: Project) -> str:
    """All that a report and a prediction are made from."""
    record = journal.load_search(project)
    # A checksum under a misspelt name checks nothing, and says nothing else.
    description = {name: value for name, value in record.description.items() if name in DESCRIBED}
    parts = (description, record.candidates, record.rule, record.n_splits, record.executions)
    return repr((parts, predictor.load_manifest(project), pictures.kept_pictures(project)))


def answer(question: Callable[[Project], str], project: Project) -> str:
    """What is answered, or why not."""
    try:
        return question(project)
    except TunerAppError as error:
        return f"error: {error}"


@pytest.mark.parametrize("name", READ)
def test_what_is_read_after_the_search(whole: Project, caplog: pytest.LogCaptureFixture, name: str) -> None:
    before, told = seen(whole), 0
    for number, content in enumerate(changes((whole.path / name).read_bytes(), 150)):
        project = in_place_of(whole, name, content, number)
        caplog.clear()
        after = answer(seen, project)
        assert caplog.records or after == before or after.startswith(f"error: {project.path / name} "), content
        told += after != before or bool(caplog.records)
        shutil.rmtree(project.path)
    assert told > 100


def test_a_changed_description_is_one_line_in_the_report_and_a_changed_manifest_a_note(whole: Project) -> None:
    path = whole.manifest_file
    path.write_text(path.read_text().replace('"score": 0.3', '"score": 0.9'))
    assert "best_model.json was changed after it was written" in write_report(whole).read_text(encoding="utf-8")
    path = whole.search_file
    path.write_text(path.read_text().replace('"max"', '"min"'))
    with pytest.raises(
        TunerAppError, match=r"search\.json was changed after it was written: .*run the same search again"
    ):
        write_report(whole)


@pytest.mark.parametrize(
    ("old", "new"),
    [('"max"', '"min"'), ('"n_splits": 2', '"n_splits": 1'), ('"number": 2', '"number": 3'), ('"last"', '"best"')],
)
def test_a_description_of_the_first_version_must_agree_with_itself(whole: Project, old: str, new: str) -> None:
    lines = [line for line in whole.search_file.read_text().splitlines() if '"checksum"' not in line]
    text = "\n".join(lines).replace('00:00",\n}', '00:00"\n}').replace(",\n}", "\n}")
    whole.search_file.write_text(text)
    assert len(journal.load_search(whole).finished) == 3
    whole.search_file.write_text(text.replace(old, new, 1))
    with pytest.raises(TunerAppError, match=r"search\.json is damaged"):
        journal.load_search(whole)
