"""The grid as Keras Tuner's oracle hands it out.

`keras_tuner.oracles.GridSearchOracle` expands a candidate only after its predecessor ended (so it cannot
run in parallel), loses its queue at a restart (`KeyError`), rewrites its whole state at each trial (its cost
grows with the number of trials) and takes `seed=0` for no seed. This subclass names each of these where it
does otherwise; the files on disk and the public methods stay Keras Tuner's.
"""

from __future__ import annotations

import copy
import itertools
import json
import logging
import operator
import os
import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus

from tuner_app.storage.files import set_aside, write_whole
from tuner_app.training.hyperparameters import RecordedHyperParameters, recorded
from tuner_app.tuners.grid import Grid, Program, Proposal, without_late_defaults

logger = logging.getLogger(__name__)


class GridOracle(keras_tuner.oracles.GridSearchOracle):
    """Hands out every candidate whose values are known, at once, at the same cost for each.

    Args:
        **options: Those of `keras_tuner.oracles.GridSearchOracle`.
    """

    hyperparameters: Any
    start_order: list[str]
    end_order: list[str]
    ongoing_trials: dict[str, Trial]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if options.get("seed") is not None:  # Keras Tuner takes 0 for no seed.
            self.seed = self._seed_state = options["seed"]
        self.hyperparameters = recorded(self.hyperparameters)
        self.program: Program = RecordedHyperParameters.ask_all
        self._grid: Grid | None = None
        self._declared: list[Any] | None = None
        self._proposals: dict[str, Proposal] = {}
        self._adopted: dict[str, str] = {}
        self._asked_by_fits: dict[str, Sequence[str] | None] = {}
        self._unsettled: list[str] = []
        self._next_id = 0
        self._given_to: dict[str, str] = {}
        self._encoded_space: list[Any] = []
        self._space_text = "[]"

    @property
    def grid(self) -> Grid:
        """The candidates in their order."""
        if self._grid is None:
            self._grid = Grid(self.declared, self.program, is_tuned=self._is_tuned, admit=self.update_space)
        return self._grid

    @property
    def ordering(self) -> Grid:
        """What tells the order of the known candidates, also of a journal's before any is handed out."""
        if self._grid is not None and self._grid.given:
            return self._grid
        late = self.hyperparameters.space[len(self.declared) :]
        by_fits = {name for names in self._asked_by_fits.values() for name in names or ()}
        return Grid([*self.declared, *sorted(late, key=lambda hp: hp.name in by_fits)], RecordedHyperParameters.ask_all)

    @property
    def declared(self) -> list[Any]:
        """The hyperparameters that were known before the first trial."""
        if self._declared is None:
            self._declared = list(self.hyperparameters.space)
        return self._declared

    @property
    def unclaimed(self) -> list[str]:
        """The adopted trials that are no candidates (so far)."""
        return list(self._adopted.values())

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The values of the next candidate, as Keras Tuner asks for them; `create_trial` asks the grid itself."""
        proposal = self.grid.next()
        if proposal is None:
            return {"status": self._status_without_candidate(), "values": None}
        return {"status": TrialStatus.RUNNING, "values": proposal.values}

    def create_trial(self, tuner_id: str) -> Trial:
        """A trial to run; one of status `STOPPED` or `IDLE` when there is none.

        Keras Tuner waits for the predecessor to end. Here only what a fit may still ask for is waited for.
        """
        if tuner_id in self.ongoing_trials:
            return self.ongoing_trials[tuner_id]
        trial = self._trial_to_run()
        if trial.status == TrialStatus.RUNNING:
            self.tuner_ids.add(tuner_id)
            self.ongoing_trials[tuner_id] = trial
            self._given_to[trial.trial_id] = tuner_id
        else:
            self.tuner_ids.discard(tuner_id)
        return trial

    def update_trial(self, trial_id: str, metrics: Mapping[str, float], step: int = 0) -> Trial:
        """Note metrics of a running trial.

        Keras Tuner's lock calls a function that Python has deprecated; a search calls from one thread only.
        """
        trial = self.trials[trial_id]
        self._check_objective_found(metrics)
        directions = {self.objective.name: self.objective.direction, **getattr(self.objective, "name_to_direction", {})}
        for name, value in metrics.items():
            if not trial.metrics.exists(name):
                trial.metrics.register(name, direction=directions.get(name))
            # `MetricsTracker.update` also looks for the best value, before and after; nobody asks for it here.
            trial.metrics.metrics[name].update(float(value), step=step)
        return trial

    def score_trial(self, trial: Trial) -> None:
        """A trial's score: its best report; nearly always it has one only, which needs no search."""
        history = trial.metrics.get_history(self.objective.name)
        if len(history) == 1 and len(history[0].value) == 1:
            [trial.score], trial.best_step = history[0].value, history[0].step
        else:
            super().score_trial(trial)

    def end_trial(self, trial: Trial) -> None:
        """Record a trial that ended; the bookkeeping is the same for the first and the ten-thousandth."""
        trial = self._synchronise(trial)
        self.update_space(trial.hyperparameters)
        if trial.status == TrialStatus.COMPLETED:
            self.score_trial(trial)
            if np.isnan(trial.score):
                trial.status = TrialStatus.INVALID
        self._run_times[trial.trial_id] += 1
        again = trial.status == TrialStatus.INVALID and self._run_times[trial.trial_id] <= self.max_retries_per_trial
        if again:
            self._retry_queue.append(trial.trial_id)
        else:
            trial.status = TrialStatus.FAILED if trial.status == TrialStatus.INVALID else trial.status
            self.end_order.append(trial.trial_id)
        self._save_trial(trial)
        tuner_id = self._given_to.pop(trial.trial_id, None)
        if tuner_id is not None:
            self.ongoing_trials.pop(tuner_id, None)
            self.tuner_ids.discard(tuner_id)
        if not again:
            self._tell(trial)
            self._check_consecutive_failures()

    def reopen(self, trial_ids: Sequence[str]) -> None:
        """Put trials whose work is not all there (any more) back into the queue, in this order."""
        again = set(trial_ids)
        self.end_order = [trial_id for trial_id in self.end_order if trial_id not in again]
        self._retry_queue = list(trial_ids)
        for trial_id in trial_ids:  # What it reports anew must not be mixed with what it reported before.
            trial = self.trials[trial_id]
            trial.metrics, trial.score, trial.status = type(trial.metrics)(), None, TrialStatus.RUNNING
        self.ongoing_trials, self._given_to = {}, {}

    def adopt(
        self,
        trial_id: str,
        values: Mapping[str, Any],
        entries: Sequence[Any] = (),
        asked_by_fits: Sequence[str] | None = None,
    ) -> None:
        """Make a known trial from its candidate's journalled folds.

        Args:
            trial_id: The trial.
            values: The candidate's values.
            entries: What its fits have declared beyond the space, as `HyperParameters.get_config()["space"]` gives it.
            asked_by_fits: The names of what only its fits have asked for; None where that is not known.
        """
        declared = {hp.name for hp in self.declared}
        hyperparameters = self.get_space()
        if entries:
            late: Any = keras_tuner.HyperParameters.from_config({"space": copy.deepcopy(list(entries)), "values": {}})
            self.update_space(late)
            hyperparameters.merge(late, overwrite=False)
        hyperparameters.values = dict(values)
        self._register(Trial(hyperparameters=hyperparameters, trial_id=trial_id, status=TrialStatus.RUNNING))
        self._asked_by_fits[trial_id] = asked_by_fits
        own = {name: value for name, value in values.items() if name not in (asked_by_fits or ())}
        self._adopted.setdefault(_key(without_late_defaults(own, hyperparameters.space, declared)), trial_id)

    def conclude(self, trial: Trial) -> None:
        """Note that an adopted trial has ended, with the status and the metrics that it has by now."""
        if trial.status == TrialStatus.COMPLETED:
            self.score_trial(trial)
        self.end_order.append(trial.trial_id)

    def restart(self, space: Sequence[Any]) -> None:
        """Forget all trials, and what they have brought into the search space.

        Args:
            space: The space that was asked for, as `HyperParameters.get_config()["space"]` gives it.
        """
        for kept in (self.trials, self.ongoing_trials, self._given_to, self._id_to_hash, self._run_times):
            kept.clear()
        for known in (self._proposals, self._adopted, self._asked_by_fits, self._tried_so_far, self._unsettled):
            known.clear()
        self.start_order, self.end_order, self._retry_queue = [], [], []
        self._grid, self._declared, self._next_id = None, None, 0
        if len(self.hyperparameters.space) != len(space):
            values = self.hyperparameters.values
            names = [entry["config"]["name"] for entry in space]
            kept = {name: values[name] for name in names if name in values}
            config = {"space": copy.deepcopy(list(space)), "values": kept}
            self.hyperparameters = RecordedHyperParameters.from_config(config)

    def drop(self, trial_ids: Collection[str]) -> None:
        """Forget trials that are no candidates."""
        for trial_id in trial_ids:
            del self.trials[trial_id]
        self._adopted = {key: trial_id for key, trial_id in self._adopted.items() if trial_id in self.trials}
        orders: tuple[list[str], ...] = (self.start_order, self.end_order, self._retry_queue)
        for order in orders:
            order[:] = [trial_id for trial_id in order if trial_id in self.trials]

    def save(self) -> None:
        """Write the state that is not in the trials' files. A search calls it at its start and at its end.

        Neither it nor a trial's file waits for the disk: the journal is what a resume counts on.

        Keras Tuner rewrites it at each trial, which costs more the more trials there are; here nothing in it is
        needed to resume.
        """
        write_whole(pathlib.Path(self._get_oracle_fname()), json.dumps(self.get_state()), durable=False)

    def reload(self) -> None:
        """Read the trials back from their files; what did not end is queued again.

        Keras Tuner trusts `oracle.json` and loses the queue of candidates that way.
        """
        declared = {hp.name for hp in self.declared}
        for path in sorted(pathlib.Path(self._project_dir).glob("trial_*/trial.json")):
            try:
                trial = Trial.load(str(path))
                if path.parent.name != f"trial_{trial.trial_id}":
                    raise ValueError("it lies in the folder of another trial")
            except Exception as error:  # Keras Tuner raises whatever the damaged part happens to raise.
                set_aside(path, f"it is no whole trial ({error!r})"[:200])
                continue
            self.update_space(trial.hyperparameters)
            self._register(trial)
            hp = trial.hyperparameters
            self._adopted.setdefault(_key(without_late_defaults(hp.values, hp.space, declared)), trial.trial_id)
        order = sorted(self.trials, key=lambda trial_id: (len(trial_id), trial_id))
        self.start_order = order
        ended = (TrialStatus.COMPLETED, TrialStatus.FAILED)
        self.end_order = [trial_id for trial_id in order if self.trials[trial_id].status in ended]
        self._retry_queue = [trial_id for trial_id in order if self.trials[trial_id].status not in ended]

    def get_space(self) -> RecordedHyperParameters:
        """A copy of the search space, which shares the hyperparameters: none changes after it was declared.

        Keras Tuner's own copy sends each through serialisation, which costs the more the more values it has.
        """
        return RecordedHyperParameters(self.hyperparameters.space, self.hyperparameters.values)

    def space_of(self, trial_id: str) -> RecordedHyperParameters:
        """The hyperparameters that a trial's model knows when it is built, whatever others have declared since."""
        return RecordedHyperParameters(self.trials[trial_id].hyperparameters.space)

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """The best trials, ties in the order of the grid, whichever ended first."""
        order = sorted(self.trials.values(), key=lambda trial: (len(trial.trial_id), trial.trial_id))
        done = [trial for trial in order if trial.status == TrialStatus.COMPLETED]
        sign = -1.0 if self.objective.direction == "max" else 1.0
        done.sort(key=lambda trial: sign * trial.score)
        rest = [trial for trial in order if trial.status != TrialStatus.COMPLETED]
        return (done if len(done) >= num_trials else done + rest)[:num_trials]

    def _trial_to_run(self) -> Trial:
        again = next((trial_id for trial_id in self._retry_queue if trial_id in self._proposals), None)
        if again is not None:
            return self._run_again(again)
        while not self.max_trials or self.grid.given < self.max_trials:
            proposal = self._propose()
            if proposal is None:
                return self._no_trial(self._status_without_candidate())
            trial = self._trial_of(proposal)
            if trial.trial_id in self._retry_queue:
                return self._run_again(trial.trial_id)
            if trial.status == TrialStatus.RUNNING:
                return trial
        self._settle()
        return self._no_trial(TrialStatus.STOPPED)

    def _propose(self) -> Proposal | None:
        proposal = self.grid.next()
        if proposal is None and self._unsettled:
            self._settle()
            proposal = self.grid.next()
        return proposal

    def _trial_of(self, proposal: Proposal) -> Trial:
        """A new trial, or the one that an earlier run has left of the same candidate."""
        space = proposal.hyperparameters.space
        key = _key(without_late_defaults(proposal.values, space, {hp.name for hp in self.declared}))
        known = self._adopted.pop(key, None)
        trial_id = known or self._unused_id()
        self._proposals[trial_id] = proposal
        if known is not None:
            trial = self.trials[trial_id]
            if trial_id not in self._retry_queue:
                self._take_over(trial)
            return trial
        trial = Trial(hyperparameters=proposal.hyperparameters, trial_id=trial_id, status=TrialStatus.RUNNING)
        self._register(trial)
        return trial

    def _run_again(self, trial_id: str) -> Trial:
        trial, proposal = self.trials[trial_id], self._proposals[trial_id]
        self._retry_queue.remove(trial_id)
        trial.status, trial.hyperparameters = TrialStatus.RUNNING, proposal.hyperparameters
        trial.hyperparameters.values = proposal.values
        self._asked_by_fits.pop(trial_id, None)
        return trial

    def _take_over(self, trial: Trial) -> None:
        """Count a trial that an earlier run has ended; version 0.1.0 did not keep what its fits asked for."""
        if self._asked_by_fits.get(trial.trial_id) is None:
            self._unsettled.append(trial.trial_id)
        else:
            self._tell(trial)

    def _settle(self) -> None:
        """Once all models are known: what no model asks for, a fit of the first version has asked for."""
        for trial_id in self._unsettled:
            trial, own = self.trials[trial_id], self._proposals[trial_id].values
            values = trial.hyperparameters.values
            late = {name: values[name] for name in values if name not in self.grid.names_of_build}
            trial.hyperparameters.values = {**own, **late}
            self._tell(trial)
        self._unsettled = []

    def _tell(self, trial: Trial) -> None:
        """Tell the grid that a candidate is done, and what its fits have asked for."""
        proposal = self._proposals.pop(trial.trial_id, None)
        if proposal is None:
            return
        asked = self._asked_by_fits.pop(trial.trial_id, None)
        values = dict(trial.hyperparameters.values)
        names = [name for name in (values if asked is None else asked) if name in values]
        late = [name for name in names if name not in proposal.values]
        space = trial.hyperparameters.space if late else ()
        active = [hp for hp in space if all(condition.is_active(values) for condition in hp.conditions)]
        found = (next((hp for hp in active if hp.name == name), None) for name in late)
        self.grid.tell(proposal.number, [hp for hp in found if hp is not None])

    def _status_without_candidate(self) -> str:
        """A trial that runs may still ask for a new hyperparameter."""
        status: str = TrialStatus.STOPPED if self.grid.is_over else TrialStatus.IDLE
        return status

    def _no_trial(self, status: str) -> Trial:
        return Trial(hyperparameters=self.get_space(), trial_id=self._unused_id(), status=status)

    def _is_tuned(self, hp: Any) -> bool:
        """Keras Tuner leaves what is not in a given space at its default, where it is told to."""
        return self.tune_new_entries or any(
            known.name == hp.name and known.conditions == hp.conditions for known in self.declared
        )

    def _unused_id(self) -> str:
        """Keras Tuner counts the trials; after a resume one in the middle may be missing, and gets its number again."""
        pattern = f"{{:0{len(str(self.max_trials))}d}}"
        while (trial_id := pattern.format(self._next_id)) in self.trials:
            self._next_id += 1
        return trial_id

    def _register(self, trial: Trial) -> None:
        """Know a trial. Its file is written when it ends: a resume finds what it needs in the journal."""
        self.trials[trial.trial_id] = trial
        self.start_order.append(trial.trial_id)

    def _synchronise(self, trial: Trial) -> Trial:
        known = self.trials[trial.trial_id]
        known.hyperparameters, known.status, known.message = trial.hyperparameters, trial.status, trial.message
        return known

    def _check_consecutive_failures(self) -> None:
        """In the order of the grid: the order in which trials end depends on how many run side by side."""
        trial = self.trials[self.end_order[-1]]
        if trial.status != TrialStatus.FAILED:
            return
        position = self.start_order.index(trial.trial_id)
        before, after = self.start_order[:position][::-1], self.start_order[position + 1 :]
        failures = 1 + self._failures_at_the_beginning(before) + self._failures_at_the_beginning(after)
        if failures >= self.max_consecutive_failed_trials:
            raise RuntimeError(
                f"Number of consecutive failures exceeded the limit of {self.max_consecutive_failed_trials}.\n"
                f"{trial.message or ''}"
            )

    def _failures_at_the_beginning(self, trial_ids: Sequence[str]) -> int:
        row = itertools.takewhile(lambda trial_id: self.trials[trial_id].status == TrialStatus.FAILED, trial_ids)
        return sum(1 for _ in row)

    def _save_trial(self, trial: Trial) -> None:
        path = pathlib.Path(self._project_dir, f"trial_{trial.trial_id}", "trial.json")
        write_whole(path, self.state_text(trial), durable=False)

    def state_text(self, trial: Trial) -> str:
        """`Trial.get_state()` as JSON. The search space in it, the most of it, is encoded once for all trials."""
        space = trial.hyperparameters.space
        if len(space) != len(self._encoded_space) or any(map(operator.is_not, space, self._encoded_space)):
            self._encoded_space = list(space)
            self._space_text = json.dumps(trial.hyperparameters.get_config()["space"])
        state = {
            "trial_id": trial.trial_id,
            "metrics": trial.metrics.get_config(),
            "score": trial.score,
            "best_step": trial.best_step,
            "status": trial.status,
            "message": trial.message,
        }
        values = json.dumps(trial.hyperparameters.values)
        return f'{{"hyperparameters": {{"space": {self._space_text}, "values": {values}}}, {json.dumps(state)[1:]}'

    @property
    def _project_dir(self) -> str:
        """Keras Tuner creates the folder at each look at its name."""
        return os.path.join(str(self._directory), self._project_name)


def _key(values: Mapping[str, Any]) -> str:
    return repr(sorted(values.items()))
