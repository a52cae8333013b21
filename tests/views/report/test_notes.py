"""The notes about trust: nothing that cannot be known yet, in the language of who made the search."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import pytest
from support.pages import page_of
from support.written_searches import TUTORIAL, grid_of, nodes, write_search

from tuner_app.storage.project import Project

ASKED = {
    "space": {name: {"class_name": "Choice", "config": {"values": values}} for name, values in TUTORIAL.items()},
}
IN_PYTHON = ["notebook.py"]

pytestmark = pytest.mark.usefixtures("words_only")


def climbing(values: dict[str, Any], fold: int) -> float:
    return 0.5 + values["nodes"] / 2000 + fold / 1000


def test_an_unfinished_search_says_so_first_and_names_no_winner(tmp_path: pathlib.Path) -> None:
    page = page_of(write_search(tmp_path, grid_of(TUTORIAL)[:2], climbing, asked=ASKED))
    assert "Best so far (2 of 15)" in page.text
    assert "digits: accuracy 0.5170 so far" in page.text
    notes = page.text[page.text.index("Can you trust it? Unfinished.") :]
    assert "Unfinished. The search was stopped: 2 of 15 candidates are finished. Run the same command again" in notes
    assert "Edge of the grid" not in page.text
    assert "Inside the grid" not in page.text


def test_a_running_search_is_told_from_a_stopped_one_by_its_lock(tmp_path: pathlib.Path) -> None:
    project = write_search(tmp_path, grid_of(TUTORIAL)[:3], climbing, asked=ASKED)
    assert not project.is_in_use()
    with project.locked():
        assert Project(tmp_path, "digits").is_in_use()
        assert "Unfinished. The search is running: 3 of 15 candidates are finished." in page_of(project).text
    assert not project.is_in_use()
    assert not Project(tmp_path, "another").is_in_use()


def test_a_search_made_in_python_is_answered_in_python(tmp_path: pathlib.Path) -> None:
    page = page_of(write_search(tmp_path, grid_of(TUTORIAL), climbing, asked=ASKED, command_line=IN_PYTHON))
    assert "Try next, under a new project name: nodes = [256, 512, 1024] ." in page.text
    assert not re.search(r"--[a-z]", page.text)
    stopped = page_of(
        write_search(tmp_path, grid_of(TUTORIAL)[:3], climbing, asked=ASKED, command_line=IN_PYTHON, name="b")
    )
    assert "Call search() again with the same arguments to continue" in stopped.text


def test_failed_fits_are_counted_and_explained(tmp_path: pathlib.Path) -> None:
    page = page_of(write_search(tmp_path, nodes(1, 2, 3), lambda v, k: v["nodes"] / 9, failed=[(0, 0), (1, 1), (1, 2)]))
    assert "Failed fits. 3 of 9 fits failed; their score is set to nan." in page.text
    assert "3 fits: ValueError: no <such> thing" in page.text
    assert "2 candidates without a score" in page.text
    assert "n/a" in page.text


def test_unfinished(tmp_path: pathlib.Path) -> None:
    asked = {"space": {"nodes": {"class_name": "Choice", "config": {"values": [1, 2, 3, 4]}}}}
    page = page_of(write_search(tmp_path, nodes(1, 2, 3), lambda v, k: v["nodes"], missing=[(2, 2)], asked=asked))
    assert "Unfinished. The search was stopped: 2 of 4 candidates are finished, 1 begun." in page.text


def test_a_tie_and_the_quicker_one(tmp_path: pathlib.Path) -> None:
    project = write_search(tmp_path, nodes(1, 2, 3), lambda v, k: 0.5 + 0.1 * k - (v["nodes"] == 1))
    page = page_of(project)
    assert "Best (tied): nodes=2" in page.text
    assert "A tie. 1 other candidate within one standard error (0.0577) of the best" in page.text
    assert "With 3 folds that error is itself rough (by about 50%)" in page.text
    assert "1 (tie)" in page.text


def test_a_quicker_candidate_that_is_as_good(tmp_path: pathlib.Path) -> None:
    project = write_search(tmp_path, nodes(1, 2, 3), lambda v, k: 0.5 + 0.1 * k + 0.01 * v["nodes"])
    assert "A close call. 2 other candidates within one standard error" in page_of(project).text
    assert "nodes=1 trains in 38% of the best one's time." in page_of(project).text


def test_one_fold(tmp_path: pathlib.Path) -> None:
    assert "One fold." in page_of(write_search(tmp_path, nodes(1, 2), lambda v, k: v["nodes"], n_splits=1)).text


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ('{"hyperparameters": {"nodes": 1}}', "Another model. The saved model has nodes=1, not the best."),
        ('{"hyperparameters": {"nodes": 2}, "search_id": "another", "test_score": 1}', "was made by another search"),
        ("{", "cannot be read as JSON"),
    ],
)
def test_a_manifest_that_does_not_fit(tmp_path: pathlib.Path, manifest: str, said: str) -> None:
    project = write_search(tmp_path, nodes(1, 2), lambda v, k: v["nodes"])
    project.manifest_file.write_text(manifest)
    page = page_of(project)
    assert said in page.text
    assert "on the test part" not in page.text
