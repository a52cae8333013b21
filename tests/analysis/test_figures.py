"""The numbers behind the plots, on records whose answers are known."""

from __future__ import annotations

import math
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.written_searches import ACCURACY, LOSS, grid_of, itertools_all, nodes, record_of

from tuner_app.analysis import figures
from tuner_app.errors import InputError
from tuner_app.records.tables import best_index, cv_results
from tuner_app.storage.journal import SearchRecord
from tuner_app.views.report import write_report
from tuner_app.views.tensorboard.events import curve_events
from tuner_app.views.tensorboard.matrices import heat_map
from tuner_app.views.tensorboard.scores import Score
from tuner_app.views.terminal.lines import epoch_lines


def tutorial(directory: pathlib.Path, **options: Any) -> SearchRecord:
    """The tutorial's grid; the best lies at the most nodes and inside the learning rates."""
    grid = grid_of({"nodes": [32, 64, 128, 256, 512], "learning_rate": [0.001, 0.002, 0.003]})

    def score(values: dict[str, Any], k: int) -> float:
        better_rate = 0.002 if values["learning_rate"] == 0.002 else 0.0
        return 0.9 + 0.01 * math.log2(values["nodes"] / 32) + better_rate + 0.001 * (k - 1)

    return record_of(directory, grid, score, **options)


def by_nodes(scores: Mapping[int, Sequence[float]]) -> Callable[[dict[str, Any], int], float]:
    return lambda values, k: scores[values["nodes"]][k]


class TestRanking:
    def test_it_agrees_with_the_table(self, tmp_path: pathlib.Path) -> None:
        record = tutorial(tmp_path)
        ranked = figures.ranking(record)
        table = cv_results(record.finished, record.rule, n_splits=3)
        best = best_index(table)
        assert ranked.best is not None
        assert ranked.best.values == table["params"][best] == {"nodes": 512, "learning_rate": 0.002}
        assert ranked.best.mean == pytest.approx(0.942)
        assert ranked.best.std == pytest.approx(table["std_test_score"][best])
        assert ranked.best.fold_scores == pytest.approx((0.941, 0.942, 0.943))
        assert [row.rank for row in ranked.rows] == sorted(table["rank_test_score"])
        means = [row.mean for row in ranked.rows]
        assert means == sorted(means, reverse=True)

    def test_a_loss_is_positive_and_the_lowest_is_first(self, tmp_path: pathlib.Path) -> None:
        record = record_of(tmp_path, nodes(32, 64), by_nodes({32: [0.8] * 3, 64: [0.9] * 3}), objectives=LOSS)
        ranked = figures.ranking(record)
        assert ranked.measure.label == "loss (lower is better)"
        assert [row.mean for row in ranked.rows] == pytest.approx([0.1, 0.2])
        assert ranked.rows[0].fold_scores == pytest.approx((0.1, 0.1, 0.1))

    def test_several_objectives_keep_their_parts(self, tmp_path: pathlib.Path) -> None:
        record = record_of(tmp_path, nodes(32), by_nodes({32: [0.8] * 3}), objectives=ACCURACY + LOSS)
        ranked = figures.ranking(record)
        assert ranked.measure.name == "accuracy - loss"
        assert ranked.rows[0].mean == pytest.approx(0.6)
        assert ranked.rows[0].parts == pytest.approx({"accuracy": 0.8, "loss": 0.2})

    def test_objectives_on_training_and_validation_rows_are_told_apart(self, tmp_path: pathlib.Path) -> None:
        both = (("val_loss", "min"), ("loss", "min"))
        record = record_of(tmp_path, nodes(32), by_nodes({32: [0.8] * 3}), objectives=both)
        ranked = figures.ranking(record)
        assert ranked.measure.name == "- val_loss - loss"
        assert ranked.rows[0].parts == pytest.approx({"val_loss": 0.2, "loss": 0.2})
        assert [curve.metric for curve in figures.learning_curves(record, ranked)[0].curves] == ["loss"]

    def test_executions_are_averaged(self, tmp_path: pathlib.Path) -> None:
        record = record_of(tmp_path, nodes(32), by_nodes({32: [0.7, 0.8, 0.9]}), executions=2)
        assert figures.ranking(record).rows[0].fold_scores == pytest.approx((0.7, 0.8, 0.9))

    def test_ties_failures_and_unfinished_candidates(self, tmp_path: pathlib.Path) -> None:
        scores = by_nodes(dict.fromkeys((16, 32, 64, 128), [0.5] * 3))
        record = record_of(tmp_path, nodes(16, 32, 64, 128), scores, failed=[(0, 1)], missing=[(3, 2)])
        ranked = figures.ranking(record)
        assert [row.trial_id for row in ranked.rows] == ["0001", "0002", "0000"]
        assert [(row.rank, row.tied, row.failures) for row in ranked.rows] == [
            (1, True, 0),
            (1, True, 0),
            (3, False, 1),
        ]
        assert math.isnan(ranked.rows[2].mean)
        assert [row.trial_id for row in ranked.scored] == ["0001", "0002"]

    def test_nothing_has_a_score(self, tmp_path: pathlib.Path) -> None:
        record = record_of(tmp_path, nodes(16, 32), by_nodes({}), failed=itertools_all(2))
        ranked = figures.ranking(record)
        assert ranked.best is None
        assert figures.significance(ranked) is None
        assert figures.edge_warnings(ranked) == ()
        assert figures.learning_curves(record, ranked) == ()
        assert figures.confusion(record, ranked) is None
        assert figures.effects(ranked)[0].spreads[0].n_candidates == 0
        assert np.isnan(figures.heat_map(ranked, "nodes", "nodes").mean).all()


