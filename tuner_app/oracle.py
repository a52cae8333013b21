"""The grid as Keras Tuner's oracle hands it out.

`keras_tuner.oracles.GridSearchOracle` expands a candidate only after its predecessor ended (so it cannot
run in parallel), loses its queue at a restart (`KeyError`), rewrites its whole state at each trial (its cost
grows with the number of trials) and takes `seed=0` for no seed. This subclass names each of these where it
does otherwise; the files on disk and the public methods stay Keras Tuner's.
"""

from __future__ import annotations

import itertools
import json
import logging
import operator
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus

from tuner_app.project import set_aside, write_whole

logger = logging.getLogger(__name__)

Values = dict[str, Any]


def grid(space: Sequence[Any]) -> Iterator[Values]:
    """All candidates of a search space, the default of each hyperparameter first, the last one varying fastest.

    Args:
        space: Keras Tuner's `HyperParameter`s; those under conditions appear only where their conditions hold.

    Yields:
        The active hyperparameters' values, by name.
    """
    choices = [_default_first(hp) for hp in space]

    def expand(position: int, values: Values) -> Iterator[Values]:
        if position == len(space):
            yield dict(values)
            return
        hp = space[position]
        if hp.name in values or not all(condition.is_active(values) for condition in hp.conditions):
            yield from expand(position + 1, values)
            return
        for value in choices[position]:
            values[hp.name] = value
            yield from expand(position + 1, values)
        del values[hp.name]

    return expand(0, {})


def grid_size(space: Sequence[Any]) -> int:
    """The number of candidates of a search space."""
    if not any(hp.conditions for hp in space):
        return int(np.prod([len(_default_first(hp)) for hp in space], dtype=object)) if space else 1
    return sum(1 for _ in grid(space))


