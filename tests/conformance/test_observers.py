"""What every observer must keep, whatever a search is like: a table of searches, each told to each of them."""

from __future__ import annotations

import copy
import io
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from support.played_searches import SEARCHES, PlayedSearch

from tuner_app.search.observers import SearchObserver
from tuner_app.views.results_file import ResultsFile
from tuner_app.views.tensorboard.observer import TensorBoardLogs
from tuner_app.views.terminal.progress import Progress


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, force_jupyter=False, width=80, height=24, _environ={})


OBSERVERS: Mapping[str, Callable[[], SearchObserver]] = {
    "Progress in a file": lambda: Progress(verbosity=2, console=Console(file=io.StringIO(), force_terminal=False)),
    "Progress on a terminal": lambda: Progress(console=terminal()),
    "Progress, quiet": lambda: Progress(verbosity=0),
    "TensorBoardLogs": TensorBoardLogs,
    "TensorBoardLogs of two candidates": lambda: TensorBoardLogs(max_candidates=2),
    "ResultsFile": ResultsFile,
    "ResultsFile with scores on training rows": lambda: ResultsFile(return_train_score=True),
    "nobody": SearchObserver,
}
every_observer = pytest.mark.parametrize("make", OBSERVERS.values(), ids=OBSERVERS)
every_writer = pytest.mark.parametrize("name", ["TensorBoardLogs", "TensorBoardLogs of two candidates", "ResultsFile"])
every_search = pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)


@pytest.fixture(name="clock", autouse=True)
def clock_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stops the clock of what has it in its files."""
    stopped = SimpleNamespace(time=lambda: 1_800_000_000.0, perf_counter=lambda: 0.0)
    for module in ("events", "hparams", "observer", "pictures"):
        monkeypatch.setattr(f"tuner_app.views.tensorboard.{module}.time", stopped)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def lines(observer: SearchObserver) -> list[str]:
    """What an observer has written into its console."""
    file = observer._console.file if isinstance(observer, Progress) else None
    return file.getvalue().splitlines() if isinstance(file, io.StringIO) else []


def open_files() -> set[str]:
    """The files that this process holds open; none where the system does not say."""
    folder = Path("/proc/self/fd")
    return {os.readlink(path) for path in folder.iterdir() if path.exists()} if folder.exists() else set()


@every_search
@every_observer
def test_it_raises_nothing_changes_nothing_and_closes_what_it_opened(
    make: Callable[[], SearchObserver], search: PlayedSearch, tmp_path: Path
) -> None:
    observer, threads, opened = make(), set(threading.enumerate()), open_files()
    plan, candidates = search.content(tmp_path)
    before = copy.deepcopy((plan, candidates))
    search.play(observer, tmp_path)
    # As text: NaN is no equal of itself.
    assert repr(search.content(tmp_path)) == repr((plan, candidates)) == repr(before)
    for thread in set(threading.enumerate()) - threads:  # rich tells its own to stop, and does not wait for it.
        thread.join(10)
        assert not thread.is_alive()
    assert open_files() <= opened
    if isinstance(observer, Progress) and isinstance(observer._console.file, io.StringIO):
        shown = observer._console.file.getvalue()
        assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")
        assert observer._console._live_stack == []


@every_search
@every_writer
def test_the_files_are_the_same_in_whatever_order_fits_end(name: str, search: PlayedSearch, tmp_path: Path) -> None:
    for order, seed in (("in order", None), ("shuffled", 0)):
        search.play(OBSERVERS[name](), tmp_path / order, seed=seed)
    assert files(tmp_path / "in order") == files(tmp_path / "shuffled")
    assert files(tmp_path / "in order")


@every_search
def test_a_file_has_the_same_lines_in_whatever_order_fits_end(search: PlayedSearch, tmp_path: Path) -> None:
    written = []
    for seed in (None, 0):
        observer = OBSERVERS["Progress in a file"]()
        search.play(observer, tmp_path, seed=seed)
        written.append(sorted(lines(observer)))
    assert written[0] == written[1]


@every_writer
@pytest.mark.parametrize("name_of_search", ["normal", "resumed", "interrupted at once"])
def test_it_can_watch_one_search_after_another(name: str, name_of_search: str, tmp_path: Path) -> None:
    """As for a tuner that searches twice: what was seen before says nothing about what comes."""
    observer, search = OBSERVERS[name](), SEARCHES[name_of_search]
    SEARCHES["some fits fail"].play(observer, tmp_path / "before", seed=3)
    search.play(observer, tmp_path / "again")
    search.play(OBSERVERS[name](), tmp_path / "anew")
    assert files(tmp_path / "again") == files(tmp_path / "anew")


def test_lines_of_a_second_search_are_those_of_a_first() -> None:
    observer, anew = OBSERVERS["Progress in a file"](), OBSERVERS["Progress in a file"]()
    SEARCHES["some fits fail"].play(observer, Path("logs"), seed=3)
    before = len(lines(observer))
    for each in (observer, anew):
        SEARCHES["normal"].play(each, Path("logs"))
    assert lines(observer)[before:] == lines(anew)


@every_search
@pytest.mark.parametrize("name", ["Progress, quiet", "TensorBoardLogs", "ResultsFile", "nobody"])
def test_it_says_nothing_where_nothing_is_to_be_said(
    name: str,
    search: PlayedSearch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    search.play(OBSERVERS[name](), tmp_path)
    output = capsys.readouterr()
    failures = [line for line in output.out.splitlines() if "fits failed, " in line]
    assert output.out.splitlines() == failures
    assert len(failures) <= (name == "Progress, quiet")
    assert output.err == caplog.text == ""
