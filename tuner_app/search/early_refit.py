"""The refit of the best candidate so far, begun before the last folds have ended.

Owns when that is worth it. The model is the same whenever it is trained, so nothing here can change a result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tuner_app.execution.base import Ended, FoldStopped
from tuner_app.records import tables
from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.tasks import FoldTask
from tuner_app.search.candidates import Candidates
from tuner_app.search.refit import expected_refit_seconds, refit_task
from tuner_app.search.schedule import Schedule
from tuner_app.search.spec import SearchSpec
from tuner_app.search.standing import Standing
from tuner_app.search.strategy import Proposal


class Refits:
    """The refits of one search: one at most that is wanted, and those that were dropped and have not ended yet.

    Args:
        spec: The search.
        proposal_of: What a candidate, by its trial, was asked for as.
    """

    def __init__(self, spec: SearchSpec, proposal_of: Callable[[str], Proposal]) -> None:
        self._spec, self._proposal_of = spec, proposal_of
        self._standing = Standing(spec.plan.rule)
        self._best: Candidate | None = None
        self._wanted: FoldTask | None = None
        self._ended: Ended | None = None
        self.running = 0

    def compare(self, candidate: Candidate) -> None:
        """Note the best candidate so far; a refit of one that is beaten is dropped."""
        rivals = [candidate] if self._best is None else [self._best, candidate]
        best = tables.best_of(rivals)
        if best is not self._best:
            self._best = best
            self._drop()

    def begin_early(self, schedule: Schedule, candidates: Candidates) -> None:
        """Begin the refit of the best candidate so far where a later beginning would make the search longer.

        Otherwise it would run alone in the end, and the other cores idle. Until then the schedule is told of the
        candidate that leads by the folds that it has: what it still lacks is what its refit waits for.

        Args:
            schedule: The fits that wait and that run.
            candidates: The candidates that were asked for.
        """
        spec, best = self._spec, self._best
        wanted = spec.keeper is not None and spec.selects_by_score and spec.executor.n_jobs > 1
        if not wanted or not spec.executor.room:
            return
        begun = candidates.begun()
        rival = self._standing.rival(best, begun)
        # The more candidates have a fit, the likelier is it that the one that leads stays ahead.
        schedule.favour(rival, self._seconds(begun[rival]) * candidates.share_begun if rival is not None else 0.0)
        if best is None or self._wanted is not None or (rival is not None and len(schedule)):
            return  # It would most likely be dropped, and a fit is left that would not.
        if not len(schedule) or _is_due(self._seconds(best.folds), schedule, spec.executor.n_jobs):
            self._wanted = self._submit(best)

    def _seconds(self, folds: Sequence[FoldResult]) -> float:
        return expected_refit_seconds(folds, self._spec.splits, rows=self._spec.rows, rule=self._spec.plan.rule)

    def take(self, ended: Ended) -> None:
        """A refit has ended."""
        self.running -= 1
        if ended.task is self._wanted:
            self._ended = ended
        elif ended.record is not None:  # It was dropped at its last epoch.
            self._let_go(ended.task)

    def result(self, candidate: Candidate, take_next: Callable[[], None]) -> FoldResult:
        """What came of a candidate's refit: of the one that began early, or of a new one.

        Args:
            candidate: The best candidate.
            take_next: Waits a little for a task to end, and has it taken.

        Raises:
            FoldStopped: The search is to stop.
        """
        if self._wanted is not None and self._wanted.trial_id != candidate.trial_id:
            self._drop()
        while self._wanted is None:  # A refit that was dropped may still hold the only job.
            if self._spec.executor.room:
                self._wanted = self._submit(candidate)
            else:
                take_next()
        while self._ended is None:  # Refits that were dropped may end meanwhile; nobody wants them.
            take_next()
        ended, self._ended, self._wanted = self._ended, None, None
        if ended.record is None:
            raise ended.error or FoldStopped
        return ended.record

    def _drop(self) -> None:
        if self._wanted is None:
            return
        if self._ended is None:
            self._spec.executor.cancel(self._wanted)
        elif self._ended.record is not None:
            self._let_go(self._wanted)
        self._wanted = self._ended = None

    def _let_go(self, task: FoldTask) -> None:
        if self._spec.keeper is not None:
            self._spec.keeper.let_go(task.trial_id)

    def task_of(self, candidate: Candidate) -> FoldTask:
        """The task that trains a candidate on all rows."""
        spec, proposal = self._spec, self._proposal_of(candidate.trial_id)
        return refit_task(proposal, candidate, rows=spec.rows, rule=spec.plan.rule, seed=spec.seed)

    def _submit(self, candidate: Candidate) -> FoldTask:
        task = self.task_of(candidate)
        self._spec.executor.submit(task)
        self.running += 1
        return task


def _is_due(seconds: float, schedule: Schedule, n_jobs: int) -> bool:
    """Whether a refit that is put off until the next fit ends would end after all that is left for the other jobs."""
    # The sums are infinite while a fit that waits or runs is unknown, so nothing begins on a guess.
    waiting, running = schedule.seconds_waiting(), schedule.seconds_running()
    until_next = min(running, default=0.0)
    return waiting + sum(running) <= (n_jobs - 1) * (seconds + until_next)
