"""The learning curves of the best candidates: each metric by epoch, with its range over the fits."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from tuner_app.analysis.ranking import RankedCandidate, Ranking
from tuner_app.records.results import FoldResult
from tuner_app.storage.journal import SearchRecord


@dataclasses.dataclass(frozen=True)
class Band:
    """A metric by epoch over the fits of a candidate, as far as every fit trained; NaN where an epoch has no value.

    Attributes:
        mean: The mean over the fits, `(n_epochs,)`.
        low: The lowest fit at each epoch.
        high: The highest fit at each epoch.
    """

    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def epochs(self) -> list[int]:
        """The epochs, from 1, that have a value: with `validation_freq` not all have one."""
        return [epoch for epoch, mean in enumerate(self.mean, start=1) if not math.isnan(mean)]


@dataclasses.dataclass(frozen=True)
class Curve:
    """One metric while training.

    Attributes:
        metric: Its name without `val_`.
        train: On the training rows; None where it was not recorded.
        validation: On the validation rows; None where it was not recorded.
    """

    metric: str
    train: Band | None
    validation: Band | None


@dataclasses.dataclass(frozen=True)
class CandidateCurves:
    """The learning curves of one candidate.

    Attributes:
        candidate: The candidate.
        curves: The objectives first, then the loss.
        n_fits: How many fits the bands are made of.
        chosen_epoch: The epoch at which all folds are scored; None for each fold's last.
    """

    candidate: RankedCandidate
    curves: tuple[Curve, ...]
    n_fits: int
    chosen_epoch: int | None


def learning_curves(record: SearchRecord, ranking: Ranking, *, best: int = 3) -> tuple[CandidateCurves, ...]:
    """The objectives and the loss by epoch for the best candidates, with the range over their fits.

    Args:
        record: The search.
        ranking: Its ranking.
        best: How many candidates.

    Returns:
        The best first; a candidate whose fits kept no history is left out.
    """
    folds = {candidate.trial_id: candidate.folds for candidate in record.finished}
    objectives = [name.removeprefix("val_") for name, _ in record.rule.objectives]
    metrics = list(dict.fromkeys([*objectives, "loss"]))
    shown = []
    for row in ranking.scored[:best]:
        # A failed fit may have a history up to its error; it says nothing of the others' curves.
        fits = [fold for fold in folds[row.trial_id] if fold.history and fold.error is None]
        curves = [Curve(metric, _band(fits, metric), _band(fits, f"val_{metric}")) for metric in metrics]
        present = tuple(curve for curve in curves if curve.train or curve.validation)
        if present:
            shown.append(CandidateCurves(row, present, len(fits), record.rule.chosen_epoch(fits)))
    return tuple(shown)


def _band(fits: Sequence[FoldResult], metric: str) -> Band | None:
    """One metric over some fits; None where not all of them have it."""
    curves = [fit.history[metric] for fit in fits if metric in fit.history]
    # Fits may end early: the band goes as far as the shortest, since beyond it the mean would be of other fits.
    epochs = list(zip(*curves, strict=False))
    # A metric that some fits lack has no band: it would be of fewer fits than the caption says.
    if not epochs or len(curves) < len(fits) or all(any(map(math.isnan, values)) for values in epochs):
        return None

    def by_epoch(reduce: Callable[[Sequence[float]], float]) -> tuple[float, ...]:
        return tuple(math.nan if any(map(math.isnan, values)) else float(reduce(values)) for values in epochs)

    # Not `fmean`, whose exact sum raises where a diverged loss is infinite.
    return Band(by_epoch(lambda values: sum(values) / len(values)), by_epoch(min), by_epoch(max))
