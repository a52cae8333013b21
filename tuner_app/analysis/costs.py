"""Where the time of a search went: what each candidate cost, training and validation apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tuner_app.analysis.ranking import RankedCandidate, Ranking
from tuner_app.records.results import FoldResult
from tuner_app.storage.journal import SearchRecord


@dataclasses.dataclass(frozen=True)
class CandidateTime:
    """What one candidate cost.

    Attributes:
        candidate: The candidate.
        fit_seconds: Building and training without compiling, summed over its fits.
        score_seconds: Validation, summed over its fits.
        n_fits: How many fits that are.
        share: Its part of the search's whole, from 0 to 1.
    """

    candidate: RankedCandidate
    fit_seconds: float
    score_seconds: float
    n_fits: int
    share: float

    @property
    def seconds_per_fit(self) -> float:
        """The mean time of one fit, validation included."""
        return (self.fit_seconds + self.score_seconds) / max(1, self.n_fits)


@dataclasses.dataclass(frozen=True)
class TimeSpent:
    """Where the time went; fits side by side count one by one, so this is not the time on the clock.

    Attributes:
        rows: The finished candidates, the most expensive first.
        total_seconds: All fits, those of unfinished candidates too, without compiling.
        unfinished_seconds: The part of the unfinished candidates.
        compile_seconds: Compiling, which is not in the other numbers: it is done once for all who share a program.
    """

    rows: tuple[CandidateTime, ...]
    total_seconds: float
    unfinished_seconds: float
    compile_seconds: float = 0.0


def time_spent(record: SearchRecord, ranking: Ranking) -> TimeSpent:
    """What each finished candidate cost, the most expensive first."""
    folds = {candidate.trial_id: candidate.folds for candidate in record.candidates}
    # Unfinished candidates cost time too: shares are of all that was spent.
    total = sum(_seconds(fits) for fits in folds.values())
    rows = [_candidate_time(row, folds[row.trial_id], total) for row in ranking.rows]
    # A stable sort: of equals the better rank comes first.
    rows.sort(key=lambda row: -row.share)
    finished = sum(row.fit_seconds + row.score_seconds for row in rows)
    # A difference of sums, so a rounding error could make it a little negative, or not quite zero.
    unfinished = max(0.0, total - finished) if len(folds) > len(rows) else 0.0
    compiling = sum(fit.compile_seconds for fits in folds.values() for fit in fits)
    return TimeSpent(tuple(rows), total, unfinished, compiling)


def _seconds(fits: Sequence[FoldResult]) -> float:
    return sum(fit.fit_seconds + fit.score_seconds for fit in fits)


def _candidate_time(row: RankedCandidate, fits: Sequence[FoldResult], total: float) -> CandidateTime:
    fit_seconds, score_seconds = sum(f.fit_seconds for f in fits), sum(f.score_seconds for f in fits)
    share = (fit_seconds + score_seconds) / total if total > 0 else 0.0
    return CandidateTime(row, fit_seconds, score_seconds, len(fits), share)
