"""Learning curves of the best candidates."""

from __future__ import annotations

import math
import pathlib
from typing import Any

import pytest
from support.written_searches import nodes, record_of

from tuner_app.analysis.curves import learning_curves
from tuner_app.analysis.ranking import ranking_of


def test_learning_curves(tmp_path: pathlib.Path) -> None:
    record = record_of(tmp_path, nodes(1, 2, 3), lambda v, k: v["nodes"] / 10 + k / 100, executions=2)
    best, second = learning_curves(record, ranking_of(record), best=2)
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


def test_learning_curves_end_with_the_shortest_fit_and_name_the_chosen_epoch(tmp_path: pathlib.Path) -> None:
    def fold(values: dict[str, Any], k: int) -> dict[str, Any]:
        curve = [0.5, 0.9, 0.7, 0.6][: 4 - k]
        return {"history": {"val_accuracy": curve}, "final_epoch": len(curve)}

    record = record_of(tmp_path, nodes(1), lambda v, k: 0, fold=fold, epoch="best")
    (shown,) = learning_curves(record, ranking_of(record))
    (curve,) = shown.curves
    assert curve.train is None
    assert curve.validation is not None
    assert curve.validation.mean == pytest.approx((0.5, 0.9))
    assert shown.chosen_epoch == 2


def test_a_fit_without_a_history_has_no_curve(tmp_path: pathlib.Path) -> None:
    own = {"history": {}, "scores": {"val_accuracy": 0.8}}
    record = record_of(tmp_path, nodes(1), lambda v, k: 0, fold=lambda v, k: own)
    ranking = ranking_of(record)
    assert ranking.rows[0].mean == pytest.approx(0.8)
    assert learning_curves(record, ranking) == ()


def test_epochs_that_were_not_measured_are_none_of_the_band(tmp_path: pathlib.Path) -> None:
    history = {"val_accuracy": [math.nan, 0.7, math.nan, 0.8]}
    fold = {"history": history, "final_epoch": 4, "measured_epochs": {"val_accuracy": [2, 4]}}
    record = record_of(tmp_path, nodes(1), lambda v, k: 0.5, fold=lambda values, k: fold)
    band = learning_curves(record, ranking_of(record))[0].curves[0].validation
    assert band is not None
    assert band.epochs == [2, 4]
