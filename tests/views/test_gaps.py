"""Epochs without a validation, in every view."""

from __future__ import annotations

import math
import pathlib

import pytest
from support.written_searches import nodes, record_of

from tuner_app.storage.journal import SearchRecord
from tuner_app.views.report import write_report
from tuner_app.views.tensorboard.events import curve_events
from tuner_app.views.terminal.lines import epoch_lines


class TestGaps:
    """With `validation_freq` an epoch has no validation: NaN in the history, and nothing in a plot."""

    def record(self, folder: pathlib.Path) -> SearchRecord:
        history = {"loss": [0.9, 0.8, 0.7, 0.6], "val_loss": [math.nan, 0.5, math.nan, 0.4]}
        own = {"history": {**history, "val_accuracy": [math.nan, 0.7, math.nan, 0.8]}, "final_epoch": 4}
        own["measured_epochs"] = {"val_loss": [2, 4], "val_accuracy": [2, 4]}
        return record_of(folder, nodes(1, 2), lambda v, k: 0.5, fold=lambda values, k: own)

    def test_the_report_draws_the_epochs_that_were_measured(self, tmp_path: pathlib.Path) -> None:
        record = self.record(tmp_path)
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
