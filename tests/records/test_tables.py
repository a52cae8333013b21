"""From candidates to the table, its ranks and its words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.records import ACCURACY, candidate, failed, fold

from tuner_app.errors import SearchError
from tuner_app.records import tables
from tuner_app.records.score import ScoreRule


class TestTable:
    def test_the_deviation_is_that_of_the_population_and_times_are_means(self) -> None:
        table = tables.cv_results(
            [candidate({"a": 1}, fold(0, [0.2], fit_seconds=1.0), fold(1, [0.6], fit_seconds=3.0))],
            ACCURACY,
            n_splits=2,
        )
        assert table["mean_test_score"][0] == pytest.approx(0.4)
        assert table["std_test_score"][0] == pytest.approx(0.2)
        assert (table["mean_fit_time"][0], table["std_fit_time"][0]) == (2.0, 1.0)
        assert table["mean_score_time"][0] == 0.5

    def test_a_column_is_masked_where_a_candidate_does_not_have_the_value(self) -> None:
        table = tables.cv_results(
            [candidate({"a": 1}, fold(0)), candidate({"a": 2, "b": None}, fold(0)), candidate({"b": "x"}, fold(0))],
            ACCURACY,
            n_splits=1,
        )
        assert table["param_a"].mask.tolist() == [False, False, True]
        assert table["param_b"].mask.tolist() == [True, False, False]
        assert table["param_b"][1] is None
        assert table["params"] == [{"a": 1}, {"a": 2, "b": None}, {"b": "x"}]

    @pytest.mark.parametrize(
        ("values", "kind"),
        [([1, 2], "i"), ([1.0, 2], "f"), ([True, False], "b"), (["a", "b"], "O"), ([1, True], "O"), ([1, "a"], "O")],
    )
    def test_a_column_has_the_type_of_its_values(self, values: list[Any], kind: str) -> None:
        table = tables.cv_results([candidate({"a": v}, fold(0)) for v in values], ACCURACY, n_splits=1)
        assert table["param_a"].dtype.kind == kind
        assert table["param_a"].tolist() == values

    def test_executions_of_a_fold_are_averaged(self) -> None:
        one = candidate({}, fold(0, [0.2]), fold(0, [0.4], execution=1), fold(1, [0.7]), fold(1, [0.9], execution=1))
        table = tables.cv_results([one], ACCURACY, n_splits=2)
        assert table["split0_test_score"][0] == pytest.approx(0.3)
        assert table["split1_test_score"][0] == pytest.approx(0.8)

    def test_several_metrics_have_columns_of_their_own_and_the_sum_decides(self) -> None:
        both = ScoreRule((("val_accuracy", "max"), ("val_loss", "min")))
        table = tables.cv_results([candidate({}, fold(0, [0.75]))], both, n_splits=1)
        assert table["mean_test_accuracy"][0] == 0.75
        assert table["mean_test_loss"][0] == -0.25
        assert table["mean_test_score"][0] == 0.5
        assert {"rank_test_accuracy", "rank_test_loss", "rank_test_score"} < set(table)

    def test_train_scores_follow_the_direction_and_the_error_score(self) -> None:
        rule = ScoreRule((("val_loss", "min"),), error_score=-9.0)
        one = candidate({}, fold(0, train_scores={"loss": 0.25}), failed(1))
        table = tables.cv_results([one], rule, n_splits=2, return_train_score=True)
        assert (table["split0_train_score"][0], table["split1_train_score"][0]) == (-0.25, -9.0)

    def test_no_candidate_gives_an_empty_table(self) -> None:
        table = tables.cv_results([], ACCURACY, n_splits=3)
        assert table["params"] == []
        assert len(table["mean_test_score"]) == 0


class TestRanks:
    @given(st.lists(st.sampled_from([0.1, 0.2, 0.3, math.nan])))
    def test_rank_is_one_more_than_the_number_of_better_candidates(self, scores: list[float]) -> None:
        ranked = tables.ranks(np.array(scores))
        finite = [score for score in scores if not math.isnan(score)]
        for score, rank in zip(scores, ranked, strict=True):
            better = len(finite) if math.isnan(score) else sum(other > score for other in finite)
            assert rank == better + 1 or not finite

    def test_nan_alone_shares_the_first_rank_but_is_never_best(self) -> None:
        assert tables.ranks(np.array([math.nan, math.nan])).tolist() == [1, 1]
        with pytest.raises(SearchError, match="No candidate has a score"):
            tables.best_index({"mean_test_score": np.array([math.nan]), "rank_test_score": np.array([1])})

    @given(st.lists(st.sampled_from([-1.0, 0.0, 2.0, math.nan]), min_size=1))
    def test_best_is_the_first_of_the_highest(self, scores: list[float]) -> None:
        table = {"mean_test_score": np.array(scores), "rank_test_score": tables.ranks(np.array(scores))}
        finite = [score for score in scores if not math.isnan(score)]
        if finite:
            assert tables.best_index(table) == scores.index(max(finite))


class TestWords:
    def test_the_summary_is_the_tutorials_best_first_with_ties_marked(self) -> None:
        table = tables.cv_results(
            [candidate({"a": n}, fold(0, [score])) for n, score in [(1, 0.25), (2, 0.5), (3, 0.25)]],
            ACCURACY,
            n_splits=1,
        )
        assert tables.summary_lines(table) == [
            "Best: 0.500000 using {'a': 2}",
            "0.500000 (0.000000) with: {'a': 2}",
            "0.250000 (0.000000) with: {'a': 1}  (tie, rank 2)",
            "0.250000 (0.000000) with: {'a': 3}  (tie, rank 2)",
        ]

    def test_failures_are_counted_by_traceback(self) -> None:
        found = [candidate({}, failed(0, "A\n"), failed(1, "B\n")), candidate({}, failed(0, "B\n"), fold(1))]
        assert tables.most_common_error(found) == ("B\n", 2)
        message = tables.failure_warning(found, math.nan)
        assert message is not None
        assert "3 fits failed out of a total of 4" in message
        assert message.index("2 fits failed with:\nB") < message.index("1 fits failed with:\nA")

    def test_nothing_failed_nothing_said(self) -> None:
        assert tables.most_common_error([candidate({}, fold(0))]) is None
        assert tables.failure_warning([candidate({}, fold(0))], math.nan) is None
