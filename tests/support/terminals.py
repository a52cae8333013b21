"""Searches of a few candidates, and consoles that keep what is written into them."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from support import played_searches

from tuner_app.records.results import Candidate, FoldResult
from tuner_app.search.observers import SearchPlan
from tuner_app.views.terminal.progress import Progress


def fold_result(trial: int, values: dict[str, Any], fold: int, score: float = 0.5, **changes: Any) -> FoldResult:
    """A fit of two epochs that took 11.2 seconds and ended with a score."""
    history = {"loss": [0.7, 0.0004], "val_accuracy": [0.1, score]}
    times = {"final_epoch": 2, "fit_seconds": 10.0, "score_seconds": 1.2}
    return played_searches.fold_result(trial, values, fold, **{"history": history, **times, **changes})


def candidate(trial: int, score: float, values: dict[str, Any] | None = None, **changes: Any) -> Candidate:
    """A candidate of three folds, each better than the one before by 0.01."""
    point = {"learning_rate": 0.001, "nodes": trial} if values is None else values
    folds = [fold_result(trial, point, k, score + 0.01 * k, **changes) for k in range(3)]
    return Candidate.of(f"{trial:04d}", point, folds, played_searches.RULE, n_fits=3)


def plan_for(n_candidates: int, **changes: Any) -> SearchPlan:
    """The plan of their search."""
    return played_searches.plan_for(Path("logs"), n_candidates, **changes)


def plain_console() -> Console:
    """A console as of a file or a pipe."""
    return Console(file=io.StringIO(), force_terminal=False, force_jupyter=False, width=40)


def terminal(width: int = 100) -> Console:
    """A console as of a terminal, whatever this process runs in."""
    return Console(file=io.StringIO(), force_terminal=True, force_jupyter=False, width=width, height=30, _environ={})


def written(console: Console) -> str:
    """What was written into a console, control characters included."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def without_codes(text: str) -> str:
    """The text that a terminal's control characters leave."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def lines_of(
    plan: SearchPlan, whole: Sequence[Candidate], *, verbosity: int = 1, interrupted: bool = False
) -> list[str]:
    """What a search says in a file."""
    console = plain_console()
    played_searches.play(Progress(verbosity=verbosity, console=console), plan, whole, interrupted=interrupted)
    return written(console).splitlines()
