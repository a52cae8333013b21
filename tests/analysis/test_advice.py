"""What the report advises: nothing that cannot be known yet, and in the language of who made the search."""

from __future__ import annotations

import pathlib
import re
from typing import Any

from support.pages import page_of
from support.written_searches import grid_of, record_of, write_search

from tuner_app.analysis.advice import speaks_options
from tuner_app.storage.project import Project

SPACE = {"nodes": [32, 64, 128, 256, 512], "learning_rate": [0.001, 0.002, 0.003]}
ASKED = {
    "space": {name: {"class_name": "Choice", "config": {"values": values}} for name, values in SPACE.items()},
}
IN_PYTHON = ["notebook.py"]


def climbing(values: dict[str, Any], fold: int) -> float:
    return 0.5 + values["nodes"] / 2000 + fold / 1000


def test_an_unfinished_search_says_so_first_and_names_no_winner(tmp_path: pathlib.Path) -> None:
    page = page_of(write_search(tmp_path, grid_of(SPACE)[:2], climbing, asked=ASKED))
    assert "Best so far (2 of 15)" in page.text
    assert "digits: accuracy 0.5170 so far" in page.text
    notes = page.text[page.text.index("Can you trust it? Unfinished.") :]
    assert "Unfinished. The search was stopped: 2 of 15 candidates are finished. Run the same command again" in notes
    assert "Edge of the grid" not in page.text
    assert "Inside the grid" not in page.text


def test_a_running_search_is_told_from_a_stopped_one_by_its_lock(tmp_path: pathlib.Path) -> None:
    project = write_search(tmp_path, grid_of(SPACE)[:3], climbing, asked=ASKED)
    assert not project.is_in_use()
    with project.locked():
        assert Project(tmp_path, "digits").is_in_use()
        assert "Unfinished. The search is running: 3 of 15 candidates are finished." in page_of(project).text
    assert not project.is_in_use()
    assert not Project(tmp_path, "another").is_in_use()


def test_a_search_made_in_python_is_answered_in_python(tmp_path: pathlib.Path) -> None:
    page = page_of(write_search(tmp_path, grid_of(SPACE), climbing, asked=ASKED, command_line=IN_PYTHON))
    assert "Try next, under a new project name: nodes = [256, 512, 1024] ." in page.text
    assert not re.search(r"--[a-z]", page.text)
    stopped = page_of(
        write_search(tmp_path, grid_of(SPACE)[:3], climbing, asked=ASKED, command_line=IN_PYTHON, name="b")
    )
    assert "Call search() again with the same arguments to continue" in stopped.text


def test_a_script_called_tune_with_other_hyperparameters_has_no_options(tmp_path: pathlib.Path) -> None:
    assert speaks_options(record_of(tmp_path, grid_of(SPACE), climbing))
    assert not speaks_options(record_of(tmp_path, [{"units": 1}], lambda v, k: 0.5, name="b"))


def test_the_rightmost_dot_of_score_against_time_is_whole(tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    from tuner_app.views.report import cards

    limits = []
    original = cards.draw_price

    def draw_price(found: Any, rows: Any) -> Any:
        drawing = original(found, rows)
        limits.append((drawing.figure.axes[0].get_xlim(), max(row.seconds_per_fit for row in rows)))
        return drawing

    monkeypatch.setattr(cards, "draw_price", draw_price)
    page_of(write_search(tmp_path, grid_of(SPACE), climbing))
    [((left, right), longest)] = limits
    assert left == 0
    assert right >= 1.04 * longest
