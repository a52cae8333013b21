"""Learning curves of the best candidates."""

from __future__ import annotations

import math
import pathlib
from typing import Any

import pytest
from support.written_searches import (
    nodes,
    record_of,
)

from tuner_app.analysis.curves import learning_curves
from tuner_app.analysis.ranking import ranking_of
from tuner_app.storage.journal import SearchRecord
from tuner_app.views.report import write_report
from tuner_app.views.tensorboard.events import curve_events
from tuner_app.views.terminal.lines import epoch_lines


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


class TestGaps:
    """With `validation_freq` an epoch has no validation: NaN in the history, and nothing in a plot."""

    def record(self, folder: pathlib.Path) -> SearchRecord:
        history = {"loss": [0.9, 0.8, 0.7, 0.6], "val_loss": [math.nan, 0.5, math.nan, 0.4]}
        own = {"history": {**history, "val_accuracy": [math.nan, 0.7, math.nan, 0.8]}, "final_epoch": 4}
        own["measured_epochs"] = {"val_loss": [2, 4], "val_accuracy": [2, 4]}
        return record_of(folder, nodes(1, 2), lambda v, k: 0.5, fold=lambda values, k: own)

    def test_the_report_draws_the_epochs_that_were_measured(self, tmp_path: pathlib.Path) -> None:
        record = self.record(tmp_path)
        curves = learning_curves(record, ranking_of(record))[0].curves
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
