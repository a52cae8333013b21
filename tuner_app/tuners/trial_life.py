"""The life of a trial in Keras Tuner's oracles, at the same cost for the first and the ten-thousandth.

`keras_tuner.Oracle` (1.4.8) rewrites its whole state at each trial, locks by a function that Python has deprecated, and
takes `seed=0` for no seed. What is done otherwise here says so; the files on disk and the public methods stay Keras
Tuner's.
"""

from __future__ import annotations

import abc
import copy
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus

from tuner_app.storage.files import write_whole
from tuner_app.tuners.trial_files import TrialWriter
from tuner_app.tuners.trial_metrics import TrialMetrics
from tuner_app.tuners.trial_numbers import TrialNumbers


class TrialLife(TrialMetrics):
    """What all our oracles do alike; a subclass says which trial comes next.

    Called by the search's thread alone.

    Args:
        **options: Those of `keras_tuner.Oracle`.
    """

    start_order: list[str]
    end_order: list[str]
    ongoing_trials: dict[str, Trial]
    _retry_queue: list[str]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if options.get("seed") is not None:  # Keras Tuner takes 0 for no seed.
            self.seed = self._seed_state = options["seed"]
        self._numbers = TrialNumbers(self.max_trials)
        self._late_names: set[str] = set()
        self._failures_in_a_row = 0
        self._given_to: dict[str, str] = {}
        self._writer = TrialWriter()

    @abc.abstractmethod
    def _trial_to_run(self) -> Trial:
        """The next trial; one of status `STOPPED` or `IDLE` when there is none."""

    @abc.abstractmethod
    def _hear_of(self, trial: Trial, is_settled: bool) -> None:
        """A trial has ended for good; see `conclude`."""

    def create_trial(self, tuner_id: str) -> Trial:
        """A trial to run; one of status `STOPPED` or `IDLE` when there is none.

        Keras Tuner draws the values first and rewrites its state for each.
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

    def end_trial(self, trial: Trial) -> None:
        """Record a trial that ended; the bookkeeping is the same for the first and the ten-thousandth.

        Raises:
            RuntimeError: It is one failure in a row too many.
        """
        self.conclude(trial)
        # After the journal: the file may be missing for a fold that is there, never the other way round.
        self.save_trial(self.trials[trial.trial_id])
        failed = self.trials[trial.trial_id].status == TrialStatus.FAILED
        if failed and self._failures_in_a_row >= self.max_consecutive_failed_trials:
            raise RuntimeError(
                f"Number of consecutive failures exceeded the limit of {self.max_consecutive_failed_trials}.\n"
                f"{trial.message or ''}"
            )

    def conclude(self, trial: Trial, *, is_settled: bool = True) -> None:
        """Note that a trial has ended, with the status and the metrics that it has by now; nothing is written.

        Args:
            trial: The trial.
            is_settled: Whether what it has beyond its proposal is known to be what its fits have asked for. Version
                0.1.0 did not keep it; once all models are known, what no model asks for, a fit has asked for.
        """
        trial = self._synchronise(trial)
        self.update_space(trial.hyperparameters)
        if trial.status == TrialStatus.COMPLETED:
            self.score_trial(trial)
            if np.isnan(trial.score):
                trial.status = TrialStatus.INVALID
        self._run_times[trial.trial_id] += 1  # Keras Tuner's count of a trial's attempts.
        tuner_id = self._given_to.pop(trial.trial_id, None)
        if tuner_id is not None:
            self.ongoing_trials.pop(tuner_id, None)
            self.tuner_ids.discard(tuner_id)
        if trial.status == TrialStatus.INVALID and self._run_times[trial.trial_id] <= self.max_retries_per_trial:
            self._retry_queue.append(trial.trial_id)
            return
        trial.status = TrialStatus.FAILED if trial.status == TrialStatus.INVALID else trial.status
        self.end_order.append(trial.trial_id)
        self._failures_in_a_row = self._failures_in_a_row + 1 if trial.status == TrialStatus.FAILED else 0
        self._hear_of(trial, is_settled)

    def recall(self, own: Mapping[str, Mapping[str, Any]], entries: Sequence[Any]) -> None:
        """Have the candidates of an earlier run keep their trials' numbers.

        Args:
            own: By trial, the values that its candidate was proposed with.
            entries: What their models and fits have declared beyond the space, as in `get_config()["space"]`.
        """
        late: Any = keras_tuner.HyperParameters.from_config({"space": copy.deepcopy(list(entries)), "values": {}})
        for trial_id, values in own.items():
            self._numbers.recall(trial_id, self.values_without_late_defaults(values, late.space))

    def show(self, trial_id: str, values: Mapping[str, Any], entries: Sequence[Any], late: Sequence[str]) -> Trial:
        """Know a trial of an earlier run, for who reads results without a search.

        Args:
            trial_id: The trial.
            values: The candidate's values.
            entries: What its fits have declared beyond the space, as `HyperParameters.get_config()["space"]` gives it.
            late: The names of what only its fits have asked for.
        """
        hyperparameters = self.get_space()
        if entries:
            declared: Any = keras_tuner.HyperParameters.from_config(
                {"space": copy.deepcopy(list(entries)), "values": {}}
            )
            self.update_space(declared)
            hyperparameters.merge(declared, overwrite=False)
        hyperparameters.values = dict(values)
        self._late_names.update(late)
        trial = Trial(hyperparameters=hyperparameters, trial_id=trial_id, status=TrialStatus.RUNNING)
        self._register(trial)
        return trial

    def restart(self, space: Sequence[Any]) -> None:
        """Forget all trials, and what they have brought into the search space.

        Args:
            space: The space that was asked for, as `HyperParameters.get_config()["space"]` gives it.
        """
        keras_tuners = (self.trials, self.ongoing_trials, self._id_to_hash, self._run_times, self._tried_so_far)
        for kept in (*keras_tuners, self._given_to):
            kept.clear()
        self._numbers, self._late_names = TrialNumbers(self.max_trials), set()
        self.start_order, self.end_order, self._retry_queue = [], [], []
        self._failures_in_a_row = 0
        self.forget_growth(space)

    def save(self) -> None:
        """Write the state that is not in the trials' files. A search calls it at its start and at its end.

        Neither it nor a trial's file waits for the disk: the journal is what a resume counts on.

        Keras Tuner rewrites it at each trial, which costs more the more trials there are; here nothing in it is
        needed to resume.
        """
        write_whole(pathlib.Path(self._get_oracle_fname()), json.dumps(self.get_state()), durable=False)

    def save_trial(self, trial: Trial) -> None:
        """Write a trial's file, for Keras Tuner's readers."""
        self._writer.write(pathlib.Path(self._project_dir), trial)

    def state_of(self, trial: Trial) -> dict[str, Any]:
        """`Trial.get_state()` as it reads back from a trial's file."""
        state: dict[str, Any] = json.loads(self._writer.text(trial))
        return state

    def _no_trial(self, status: str) -> Trial:
        return Trial(hyperparameters=self.get_space(), trial_id=self._numbers.unused(self.trials), status=status)

    def _register(self, trial: Trial) -> None:
        """Know a trial. Its file is written when it ends: a resume finds what it needs in the journal."""
        self.trials[trial.trial_id] = trial
        self.start_order.append(trial.trial_id)

    def _synchronise(self, trial: Trial) -> Trial:
        known = self.trials[trial.trial_id]
        known.hyperparameters, known.status, known.message = trial.hyperparameters, trial.status, trial.message
        return known

    @property
    def _project_dir(self) -> str:
        """Keras Tuner creates the folder at each look at its name."""
        return os.path.join(str(self._directory), self._project_name)