class TestSpace:
    def test_numbers_ascend_and_names_keep_their_order(self, tmp_path: pathlib.Path) -> None:
        grid = grid_of({"nodes": [64, 8, 512], "activation": ["tanh", "relu"]})
        space = figures.search_space(record_of(tmp_path, grid, lambda values, k: 0.5))
        assert space == {"nodes": (8, 64, 512), "activation": ("tanh", "relu")}

    def test_the_grid_of_the_search_counts_where_a_search_was_stopped(self, tmp_path: pathlib.Path) -> None:
        entry = {"class_name": "Choice", "config": {"name": "nodes", "values": [32, 64, 128], "conditions": []}}
        record = record_of(tmp_path, nodes(32, 64), lambda v, k: v["nodes"], asked={"space": {"nodes": entry}})
        assert figures.search_space(record) == {"nodes": (32, 64, 128)}
        assert figures.candidates_expected(record) == 3
        assert figures.edge_warnings(figures.ranking(record)) == ()

    def test_a_candidate_without_a_hyperparameter(self, tmp_path: pathlib.Path) -> None:
        grid = [{"deep": False}, {"deep": True, "layers": 3}, {"deep": True, "layers": 2}]
        ranked = figures.ranking(record_of(tmp_path, grid, lambda values, k: values.get("layers", 0) / 10))
        assert ranked.space["layers"] == (2, 3, figures.ABSENT)
        assert [spread.mean for spread in figures.effects(ranked)[1].spreads] == pytest.approx([0.2, 0.3, 0.0])

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
    def test_candidates_expected(self, tmp_path: pathlib.Path, asked: Any, expected: int | None) -> None:
        record = record_of(tmp_path, [{"a": 1}], lambda values, k: 0.5, asked=asked)
        assert figures.candidates_expected(record) == expected