def space_values(space: Sequence[Any]) -> dict[str, list[Any]]:
    """Each hyperparameter's values, in the order of the space."""
    values: dict[str, list[Any]] = {}
    for hp in space:
        known = values.setdefault(hp.name, [])
        known += [value for value in hp.values if value not in known]
    return values


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
        self._unseen: Iterator[Values] | None = None
        self._space_size = 0
        self._covered: set[str] = set()
        self._next_id = 0
        self._given_to: dict[str, str] = {}
        self._encoded_space: list[Any] = []
        self._space_text = "[]"

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The next candidate that was not handed out yet.

        Keras Tuner waits for the predecessor to end. Here a hyperparameter that appears only later starts the
        grid anew, past what was tried; a trial that began without it counts as tried at its default value.
        """
        space = self.hyperparameters.space
        if self._unseen is None or len(space) != self._space_size:
            self._unseen, self._space_size = grid(space), len(space)
            known = (_completed(space, trial.hyperparameters.values) for trial in self.trials.values())
            self._covered = {self._compute_values_hash(values) for values in known}
        for values in self._unseen:
            key = self._compute_values_hash(values)
            if key not in self._tried_so_far and key not in self._covered:
                return {"status": TrialStatus.RUNNING, "values": values}
        # A running trial may still declare a new hyperparameter.
        status = TrialStatus.IDLE if self.ongoing_trials else TrialStatus.STOPPED
        return {"status": status, "values": None}

    def create_trial(self, tuner_id: str) -> Trial:
        """A trial to run; one of status `STOPPED` or `IDLE` when there is none."""
        if tuner_id in self.ongoing_trials:
            return self.ongoing_trials[tuner_id]
        if self._retry_queue:
            trial = self.trials[self._retry_queue.pop(0)]
            trial.status = TrialStatus.RUNNING
        else:
            trial = self._new_trial()
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
        self._record_values(trial)
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

    def adopt(self, trial_id: str, values: Mapping[str, Any], entries: Sequence[Any] = ()) -> None:
        """Make a known trial from its candidate's journalled folds.

        Args:
            trial_id: The trial.
            values: The candidate's values.
            entries: What its fits have declared beyond the space, as `HyperParameters.get_config()["space"]` gives it.
        """
        hyperparameters = self.get_space()
        if entries:
            late: Any = keras_tuner.HyperParameters.from_config({"space": entries, "values": {}})
            self.update_space(late)
            hyperparameters.merge(late, overwrite=False)
        hyperparameters.values = dict(values)
        self._register(Trial(hyperparameters=hyperparameters, trial_id=trial_id, status=TrialStatus.RUNNING))

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
        self.start_order, self.end_order, self._retry_queue = [], [], []
        self._tried_so_far.clear()
        self._covered, self._unseen, self._next_id = set(), None, 0
        if len(self.hyperparameters.space) != len(space):
            values = self.hyperparameters.values
            names = [entry["config"]["name"] for entry in space]
            kept = {name: values[name] for name in names if name in values}
            self.hyperparameters = keras_tuner.HyperParameters.from_config({"space": space, "values": kept})

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
        order = sorted(self.trials, key=lambda trial_id: (len(trial_id), trial_id))
        self.start_order = order
        ended = (TrialStatus.COMPLETED, TrialStatus.FAILED)
        self.end_order = [trial_id for trial_id in order if self.trials[trial_id].status in ended]
        self._retry_queue = [trial_id for trial_id in order if self.trials[trial_id].status not in ended]

    def get_space(self) -> keras_tuner.HyperParameters:
        """A copy of the search space, which shares the hyperparameters: none changes after it was declared.

        Keras Tuner's own copy sends each through serialisation, which costs the more the more values it has.
        """
        space: Any = keras_tuner.HyperParameters()
        for hp in self.hyperparameters.space:
            space._hps[hp.name].append(hp)
            space._space.append(hp)
        space.values = dict(self.hyperparameters.values)
        return space

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """The best trials, ties in the order of the grid, whichever ended first."""
        order = sorted(self.trials.values(), key=lambda trial: (len(trial.trial_id), trial.trial_id))
        done = [trial for trial in order if trial.status == TrialStatus.COMPLETED]
        sign = -1.0 if self.objective.direction == "max" else 1.0
        done.sort(key=lambda trial: sign * trial.score)
        rest = [trial for trial in order if trial.status != TrialStatus.COMPLETED]
        return (done if len(done) >= num_trials else done + rest)[:num_trials]

    def _new_trial(self) -> Trial:
        trial_id = self._unused_id()
        exhausted = bool(self.max_trials) and len(self.trials) >= self.max_trials
        answer = {"status": TrialStatus.STOPPED, "values": None} if exhausted else self.populate_space(trial_id)
        hyperparameters = self.get_space()
        hyperparameters.values = answer["values"] or {}
        trial = Trial(hyperparameters=hyperparameters, trial_id=trial_id, status=answer["status"])
        if trial.status == TrialStatus.RUNNING:
            self._register(trial)
        return trial

    def _unused_id(self) -> str:
        """Keras Tuner counts the trials; after a resume one in the middle may be missing, and gets its number again."""
        pattern = f"{{:0{len(str(self.max_trials))}d}}"
        while (trial_id := pattern.format(self._next_id)) in self.trials:
            self._next_id += 1
        return trial_id

    def _register(self, trial: Trial) -> None:
        """Know a trial. Its file is written when it ends: a resume finds what it needs in the journal."""
        self._record_values(trial)
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


def _completed(space: Sequence[Any], values: Mapping[str, Any]) -> Values:
    """A candidate with the default of each active hyperparameter that it does not have yet."""
    whole = dict(values)
    for hp in space:
        if hp.name not in whole and all(condition.is_active(whole) for condition in hp.conditions):
            whole[hp.name] = hp.default
    return whole


def _default_first(hp: Any) -> list[Any]:
    values = list(hp.values)
    return [hp.default, *(value for value in values if value != hp.default)]
