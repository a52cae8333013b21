"""What hyperparameters do to the score: alone, in pairs, together."""

from __future__ import annotations

import math
import pathlib
from typing import Any

import numpy as np
import pytest
from support.pages import page_of
from support.written_searches import TUTORIAL, grid_of, nodes, record_of, tutorial_score, write_search

from tuner_app.analysis.advice import imbalance_words
from tuner_app.analysis.effects import Effect, effects_of, heat_map, parallel_coordinates
from tuner_app.analysis.ranking import ranking_of
from tuner_app.errors import InputError
from tuner_app.storage.project import Project
from tuner_app.views.tensorboard import matrices


def test_heat_map(tmp_path: pathlib.Path) -> None:
    ranking = ranking_of(record_of(tmp_path, grid_of(TUTORIAL), tutorial_score, missing=[(0, 2)]))
    cells = heat_map(ranking, "nodes", "learning_rate")
    assert cells.mean.shape == cells.std.shape == (5, 3)
    assert math.isnan(cells.mean[0, 0])
    assert cells.mean[4] == pytest.approx([0.94, 0.942, 0.94])
    assert cells.std[1, 1] == pytest.approx(0.001 * math.sqrt(2 / 3))
    assert cells.best == (4, 1)
    assert cells.row_values[cells.best[0]] == 512


def test_heat_map_shows_the_best_of_each_cell_as_tensorboard_does(tmp_path: pathlib.Path) -> None:
    space = {"a": [1, 2], "b": [1, 2], "c": [10, 20]}
    record = record_of(tmp_path, grid_of(space), lambda v, k: (v["a"] + 10 * v["b"] + v["c"] + k * v["b"]) / 100)
    cells = heat_map(ranking_of(record), "b", "a")
    assert cells.mean == pytest.approx(np.array([[0.32, 0.33], [0.43, 0.44]]))
    assert cells.std == pytest.approx(np.array([[1, 1], [2, 2]]) * math.sqrt(2 / 3) / 100)
    picture = matrices.heat_map(space, record.finished)
    assert picture is not None
    assert (picture.row_title, picture.column_title) == ("b", "a")
    shown = [[cell.text for cell in line] for line in picture.cells]
    pairs = [zip(*lines, strict=True) for lines in zip(cells.mean, cells.std, strict=True)]
    assert shown == [[(f"{mean:.4f}", f"({std:.4f})") for mean, std in line] for line in pairs]


def test_heat_map_of_an_unknown_hyperparameter(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InputError, match=r"hyperparameters of the search, \['nodes', .*Received: 'units'"):
        heat_map(ranking_of(record_of(tmp_path, grid_of(TUTORIAL), tutorial_score)), "nodes", "units")


def test_effects(tmp_path: pathlib.Path) -> None:
    size, rate = effects_of(ranking_of(record_of(tmp_path, grid_of(TUTORIAL), tutorial_score)))
    assert (size.name, size.values, size.best_value) == ("nodes", (32, 64, 128, 256, 512), 512)
    assert size.spreads[0].mean == pytest.approx(0.9 + 0.002 / 3)
    assert (size.spreads[0].low, size.spreads[0].high) == pytest.approx((0.899, 0.903))
    assert size.spreads[0].n_candidates == 3
    assert [spread.mean for spread in rate.spreads] == pytest.approx([0.92, 0.922, 0.92])
    assert [spread.n_candidates for spread in rate.spreads] == [5, 5, 5]


def test_parallel_coordinates(tmp_path: pathlib.Path) -> None:
    grid = grid_of({"nodes": [32, 64, 128], "activation": ["tanh", "relu"], "fixed": [1]})
    record = record_of(tmp_path, grid, lambda v, k: v["nodes"] / 1000 + (v["activation"] == "relu") / 100)
    lines = parallel_coordinates(ranking_of(record), at_most=4)
    assert [name for name, _ in lines.axes] == ["nodes", "activation"]
    assert lines.positions[0] == (1.0, 1.0, 1.0)
    assert lines.positions[-1] == (0.5, 0.0, 0.0)
    assert (lines.low, lines.high, lines.left_out) == (pytest.approx(0.064), pytest.approx(0.138), 2)


def test_parallel_coordinates_of_equals(tmp_path: pathlib.Path) -> None:
    record = record_of(tmp_path, nodes(1, 2), lambda values, k: 0.5)
    assert parallel_coordinates(ranking_of(record)).positions == ((0.0, 1.0), (1.0, 1.0))


class TestEffects:
    GRID = grid_of({"a": [1, 2], "b": [10, 20, 30]})

    def effects(self, folder: pathlib.Path, **options: Any) -> tuple[Effect, ...]:
        record = record_of(folder, self.GRID, lambda v, k: v["a"] / 10 + v["b"] / 100, **options)
        return effects_of(ranking_of(record))

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
