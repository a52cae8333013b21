"""What a fit returned, as the fields of its record.

Owns how a History, a dict of metrics or a number becomes numbers per epoch, and when a fit that raised nothing has
failed all the same.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras_tuner import errors as kt_errors

from tuner_app.compiled.stages import kept_epochs
from tuner_app.records import metric_values
from tuner_app.records.results import FoldResult
from tuner_app.records.score import ScoreRule
from tuner_app.training.fit_run import FitRun


def fields_of(returned: Any, run: FitRun) -> dict[str, Any]:
    """What the calls of `model.fit` did, and what `HyperModel.fit` gave back.

    Args:
        returned: A `History`, metrics, or the objective alone.
        run: The fit.

    Raises:
        FatalTypeError: It is something else.
    """
    stages = run.context.stages.done
    return {
        "stage_epochs": [stage.kept for stage in stages],
        "stage_rates": [stage.rates for stage in stages] if any(stage.rates for stage in stages) else [],
        **_returned(returned, run),
    }


def without_endless_loss(record: FoldResult, rule: ScoreRule) -> FoldResult:
    """A fit whose loss or score is NaN or infinite has failed, though it raised nothing.

    At its last epoch; where the best epoch counts, only if there is no epoch without.
    """
    if record.error is not None:
        return record
    epochs = [None] if rule.epoch == "last" else [None, *range(1, record.final_epoch + 1)]
    endless = [_endless(record.at_epoch(epoch), rule) for epoch in epochs]
    if not all(endless):
        return record
    name, value = next(iter(endless[0].items()))
    return dataclasses.replace(record, error=f"ValueError: {name} must be a finite number, but it is {value}.\n")


def _returned(returned: Any, run: FitRun) -> dict[str, Any]:
    if isinstance(returned, keras.callbacks.History):
        _say_what_is_left_out({name: values[-1] for name, values in returned.history.items() if values}, run)
        return _history_fields(metric_values.history_of(returned.history), run, run.context.stages.of(returned))
    if isinstance(returned, Mapping):
        _say_what_is_left_out(returned, run)
        return {"scores": metric_values.numbers_of(returned)}
    if isinstance(returned, int | float | np.floating):
        return {"scores": {run.spec.rule.objectives[0][0]: float(returned)}}
    raise kt_errors.FatalTypeError(
        "HyperModel.fit() must return a History, a dict of metrics or a number. "
        f"Received: {returned!r} of type {type(returned).__name__}. Return what model.fit() returns."
    )


def _say_what_is_left_out(metrics: Mapping[str, Any], run: FitRun) -> None:
    for name, count in metric_values.left_out(metrics):
        run.shared.tell_once(
            f"left out {name}",
            f"The metric {name} is left out: it has {count} numbers, of which at most {metric_values.MOST_NUMBERS} "
            "are kept. Give it an average (average='macro', say) to have it as one.",
        )


def _history_fields(history: dict[str, list[float]], run: FitRun, number: int | None) -> dict[str, Any]:
    """A history as the record keeps it, and its final epoch; `number` is its stage, None where `model.fit` ran none."""
    if number is None:  # A training loop of the user's own, which may have called the callbacks.
        return {"history": history, "final_epoch": kept_epochs(run.callbacks, 0, _length(history))}
    stage = run.context.stages.done[number]
    aligned, measured = stage.aligned(history)
    epochs = _length(aligned)
    # A history of another length is one that the user has put together: its last epoch counts.
    final = stage.kept if epochs == len(stage.logs) else epochs
    return {"history": aligned, "measured_epochs": measured, "final_epoch": final, "scored_stage": number}


def _length(history: Mapping[str, Sequence[float]]) -> int:
    return max((len(values) for values in history.values()), default=0)


def _endless(metrics: Mapping[str, float], rule: ScoreRule) -> dict[str, float]:
    names = ("loss", "val_loss", *(name for name, _ in rule.objectives))
    return {name: metrics[name] for name in names if name in metrics and not math.isfinite(metrics[name])}
