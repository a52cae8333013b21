"""The table as a CSV file."""

from __future__ import annotations

import numpy as np

from tuner_app.views.results_file import results_frame


def test_a_table_becomes_a_frame_with_gaps_where_a_candidate_lacks_a_value() -> None:
    column = np.ma.MaskedArray(np.array([None, "x"], dtype=object), mask=[True, False])
    table = {"param_b": column, "params": [{"a": 1}, {"b": "x"}], "mean_test_score": np.array([0.5, 0.25])}
    frame = results_frame(table)
    assert list(frame.columns) == list(table)
    assert frame["param_b"].isna().tolist() == [True, False]
    assert frame["mean_test_score"].tolist() == [0.5, 0.25]
