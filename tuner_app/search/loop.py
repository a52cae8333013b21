"""One search: candidates times folds, through the executor, into the journal, and back to the strategy.

Owns the order of events. Knows no tuner and no Keras: what is fitted, proposed, kept and shown comes in by the spec.
All of it runs in the thread that called `run_search`; only the fits, and the keeping of their records, run where the
executor runs them.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import Any

from tuner_app.errors import Remedy, SearchError, SearchInterrupted
from tuner_app.execution.base import Ended, FoldStopped
from tuner_app.process.signals import StopRequest
from tuner_app.records import tables
from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.tasks import FoldTask
from tuner_app.search.candidates import Candidates
from tuner_app.search.early_refit import Refits
from tuner_app.search.refit import refit_failure
from tuner_app.search.schedule import Schedule
from tuner_app.search.spec import SearchOutcome, SearchSpec
from tuner_app.search.strategy import Turn

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
_BUSY_SECONDS = 0.02
# What a disk may take to confirm a small file.
_DURABLE_SECONDS = 0.02


def run_search(spec: SearchSpec) -> SearchOutcome:
    """Fit what the journal does not hold yet, choose the best candidate, and refit it.

    Raises:
        ProjectError: A file cannot be written.
        SearchError: Every fit failed, or a failure ends the search.
        SearchInterrupted: Ctrl-C or SIGTERM; what is finished is in the journal.
    """
    search = _Search(spec)
    spec.executor.start(spec.fit, search.keep)
    spec.tell("search_begun", spec.plan)
    with search.stop.listening():
        try:
            search.fit_candidates()
            # Before the refit, which may draw random numbers of its own: what is said is about the folds.
            spec.fits_ended()
            return search.outcome()
        except FoldStopped:
            raise search.interruption() from None
        except Exception:
            # Fits hold the data, and their threads write to the journal: none may outlive the search.
            search.drain()
            raise
        finally:
            spec.executor.close()


class _Search:
    """The state of one search."""

    def __init__(self, spec: SearchSpec) -> None:
        self._spec = spec
        # A fit asks the executor whether to stop; the signal's handler tells it at once, whatever this thread is at.
        self.stop = StopRequest(spec.executor.stop)
        self._schedule = Schedule(spec.executor.n_jobs)
        for record in spec.records:
            self._learn(record)
        self._candidates = Candidates(spec, self._schedule.add, self._hear)
        self._refits = Refits(spec, self._candidates.proposal_of)
        self._running = 0  # Folds; refits are counted by themselves.

    def keep(self, task: FoldTask, record: FoldResult, seconds: float) -> None:
        """Called where the fit ran: the record is on disk before the search, and so any observer, hears of it.

        A fit that is over before a disk could confirm its record is not worth the wait: a power cut (nothing less) may
        cost it, and it is done again.
        """
        if not task.is_refit:
            self._spec.journal.write(record, durable=seconds >= _DURABLE_SECONDS)

    def fit_candidates(self) -> None:
        """Ask, fit and tell until the strategy has no more.

        Raises:
            FoldStopped: The search is to stop, and no fit runs any more.
        """
        is_said = False
        while True:
            if self.stop and self._running and not is_said:
                is_said = True
                logger.warning("Stopping at the end of the running epochs. Press Ctrl-C again to stop at once.")
            if not self.stop:
                self._fill()
            if self._running:
                # A bounded wait, since Python runs a signal's handler only between two steps of this thread.
                self._take(self._spec.executor.wait(self._seconds_to_wait()))
            elif self.stop:
                raise FoldStopped
            elif self._is_over():
                return

    def _fill(self) -> None:
        """Ask for candidates, and give the executor what it has room for."""
        candidates, schedule = self._candidates, self._schedule
        candidates.ask(
            beside_fits=self._running + self._refits.running > 0,
            waiting=lambda: len(schedule),
            is_stopped=lambda: bool(self.stop),
        )
        # While candidates are still to come, one of them may be better: a refit would most likely be dropped.
        if candidates.turn in (Turn.WAIT, Turn.DONE) and self._running:
            self._refits.begin_early(schedule, candidates)
        while len(schedule) and self._spec.executor.room:
            self._start(schedule.next())

    def _is_over(self) -> bool:
        """Whether nothing is left to fit, now that nothing runs.

        Raises:
            SearchError: The strategy waits though all its candidates have ended: it would wait for ever.
        """
        turn = self._candidates.turn
        if len(self._schedule) or turn in (None, Turn.BUSY):
            return False
        if turn is Turn.WAIT and self._candidates.all_told:
            raise SearchError(
                "The oracle must have a candidate, or answer STOPPED, once every candidate that it gave has ended. "
                "Received: IDLE, and it would be for ever. Have its populate_space answer STOPPED instead."
            )
        return turn is Turn.DONE

    def _start(self, task: FoldTask) -> None:
        self._running += 1
        self._spec.tell("fold_begun", task.trial_id, task.values, task.fold, task.execution)
        self._spec.executor.submit(task)

    def _seconds_to_wait(self) -> float:
        """How long to wait for a fit: not at all while there are candidates to ask for."""
        turn = self._candidates.turn
        if self.stop or turn in (Turn.WAIT, Turn.DONE) or not self._candidates.has_few_open:
            return _POLL_SECONDS
        return _BUSY_SECONDS if turn is Turn.BUSY else 0.0

    def _take(self, ended: Ended | None) -> None:
        if ended is None:
            return
        if ended.task.is_refit:
            self._refits.take(ended)
            return
        self._running -= 1
        self._schedule.end(ended.task)
        if ended.record is not None:
            self._take_record(ended.task, ended.record)
        elif ended.error is None:  # Not begun, since a fit before it in the same batch has failed.
            self._schedule.add(ended.task)
        elif not isinstance(ended.error, FoldStopped):
            raise ended.error

    def _take_record(self, task: FoldTask, record: FoldResult) -> None:
        self._learn(record)
        self._spec.tell("fold_ended", record)
        if record.error is None:
            # An objective that no fit has is told by the first fit, not by a table of nothing at the end.
            self._spec.plan.rule.check_names(record.history or record.scores)
        elif self._spec.stops_at_a_failure:
            raise SearchError(f"A fit failed and error_score is 'raise'. Its traceback:\n{record.error}")
        self._candidates.take(task, record)

    def _learn(self, record: FoldResult) -> None:
        if record.error is None:  # A failed fit has ended before its time.
            # Without the compiling, which whichever fit comes first pays for all.
            self._schedule.learn(record, record.fit_seconds + record.score_seconds)

    def _hear(self, candidate: Candidate, is_new: bool) -> None:
        self._refits.compare(candidate)
        if is_new:
            self._spec.tell("candidate_ended", candidate)

    def outcome(self) -> SearchOutcome:
        """The table, the best candidate, its refit.

        Raises:
            SearchError: Every fit failed.
        """
        spec, candidates = self._spec, self._candidates.whole()
        table = self._table(candidates)
        if all(fold.error is not None for candidate in candidates for fold in candidate.folds):
            spec.tell("search_ended", candidates, table=table, interrupted=False)
            raise SearchError(_all_failed(candidates))
        index = spec.select(table)
        failures = tables.failure_warning(candidates, spec.plan.rule.error_score)
        outcome = SearchOutcome(
            candidates=candidates, table=table, best_index=index, failures=failures, refit_task=self._refits.task_of
        )
        if spec.keeper is not None:
            outcome = self._refitted(outcome)
        spec.tell("search_ended", candidates, table=table, interrupted=False)
        return outcome

    def _refitted(self, outcome: SearchOutcome) -> SearchOutcome:
        """The outcome with a model. A refit that fails costs that model, not the search that is paid for."""
        keeper, candidate = self._spec.keeper, outcome.candidates[outcome.best_index]
        assert keeper is not None
        best = candidate, outcome.table, outcome.best_index
        try:
            # A finished search that is run again has its model on disk, and trains nothing.
            kept = keeper.kept(*best)
            model, seconds = kept or keeper.keep(*best, self._refits.result(candidate, self._take_next))
        except Exception as error:
            return dataclasses.replace(outcome, refit_failure=refit_failure(error))
        return dataclasses.replace(outcome, model=model, refit_seconds=seconds)

    def _take_next(self) -> None:
        self._take(self._spec.executor.wait(_POLL_SECONDS))

    def interruption(self) -> SearchInterrupted:
        """Keep a readable table, and say what is done and how to go on."""
        self.drain()
        plan, candidates = self._spec.plan, self._candidates.whole()
        self._spec.tell("search_ended", candidates, table=self._table(candidates), interrupted=True)
        done = self._candidates.fits_done
        planned = plan.n_candidates * plan.n_splits * plan.executions
        return SearchInterrupted(
            f"Interrupted: {done} of {max(done, planned)} fits are done and kept in {plan.project.path}. "
            f"{Remedy.SEARCH_AGAIN} (without {Remedy.OVERWRITE}) to continue.",
            self.stop.signal_number or 2,
        )

    def drain(self) -> None:
        """Let what runs stop at its next epoch. What comes of it is dropped, but for a fold's record on disk."""
        self.stop.ask()
        while self._running or self._refits.running:
            ended = self._spec.executor.wait(_POLL_SECONDS)
            if ended is not None and ended.task.is_refit:
                self._refits.take(ended)
            elif ended is not None:
                self._running -= 1

    def _table(self, candidates: Sequence[Candidate]) -> dict[str, Any]:
        plan = self._spec.plan
        return tables.cv_results(
            candidates, plan.rule, n_splits=plan.n_splits, return_train_score=self._spec.return_train_score
        )


def _all_failed(candidates: Sequence[Candidate]) -> str:
    common = tables.most_common_error(candidates)
    assert common is not None
    total = sum(len(candidate.folds) for candidate in candidates)
    return f"All {total} fits failed. {common[1]} of them with:\n{common[0]}"
