"""The candidates of a search: asked for, fitted, ended, told.

Owns the order of asking and telling, and what the journal holds of a candidate that is asked for again: a resume is
nothing else. Which task runs next is the business of `schedule`.
"""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable

from tuner_app.records.results import Candidate, FoldResult, values_with_declared
from tuner_app.records.seeds import fit_seed
from tuner_app.records.tasks import FoldTask
from tuner_app.search.spec import SearchSpec
from tuner_app.search.strategy import Proposal, Turn

# How long candidates are asked for while fits could begin: to know a candidate's hyperparameters, a model is built.
_ASKING_SECONDS = 0.05


@dataclasses.dataclass(eq=False)
class OpenCandidate:
    """A candidate that was asked for.

    Attributes:
        proposal: What it was asked for as.
        records: The fits that are done.
        left: How many fits must end before the policy is asked again.
        is_new: Whether this run fits any of it; observers heard of the others in an earlier one.
        candidate: What became of it, as soon as it has ended.
    """

    proposal: Proposal
    records: list[FoldResult]
    left: int = 0
    is_new: bool = False
    candidate: Candidate | None = None


class Candidates:
    """All candidates of one search.

    Args:
        spec: The search.
        add_task: Takes the tasks of the candidates, one by one.
        hear: Told of each candidate that has ended, and whether this run has fitted any of it.
    """

    def __init__(
        self, spec: SearchSpec, add_task: Callable[[FoldTask], None], hear: Callable[[Candidate, bool], None]
    ) -> None:
        self._spec, self._add_task, self._hear = spec, add_task, hear
        self.turn: Turn | None = None
        self._recorded: dict[str, list[FoldResult]] = {}
        for record in spec.records:
            self._recorded.setdefault(record.trial_id, []).append(record)
        # In the order of asking, which is the order of telling. What was told stays here for the table.
        self._asked: dict[str, OpenCandidate] = {}
        self._untold: deque[OpenCandidate] = deque()
        self._unended = 0

    @property
    def has_few_open(self) -> bool:
        """Whether another one may be asked for."""
        strategy = self._spec.strategy
        return (len(self._untold) if strategy.is_adaptive else self._unended) < strategy.lookahead

    @property
    def all_told(self) -> bool:
        """Whether the strategy has heard of every candidate that it gave."""
        return not self._untold

    @property
    def fits_done(self) -> int:
        """The number of all finished fits, those of earlier runs included."""
        asked = sum(len(one.records) for one in self._asked.values())
        return asked + sum(map(len, self._recorded.values()))

    def whole(self) -> list[Candidate]:
        """Those that have ended, in the order of the table."""
        ended = [one.candidate for one in self._asked.values() if one.candidate is not None]
        return self._spec.strategy.arranged(ended)

    @property
    def share_begun(self) -> float:
        """How many of those that were asked for have a fit or more, from 0 to 1."""
        fresh = sum(1 for one in self._untold if not one.records)
        return 1 - fresh / len(self._asked) if self._asked else 0.0

    def begun(self) -> dict[str, list[FoldResult]]:
        """The fits of those that have some but have not ended, by trial, in the order of asking."""
        return {one.proposal.trial_id: one.records for one in self._untold if one.records and one.candidate is None}

    def proposal_of(self, trial_id: str) -> Proposal:
        """What a candidate was asked for as."""
        return self._asked[trial_id].proposal

    def ask(self, *, beside_fits: bool, waiting: Callable[[], int], is_stopped: Callable[[], bool]) -> None:
        """Ask for candidates while few are open.

        What comes next depends on no clock, so it may be asked for whenever there is time: most of it while fits run.

        Args:
            beside_fits: Whether fits run now.
            waiting: The number of tasks that wait for a job.
            is_stopped: Whether the search is to stop.
        """
        if self.turn is Turn.DONE:
            return
        began = time.perf_counter()
        self.turn = None
        while self.has_few_open and not is_stopped():
            # Where every job has a task waiting, the fits lose nothing while this thread asks.
            can_wait = waiting() >= self._spec.executor.n_jobs
            if can_wait and time.perf_counter() - began > _ASKING_SECONDS:
                break
            answer = self._spec.strategy.ask(beside_fits=beside_fits, may_be_busy=can_wait)
            if isinstance(answer, Turn):  # Kept, so that the loop knows how long it may sleep.
                self.turn = answer
                break
            self._open(answer)
        if self.turn is Turn.DONE:  # Not before: a record may belong to a candidate that was not asked for yet.
            self._set_foreign_aside()
        self._tell()  # What the journal held whole has ended at once.

    def take(self, task: FoldTask, record: FoldResult) -> None:
        """A fit of a candidate is done."""
        one = self._asked[task.trial_id]
        one.records.append(record)
        one.left -= 1
        if not one.left:
            self._go_on(one)
            self._tell()

    def _open(self, proposal: Proposal) -> None:
        one = OpenCandidate(proposal, self._recorded.pop(proposal.trial_id, []))
        self._asked[proposal.trial_id] = one
        self._untold.append(one)
        self._unended += 1
        self._go_on(one)

    def _go_on(self, one: OpenCandidate) -> None:
        """Ask the policy what a candidate needs next, now that nothing of it is under way."""
        missing = self._spec.policy.missing(one.records)
        one.left, one.is_new = len(missing), one.is_new or bool(missing)
        for fold, execution in missing:
            self._add_task(self._task(one.proposal, fold, execution))
        if not missing:
            self._end(one)

    def _task(self, proposal: Proposal, fold: int, execution: int) -> FoldTask:
        train, validation = self._spec.splits[fold]
        return FoldTask(
            trial_id=proposal.trial_id,
            fold=fold,
            execution=execution,
            values=proposal.values,
            seed=fit_seed(self._spec.seed, proposal.seed_values, fold, execution),
            train_rows=train,
            validation_rows=validation,
            space=proposal.space,
            budget=proposal.budget,
        )

    def _end(self, one: OpenCandidate) -> None:
        """A candidate is whole. Whoever watches hears at once, the strategy in its order."""
        spec, records = self._spec, sorted(one.records, key=_by_fold)
        values = spec.strategy.ordered(values_with_declared(one.proposal.values, records))
        n_fits = spec.policy.most_fits
        # Scored here, once: whoever needs the score takes it from the candidate.
        one.candidate = Candidate.of(one.proposal.trial_id, values, records, spec.plan.rule, n_fits=n_fits)
        self._unended -= 1
        self._hear(one.candidate, one.is_new)
        spec.strategy.watch(one.candidate, is_new=one.is_new)  # Last: it may end the search.

    def _tell(self) -> None:
        """Tell the strategy of candidates in the order of asking, as far as they have ended.

        An adaptive one is first asked for all that it may have open, or the clock would decide what it knows when.
        """
        strategy = self._spec.strategy
        while self._untold and (candidate := self._untold[0].candidate) is not None:
            if strategy.is_adaptive and self.turn in (None, Turn.BUSY) and self.has_few_open:
                return
            self._untold.popleft()  # First: a strategy that ends the search here must not be told of it again.
            strategy.tell(candidate)
            self.turn = None if self.turn is Turn.WAIT else self.turn

    def _set_foreign_aside(self) -> None:
        """The journal's records of candidates that this search does not have.

        The first version told candidates apart by hyperparameters that their models do not have.
        """
        for trial_id in self._recorded:
            self._spec.journal.set_aside(trial_id, "no candidate of this search has its values")
        self._recorded.clear()


def _by_fold(record: FoldResult) -> tuple[int, int]:
    return record.fold, record.execution
