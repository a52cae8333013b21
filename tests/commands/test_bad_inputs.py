"""Bad input: each gets its own message, in one line and without a traceback."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import bad_inputs, bad_inputs_data
from support.processes import numbers

from tuner_app.commands import console, tune
from tuner_app.errors import TunerAppError
from tuner_app.storage import journal
from tuner_app.storage.project import Project


def test_the_tables_are_long() -> None:
    tables = [
        table for module in (bad_inputs, bad_inputs_data) for name, table in vars(module).items() if name.isupper()
    ]
    assert sum(len(table) for table in tables if isinstance(table, list)) >= 200


@pytest.mark.parametrize(("arguments", "message"), bad_inputs.BAD_ARGUMENTS)
def test_arguments(make_tuner: Callable[..., Any], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TunerAppError, match=message) as refusal:
        make_tuner(**bad_inputs.called(arguments)).search(bad_inputs.X, bad_inputs.Y)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("x", "y", "options", "message"), bad_inputs.BAD_DATA)
def test_data(
    make_tuner: Callable[..., Any], tmp_path: pathlib.Path, x: Any, y: Any, options: dict[str, Any], message: str
) -> None:
    tuner = make_tuner(observers=None)
    with pytest.raises(TunerAppError, match=message) as refusal:
        tuner.search(x, y, **options)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "search" / "search.json").exists()


@pytest.mark.parametrize(("choices", "message"), bad_inputs.BAD_CHOICES)
def test_choices(choices: dict[str, Any], message: str) -> None:
    from tuner_app.models.dense import DenseHyperModel

    with pytest.raises(TunerAppError, match=message):
        DenseHyperModel((4,), 2, **choices)


@pytest.fixture(name="command")
def command_fixture(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Any]]:
    bad_inputs.prepare(tmp_path)

    def command(arguments: list[str]) -> tuple[int, str]:
        given = [argument.format(folder=tmp_path) for argument in arguments]
        try:
            code = console.run(tune.main, ["--directory", str(tmp_path / "logs"), *given])
        except SystemExit as refusal:  # argparse
            code = int(str(refusal.code))
        return code, capsys.readouterr().err

    yield command
    assert (tmp_path / "logs" / "mine" / "thesis.txt").read_text() == "not made by a search"
    assert not [path for path in (tmp_path / "logs").iterdir() if path.name not in ("mine", "file", ".mine.lock")]


@pytest.mark.parametrize(("arguments", "code", "message"), bad_inputs.BAD_TUNE)
def test_tune(command: Callable[..., Any], arguments: list[str], code: int, message: str) -> None:
    exit_code, line = command(arguments)
    assert exit_code == code
    assert re.search(message, line)
    assert code == 2 or (line.startswith("error: ") and line.count("\n") == 1)


@pytest.mark.parametrize(("arguments", "message"), bad_inputs.BAD_PROJECTS)
def test_projects(command: Callable[..., Any], arguments: list[str], message: str) -> None:
    options = ["--nodes", "2", "--learning-rates", "0.1", "--epochs", "1", "--folds", "2", "--data", "digits"]
    exit_code, line = command([*options, *arguments])
    assert exit_code == 1
    assert re.search(message, line)
    assert line.startswith("error: ")
    assert line.count("\n") == 1


@pytest.mark.parametrize(("content", "message"), bad_inputs.BAD_SEARCHES)
def test_searches_read_back(tmp_path: pathlib.Path, content: str, message: str) -> None:
    project = Project(tmp_path, "search")
    project.make_folder()
    project.search_file.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(TunerAppError, match=message):
        journal.load_search(project)


_FILES = ["search.json", "oracle.json", "tuner0.json", "results.csv"]
_FILES += [f"trial_000{trial}/{name}.json" for trial in range(3) for name in ("trial", "fold_0", "fold_1", "fold_2")]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(_FILES), st.tuples(st.floats(0, 1), st.binary(max_size=3)), min_size=1))
def test_any_damage_is_mended_by_the_next_run(
    make_tuner: Callable[..., Any], data: tuple[Any, Any], damages: dict[str, tuple[float, bytes]]
) -> None:
    """Files that break off anywhere, with anything behind: the same numbers, or a line that says what is wrong."""
    tuner = make_tuner(overwrite=True)
    tuner.search(*data)
    before = numbers(tuner)
    for name, (share, rest) in damages.items():
        path = tuner.project.path / name
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))] + rest)
    again = make_tuner()
    again.search(*data)
    assert numbers(again) == before
    assert np.isfinite(again.best_score_)
