"""Is the winner's lead real? The candidates that the folds cannot tell from the best."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Sequence

from tuner_app.analysis.ranking import Measure, RankedCandidate, Ranking


@dataclasses.dataclass(frozen=True)
class Contender:
    """A candidate compared with the best one, fold by fold.

    Attributes:
        candidate: The candidate.
        behind: How far its mean is behind the best, in the objective's units, never negative.
        standard_error: The standard error of that difference, paired over the folds; NaN for one fold.
        folds_won: On how many folds it beats the best.
    """

    candidate: RankedCandidate
    behind: float
    standard_error: float
    folds_won: int


@dataclasses.dataclass(frozen=True)
class Significance:
    """Which candidates the folds cannot tell from the best.

    Attributes:
        standard_error: Of the best candidate's mean; NaN for one fold.
        n_folds: The number of folds that this rests on.
        contenders: The others whose mean is at most one standard error behind, best first.
        runner_up: The second candidate, near or far; None where there is none.
    """

    standard_error: float
    n_folds: int
    contenders: tuple[Contender, ...]
    runner_up: Contender | None

    @property
    def roughness(self) -> float:
        """The relative error of the standard error itself: 1 / sqrt(2 (n - 1)) for n normal numbers."""
        return 1 / math.sqrt(2 * (self.n_folds - 1)) if self.n_folds > 1 else math.inf


def significance_of(ranking: Ranking) -> Significance | None:
    """The one-standard-error rule of Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees" (1984).

    The standard error is the sample's standard deviation over the folds divided by the root of their number.
    The folds share training rows, so it is too small rather than too large: no unbiased estimate of it
    exists (Bengio and Grandvalet, "No Unbiased Estimator of the Variance of K-Fold Cross-Validation", 2004).

    Returns:
        None where no candidate has a score.
    """
    best = ranking.best
    if best is None:
        return None
    error = _standard_error(best.fold_scores)
    others = [_compare(best, row, ranking.measure) for row in ranking.scored[1:]]
    # With one fold the error is NaN, and nothing is less than NaN: exact ties alone remain.
    close = tuple(other for other in others if other.behind <= error or other.candidate.rank == best.rank)
    return Significance(error, len(best.fold_scores), close, others[0] if others else None)


def _standard_error(scores: Sequence[float]) -> float:
    """The standard error of a mean: the sample's standard deviation by the root of its size; NaN for one number."""
    return statistics.stdev(scores) / math.sqrt(len(scores)) if len(scores) > 1 else math.nan


def _compare(best: RankedCandidate, other: RankedCandidate, measure: Measure) -> Contender:
    # Paired: the folds' own ups and downs, which both share, cancel out.
    ahead = [measure.signed(b - o) for b, o in zip(best.fold_scores, other.fold_scores, strict=True)]
    behind = max(0.0, measure.signed(best.mean - other.mean))
    return Contender(other, behind, _standard_error(ahead), sum(difference < 0 for difference in ahead))
