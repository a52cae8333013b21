"""What the pictures and the summary show."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from support.played_searches import SPACE, candidates, fold_result, scored

from tuner_app.records.results import Score
from tuner_app.views.tensorboard.matrices import Cell, best_confusion, heat_map
from tuner_app.views.tensorboard.summary import summary_table


def test_heat_map_has_the_longer_axis_across_and_frames_the_best() -> None:
    whole = candidates()
    matrix = heat_map(SPACE, whole)
    assert matrix is not None
    assert (matrix.column_title, matrix.row_title) == ("nodes", "learning_rate")
    assert matrix.columns == ("32", "64", "128", "256", "512")
    assert matrix.cells[1][3].text == (f"{whole[8].mean_score:.4f}", f"({whole[8].std_score:.4f})")
    marked = [(i, j) for i, row in enumerate(matrix.cells) for j, cell in enumerate(row) if cell.marked]
    assert marked == [(2, 4)]
    assert matrix.cells[0][0].shade == 0
    assert matrix.cells[2][4].shade == 1


def test_heat_map_of_a_part_and_of_failures() -> None:
    whole = candidates()[:3]
    whole[1] = dataclasses.replace(whole[1], score=Score(math.nan, math.nan, ()))
    matrix = heat_map(SPACE, whole)
    assert matrix is not None
    assert matrix.cells[0][1] == Cell(None, ("nan",))
    assert matrix.cells[2][0] == Cell()
    nothing = heat_map(SPACE, [whole[1]])
    assert nothing is not None
    assert not any(cell.marked for row in nothing.cells for cell in row)


def test_heat_map_of_more_than_two_shows_the_best_of_each_cell() -> None:
    space = {"dropout": [0.0, 0.5], **SPACE}
    whole = candidates(space, n_splits=1)
    matrix = heat_map(space, whole)
    assert matrix is not None
    assert "best of each cell" in matrix.title
    assert matrix.cells[0][0].text[0] == f"{max(whole[0].mean_score, whole[15].mean_score):.4f}"


@pytest.mark.parametrize("space", [{"nodes": [1, 2, 3]}, {}, {"nodes": list(range(41)), "layers": [1, 2]}])
def test_no_heat_map_where_it_says_nothing(space: Mapping[str, Sequence[Any]]) -> None:
    assert heat_map(space, candidates()[:1]) is None
    assert heat_map(SPACE, []) is None


def test_confusion_is_the_sum_over_the_folds_of_the_best() -> None:
    whole = candidates()[:3]
    matrix = best_confusion(whole, ("no", "yes"))
    assert matrix is not None
    assert matrix.rows == ("no", "yes")
    assert [[cell.text[0] for cell in row] for row in matrix.cells] == [["24", "6"], ["3", "27"]]
    assert matrix.cells[1][1].shade == pytest.approx(0.9)
    assert "nodes=128" in matrix.title
    unnamed = best_confusion(whole, None)
    assert unnamed is not None
    assert unnamed.columns == ("0", "1")


def test_no_confusion_where_none_was_counted() -> None:
    point = {"nodes": 32}
    whole = [scored("0000", point, [fold_result(0, point, 0, confusion=None)])]
    assert best_confusion(whole, None) is None
    assert best_confusion([], None) is None


def test_the_summary_is_short_and_safe_for_large_grids_and_odd_values() -> None:
    space: dict[str, Sequence[Any]] = {"name": ["a|b`c", "*x*"], "n": list(range(30))}
    text = summary_table(candidates(space, n_splits=1), n_candidates=60, interrupted=True)
    assert text.startswith("Interrupted after 60 of 60 candidates.")
    assert "`name=*x*, n=29`" in text
    assert text.endswith("10 more are in results.csv.")
    assert "a|b'c, n=29" in text