class TestSignificance:
    def test_within_one_standard_error(self, tmp_path: pathlib.Path) -> None:
        # The best: mean 0.9, sample standard deviation 0.02, standard error 0.02 / sqrt(3) = 0.0115.
        scores = {1: [0.88, 0.90, 0.92], 2: [0.87, 0.89, 0.91], 3: [0.86, 0.88, 0.90], 4: [0.94, 0.86, 0.88]}
        found = figures.significance(figures.ranking(record_of(tmp_path, nodes(1, 2, 3, 4), by_nodes(scores))))
        assert found is not None
        assert found.standard_error == pytest.approx(0.02 / math.sqrt(3))
        assert [c.candidate.values["nodes"] for c in found.contenders] == [4, 2]
        assert found.runner_up == found.contenders[0]
        noisy, steady = found.contenders
        assert (noisy.behind, noisy.folds_won) == (pytest.approx(0.02 / 3), 1)
        assert noisy.standard_error == pytest.approx(np.std([-0.06, 0.04, 0.04], ddof=1) / math.sqrt(3))
        assert (steady.behind, steady.folds_won) == (pytest.approx(0.01), 0)
        assert steady.standard_error == pytest.approx(0, abs=1e-12)
        assert found.roughness == pytest.approx(0.5)

    def test_a_loss_is_behind_by_a_positive_number(self, tmp_path: pathlib.Path) -> None:
        scores = by_nodes({1: [0.9, 0.8, 0.7], 2: [0.8, 0.7, 0.8]})
        found = figures.significance(figures.ranking(record_of(tmp_path, nodes(1, 2), scores, objectives=LOSS)))
        assert found is not None
        assert found.runner_up is not None
        assert found.runner_up.behind == pytest.approx(0.1 / 3)
        assert found.runner_up.folds_won == 1

    def test_one_fold_says_nothing_but_ties_stay(self, tmp_path: pathlib.Path) -> None:
        scores = by_nodes({1: [0.9], 2: [0.9], 3: [0.8]})
        found = figures.significance(figures.ranking(record_of(tmp_path, nodes(1, 2, 3), scores, n_splits=1)))
        assert found is not None
        assert math.isnan(found.standard_error)
        assert [c.candidate.values["nodes"] for c in found.contenders] == [2]
        assert found.roughness == math.inf

    def test_a_single_candidate(self, tmp_path: pathlib.Path) -> None:
        found = figures.significance(figures.ranking(record_of(tmp_path, nodes(1), by_nodes({1: [0.1, 0.2, 0.3]}))))
        assert found is not None
        assert (found.contenders, found.runner_up) == ((), None)


class TestEdge:
    def test_the_tutorials_512_nodes(self, tmp_path: pathlib.Path) -> None:
        (edge,) = figures.edge_warnings(figures.ranking(tutorial(tmp_path)))
        assert (edge.name, edge.value, edge.side) == ("nodes", 512, "highest")
        assert edge.command_line == "--nodes 256 512 1024"
        assert edge.python == "[256, 512, 1024]"
        assert not edge.inside_is_close

    def test_a_close_value_inside_the_grid_is_told(self, tmp_path: pathlib.Path) -> None:
        scores = by_nodes({1: [0.5] * 3, 2: [0.8, 0.9, 0.98], 3: [0.8, 0.9, 1.0]})
        (edge,) = figures.edge_warnings(figures.ranking(record_of(tmp_path, nodes(1, 2, 3), scores)))
        assert edge.inside_is_close

    def test_the_lowest_value_of_a_loss(self, tmp_path: pathlib.Path) -> None:
        grid = grid_of({"learning_rate": [0.001, 0.01, 0.1]})
        record = record_of(tmp_path, grid, lambda v, k: 0.5 - v["learning_rate"], objectives=LOSS)
        (edge,) = figures.edge_warnings(figures.ranking(record))
        assert (edge.side, edge.command_line) == ("lowest", "--learning-rates 0.0001 0.001 0.01")

    @pytest.mark.parametrize("values", [["relu", "tanh"], [False, True], [0.5], [True, 2.0, "x"]])
    def test_what_has_no_order_has_no_edge(self, tmp_path: pathlib.Path, values: list[Any]) -> None:
        record = record_of(tmp_path, [{"choice": value} for value in values], lambda v, k: 0.5)
        assert figures.edge_warnings(figures.ranking(record)) == ()

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
    def test_next_grid(self, grid: list[float], up: bool, expected: tuple[float, ...]) -> None:
        assert figures.next_grid(grid, up=up) == expected

    @settings(max_examples=100, deadline=None)
    @given(
        st.one_of(
            st.sets(st.integers(-1000, 10**6), min_size=2, max_size=6),
            st.sets(st.floats(1e-6, 1e4), min_size=2, max_size=6),
        ),
        st.booleans(),
    )
    def test_next_grid_always_lies_beyond(self, numbers: set[float], up: bool) -> None:
        grid = sorted(numbers)
        following = figures.next_grid(grid, up=up)
        if following:
            neighbour, edge, beyond = following if up else reversed(following)
            assert (neighbour, edge) == ((grid[-2], grid[-1]) if up else (grid[1], grid[0]))
            assert beyond > edge if up else beyond < edge
            assert min(grid) <= 0 or beyond > 0
            assert {type(value) for value in following} <= {type(value) for value in grid}


