"""What a drawing must hold, read from its figure."""

from __future__ import annotations

import pathlib

from support.written_searches import TUTORIAL, grid_of, record_of, tutorial_score

from tuner_app.views.report.findings import gather
from tuner_app.views.report.plots import draw_price


def test_the_rightmost_dot_of_score_against_time_is_whole(tmp_path: pathlib.Path) -> None:
    findings = gather(record_of(tmp_path, grid_of(TUTORIAL), tutorial_score), None)
    left, right = draw_price(findings, findings.time.rows).figure.axes[0].get_xlim()
    assert left == 0
    assert right >= 1.04 * max(row.seconds_per_fit for row in findings.time.rows)
