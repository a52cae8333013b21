"""What the report advises: nothing that cannot be known yet, and in the language of who made the search."""

from __future__ import annotations

import pathlib

from support.written_searches import TUTORIAL, grid_of, record_of, tutorial_score

from tuner_app.analysis.advice import speaks_options


def test_a_script_called_tune_with_other_hyperparameters_has_no_options(tmp_path: pathlib.Path) -> None:
    assert speaks_options(record_of(tmp_path, grid_of(TUTORIAL), tutorial_score))
    assert not speaks_options(record_of(tmp_path, [{"units": 1}], lambda v, k: 0.5, name="b"))
