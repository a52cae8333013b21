"""What the report advises: nothing that cannot be known yet, and in the language of who made the search."""

from __future__ import annotations

import pathlib
import shlex

from support.written_searches import TUTORIAL, grid_of, record_of, tutorial_score

import tuner_app.tune
from tuner_app.analysis.advice import OPTIONS, TUNE, command_typed, next_values, speaks_options
from tuner_app.analysis.edges import EdgeWarning
from tuner_app.commands import tune


def test_a_script_called_tune_with_other_hyperparameters_has_no_options(tmp_path: pathlib.Path) -> None:
    assert speaks_options(record_of(tmp_path, grid_of(TUTORIAL), tutorial_score))
    assert not speaks_options(record_of(tmp_path, [{"units": 1}], lambda v, k: 0.5, name="b"))


def test_what_is_advised_is_what_the_command_takes() -> None:
    grids = {"nodes": (256, 512, 1024), "learning_rate": (1e-05, 0.001, 0.01)}
    assert grids.keys() == OPTIONS.keys()
    edges = [EdgeWarning(name, grid[0], "lowest", grid, grid, False) for name, grid in grids.items()]
    line = next_values(edges, options=True)
    assert line == "--nodes 256 512 1024 --learning-rates 0.00001 0.001 0.01"
    options = vars(tune.parser().parse_args(shlex.split(line)))
    assert (options["nodes"], options["learning_rates"]) == ([256, 512, 1024], [1e-05, 0.001, 0.01])
    in_python = next_values(edges, options=False)
    assert in_python == "nodes = [256, 512, 1024]; learning_rate = [1e-05, 0.001, 0.01]"


def test_the_command_is_the_one_that_was_typed(tmp_path: pathlib.Path) -> None:
    assert pathlib.Path(str(tuner_app.tune.__file__)).name == TUNE
    for name, words, typed in (
        ("a", [TUNE, "--project-name", "my search"], "python -m tuner_app.tune --project-name 'my search'"),
        ("b", ["my script.py", "1"], "'my script.py' 1"),
        ("c", None, ""),
    ):
        record = record_of(tmp_path, [{"nodes": 1}], lambda v, k: 0.5, name=name, command_line=words)
        assert command_typed(record) == typed
