"""The words for one fit: its name, its line, its epochs."""

from __future__ import annotations

import dataclasses

from tuner_app.records.results import FoldResult
from tuner_app.records.text import last_line, number_text, printable, seconds_text, values_line
from tuner_app.search.observers import SearchPlan


def fold_name(plan: SearchPlan, fold: int, execution: int) -> str:
    """The fold of a fit as scikit-learn names it, such as `[CV 2/3]`."""
    repetition = "" if plan.executions == 1 else f", execution {execution + 1}/{plan.executions}"
    return f"[CV {fold + 1}/{plan.n_splits}{repetition}]"


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
    head = f"{fold_name(plan, result.fold, result.execution)} END {values_line(result.values)}"
    failure = "" if result.error is None else f" FAILED: {printable(last_line(result.error))}"
    # With compiling, unlike the time left: the line says what the clock said.
    return f"{head}; {label}={number_text(score)} total time={seconds_text(result.total_seconds)}{failure}"


def epoch_lines(result: FoldResult) -> list[str]:
    """Each epoch's metrics, one line an epoch."""
    epochs = max(map(len, result.history.values()), default=0)
    lines = []
    for i in range(epochs):
        present = {name: values[i] for name, values in result.history.items() if i < len(values)}
        unmeasured = {name for name, measured in result.measured_epochs.items() if i + 1 not in measured}
        numbers = [f"{name}={number_text(value, 4)}" for name, value in present.items() if name not in unmeasured]
        lines.append(f"    epoch {i + 1}/{epochs}: {', '.join(numbers)}")
    return lines
