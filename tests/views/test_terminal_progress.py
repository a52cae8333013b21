"""What a search says in a file or a pipe: normal, resumed, interrupted, and when fits fail."""

from __future__ import annotations

import dataclasses
import io
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from rich.console import Console
from support.played_searches import RULE, play
from support.terminals import (
    candidate,
    fold_result,
    lines_of,
    plain_console,
    plan_for,
    terminal,
    without_codes,
    written,
)

from tuner_app.errors import InputError
from tuner_app.records.results import Candidate
from tuner_app.views.terminal.lines import epoch_lines
from tuner_app.views.terminal.progress import Progress


def test_plain_lines() -> None:
    lines = lines_of(plan_for(2), [candidate(32, 0.5), candidate(64, 0.945)])
    assert lines[0] == "Fitting 3 folds for each of 2 candidates, totalling 6 fits"
    assert lines[5] == "[CV 2/3] END learning_rate=0.001, nodes=64; score=0.955 total time=11.2s"
    assert lines[7] == "Best: 0.955000 using {'learning_rate': 0.001, 'nodes': 64}"
    assert lines[8] == "0.955000 (0.008165) with: {'learning_rate': 0.001, 'nodes': 64}"
    assert lines[9] == "0.510000 (0.008165) with: {'learning_rate': 0.001, 'nodes': 32}"
    assert len(lines) == 1 + 6 + 3


def test_no_control_characters_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    play(Progress(verbosity=2), plan_for(1), [candidate(32, 0.5)])
    output = capsys.readouterr().out
    assert output.startswith("Fitting 3 folds")
    assert "[CV 1/3] START learning_rate=0.001, nodes=32" in output
    assert all(char.isprintable() or char == "\n" for char in output)


def test_ties_are_marked() -> None:
    lines = lines_of(plan_for(2), [candidate(32, 0.5), candidate(64, 0.5)])
    assert sum(line.endswith("(tie, rank 1)") for line in lines) == 2


def test_resumed() -> None:
    whole = [candidate(32, 0.5), candidate(64, 0.9)]
    lines = lines_of(plan_for(2, finished=(*whole[0].folds, whole[1].folds[0])), whole)
    assert lines[1] == "Resuming: 4 of 6 fits were done before"
    assert [line[:8] for line in lines if " END " in line] == ["[CV 2/3]", "[CV 3/3]"]
    assert lines[4].startswith("Best: 0.910000")


def test_interrupted_has_no_summary() -> None:
    whole = candidate(32, 0.5)
    part = dataclasses.replace(candidate(64, 0.9), folds=candidate(64, 0.9).folds[:1])
    lines = lines_of(plan_for(15), [whole, part], interrupted=True)
    assert lines[-1].startswith("[CV 1/3] END")
    assert not any(line.startswith("Best") for line in lines)


def test_failures_are_named_counted_and_explained_once() -> None:
    bad = candidate(64, 0.0, history={}, final_epoch=0, error="Traceback\n  ...\nValueError: no [b]such[/b] thing\n")
    lines = lines_of(plan_for(2), [candidate(32, 0.5), bad])
    assert lines[4].startswith("[CV 1/3] END learning_rate=0.001, nodes=64; score=nan total time=11.2s")
    assert lines[4].endswith(" FAILED: ValueError: no [b]such[/b] thing")
    assert lines[7] == "3 of 6 fits failed, 3 of them with ValueError: no [b]such[/b] thing. Their score is nan."
    assert lines[8].startswith("Best: 0.510000")
    assert lines[-1].startswith("nan (nan) with:")


def test_no_summary_where_no_candidate_has_a_score() -> None:
    bad = candidate(64, 0.0, history={}, final_epoch=0, error="ValueError: no")
    lines = lines_of(plan_for(1), [bad])
    assert lines[-1].startswith("3 of 3 fits failed")
    assert lines_of(plan_for(1), [candidate(1, float("nan"))])[-1].startswith("[CV 3/3] END")


def test_quiet_says_nothing_but_failures() -> None:
    assert lines_of(plan_for(1), [candidate(32, 0.5)], verbosity=0) == []
    assert lines_of(plan_for(1), [candidate(32, 0.5)], verbosity=0, interrupted=True) == []
    bad = candidate(64, 0.0, history={}, final_epoch=0, error="ValueError: no")
    [line] = lines_of(plan_for(1), [bad], verbosity=0)
    assert line == "3 of 3 fits failed, 3 of them with ValueError: no. Their score is nan."


