"""Which candidates the folds cannot tell from the best."""

from __future__ import annotations

import math
import pathlib

import numpy as np
import pytest
from support.written_searches import LOSS, by_nodes, nodes, record_of

from tuner_app.analysis.comparison import significance_of
from tuner_app.analysis.ranking import ranking_of


def test_within_one_standard_error(tmp_path: pathlib.Path) -> None:
    # The best: mean 0.9, sample standard deviation 0.02, standard error 0.02 / sqrt(3) = 0.0115.
    scores = {1: [0.88, 0.90, 0.92], 2: [0.87, 0.89, 0.91], 3: [0.86, 0.88, 0.90], 4: [0.94, 0.86, 0.88]}
    significance = significance_of(ranking_of(record_of(tmp_path, nodes(1, 2, 3, 4), by_nodes(scores))))
    assert significance is not None
    assert significance.standard_error == pytest.approx(0.02 / math.sqrt(3))
    assert [c.candidate.values["nodes"] for c in significance.contenders] == [4, 2]
    assert significance.runner_up == significance.contenders[0]
    noisy, steady = significance.contenders
    assert (noisy.behind, noisy.folds_won) == (pytest.approx(0.02 / 3), 1)
    assert noisy.standard_error == pytest.approx(np.std([-0.06, 0.04, 0.04], ddof=1) / math.sqrt(3))
    assert (steady.behind, steady.folds_won) == (pytest.approx(0.01), 0)
    assert steady.standard_error == pytest.approx(0, abs=1e-12)
    assert significance.roughness == pytest.approx(0.5)


def test_a_loss_is_behind_by_a_positive_number(tmp_path: pathlib.Path) -> None:
    scores = by_nodes({1: [0.9, 0.8, 0.7], 2: [0.8, 0.7, 0.8]})
    significance = significance_of(ranking_of(record_of(tmp_path, nodes(1, 2), scores, objectives=LOSS)))
    assert significance is not None
    assert significance.runner_up is not None
    assert significance.runner_up.behind == pytest.approx(0.1 / 3)
    assert significance.runner_up.folds_won == 1


def test_one_fold_says_nothing_but_ties_stay(tmp_path: pathlib.Path) -> None:
    scores = by_nodes({1: [0.9], 2: [0.9], 3: [0.8]})
    significance = significance_of(ranking_of(record_of(tmp_path, nodes(1, 2, 3), scores, n_splits=1)))
    assert significance is not None
    assert math.isnan(significance.standard_error)
    assert [c.candidate.values["nodes"] for c in significance.contenders] == [2]
    assert significance.roughness == math.inf


def test_a_single_candidate(tmp_path: pathlib.Path) -> None:
    significance = significance_of(ranking_of(record_of(tmp_path, nodes(1), by_nodes({1: [0.1, 0.2, 0.3]}))))
    assert significance is not None
    assert (significance.contenders, significance.runner_up) == ((), None)
