"""The live display below the lines."""

from __future__ import annotations

import io
import pathlib
import subprocess
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console
from support.played_searches import play
from support.terminals import candidate, fold_result, plan_for, terminal, without_codes, written

from tuner_app.views.terminal.progress import Progress


@pytest.fixture(name="clock")
def clock_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stops the clock of the display, which a busy machine would otherwise move on."""
    for module in ("display", "progress", "tally"):
        monkeypatch.setattr(f"tuner_app.views.terminal.{module}.time", SimpleNamespace(monotonic=lambda: 100.0))


@pytest.mark.usefixtures("clock")
def test_the_display_on_a_terminal() -> None:
    console = terminal()
    shown = Progress(console=console)
    first, second = candidate(32, 0.5), candidate(64, 0.9)
    shown.search_begun(plan_for(2, n_jobs=2))
    try:
        for fold in first.folds:
            shown.fold_begun(fold.trial_id, fold.values, fold.fold, 0)
            shown.fold_ended(fold)
        shown.candidate_ended(first)
        for fold in second.folds:
            shown.fold_begun(fold.trial_id, fold.values, fold.fold, 0)
        shown._display.refresh()  # type: ignore[union-attr]
        text = without_codes(written(console))
        assert "3/6 fits, about 0:00:17 left, 0:00:00 elapsed" in text
        assert "best  0.510000 (0.008165) with learning_rate=0.001, nodes=32" in text
        assert "now   [CV 2/3] learning_rate=0.001, nodes=64" in text
        assert text.count("[CV 1/3] END learning_rate=0.001, nodes=32; score=0.500") == 1
        for fold in second.folds:
            shown.fold_ended(fold)
        shown._display.refresh()  # type: ignore[union-attr]
        assert "6/6 fits, 0:00:00 elapsed" in without_codes(written(console))
    finally:
        shown.search_ended([first], table={}, interrupted=True)
    last = written(console)
    assert last.endswith("\x1b[?25h") or last.rindex("\x1b[?25h") > last.rindex("\x1b[?25l")
    assert console._live_stack == []


def test_no_display_where_rich_would_need_widgets(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Progress(console=Console(force_jupyter=True, force_terminal=True))
    play(shown, plan_for(1), [candidate(32, 0.5)])
    assert shown._display is None
    shown.search_begun(plan_for(1))
    assert shown._display is None


def test_the_display_stays_small_and_counts_failures() -> None:
    console = terminal(width=60)
    shown = Progress(console=console)
    shown.search_begun(plan_for(20, n_jobs=12))
    try:
        for i in range(12):
            shown.fold_begun(f"{i:04d}", {"name": "x" * 200}, 0, 0)
        bad = fold_result(0, {"name": "x" * 200}, 0, history={}, error="ValueError: no")
        shown.fold_ended(bad)
        below = Console(file=io.StringIO(), width=60)
        below.print(shown._display.get_renderable())  # type: ignore[union-attr]
        lines = written(below).splitlines()
        assert len(lines) == 1 + 4 + 1
        assert max(map(len, lines)) <= 60
        assert "1/60 fits, 1 failed" in lines[0]
        assert lines[-1].strip() == "and 7 more"
    finally:
        shown.search_ended([], table={}, interrupted=True)


def test_the_cursor_comes_back_when_a_search_fails_on_its_way() -> None:
    code = (
        "import sys; from rich.console import Console; from support.terminals import *; "
        "Progress(console=Console(force_terminal=True, force_jupyter=False)).search_begun(plan_for(1)); sys.exit(3)"
    )
    tests = pathlib.Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tests, timeout=60)
    assert done.returncode == 3, done.stderr
    assert done.stdout.rindex("\x1b[?25h") > done.stdout.rindex("\x1b[?25l")


@pytest.mark.parametrize("is_terminal", [True, False])
def test_what_others_say_stands_above_the_bar_or_in_the_file_that_was_asked_for(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    console, errors = terminal(), io.StringIO()
    errors.isatty = lambda: is_terminal  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", errors)
    shown = Progress(console=console)
    shown.search_begun(plan_for(1))
    print("Stopping at the end of the running epochs.", file=sys.stderr)
    shown.search_ended([], table={}, interrupted=True)
    said = written(console) if is_terminal else errors.getvalue()
    assert said.count("Stopping at the end of the running epochs.\n") == 1
    assert sys.stderr is errors
