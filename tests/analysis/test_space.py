"""The values of a search's hyperparameters, asked for and tried."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
from support.written_searches import grid_of, nodes, record_of

from tuner_app.analysis.edges import edge_warnings
from tuner_app.analysis.effects import effects_of
from tuner_app.analysis.ranking import ranking_of
from tuner_app.analysis.space import ABSENT, candidates_expected, listed_values, search_space


def test_numbers_ascend_and_names_keep_their_order(tmp_path: pathlib.Path) -> None:
    grid = grid_of({"nodes": [64, 8, 512], "activation": ["tanh", "relu"]})
    space = search_space(record_of(tmp_path, grid, lambda values, k: 0.5))
    assert space == {"nodes": (8, 64, 512), "activation": ("tanh", "relu")}


def test_the_grid_of_the_search_counts_where_a_search_was_stopped(tmp_path: pathlib.Path) -> None:
    entry = {"class_name": "Choice", "config": {"name": "nodes", "values": [32, 64, 128], "conditions": []}}
    record = record_of(tmp_path, nodes(32, 64), lambda v, k: v["nodes"], asked={"space": {"nodes": entry}})
    assert search_space(record) == {"nodes": (32, 64, 128)}
    assert candidates_expected(record) == 3
    assert edge_warnings(ranking_of(record)) == ()


def test_a_candidate_without_a_hyperparameter(tmp_path: pathlib.Path) -> None:
    grid = [{"deep": False}, {"deep": True, "layers": 3}, {"deep": True, "layers": 2}]
    ranking = ranking_of(record_of(tmp_path, grid, lambda values, k: values.get("layers", 0) / 10))
    assert ranking.space["layers"] == (2, 3, ABSENT)
    assert [spread.mean for spread in effects_of(ranking)[1].spreads] == pytest.approx([0.2, 0.3, 0.0])


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"space": {"a": [1, 2], "b": ["x", "y", "z"]}}, 6),
        ({"space": {"a": [1, 2], "b": ["x", "y", "z"]}, "max_trials": 4}, 4),
        ({"space": {"a": {"class_name": "Float", "config": {"min_value": 0.0}}}}, None),
        ({"space": {"a": {"class_name": "Choice", "config": {"values": [1], "conditions": [{"b": 1}]}}}}, None),
        ({"space": "something else"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_candidates_expected(tmp_path: pathlib.Path, asked: Any, expected: int | None) -> None:
    record = record_of(tmp_path, [{"a": 1}], lambda values, k: 0.5, asked=asked)
    assert candidates_expected(record) == expected


def test_a_range_in_even_steps_lists_its_values() -> None:
    units = {"class_name": "Int", "config": {"min_value": 10, "max_value": 50, "step": 10, "sampling": "linear"}}
    assert listed_values(units) == [10, 20, 30, 40, 50]
    assert listed_values({"class_name": "Boolean", "config": {}}) == [False, True]
    assert listed_values({"class_name": "Fixed", "config": {"value": 3}}) == [3]
    assert listed_values({"class_name": "Int", "config": {"min_value": 1, "max_value": 10**9, "step": 1}}) is None
