"""Projects that an earlier version made: they open, predict, report and resume. See `support/README.md`."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.fakes import FakeFitter, late

from tuner_app.commands import predict, report, tune
from tuner_app.compiled.context import ENGINE_RULE

PROJECTS = Path(__file__).parents[1] / "support" / "first_version"

# Keras turns variables into arrays in a way that NumPy has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(name="directory")
def directory_fixture(tmp_path: Path) -> Path:
    """A folder with copies of the projects."""
    shutil.copytree(PROJECTS, tmp_path / "logs")
    return tmp_path / "logs"


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.json")}


def table_of(project: Path) -> list[dict[str, str]]:
    """The table on disk without its times."""
    with (project / "results.csv").open(newline="") as file:
        return [{name: row[name] for name in row if not name.endswith("_time")} for row in csv.DictReader(file)]


def same_as_in_the_file(tuner: Any, project: str) -> bool:
    frame = pd.DataFrame(tuner.cv_results_)
    there = pd.read_csv(PROJECTS / project / "results.csv")
    return bool(
        np.array_equal(frame.filter(regex="^(split|mean|rank).*test"), there.filter(regex="^(split|mean|rank).*test"))
    )


def test_its_model_predicts(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert predict.main(["--directory", str(directory), "--project-name", "finished"]) == 0
    assert "Test accuracy: 0.3083 (111 of 360)" in capsys.readouterr().out
    labels = (tmp_path / "submission.csv").read_text().split()[1:6]
    assert labels == ["1,4", "2,6", "3,5", "4,4", "5,4"]


@pytest.mark.parametrize(("project", "best"), [("finished", "0.5218"), ("unfinished", "0.5900"), ("late", "2.2900")])
def test_its_report_is_written(directory: Path, project: str, best: str) -> None:
    assert report.main(["--directory", str(directory), "--project-name", project]) == 0
    page = (directory / project / "report.html").read_text()
    assert best in page.partition("</header>")[0]


def test_a_finished_search_resumes_by_its_command_and_trains_nothing(
    directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(directory.parent)
    project = directory / "finished"
    before, table = files_of(project), table_of(project)
    options = ["--nodes", "4", "8", "--learning-rates", "0.01", "--folds", "2", "--epochs", "2", "--n-jobs", "1"]
    assert tune.main([*options, "--directory", "logs", "--project-name", "finished"]) == 0
    printed = capsys.readouterr().out
    assert "END" not in printed
    assert "Model: logs/finished/best_model.keras\nReport: logs/finished/report.html\n" in printed
    after = files_of(project)
    for name in before:
        assert name.endswith(("search.json", "oracle.json", "best_model.json")) or after[name] == before[name]
    manifest = json.loads(after["best_model.json"])
    added = {
        name: manifest.pop(name) for name in set(manifest) - {*json.loads(before["best_model.json"]), "test_score"}
    }
    assert added["decoding"] == {
        "kind": "multiclass",
        "encoded": True,
        "column": False,
        "width": 10,
        "scale": "probabilities",
    }
    assert manifest.pop("test_score") == 111 / 360
    assert {**manifest, "test_score": None} == json.loads(before["best_model.json"])
    assert json.loads(after["search.json"])["search_id"] == json.loads(before["search.json"])["search_id"]
    assert table_of(project) == table
    assert not list(project.rglob("*.damaged"))


def test_an_unfinished_search_resumes_where_it_was(directory: Path, make_tuner: Callable[..., Any], data: Any) -> None:
    space = {"a": [1, 2, 3], "b": [4, 5]}
    whole = make_tuner(space, project_name="whole")
    whole.search(*data, epochs=2)
    fitter = FakeFitter()
    tuner = make_tuner(space, fold_fitter=fitter, directory=directory, project_name="unfinished", n_jobs=1)
    tuner.search(*data, epochs=2)
    assert len(fitter.tasks) == 18 - 7
    times = ("mean_fit_time", "std_fit_time", "mean_score_time", "std_score_time")
    for name, column in whole.cv_results_.items():
        assert name in times or np.asarray(column).tolist() == np.asarray(tuner.cv_results_[name]).tolist()
    seeds = [[fold.seed for fold in candidate.folds] for candidate in tuner.candidates()]
    assert seeds == [[fold.seed for fold in candidate.folds] for candidate in whole.candidates()]
    assert not list(directory.rglob("*.damaged"))


@pytest.mark.parametrize("lost", [False, True], ids=["whole", "without search.json"])
def test_its_fits_go_on_by_the_engine_that_it_was_begun_with(
    directory: Path, make_tuner: Callable[..., Any], data: Any, lost: bool
) -> None:
    space, file = {"a": [1, 2, 3], "b": [4, 5]}, directory / "unfinished" / "search.json"
    begun = json.loads(file.read_text())
    assert "engine_rule" not in begun["asked"]
    if lost:
        file.unlink()
    for _ in range(2):  # a second resume reads what the first has written
        make_tuner(space, directory=directory, project_name="unfinished", seed=0).search(*data, epochs=2)
        content = json.loads(file.read_text())
        assert content["asked"]["engine_rule"] == 1
        assert content["search_id"] == begun["search_id"]
    new = make_tuner(space, project_name="new")
    new.search(*data, epochs=2)
    assert json.loads(new.project.search_file.read_text())["asked"]["engine_rule"] == ENGINE_RULE == 3


def test_the_second_rule_of_engines_is_known_by_its_records_alone(
    make_tuner: Callable[..., Any], data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = {"a": [1, 2], "b": [4]}
    with monkeypatch.context() as patch:
        patch.setattr("tuner_app.tuners.opening.ENGINE_RULE", 2)
        begun = make_tuner(space, seed=0, fold_fitter=FakeFitter())
        begun.search(*data, epochs=2)
    search_id = json.loads(begun.project.search_file.read_text())["search_id"]
    begun.project.search_file.unlink()
    fitter = FakeFitter()
    make_tuner(space, seed=0, fold_fitter=fitter).search(*data, epochs=2)
    content = json.loads(begun.project.search_file.read_text())
    assert (content["asked"]["engine_rule"], content["search_id"], fitter.tasks) == (2, search_id, [])


def test_hyperparameters_that_its_fits_declared_are_kept(
    directory: Path, make_tuner: Callable[..., Any], data: Any
) -> None:
    fake = FakeFitter()

    tuner = make_tuner(
        {"a": [1, 2, 3]}, fold_fitter=late(fake), directory=directory, project_name="late", seed=7, n_jobs=1
    )
    tuner.search(*data)
    assert fake.tasks == []
    assert tuner.cv_results_["params"] == [{"a": a, "late": late_value} for a in (1, 2, 3) for late_value in (10, 20)]
    assert same_as_in_the_file(tuner, "late")
    assert not list(directory.rglob("*.damaged"))


def test_of_models_that_were_trained_twice_one_is_kept(
    directory: Path, make_tuner: Callable[..., Any], data: Any
) -> None:
    """Version 0.1.0 also told models of one layer apart by the second layer's units."""

    def layers(hp: Any) -> None:
        for i in range(hp.Int("num_layers", 1, 2)):
            hp.Choice(f"units_{i}", [8, 16])

    whole = make_tuner(layers, cv=2, project_name="whole")
    whole.search(*data)
    fitter = FakeFitter()
    tuner = make_tuner(layers, cv=2, fold_fitter=fitter, directory=directory, project_name="growing", n_jobs=1)
    tuner.search(*data)
    assert fitter.tasks == []
    assert tuner.cv_results_["params"] == whole.cv_results_["params"]
    assert len(tuner.cv_results_["params"]) == 6
    seeds = [[fold.seed for fold in candidate.folds] for candidate in tuner.candidates()]
    assert seeds == [[fold.seed for fold in candidate.folds] for candidate in whole.candidates()]
    assert len(list((directory / "growing").rglob("fold_*.damaged"))) == 2 * 2
