"""What a search says on a terminal, in a file, resumed, interrupted, and when fits fail."""

from __future__ import annotations

import dataclasses
import io
import pathlib
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from rich.console import Console

from tuner_app.errors import InputError
from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.score import ScoreRule
from tuner_app.records.tables import cv_results, mean_and_std
from tuner_app.search.observers import SearchPlan
from tuner_app.storage.project import Project
from tuner_app.views.terminal.lines import epoch_lines
from tuner_app.views.terminal.progress import Progress
from tuner_app.views.terminal.tally import RunningFit, Tally

RULE = ScoreRule((("val_accuracy", "max"),))


def fold_result(trial: int, values: dict[str, Any], fold: int, score: float = 0.5, **changes: Any) -> FoldResult:
    result = FoldResult(
        trial_id=f"{trial:04d}",
        fold=fold,
        values=values,
        seed=1,
        history={"loss": [0.7, 0.0004], "val_accuracy": [0.1, score]},
        final_epoch=2,
        fit_seconds=10.0,
        score_seconds=1.2,
    )
    return dataclasses.replace(result, **changes)


def candidate(trial: int, score: float, values: dict[str, Any] | None = None, **changes: Any) -> Candidate:
    point = {"learning_rate": 0.001, "nodes": trial} if values is None else values
    return Candidate(
        f"{trial:04d}", point, tuple(fold_result(trial, point, k, score + 0.01 * k, **changes) for k in range(3))
    )


def plan_for(n_candidates: int, **changes: Any) -> SearchPlan:
    plan = SearchPlan(
        project=Project("logs", "digits"),
        space={"learning_rate": [0.001], "nodes": [32, 64]},
        rule=RULE,
        n_splits=3,
        executions=1,
        n_candidates=n_candidates,
        n_jobs=1,
    )
    return dataclasses.replace(plan, **changes)


def plain_console() -> Console:
    return Console(file=io.StringIO(), force_terminal=False, force_jupyter=False, width=40)


def terminal(width: int = 100) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, force_jupyter=False, width=width, height=30, _environ={})


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def without_codes(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def end(shown: Progress, plan: SearchPlan, whole: Sequence[Candidate], *, interrupted: bool) -> None:
    shown.search_ended(whole, table=cv_results(whole, plan.rule, n_splits=plan.n_splits), interrupted=interrupted)


def play(shown: Progress, plan: SearchPlan, whole: Sequence[Candidate], *, interrupted: bool = False) -> None:
    done = {(result.trial_id, result.fold) for result in plan.finished}
    shown.search_begun(plan)
    for each in whole:
        new = [fold for fold in each.folds if (fold.trial_id, fold.fold) not in done]
        for fold in new:
            shown.fold_begun(fold.trial_id, fold.values, fold.fold, fold.execution)
            shown.fold_ended(fold)
        if new and len(each.folds) == plan.n_splits * plan.executions:
            shown.candidate_ended(each)
    end(shown, plan, whole, interrupted=interrupted)


def lines_of(
    plan: SearchPlan, whole: Sequence[Candidate], *, verbosity: int = 1, interrupted: bool = False
) -> list[str]:
    console = plain_console()
    play(Progress(verbosity=verbosity, console=console), plan, whole, interrupted=interrupted)
    return written(console).splitlines()


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
    finally:
        end(shown, plan_for(2, n_jobs=2), [first], interrupted=True)
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
        end(shown, plan_for(20), [], interrupted=True)


def test_the_cursor_comes_back_when_a_search_fails_on_its_way() -> None:
    code = (
        "import sys; from rich.console import Console; from tests.views.test_progress import *; "
        "Progress(console=Console(force_terminal=True, force_jupyter=False)).search_begun(plan_for(1)); sys.exit(3)"
    )
    root = pathlib.Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=60)
    assert done.returncode == 3, done.stderr
    assert done.stdout.rindex("\x1b[?25h") > done.stdout.rindex("\x1b[?25l")


def test_only_whole_candidates_compete_and_nan_never_wins() -> None:
    shown = Progress(verbosity=0, console=plain_console())
    good, lost = candidate(1, 0.5), candidate(2, float("nan"))
    begun = dataclasses.replace(candidate(3, 0.9), folds=candidate(3, 0.9).folds[:2])
    shown.search_begun(plan_for(4, finished=(*lost.folds, *good.folds, *begun.folds)))
    assert shown._tally.best == "0.510000 (0.008165) with learning_rate=0.001, nodes=1"
    shown.candidate_ended(candidate(4, 0.4))
    assert "nodes=1" in str(shown._tally.best)
    shown.candidate_ended(candidate(5, 0.6))
    assert "nodes=5" in str(shown._tally.best)


def test_time_left_follows_the_candidates_own_fits() -> None:
    def quick(trial: int, fold: int, seconds: float) -> FoldResult:
        return fold_result(trial, {}, fold, fit_seconds=seconds, score_seconds=0.0)

    tally = Tally.of(plan_for(3, n_jobs=2))
    assert tally.seconds_left(0.0) is None
    for fold in range(3):
        tally.count(quick(0, fold, 1.0))
    tally.count(quick(1, 0, 9.0))
    mean = 12 / 4
    assert tally.seconds_left(0.0) == pytest.approx((2 * 9.0 + 3 * mean) / 2)
    tally.running["0001", 1, 0] = RunningFit("", 100.0)
    assert tally.seconds_left(102.0) == pytest.approx((2 * 9.0 + 3 * mean - 2) / 2)
    for trial, fold in ((1, 1), (1, 2), (2, 0), (2, 1), (2, 2)):
        tally.count(quick(trial, fold, 5.0))
    assert tally.seconds_left(0.0) == 0.0
    assert tally.begun == {}


def test_more_candidates_than_were_known() -> None:
    tally = Tally.of(plan_for(1))
    for each in (candidate(1, 0.5), candidate(2, 0.6)):
        for fold in each.folds:
            tally.count(fold)
    assert (tally.done, tally.total) == (6, 6)


def test_mean_and_std_are_those_of_the_table() -> None:
    point = {"nodes": 1}
    folds = tuple(fold_result(1, point, k, 0.1 * k + 0.03 * e, execution=e) for k in range(3) for e in range(2))
    whole = [Candidate("0001", point, folds), candidate(2, 0.7)]
    for each in whole:
        table = cv_results([each], RULE, n_splits=3)
        expected = (table["mean_test_score"][0], table["std_test_score"][0])
        assert mean_and_std(each, RULE) == pytest.approx(expected, rel=1e-12)


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
    root = pathlib.Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, timeout=60)
