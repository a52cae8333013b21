"""Edges of a grid, and the grid to try next."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.written_searches import LOSS, TUTORIAL, by_nodes, grid_of, nodes, record_of, tutorial_score

from tuner_app.analysis.advice import Standing
from tuner_app.analysis.edges import edge_warnings, next_grid
from tuner_app.analysis.ranking import ranking_of


def test_the_tutorials_512_nodes(tmp_path: pathlib.Path) -> None:
    (edge,) = edge_warnings(ranking_of(record_of(tmp_path, grid_of(TUTORIAL), tutorial_score)))
    assert (edge.name, edge.value, edge.side) == ("nodes", 512, "highest")
    assert edge.next_grid == (256, 512, 1024)
    assert not edge.inside_is_close


def test_a_close_value_inside_the_grid_is_told(tmp_path: pathlib.Path) -> None:
    scores = by_nodes({1: [0.5] * 3, 2: [0.8, 0.9, 0.98], 3: [0.8, 0.9, 1.0]})
    (edge,) = edge_warnings(ranking_of(record_of(tmp_path, nodes(1, 2, 3), scores)))
    assert edge.inside_is_close


def test_the_lowest_value_of_a_loss(tmp_path: pathlib.Path) -> None:
    grid = grid_of({"learning_rate": [0.001, 0.01, 0.1]})
    record = record_of(tmp_path, grid, lambda v, k: 0.5 - v["learning_rate"], objectives=LOSS)
    (edge,) = edge_warnings(ranking_of(record))
    assert (edge.side, edge.next_grid) == ("lowest", (0.0001, 0.001, 0.01))


@pytest.mark.parametrize("values", [["relu", "tanh"], [False, True], [0.5], [True, 2.0, "x"]])
def test_what_has_no_order_has_no_edge(tmp_path: pathlib.Path, values: list[Any]) -> None:
    record = record_of(tmp_path, [{"choice": value} for value in values], lambda v, k: 0.5)
    assert edge_warnings(ranking_of(record)) == ()


@pytest.mark.parametrize(
    ("grid", "up", "expected"),
    [
        ([32, 64, 128, 256, 512], True, (256, 512, 1024)),
        ([32, 64, 128, 256, 512], False, (16, 32, 64)),
        ([10, 20, 30], True, (20, 30, 40)),
        ([0.001, 0.002, 0.003], True, (0.002, 0.003, 0.004)),
        ([0.001, 0.002, 0.003], False, (0.0005, 0.001, 0.002)),
        ([0.001, 0.01, 0.1], True, (0.01, 0.1, 1.0)),
        ([0.1, 0.2, 0.3], True, (0.2, 0.3, 0.4)),
        ([10, 20, 50, 100], True, (50, 100, 200)),
        ([0.25, 0.5, 0.75], True, (0.5, 0.75, 0.875)),
        ([0.3, 0.6, 0.9], True, (0.6, 0.9, 0.95)),
        ([0.0, 0.25, 0.5], False, ()),
        ([0, 1, 2], False, ()),
        ([1, 2, 3], False, ()),
        ([1, 2, 3], True, (2, 3, 4)),
        ([-2, -1, 0], False, (-3, -2, -1)),
        ([-1.0, 0.0], True, (-1.0, 0.0, 1.0)),
        ([32, 64], True, (32, 64, 128)),
        ([50, 60], True, (50, 60, 70)),
        ([0, 5], True, (0, 5, 10)),
    ],
)
def test_next_grid(grid: list[float], up: bool, expected: tuple[float, ...]) -> None:
    assert next_grid(grid, up=up) == expected


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(
        st.sets(st.integers(-1000, 10**6), min_size=2, max_size=6),
        st.sets(st.floats(1e-6, 1e4), min_size=2, max_size=6),
    ),
    st.booleans(),
)
def test_next_grid_always_lies_beyond(numbers: set[float], up: bool) -> None:
    grid = sorted(numbers)
    following = next_grid(grid, up=up)
    if following:
        neighbour, edge, beyond = following if up else reversed(following)
        assert (neighbour, edge) == ((grid[-2], grid[-1]) if up else (grid[1], grid[0]))
        assert beyond > edge if up else beyond < edge
        assert min(grid) <= 0 or beyond > 0
        assert {type(value) for value in following} <= {type(value) for value in grid}


def test_an_edge_counts_only_when_its_row_is_complete(tmp_path: pathlib.Path) -> None:
    grid = grid_of({"nodes": [32, 64, 128], "learning_rate": [0.001, 0.002]})
    missing = [(grid.index({"nodes": 64, "learning_rate": 0.002}), 0)]

    def best_is_the_largest(values: dict[str, Any], fold: int) -> float:
        return values["nodes"] / 1000 + values["learning_rate"] + fold / 1000

    whole = ranking_of(record_of(tmp_path, grid, best_is_the_largest))
    assert [edge.name for edge in edge_warnings(whole)] == ["nodes", "learning_rate"]
    part = ranking_of(record_of(tmp_path, grid, best_is_the_largest, name="b", missing=missing))
    assert [edge.name for edge in edge_warnings(part)] == ["learning_rate"]


def test_the_edge_of_a_range_is_known_before_its_values_have_run(tmp_path: pathlib.Path) -> None:
    units = {"class_name": "Int", "config": {"min_value": 10, "max_value": 50, "step": 10, "sampling": "linear"}}
    grid = [{"units": 10}, {"units": 20}]
    record = record_of(tmp_path, grid, lambda v, k: v["units"] / 100 + k / 100, asked={"space": {"units": units}})
    assert edge_warnings(ranking_of(record)) == ()
    assert Standing.of(record).share == "2 of 5"
