"""A Keras Tuner oracle as the strategy of a search.

Owns the life of a trial in a search: created when a candidate is asked for, ended when it is told of, with the tuner's
own hooks around it. What the oracle proposes, and in which order, is its own business.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from keras_tuner.engine.trial import Trial, TrialStatus

from tuner_app.errors import SearchError, TunerAppError
from tuner_app.records.results import Candidate, Status
from tuner_app.records.score import ScoreRule
from tuner_app.search.strategy import Proposal, Strategy, Turn
from tuner_app.storage.files import set_aside
from tuner_app.storage.project import Project
from tuner_app.tuners import trials
from tuner_app.tuners.oracle import GridOracle

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialHooks:
    """What Keras Tuner calls on a tuner at the ends of a trial. Subclasses override them; `end` also ends the trial."""

    begin: Callable[[Trial], None]
    end: Callable[[Trial], None]


class OracleStrategy(Strategy):
    """Asks an oracle for trials, and tells it what came of them.

    Args:
        oracle: The oracle, with no trials yet.
        rule: How folds become a score.
        project: Where the trials' files lie.
        hooks: Called for each trial of which this run fits a fold.
        recorded: What earlier runs have left; their candidates keep their trials' numbers.
        finished: The trials of which the journal holds every fold.
        build_lock: Held by who builds a model: to know a candidate's hyperparameters is to build one.
        builds_disturb: Whether a build would disturb a fit: it works on the very hypermodel of the fits, or on the
            process's random numbers that a fit alone has for itself.
    """

    is_adaptive = False

    def __init__(
        self,
        oracle: GridOracle,
        *,
        rule: ScoreRule,
        project: Project,
        hooks: TrialHooks,
        recorded: Sequence[trials.Recorded],
        finished: Collection[str],
        build_lock: threading.RLock,  # type: ignore[valid-type]
        builds_disturb: bool,
    ) -> None:
        self._oracle, self._rule, self._project, self._hooks = oracle, rule, project, hooks
        self._finished = set(finished)
        self._unsettled = {one.candidate.trial_id for one in recorded if not one.is_settled}
        self._build_lock: Any = build_lock
        self._builds_disturb = builds_disturb
        self._asked = 0
        # By trial, its place in the order of asking; and the places of the failed ones.
        self._places: dict[str, int] = {}
        self._failed: set[int] = set()
        self._is_said = False
        entries = [entry for one in recorded for entry in one.entries]
        oracle.recall({one.candidate.trial_id: one.own for one in recorded}, entries)

    def ask(self, *, beside_fits: bool, may_be_busy: bool) -> Proposal | Turn:
        """The next trial's candidate."""
        if self._builds_disturb and beside_fits:
            return Turn.BUSY
        # A fit holds it while it builds; where a job idles, waiting for a candidate is worth more than looking around.
        if not self._build_lock.acquire(blocking=not may_be_busy):
            return Turn.BUSY
        try:
            trial = self._oracle.create_trial(f"candidate-{self._asked}")
        except RuntimeError as error:  # Keras Tuner's, where new entries are not allowed.
            raise error if isinstance(error, TunerAppError) else SearchError(str(error)) from None
        finally:
            self._build_lock.release()
        if trial.status != TrialStatus.RUNNING:
            return self._no_candidate(trial.status)
        self._places[trial.trial_id] = self._asked
        self._asked += 1
        if trial.trial_id not in self._finished:  # Of a finished one the user's hooks have heard in an earlier run.
            self._hooks.begin(trial)
        return self._proposal(trial)

    def tell(self, candidate: Candidate) -> None:
        """End a candidate's trial.

        Raises:
            SearchError: Too many candidates in a row have failed.
        """
        trial = self._oracle.trials[candidate.trial_id]
        # Before the report, which reads the values, and the hook, in which a user may read both.
        trials.take_over(trial, candidate.folds)
        trials.report(self._oracle, self._rule, trial, candidate)
        if candidate.trial_id in self._finished:
            self._end_again(trial)
            return
        try:
            self._hooks.end(trial)
        except RuntimeError as error:
            raise error if isinstance(error, TunerAppError) else SearchError(str(error)) from None

    def watch(self, candidate: Candidate, *, is_new: bool) -> None:
        """Count failures in a row of the grid, whichever ended first.

        Raises:
            SearchError: Too many candidates in a row have failed.
        """
        if candidate.status is not Status.FAILED:
            return
        place, most = self._places[candidate.trial_id], self._oracle.max_consecutive_failed_trials
        self._failed.add(place)
        row = 1 + self._failed_beside(place, step=-1) + self._failed_beside(place, step=1)
        if is_new and row >= most:  # What failed in an earlier run has ended that one, if it was to.
            reason = candidate.errors[0] if candidate.errors else ""
            raise SearchError(f"Number of consecutive failures exceeded the limit of {most}.\n{reason}")

    def _failed_beside(self, place: int, *, step: int) -> int:
        places = itertools.count(place + step, step)
        return sum(1 for _ in itertools.takewhile(self._failed.__contains__, places))

    def ordered(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """A candidate's values in the order of the space."""
        return self._oracle.ordering.ordered(values)

    def arranged(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Candidates in the order of the grid."""
        ordering = self._oracle.ordering
        settled = [self._settled(one) if one.trial_id in self._unsettled else one for one in candidates]
        return sorted(settled, key=lambda c: (ordering.position(c.values), len(c.trial_id), c.trial_id))

    def _proposal(self, trial: Trial) -> Proposal:
        hyperparameters = trial.hyperparameters
        values = dict(hyperparameters.values)
        return Proposal(
            trial_id=trial.trial_id,
            values=values,
            seed_values=self._oracle.values_without_late_defaults(values, hyperparameters.space),
            space=hyperparameters.space,
        )

    def _end_again(self, trial: Trial) -> None:
        """End a trial that ended in an earlier run: nothing is told anew, and its file is written where it is wrong."""
        self._oracle.conclude(trial, is_settled=trial.trial_id not in self._unsettled)
        path = self._project.trial_folder(trial.trial_id) / "trial.json"
        if path.exists():
            if trials.agrees(path, self._oracle.state_of(trial)):
                return
            set_aside(path, "it does not say what the folds of its trial say")
        self._oracle.save_trial(trial)

    def _settled(self, candidate: Candidate) -> Candidate:
        """A candidate of the first version with the values that, as is known by now, are its own."""
        values = self._oracle.trials[candidate.trial_id].hyperparameters.values
        return dataclasses.replace(candidate, values=self.ordered(values))

    def _no_candidate(self, status: str) -> Turn:
        if status != TrialStatus.STOPPED:
            return Turn.WAIT
        if not self._is_said and self._oracle.grid.is_over:
            self._is_said = True
            self._tell_what_was_not_searched()
        return Turn.DONE

    def _tell_what_was_not_searched(self) -> None:
        """Once every candidate is done: what no model has ever asked for, most likely a name with a typing error."""
        asked = {name for trial in self._oracle.trials.values() for name in trial.hyperparameters.values}
        unasked = [hp.name for hp in self._oracle.declared if hp.name not in asked]
        if unasked:
            logger.warning("Not searched, since no build and no fit has asked for it: %s.", ", ".join(unasked))