class TestPlots:
    def test_heat_map(self, tmp_path: pathlib.Path) -> None:
        ranked = figures.ranking(tutorial(tmp_path, missing=[(0, 2)]))
        cells = figures.heat_map(ranked, "nodes", "learning_rate")
        assert cells.mean.shape == cells.std.shape == (5, 3)
        assert math.isnan(cells.mean[0, 0])
        assert cells.mean[4] == pytest.approx([0.94, 0.942, 0.94])
        assert cells.std[1, 1] == pytest.approx(0.001 * math.sqrt(2 / 3))
        assert cells.best == (4, 1)
        assert cells.row_values[cells.best[0]] == 512

    def test_heat_map_shows_the_best_of_each_cell_as_tensorboard_does(self, tmp_path: pathlib.Path) -> None:
        space = {"a": [1, 2], "b": [1, 2], "c": [10, 20]}
        record = record_of(tmp_path, grid_of(space), lambda v, k: (v["a"] + 10 * v["b"] + v["c"] + k * v["b"]) / 100)
        cells = figures.heat_map(figures.ranking(record), "b", "a")
        assert cells.mean == pytest.approx(np.array([[0.32, 0.33], [0.43, 0.44]]))
        assert cells.std == pytest.approx(np.array([[1, 1], [2, 2]]) * math.sqrt(2 / 3) / 100)
        picture = heat_map(space, [Score.of(candidate, record.rule) for candidate in record.finished])
        assert picture is not None
        assert (picture.row_title, picture.column_title) == ("b", "a")
        shown = [[cell.text for cell in line] for line in picture.cells]
        pairs = [zip(*lines, strict=True) for lines in zip(cells.mean, cells.std, strict=True)]
        assert shown == [[(f"{mean:.4f}", f"({std:.4f})") for mean, std in line] for line in pairs]

    def test_heat_map_of_an_unknown_hyperparameter(self, tmp_path: pathlib.Path) -> None:
        with pytest.raises(InputError, match=r"hyperparameters of the search, \['nodes', .*Received: 'units'"):
            figures.heat_map(figures.ranking(tutorial(tmp_path)), "nodes", "units")

    def test_effects(self, tmp_path: pathlib.Path) -> None:
        size, rate = figures.effects(figures.ranking(tutorial(tmp_path)))
        assert (size.name, size.values, size.best_value) == ("nodes", (32, 64, 128, 256, 512), 512)
        assert size.spreads[0].mean == pytest.approx(0.9 + 0.002 / 3)
        assert (size.spreads[0].low, size.spreads[0].high) == pytest.approx((0.899, 0.903))
        assert size.spreads[0].n_candidates == 3
        assert [spread.mean for spread in rate.spreads] == pytest.approx([0.92, 0.922, 0.92])
        assert [spread.n_candidates for spread in rate.spreads] == [5, 5, 5]

    def test_parallel_coordinates(self, tmp_path: pathlib.Path) -> None:
        grid = grid_of({"nodes": [32, 64, 128], "activation": ["tanh", "relu"], "fixed": [1]})
        record = record_of(tmp_path, grid, lambda v, k: v["nodes"] / 1000 + (v["activation"] == "relu") / 100)
        lines = figures.parallel_coordinates(figures.ranking(record), at_most=4)
        assert [name for name, _ in lines.axes] == ["nodes", "activation"]
        assert lines.positions[0] == (1.0, 1.0, 1.0)
        assert lines.positions[-1] == (0.5, 0.0, 0.0)
        assert (lines.low, lines.high, lines.left_out) == (pytest.approx(0.064), pytest.approx(0.138), 2)

    def test_parallel_coordinates_of_equals(self, tmp_path: pathlib.Path) -> None:
        record = record_of(tmp_path, nodes(1, 2), lambda values, k: 0.5)
        assert figures.parallel_coordinates(figures.ranking(record)).positions == ((0.0, 1.0), (1.0, 1.0))

    def test_learning_curves(self, tmp_path: pathlib.Path) -> None:
        record = record_of(tmp_path, nodes(1, 2, 3), lambda v, k: v["nodes"] / 10 + k / 100, executions=2)
        best, second = figures.learning_curves(record, figures.ranking(record), best=2)
        assert (best.candidate.values, best.n_fits, best.chosen_epoch) == ({"nodes": 3}, 6, None)
        assert second.candidate.values == {"nodes": 2}
        accuracy, loss = best.curves
        assert (accuracy.metric, loss.metric) == ("accuracy", "loss")
        assert accuracy.validation is not None
        assert accuracy.train is not None
        assert accuracy.validation.mean == pytest.approx((0.11, 0.21, 0.31))
        assert accuracy.validation.low == pytest.approx((0.10, 0.20, 0.30))
        assert accuracy.validation.high == pytest.approx((0.12, 0.22, 0.32))
        assert accuracy.train.mean == pytest.approx((0.12, 0.22, 0.32))

    def test_learning_curves_end_with_the_shortest_fit_and_name_the_chosen_epoch(self, tmp_path: pathlib.Path) -> None:
        def fold(values: dict[str, Any], k: int) -> dict[str, Any]:
            curve = [0.5, 0.9, 0.7, 0.6][: 4 - k]
            return {"history": {"val_accuracy": curve}, "final_epoch": len(curve)}

        record = record_of(tmp_path, nodes(1), lambda v, k: 0, fold=fold, epoch="best")
        (shown,) = figures.learning_curves(record, figures.ranking(record))
        (curve,) = shown.curves
        assert curve.train is None
        assert curve.validation is not None
        assert curve.validation.mean == pytest.approx((0.5, 0.9))
        assert shown.chosen_epoch == 2

    def test_a_fit_without_a_history_has_no_curve(self, tmp_path: pathlib.Path) -> None:
        own = {"history": {}, "scores": {"val_accuracy": 0.8}}
        record = record_of(tmp_path, nodes(1), lambda v, k: 0, fold=lambda v, k: own)
        ranked = figures.ranking(record)
        assert ranked.rows[0].mean == pytest.approx(0.8)
        assert figures.learning_curves(record, ranked) == ()

    def test_time_spent(self, tmp_path: pathlib.Path) -> None:
        # Each fit of trial i takes 2 (i + 1) + 0.5 seconds; trial 2 has one fold of three.
        record = record_of(tmp_path, nodes(1, 2, 3), lambda v, k: 0.5, missing=[(2, 1), (2, 2)])
        spent = figures.time_spent(record, figures.ranking(record))
        assert spent.total_seconds == pytest.approx(7.5 + 13.5 + 6.5)
        assert spent.unfinished_seconds == pytest.approx(6.5)
        assert [row.candidate.values["nodes"] for row in spent.rows] == [2, 1]
        assert (spent.rows[0].fit_seconds, spent.rows[0].score_seconds) == pytest.approx((12, 1.5))
        assert spent.rows[0].seconds_per_fit == pytest.approx(4.5)
        assert spent.rows[0].share == pytest.approx(13.5 / 27.5)

    def test_no_time_at_all(self, tmp_path: pathlib.Path) -> None:
        still = {"fit_seconds": 0.0, "score_seconds": 0.0}
        record = record_of(tmp_path, nodes(1), lambda v, k: 0.5, fold=lambda v, k: still)
        spent = figures.time_spent(record, figures.ranking(record))
        assert (spent.total_seconds, spent.rows[0].share) == (0.0, 0.0)


