"""What each candidate cost."""

from __future__ import annotations

import pathlib

import pytest
from support.written_searches import nodes, record_of

from tuner_app.analysis.costs import time_spent
from tuner_app.analysis.ranking import ranking_of


def test_time_spent(tmp_path: pathlib.Path) -> None:
    # Each fit of trial i takes 2 (i + 1) + 0.5 seconds; trial 2 has one fold of three.
    record = record_of(tmp_path, nodes(1, 2, 3), lambda v, k: 0.5, missing=[(2, 1), (2, 2)])
    spent = time_spent(record, ranking_of(record))
    assert spent.total_seconds == pytest.approx(7.5 + 13.5 + 6.5)
    assert spent.unfinished_seconds == pytest.approx(6.5)
    assert [row.candidate.values["nodes"] for row in spent.rows] == [2, 1]
    assert (spent.rows[0].fit_seconds, spent.rows[0].score_seconds) == pytest.approx((12, 1.5))
    assert spent.rows[0].seconds_per_fit == pytest.approx(4.5)
    assert spent.rows[0].share == pytest.approx(13.5 / 27.5)


def test_no_time_at_all(tmp_path: pathlib.Path) -> None:
    still = {"fit_seconds": 0.0, "score_seconds": 0.0}
    record = record_of(tmp_path, nodes(1), lambda v, k: 0.5, fold=lambda v, k: still)
    spent = time_spent(record, ranking_of(record))
    assert (spent.total_seconds, spent.rows[0].share) == (0.0, 0.0)
