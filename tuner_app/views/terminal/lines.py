"""The words for one fit: its line, its epochs, its values, its time."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tuner_app.records.results import FoldResult
from tuner_app.search.observers import SearchPlan


def fold_line(result: FoldResult, plan: SearchPlan) -> str:
    """The line of a finished fit, as scikit-learn writes it.

    Args:
        result: The fit.
        plan: Its search. Where the score's epoch is known only when all folds are in (`epoch="best"`), the
            line says the score of the last epoch.
    """
    rule = plan.rule if plan.rule.epoch == "last" else dataclasses.replace(plan.rule, epoch="last")
    [score] = rule([result])
    label = "score" if plan.rule.epoch == "last" else "last-epoch score"
    head = f"{fold_name(plan, result.fold, result.execution)} END {values_text(result.values)}"
    seconds = seconds_text(result.total_seconds)
    failure = "" if result.error is None else f" FAILED: {printable(last_line(result.error))}"
    return f"{head}; {label}={_number(score)} total time={seconds}{failure}"


def epoch_lines(result: FoldResult) -> list[str]:
    """Each epoch's metrics, one line an epoch."""
    epochs = max(map(len, result.history.values()), default=0)
    lines = []
    for i in range(epochs):
        present = {name: values[i] for name, values in result.history.items() if i < len(values)}
        unmeasured = {name for name, measured in result.measured_epochs.items() if i + 1 not in measured}
        numbers = [f"{name}={_number(value, 4)}" for name, value in present.items() if name not in unmeasured]
        lines.append(f"    epoch {i + 1}/{epochs}: {', '.join(numbers)}")
    return lines


def values_text(values: Mapping[str, Any]) -> str:
    """Hyperparameters as `learning_rate=0.001, nodes=32`, on one line whatever they hold."""
    text = ", ".join([f"{name}={value}" for name, value in values.items()])
    if text.isprintable():
        return text
    return ", ".join(f"{printable(name)}={printable(str(value))}" for name, value in values.items())


def seconds_text(seconds: float) -> str:
    """A duration: `11.2s`, `2.5min` or `1.2h`."""
    if seconds < 100:
        return f"{seconds:.1f}s"
    return f"{seconds / 60:.1f}min" if seconds < 6000 else f"{seconds / 3600:.1f}h"


def fold_name(plan: SearchPlan, fold: int, execution: int) -> str:
    """The fold of a fit as scikit-learn names it, such as `[CV 2/3]`."""
    repetition = "" if plan.executions == 1 else f", execution {execution + 1}/{plan.executions}"
    return f"[CV {fold + 1}/{plan.n_splits}{repetition}]"


def _number(number: float, digits: int = 3) -> str:
    return f"{number:.{digits}g}" if 0 < abs(number) < 10**-digits else f"{number:.{digits}f}"


def clock_text(seconds: float) -> str:
    """A duration as on a clock: `1:02:03`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


def last_line(error: str) -> str:
    """The last line of a traceback: what was raised."""
    return error.rstrip().rpartition("\n")[2].strip()


def printable(text: str) -> str:
    """A text with its control characters escaped, so that they are shown, not obeyed."""
    return text if text.isprintable() else repr(text)[1:-1]