class TestConfusion:
    MATRIX = ((8, 2, 0), (1, 9, 0), (0, 5, 5))

    def found(self, directory: pathlib.Path, **options: Any) -> figures.Confusion | None:
        matrices = {1: [[1, 1, 1]] * 3, 2: [list(row) for row in self.MATRIX]}
        record = record_of(
            directory, nodes(1, 2), lambda v, k: v["nodes"] / 10, fold=lambda v, k: {"confusion": matrices[v["nodes"]]}
        )
        return figures.confusion(record, figures.ranking(record), **options)

    def test_the_best_candidates_folds_are_summed(self, tmp_path: pathlib.Path) -> None:
        found = self.found(tmp_path, classes=["cat", "dog", 3])
        assert found is not None
        assert found.counts.tolist() == [[24, 6, 0], [3, 27, 0], [0, 15, 15]]
        assert found.shares[0] == pytest.approx([0.8, 0.2, 0])
        assert (found.labels, found.n_fits) == (("cat", "dog", "3"), 3)
        assert [(p.true, p.predicted, p.count) for p in found.pairs] == [
            ("3", "dog", 15),
            ("cat", "dog", 6),
            ("dog", "cat", 3),
        ]
        assert found.pairs[0].share == pytest.approx(0.5)

    def test_labels_that_do_not_fit_are_numbered(self, tmp_path: pathlib.Path) -> None:
        found = self.found(tmp_path, classes=["cat"], n_pairs=1)
        assert found is not None
        assert found.labels == ("0", "1", "2")
        assert len(found.pairs) == 1

    def test_none_where_nothing_was_counted(self, tmp_path: pathlib.Path) -> None:
        record = tutorial(tmp_path)
        assert figures.confusion(record, figures.ranking(record)) is None

    def test_a_class_without_rows(self, tmp_path: pathlib.Path) -> None:
        record = record_of(tmp_path, nodes(1), lambda v, k: 0.5, fold=lambda v, k: {"confusion": [[3, 1], [0, 0]]})
        found = figures.confusion(record, figures.ranking(record))
        assert found is not None
        assert found.shares.tolist() == [[0.75, 0.25], [0, 0]]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.001, "0.001"),
        (1e-5, "0.00001"),
        (0.0, "0"),
        (512, "512"),
        (True, "True"),
        (None, "None"),
        (1e300, "1e+300"),
        (float("nan"), "nan"),
        (np.float32(0.5), "0.5"),
        (np.int64(3), "3"),
        ("two\nlines\x00 and \ud800more", "two lines  and  more"),
    ],
)
def test_value_text(value: Any, text: str) -> None:
    assert figures.value_text(value) == text


