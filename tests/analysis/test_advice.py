"""What the report advises: nothing that cannot be known yet, and in the language of who made the search."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import numpy as np
import pytest
from support.pages import page_of
from support.written_searches import grid_of, record_of, write_search

from tuner_app.analysis import figures
from tuner_app.analysis.advice import Standing, imbalance_words, speaks_options
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


def test_an_edge_counts_only_when_its_row_is_complete(tmp_path: pathlib.Path) -> None:
    grid = grid_of({"nodes": [32, 64, 128], "learning_rate": [0.001, 0.002]})
    missing = [(grid.index({"nodes": 64, "learning_rate": 0.002}), 0)]

    def best_is_the_largest(values: dict[str, Any], fold: int) -> float:
        return values["nodes"] / 1000 + values["learning_rate"] + fold / 1000

    whole = figures.ranking(record_of(tmp_path, grid, best_is_the_largest))
    assert [edge.name for edge in figures.edge_warnings(whole)] == ["nodes", "learning_rate"]
    part = figures.ranking(record_of(tmp_path, grid, best_is_the_largest, name="b", missing=missing))
    assert [edge.name for edge in figures.edge_warnings(part)] == ["learning_rate"]


def test_the_edge_of_a_range_is_known_before_its_values_have_run(tmp_path: pathlib.Path) -> None:
    units = {"class_name": "Int", "config": {"min_value": 10, "max_value": 50, "step": 10, "sampling": "linear"}}
    grid = [{"units": 10}, {"units": 20}]
    record = record_of(tmp_path, grid, lambda v, k: v["units"] / 100 + k / 100, asked={"space": {"units": units}})
    assert figures.edge_warnings(figures.ranking(record)) == ()
    assert Standing.of(record).share == "2 of 5"
    assert figures.listed_values({"class_name": "Boolean", "config": {}}) == [False, True]
    assert figures.listed_values({"class_name": "Fixed", "config": {"value": 3}}) == [3]
    assert (
        figures.listed_values({"class_name": "Int", "config": {"min_value": 1, "max_value": 10**9, "step": 1}}) is None
    )


class TestEffects:
    GRID = grid_of({"a": [1, 2], "b": [10, 20, 30]})

    def effects(self, folder: pathlib.Path, **options: Any) -> tuple[figures.Effect, ...]:
        record = record_of(folder, self.GRID, lambda v, k: v["a"] / 10 + v["b"] / 100, **options)
        return figures.effects(figures.ranking(record))

    def test_a_failed_candidate_does_not_shift_the_other_values(self, tmp_path: pathlib.Path) -> None:
        first, second = self.effects(tmp_path, failed=[(self.GRID.index({"a": 1, "b": 30}), 0)])
        assert [spread.mean for spread in first.spreads] == pytest.approx([0.25, 0.35])  # without b=30 on both sides
        assert (first.complete_settings, first.settings) == (2, 3)
        assert [spread.mean for spread in second.spreads] == pytest.approx([0.3, 0.4, 0.5])  # a=2 alone
        assert imbalance_words([first, second]) == (
            "a: over the 2 of 3 settings of the others that have a score at each value. "
            "b: over the 1 of 2 settings of the others that have a score at each value."
        )

    def test_a_balanced_grid_needs_no_word(self, tmp_path: pathlib.Path) -> None:
        effects = self.effects(tmp_path)
        assert imbalance_words(effects) == ""
        assert np.mean([spread.mean for spread in effects[1].spreads]) == pytest.approx(0.35)

    def test_what_cannot_be_compared_is_said(self, tmp_path: pathlib.Path) -> None:
        failed = [(self.GRID.index({"a": 1, "b": b}), 0) for b in (10, 20)] + [(self.GRID.index({"a": 2, "b": 30}), 0)]
        first, second = self.effects(tmp_path, failed=failed)
        assert [spread.n_candidates for spread in first.spreads] == [1, 2]
        assert imbalance_words([first]).startswith("a: no setting of the others has a score at each value")
        assert imbalance_words([first]) in page_of(self._three(tmp_path)).text
        assert [spread.n_candidates for spread in second.spreads] == [1, 1, 1]

    def _three(self, folder: pathlib.Path) -> Project:
        grid = [values | {"c": c} for c in (1, 2) for values in self.GRID]
        failed = [(i, 0) for i, v in enumerate(grid) if (v["a"] == 1) == (v["b"] < 30)]
        return write_search(folder, grid, lambda v, k: v["a"] / 10 + v["b"] / 100, name="c", failed=failed)


def test_the_rightmost_dot_of_score_against_time_is_whole(tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    from tuner_app.views.report import page

    limits = []
    original = page._draw_price

    def draw_price(found: Any, rows: Any) -> Any:
        drawing = original(found, rows)
        limits.append((drawing.figure.axes[0].get_xlim(), max(row.seconds_per_fit for row in rows)))
        return drawing

    monkeypatch.setattr(page, "_draw_price", draw_price)
    page_of(write_search(tmp_path, grid_of(SPACE), climbing))
    [((left, right), longest)] = limits
    assert left == 0
    assert right >= 1.04 * longest
