"""Whatever is changed in a project's files, its results stay or it is told: never another answer without a word."""

from __future__ import annotations

import dataclasses
import random
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.fakes import FakeFitter, late, space_of
from support.manifests import manifest

from tuner_app.errors import TunerAppError
from tuner_app.prediction import mistakes
from tuner_app.prediction.mistakes import ConfusedPicture
from tuner_app.storage import journal
from tuner_app.storage.files import sealed, write_json
from tuner_app.storage.manifest import load_manifest
from tuner_app.storage.project import Project
from tuner_app.views.report import write_report

MANIFEST = manifest(
    hyperparameters={"a": 3},
    score=0.3,
    n_splits=2,
    epochs=2,
    classes=["cat", "dog"],
    feature_names=["x", "y", "z"],
    input_shape=[3],
    data={"source": None, "target": None},
    versions={"keras": "3.15"},
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
    mistakes.keep_pictures(project, [ConfusedPicture([[0, 12], [255, 0]], "cat", "dog", 0.97)])
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
    return repr((parts, load_manifest(project), mistakes.kept_pictures(project)))


def answer(question: Callable[[Project], str], project: Project) -> str:
    """What is answered, or why not."""
    try:
        return question(project)
    except TunerAppError as error:
        return f"error: {error}"


@pytest.mark.parametrize("count", [60, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", READ)
def test_what_is_read_after_the_search(whole: Project, caplog: pytest.LogCaptureFixture, name: str, count: int) -> None:
    before, told = seen(whole), 0
    for number, content in enumerate(changes((whole.path / name).read_bytes(), count)):
        project = in_place_of(whole, name, content, number)
        caplog.clear()
        after = answer(seen, project)
        assert caplog.records or after == before or after.startswith(f"error: {project.path / name} "), content
        told += after != before or bool(caplog.records)
        shutil.rmtree(project.path)
    assert told > count * 2 / 3


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


def resumed(project: Project, data: Any) -> tuple[str, str, int]:
    """What a tuner says of a project before and after its search, and how many fits that took."""
    from tuner_app.tuners.grid_search import GridSearchCV

    fitter = FakeFitter()
    tuner = GridSearchCV(
        space_of({"a": [1, 2, 3]}),
        *("val_accuracy",),
        cv=2,
        seed=0,
        n_jobs=1,
        directory=project.directory,
        project_name=project.name,
        observers=[],
        verbose=0,
        fold_fitter=fitter,
    )
    before = repr(best_of(tuner))
    tuner.search(*data)
    table = {name: list(column) for name, column in tuner.cv_results_.items()}
    after = repr((best_of(tuner), table, tuner.best_params_, tuner.best_score_, tuner.histories_))
    return before, after, len(fitter.tasks)


def best_of(tuner: Any) -> Any:
    trials = [(trial.trial_id, trial.hyperparameters.values, trial.score) for trial in tuner.oracle.get_best_trials(9)]
    return trials, [hp.values for hp in tuner.get_best_hyperparameters(9)]


@pytest.mark.parametrize("name", ["trial_0000/trial.json", "trial_0002/trial.json", "search.json", "oracle.json"])
def test_a_resume(whole: Project, data: Any, caplog: pytest.LogCaptureFixture, name: str) -> None:
    untouched = resumed(in_place_of(whole, name, (whole.path / name).read_bytes(), 999), data)
    for number, content in enumerate(changes((whole.path / name).read_bytes(), 30)):
        project = in_place_of(whole, name, content, number)
        caplog.clear()
        said = resumed(project, data)
        assert said[1:] == (untouched[1], 0), content
        # Without a search.json that can be read there are no trials before the search, which is told.
        assert said[0] == untouched[0] or (name == "search.json" and caplog.records), content
        shutil.rmtree(project.path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"name": "a"', '"name": "b"'),
        ('"values": {"a": 3}', '"values": {"b": 3}'),
        ('"values": {"a": 3}', '"values": {"a": 2}'),
        ('"values": {"a": 3}', '"values": {"a": 3, "b": 1}'),
        ('"score": 0.295', '"score": 0.095'),
        ('"status": "COMPLETED"', '"status": "FAILED"'),
        ('"values": [1, 2, 3]', '"values": [1, 2, 4]'),
    ],
)
def test_a_changed_trial_is_set_aside_and_written_anew(
    whole: Project, data: Any, caplog: pytest.LogCaptureFixture, old: str, new: str
) -> None:
    path = whole.path / "trial_0002" / "trial.json"
    text = path.read_text()
    changed = in_place_of(whole, "trial_0002/trial.json", text.replace(old, new).encode(), 1)
    assert (changed.path / "trial_0002" / "trial.json").read_text() != text
    assert resumed(changed, data) == resumed(whole, data)
    assert "trial.json is not used: it does not say what the folds of its trial say" in caplog.text
    assert (changed.path / "trial_0002" / "trial.json").read_text() == text


def test_a_trial_without_folds_is_no_candidate(whole: Project, data: Any, caplog: pytest.LogCaptureFixture) -> None:
    text = (whole.path / "trial_0002" / "trial.json").read_text()
    phantom = whole.path / "trial_0003" / "trial.json"
    before = resumed(whole, data)
    phantom.parent.mkdir()
    phantom.write_text(text.replace("0002", "0003").replace("0.295", "0.995"))
    assert resumed(whole, data) == before
    assert "there is no fold of this trial in the journal" in caplog.text
    assert not phantom.exists()


def test_a_fold_with_other_values_than_its_trials_others_is_trained_again(
    whole: Project, data: Any, caplog: pytest.LogCaptureFixture
) -> None:
    _, before, _ = resumed(whole, data)
    kept = journal.Journal(whole, journal.load_search(whole).description["search_id"])
    [fold] = [f for f in kept.read() if (f.trial_id, f.fold) == ("0002", 1)]
    kept.write(dataclasses.replace(fold, values={"a": 1}))
    assert resumed(whole, data)[1:] == (before, 1)
    assert "Fold 1 of trial 0002 is left out" in caplog.text


@pytest.mark.parametrize("loss", ["trial files", "names", "some folds"])
def test_what_fits_declare_is_in_the_journal(make_tuner: Callable[..., Any], data: Any, loss: str) -> None:
    fake = FakeFitter(lambda values, fold: values["a"] / 10 + values.get("late", 10) - fold / 100)

    def search() -> Any:
        tuner = make_tuner(cv=2, n_jobs=1, fold_fitter=late(fake))
        tuner.search(*data)
        return tuner

    first = search()
    for path in first.project.path.glob("trial_*/trial.json"):
        if loss == "names":
            path.write_text(path.read_text().replace("late", "lake"))
        else:
            path.unlink()
    lost = [("0000", 1), ("0004", 0)] if loss == "some folds" else []
    for trial_id, fold in lost:
        first.project.fold_file(trial_id, fold).unlink()
    fake.tasks.clear()
    new = make_tuner(cv=2, n_jobs=1, fold_fitter=late(fake))
    assert loss == "some folds" or best_of(new) == best_of(first)
    again = search()
    assert [key[:2] for key in fake.keys] == lost
    assert again.cv_results_["params"] == first.cv_results_["params"]
    assert again.cv_results_["params"][0] == {"a": 1, "late": 10}
    assert best_of(again) == best_of(first)
