"""Records of fits that were never made: what scores, tables and candidates are tested with."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.score import ScoreRule

ACCURACY = ScoreRule((("val_accuracy", "max"),))
BEST = ScoreRule((("val_accuracy", "max"),), "best")
LOSS = ScoreRule((("val_loss", "min"),))


def fold(number: int, curve: list[float] | None = None, *, trial: str = "0", **changes: Any) -> FoldResult:
    """A good fit of some epochs whose `val_accuracy` is a curve and whose `val_loss` is the rest to 1."""
    values = curve if curve is not None else [0.5]
    fields: dict[str, Any] = {
        "trial_id": trial,
        "fold": number,
        "values": {"a": 1},
        "seed": 1,
        "history": {"val_accuracy": values, "val_loss": [1 - value for value in values]},
        "final_epoch": len(values),
        "fit_seconds": 2.0,
        "score_seconds": 0.5,
    }
    return FoldResult(**(fields | changes))


def failed(number: int, error: str = "Boom\n", **changes: Any) -> FoldResult:
    """A fit that failed."""
    return fold(number, error=error, history={}, final_epoch=0, **changes)


def candidate(values: Mapping[str, Any], *folds: FoldResult) -> Candidate:
    """A candidate that nobody has scored yet."""
    return Candidate("0", dict(values), folds)


RECORD = FoldResult(
    trial_id="0007",
    fold=2,
    execution=1,
    values={"nodes": 32, "rate": 0.001, "kind": "nan", "flag": True},
    seed=5,
    history={"loss": [0.5, math.nan], "val_loss": [math.inf, -math.inf]},
    final_epoch=2,
    train_scores={"loss": 0.25},
    confusion=[[3, 1], [0, 2]],
    started=1.5,
    fit_seconds=2.5,
    score_seconds=0.5,
    measured_epochs={"val_loss": [2]},
    stage_epochs=[3, 2],
    scored_stage=1,
    stage_rates=[[], [0.1, 0.01]],
)


def same(left: FoldResult, right: FoldResult) -> bool:
    """Whether two records are equal to the last bit and of one type, NaN included."""
    return repr(dataclasses.asdict(left)) == repr(dataclasses.asdict(right))
