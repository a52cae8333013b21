"""Histories become scores, each in the direction "higher is better"."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support.records import ACCURACY, BEST, LOSS, candidate, failed, fold

from tuner_app.errors import InputError
from tuner_app.records import tables
from tuner_app.records.score import ScoreRule


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
