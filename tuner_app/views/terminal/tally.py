"""What was counted and measured of a search so far, and the time that is left."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter

from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.tables import best_of
from tuner_app.records.text import last_line, values_line
from tuner_app.search.observers import SearchPlan
from tuner_app.views.restored import restored


@dataclasses.dataclass(frozen=True)
class RunningFit:
    """A fit that runs.

    Attributes:
        text: How it is shown.
        began: Since when, by `time.monotonic`.
    """

    text: str
    began: float


@dataclasses.dataclass
class Tally:
    """What was counted and measured so far. Each event costs the same, however large the grid.

    The main thread alone changes it, event by event; rich's thread reads it whenever it draws. At worst that reads
    numbers of two moments; what is gone through (`running`) is copied first.

    Attributes:
        total: The fits of the whole search; more where it turns out to have more.
        fits_per_candidate: The fits of each candidate.
        n_jobs: The fits side by side.
        began: When the search began, by `time.monotonic`.
        done: The fits that are over, those of an earlier run included.
        seconds: What they took, without compiling.
        best: The best candidate so far as text.
        best_candidate: The same; None without a score.
        running: The fits that run now, by trial, fold and execution, in the order of their beginnings.
        errors: How often fits failed with which error.
        begun: Of each candidate that is neither whole nor untouched, its finished fits and what they took.
        begun_fits_left: How many fits these candidates still need.
        begun_seconds_left: What those are expected to take.
    """

    total: int
    fits_per_candidate: int
    n_jobs: int
    began: float
    done: int = 0
    seconds: float = 0.0
    best: str | None = None
    best_candidate: Candidate | None = None
    running: dict[tuple[str, int, int], RunningFit] = dataclasses.field(default_factory=dict)
    errors: Counter[str] = dataclasses.field(default_factory=Counter)
    begun: dict[str, tuple[int, float]] = dataclasses.field(default_factory=dict)
    begun_fits_left: int = 0
    begun_seconds_left: float = 0.0

    @classmethod
    def of(cls, plan: SearchPlan) -> Tally:
        """The tally at the beginning of a search, with what was done before."""
        fits = plan.n_splits * plan.executions
        tally = cls(fits * plan.n_candidates, fits, max(1, plan.n_jobs), time.monotonic())
        for candidate in restored(plan):
            for result in candidate.folds:
                tally.count(result)
            if candidate.is_whole:
                tally.compare(candidate)
        return tally

    def count(self, result: FoldResult) -> None:
        """Count a fit that is over."""
        self.running.pop((result.trial_id, result.fold, result.execution), None)
        # Without compiling, which the fits to come need not do again.
        seconds = result.fit_seconds + result.score_seconds
        self.done += 1
        # An oracle may hand out more candidates than it said at the start.
        self.total = max(self.total, self.done)
        self.seconds += seconds
        if result.error is not None:
            self.errors[last_line(result.error)] += 1
        self._expect(result.trial_id, seconds)

    def _expect(self, trial_id: str, seconds: float) -> None:
        """Replace what the candidate's other folds were expected to take."""
        # Kept as two running sums: going through all begun candidates at each event would grow with the grid.
        fits, spent = self.begun.pop(trial_id, (0, 0.0))
        if fits:
            self.begun_fits_left -= self.fits_per_candidate - fits
            self.begun_seconds_left -= (self.fits_per_candidate - fits) * spent / fits
        fits, spent = fits + 1, spent + seconds
        if fits < self.fits_per_candidate:
            self.begun[trial_id] = (fits, spent)
            self.begun_fits_left += self.fits_per_candidate - fits
            self.begun_seconds_left += (self.fits_per_candidate - fits) * spent / fits

    def compare(self, candidate: Candidate) -> None:
        """See whether a candidate that is whole is the best one."""
        # By the one rule for the best, so that the screen, the table and the oracle name the same one of equals.
        rivals = [candidate] if self.best_candidate is None else [self.best_candidate, candidate]
        if best_of(rivals) is candidate:
            self.best_candidate = candidate
            self.best = f"{candidate.mean_score:.6f} ({candidate.std_score:.6f}) with {values_line(candidate.values)}"

    def seconds_left(self, now: float) -> float | None:
        """The seconds that are left; None as long as no fit is over.

        The rest of a begun candidate costs what its own fits did, any other fit the mean of all.

        Args:
            now: By `time.monotonic`.
        """
        if self.done == 0:
            return None
        mean = self.seconds / self.done
        fresh = max(0, self.total - self.done - self.begun_fits_left)
        # What the running ones have done already; one that takes longer than the mean is almost over.
        running = sum(min(now - fit.began, mean) for fit in list(self.running.values()))
        return max(0.0, fresh * mean + self.begun_seconds_left - running) / self.n_jobs
