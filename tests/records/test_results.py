"""From records to scores, ranks and the table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner_app.errors import InputError, SearchError
from tuner_app.records import results, tables
from tuner_app.records.results import Candidate, FoldResult, Status
from tuner_app.records.score import ScoreRule

ACCURACY = ScoreRule((("val_accuracy", "max"),))
BEST = ScoreRule((("val_accuracy", "max"),), "best")
LOSS = ScoreRule((("val_loss", "min"),))


def fold(number: int, curve: list[float] | None = None, *, trial: str = "0", **changes: Any) -> FoldResult:
    values = curve if curve is not None else [0.5]
    fields: dict[str, Any] = {
        "trial_id": trial,
        "fold": number,
        "values": {"a": 1},
        "seed": 1,
        "history": {"val_accuracy": values, "val_loss": [1 - value for value in values]},
        "final_epoch": len(values),
        "fit_seconds": 2.0,
        "score_seconds": 0.5,
    }
    return FoldResult(**(fields | changes))


def failed(number: int, error: str = "Boom\n", **changes: Any) -> FoldResult:
    return fold(number, error=error, history={}, final_epoch=0, **changes)


def candidate(values: Mapping[str, Any], *folds: FoldResult) -> Candidate:
    return Candidate("0", dict(values), folds)


class TestScoreRule:
    def test_last_reads_what_each_fold_ended_with(self) -> None:
        assert ACCURACY([fold(0, [0.9, 0.1]), fold(1, [0.2, 0.3, 0.4])]) == [0.1, 0.4]

    def test_last_reads_the_epoch_whose_weights_were_restored(self) -> None:
        assert ACCURACY([fold(0, [0.5, 0.9, 0.1], final_epoch=2)]) == [0.9]

    def test_best_reads_one_epoch_for_all_folds_not_each_folds_own(self) -> None:
        folds = [fold(0, [0.9, 0.6, 0.1]), fold(1, [0.1, 0.6, 0.9])]
        assert BEST.chosen_epoch(folds) == 2
        assert BEST(folds) == [0.6, 0.6]
        assert BEST.refit_epochs(folds) == 2

    def test_best_takes_the_first_of_equal_epochs_and_only_epochs_that_all_folds_have(self) -> None:
        assert BEST.chosen_epoch([fold(0, [0.5, 0.5]), fold(1, [0.5, 0.5])]) == 1
        assert BEST.chosen_epoch([fold(0, [0.1, 0.2]), fold(1, [0.1, 0.2, 0.9])]) == 2

    def test_best_minimises_a_metric_to_minimise(self) -> None:
        assert ScoreRule((("val_loss", "min"),), "best").chosen_epoch([fold(0, [0.1, 0.9, 0.5])]) == 2

    def test_best_passes_over_epochs_that_are_not_finite(self) -> None:
        assert BEST.chosen_epoch([fold(0, [math.nan, 0.2, math.inf])]) == 2

    def test_last_refits_for_the_mean_number_of_epochs(self) -> None:
        folds = [fold(0, [0.1] * 9, final_epoch=3), fold(1, [0.1] * 6)]
        assert ACCURACY.chosen_epoch(folds) is None
        assert ACCURACY.refit_epochs(folds) == 4

    def test_failed_folds_decide_nothing(self) -> None:
        folds = [failed(0), fold(1, [0.2, 0.3, 0.1])]
        assert BEST.chosen_epoch(folds) == 2
        assert BEST.refit_epochs([failed(0)]) is None
        assert np.isnan(BEST(folds)).tolist() == [True, False]

    def test_error_score_stands_for_failed_and_for_endless_scores(self) -> None:
        rule = ScoreRule((("val_accuracy", "max"),), error_score=-1.0)
        assert rule([failed(0), fold(1, [math.nan]), fold(2, [math.inf]), fold(3, [0.4])]) == [-1.0, -1.0, -1.0, 0.4]

    def test_higher_is_better_whatever_the_direction(self) -> None:
        assert LOSS([fold(0, [0.75])]) == [-0.25]
        assert LOSS.names == ["loss"]

    def test_several_objectives_are_summed_each_in_its_direction(self) -> None:
        both = ScoreRule((("val_accuracy", "max"), ("val_loss", "min")))
        assert both([fold(0, [0.75])]) == [0.5]
        assert [both([fold(0, [0.75])], index) for index in (0, 1)] == [[0.75], [-0.25]]

    def test_a_score_goes_back_to_the_sign_of_its_metric(self) -> None:
        assert LOSS.natural(-0.25) == 0.25
        assert ACCURACY.natural(0.25) == 0.25
        assert ScoreRule((("val_accuracy", "max"), ("val_loss", "min"))).natural(-0.5) == -0.5
        assert repr(LOSS.objectives) == "(('val_loss', 'min'),)"

    def test_two_objectives_have_two_names(self) -> None:
        assert ScoreRule((("val_loss", "min"), ("loss", "min"))).names == ["val_loss", "loss"]
        assert ScoreRule((("val_score", "max"), ("val_loss", "min"))).names == ["val_score", "loss"]
        assert ScoreRule((("val_score", "max"),)).names == ["score"]
        rule = ScoreRule((("val_loss", "min"), ("loss", "min")))
        history = {"loss": [0.25], "val_loss": [0.5]}
        table = tables.cv_results([candidate({"a": 1}, fold(0, history=history))], rule, n_splits=1)
        assert [table[f"mean_test_{name}"][0] for name in ("val_loss", "loss", "score")] == [-0.5, -0.25, -0.75]

    def test_scores_that_a_fit_returned_count_without_a_history(self) -> None:
        assert ACCURACY([fold(0, history={}, scores={"val_accuracy": 0.3})]) == [0.3]
        assert ACCURACY.refit_epochs([fold(0, history={}, scores={"val_accuracy": 0.3})]) is None

    def test_a_metric_that_is_not_there_is_told_with_those_that_are(self) -> None:
        with pytest.raises(
            InputError, match=r"one of the metrics of the fits, \['val_accuracy', 'val_loss'\].*'val_f1'"
        ):
            ScoreRule((("val_f1", "max"),))([fold(0)])

    def test_an_unknown_rule_is_refused(self) -> None:
        with pytest.raises(InputError, match=r"score_epoch must be 'last' or 'best'. Received: 'first'"):
            ScoreRule((("val_accuracy", "max"),), "first")


class TestMeanHistory:
    def test_it_is_cut_to_the_shortest_and_to_what_all_have(self) -> None:
        mean = results.mean_history([{"a": [1.0, 2.0, 3.0], "b": [1.0]}, {"a": [3.0, 4.0]}])
        assert mean == {"a": [2.0, 3.0]}

    def test_failed_fits_are_left_out_of_the_curves(self) -> None:
        assert candidate({}, fold(0, [0.2, 0.4]), failed(1)).mean_curves()["val_accuracy"] == [0.2, 0.4]
        assert candidate({}, failed(0)).mean_curves() == {}


class TestCandidate:
    def test_it_is_scored_once_by_fold_in_the_order_of_the_folds(self) -> None:
        fits = [fold(1, [0.9], execution=1), fold(0, [0.2]), fold(1, [0.7]), fold(0, [0.4], execution=1)]
        whole = Candidate.of("7", {"a": 1}, fits, ACCURACY, n_fits=4)
        assert [(fit.fold, fit.execution) for fit in whole.folds] == [(0, 0), (0, 1), (1, 0), (1, 1)]
        assert whole.status is Status.COMPLETE
        assert whole.score is not None
        assert whole.score.folds == pytest.approx((0.3, 0.8))
        assert (whole.score.mean, whole.score.std) == pytest.approx((0.55, 0.25))

    def test_it_runs_without_a_score_until_its_last_fit(self) -> None:
        running = Candidate.of("0", {}, [fold(0)], ACCURACY, n_fits=2)
        assert (running.status, running.score, running.is_whole) == (Status.RUNNING, None, False)

    def test_one_that_is_dropped_has_the_score_of_the_folds_it_has(self) -> None:
        dropped = Candidate.of("0", {}, [fold(0, [0.25])], ACCURACY, n_fits=2, dropped=True)
        assert dropped.score is not None
        assert (dropped.status, dropped.score.folds, dropped.is_whole) == (Status.DROPPED, (0.25,), False)
        assert Candidate.of("0", {}, [], ACCURACY, n_fits=2, dropped=True).status is Status.DROPPED

    @pytest.mark.parametrize(
        ("folds", "error_score", "status"),
        [
            ([fold(0), failed(1)], math.nan, Status.FAILED),
            ([fold(0), failed(1)], 0.0, Status.COMPLETE),
            ([failed(0), failed(1)], 0.0, Status.FAILED),
            ([fold(0), fold(1, [math.nan])], math.nan, Status.FAILED),
        ],
    )
    def test_it_has_failed_without_a_good_fit_or_without_a_score(
        self, folds: list[FoldResult], error_score: float, status: Status
    ) -> None:
        rule = ScoreRule((("val_accuracy", "max"),), error_score=error_score)
        candidate = Candidate.of("0", {}, folds, rule, n_fits=2)
        assert candidate.status is status
        assert candidate.is_whole

    def test_an_objective_that_no_fit_has_is_told(self) -> None:
        with pytest.raises(InputError, match="must be one of the metrics of the fits"):
            Candidate.of("0", {}, [fold(0)], ScoreRule((("val_f1", "max"),)), n_fits=1)


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


def test_an_epoch_past_the_end_is_the_final_one() -> None:
    one = fold(0, [0.1, 0.2, 0.3], final_epoch=2)
    assert [one.at_epoch(epoch)["val_accuracy"] for epoch in (1, 2, 3, None)] == [0.1, 0.2, 0.2, 0.2]


def test_an_epoch_without_validation_answers_with_the_last_one_that_has_it() -> None:
    gaps = {"loss": [0.9, 0.8, 0.7], "val_accuracy": [math.nan, 0.5, math.nan]}
    one = fold(0, history=gaps, final_epoch=3, measured_epochs={"val_accuracy": [2]})
    assert one.at_epoch() == {"loss": 0.7, "val_accuracy": 0.5}
    assert math.isnan(one.at_epoch(1)["val_accuracy"])
    diverged = fold(0, history=gaps, final_epoch=3)
    assert math.isnan(diverged.at_epoch()["val_accuracy"])