def test_epochs_at_verbosity_2() -> None:
    lines = lines_of(plan_for(1), [candidate(32, 0.5)], verbosity=2)
    assert lines[1] == "[CV 1/3] START learning_rate=0.001, nodes=32"
    assert lines[3] == "    epoch 1/2: loss=0.7000, val_accuracy=0.1000"
    assert lines[4] == "    epoch 2/2: loss=0.0004, val_accuracy=0.5000"
    assert not any("epoch" in line for line in lines_of(plan_for(1), [candidate(32, 0.5)]))


@pytest.mark.parametrize("make", [plain_console, terminal])
def test_text_of_the_user_is_no_markup(make: Any) -> None:
    values = {"layer": "[bold red]dense[/]", "face": ":smile:", "link": "[/nothing]"}
    console = make()
    play(Progress(console=console), plan_for(1), [candidate(1, 0.5, values)])
    text = without_codes(written(console)) if console.is_terminal else written(console)
    assert "layer=[bold red]dense[/], face=:smile:, link=[/nothing]; score=0.500" in text


def test_control_characters_in_values_are_shown_not_sent() -> None:
    lines = lines_of(plan_for(1), [candidate(1, 0.5, {"name": "a\x1b[2Jb\nc"})])
    assert "END name=a\\x1b[2Jb\\nc; score=0.500" in lines[1]


def test_what_an_encoding_cannot_write_is_escaped() -> None:
    buffer = io.BytesIO()
    file = io.TextIOWrapper(buffer, encoding="ascii")
    play(Progress(console=Console(file=file, force_jupyter=False)), plan_for(1), [candidate(1, 0.5, {"name": "é→"})])
    file.flush()
    assert b"name=\\xe9\\u2192; score" in buffer.getvalue()


def test_large_grids_have_a_short_summary() -> None:
    whole = [candidate(i, i / 100) for i in range(51)]
    lines = lines_of(plan_for(51), whole)
    summary = lines[lines.index("Best: 0.510000 using {'learning_rate': 0.001, 'nodes': 50}") :]
    assert len(summary) == 1 + 20 + 1
    assert summary[-1] == f"... and 31 more candidates in {pathlib.Path('logs/digits/results.csv')}"
    assert len(lines_of(plan_for(50), whole[:50])) == 1 + 150 + 1 + 50


def test_repetitions_are_named() -> None:
    point = {"nodes": 1}
    folds = tuple(fold_result(1, point, k, execution=e) for k in range(3) for e in range(2))
    lines = lines_of(plan_for(1, executions=2), [Candidate("0001", point, folds)])
    assert lines[0] == "Fitting 3 folds, 2 times each, for each of 1 candidates, totalling 6 fits"
    assert lines[2].startswith("[CV 1/3, execution 2/2] END nodes=1;")


def test_the_line_of_a_fold_promises_no_best_epoch() -> None:
    rule = dataclasses.replace(RULE, epoch="best")
    falling = candidate(1, 0.0, history={"val_accuracy": [0.9, 0.2]})
    lines = lines_of(plan_for(1, rule=rule), [falling])
    assert "; last-epoch score=0.200 total" in lines[1]
    assert lines[4].startswith("Best: 0.900000")


def test_metrics_of_different_lengths() -> None:
    result = fold_result(1, {}, 0, history={"loss": [0.5, 0.25], "val_loss": [1.0]})
    assert epoch_lines(result) == ["    epoch 1/2: loss=0.5000, val_loss=1.0000", "    epoch 2/2: loss=0.2500"]
    assert epoch_lines(fold_result(1, {}, 0, history={})) == []


@pytest.mark.parametrize("verbosity", [-1, 3, "loud"])
def test_verbosity_is_checked(verbosity: Any) -> None:
    with pytest.raises(InputError, match="verbosity must be 0, 1 or 2"):
        Progress(verbosity=verbosity)


def test_rich_is_not_imported_with_the_module() -> None:
    code = "import sys, tuner_app.views.terminal.progress; assert not {'rich', 'tensorflow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