@pytest.mark.parametrize("image", [[], [1, 2], np.zeros((2, 0)), np.zeros((4, 4, 2)), np.zeros((1, 2, 3, 4))])
def test_a_picture_must_have_a_shape(image: Any) -> None:
    with pytest.raises(InputError, match=r"shape \(height, width\) or \(height, width, 3\)\. Received: \("):
        figures.ConfusedPicture(image, 3, 8, 0.9)


def test_no_tensorflow_and_no_drawing_is_imported() -> None:
    import subprocess

    heavy = "{'tensorflow', 'keras', 'matplotlib'}"
    code = f"import sys, tuner_app.analysis.figures; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class TestGaps:
    """With `validation_freq` an epoch has no validation: NaN in the history, and nothing in a plot."""

    def record(self, folder: pathlib.Path) -> SearchRecord:
        history = {"loss": [0.9, 0.8, 0.7, 0.6], "val_loss": [math.nan, 0.5, math.nan, 0.4]}
        own = {"history": {**history, "val_accuracy": [math.nan, 0.7, math.nan, 0.8]}, "final_epoch": 4}
        own["measured_epochs"] = {"val_loss": [2, 4], "val_accuracy": [2, 4]}
        return record_of(folder, nodes(1, 2), lambda v, k: 0.5, fold=lambda values, k: own)

    def test_the_report_draws_the_epochs_that_were_measured(self, tmp_path: pathlib.Path) -> None:
        record = self.record(tmp_path)
        curves = figures.learning_curves(record, figures.ranking(record))[0].curves
        band = curves[0].validation
        assert band is not None
        assert band.epochs == [2, 4]
        page = write_report(record.project).read_text(encoding="utf-8")
        assert "validation accuracy from 0.7000 to 0.8000" in page
        assert "nan" not in page[page.index('id="curves"') : page.index('id="time"')].lower()

    def test_tensorboard_and_the_screen_leave_the_others_out(self, tmp_path: pathlib.Path) -> None:
        fold = self.record(tmp_path).candidates[0].folds[0]
        events = list(curve_events({"epoch_loss": fold.history["val_loss"]}, 0.0, 4.0))
        assert [(event.step, event.summary.value[0].tensor.float_val[0]) for event in events] == [
            (1, pytest.approx(0.5)),
            (3, pytest.approx(0.4)),
        ]
        assert [event.summary.value[0].HasField("metadata") for event in events] == [True, False]
        assert [line.count("val_") for line in epoch_lines(fold)] == [0, 2, 0, 2]
        assert list(curve_events({"epoch_loss": [math.nan]}, 0.0, 4.0)) == []
