"""The grid as Keras Tuner's oracle hands it out.

`keras_tuner.oracles.GridSearchOracle` (1.4.8) expands a candidate only after its predecessor ended, so it cannot run in
parallel, and loses its queue at a restart (`KeyError`). This one hands out every candidate whose values are known.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus

from tuner_app.storage.files import set_aside
from tuner_app.training.hyperparameters import RecordedHyperParameters
from tuner_app.tuners.grid import Grid, Point, Program
from tuner_app.tuners.trial_life import TrialLife


class GridOracle(TrialLife, keras_tuner.oracles.GridSearchOracle):
    """Hands out every candidate whose values are known, at once.

    Args:
        **options: Those of `keras_tuner.oracles.GridSearchOracle`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.program: Program = RecordedHyperParameters.ask_all
        self._grid: Grid | None = None
        self._points: dict[str, Point] = {}
        self._unsettled: list[str] = []

    def restart(self, space: Sequence[Any]) -> None:
        """Forget all trials, and what they have brought into the search space.

        Args:
            space: The space that was asked for, as `HyperParameters.get_config()["space"]` gives it.
        """
        super().restart(space)
        self._grid, self._points, self._unsettled = None, {}, []

    def _hear_of(self, trial: Trial, is_settled: bool) -> None:
        if is_settled:
            self._tell_grid(trial)
        else:
            self._unsettled.append(trial.trial_id)

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
        by_fits_last = sorted(late, key=lambda hp: hp.name in self._late_names)
        return Grid([*self.declared, *by_fits_last], RecordedHyperParameters.ask_all)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The values of the next candidate, as Keras Tuner asks for them; `create_trial` asks the grid itself."""
        point = self.grid.next()
        if point is None:
            return {"status": self._status_without_candidate(), "values": None}
        return {"status": TrialStatus.RUNNING, "values": point.values}

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
            values = self.values_without_late_defaults(trial.hyperparameters.values, trial.hyperparameters.space)
            self._numbers.recall(trial.trial_id, values)
        order = sorted(self.trials, key=lambda trial_id: (len(trial_id), trial_id))
        self.start_order = order
        ended = (TrialStatus.COMPLETED, TrialStatus.FAILED)
        self.end_order = [trial_id for trial_id in order if self.trials[trial_id].status in ended]
        self._retry_queue = [trial_id for trial_id in order if self.trials[trial_id].status not in ended]

    def _trial_to_run(self) -> Trial:
        if self._retry_queue and self._retry_queue[0] in self._points:
            return self._run_again(self._retry_queue[0])
        while not self.max_trials or self.grid.given < self.max_trials:
            point = self.grid.next()
            if point is None and self._unsettled:  # All models are known by now.
                self._settle()
                point = self.grid.next()
            if point is None:
                return self._no_trial(self._status_without_candidate())
            trial = self._trial_of(point)
            if trial.trial_id in self._retry_queue:
                return self._run_again(trial.trial_id)
            if trial.status == TrialStatus.RUNNING:
                return trial
        self._settle()
        return self._no_trial(TrialStatus.STOPPED)

    def _trial_of(self, point: Point) -> Trial:
        """A new trial, under the number that its candidate has from an earlier run where there was one."""
        values = self.values_without_late_defaults(point.values, point.hyperparameters.space)
        trial_id = self._numbers.number_of(values, self.trials)
        self._points[trial_id] = point
        if trial_id in self.trials:  # Reloaded from its file by Keras Tuner's public `reload`.
            if trial_id not in self._retry_queue:
                self._tell_grid(self.trials[trial_id])
            return self.trials[trial_id]
        trial = Trial(hyperparameters=point.hyperparameters, trial_id=trial_id, status=TrialStatus.RUNNING)
        self._register(trial)
        return trial

    def _settle(self) -> None:
        """Once all models are known: what no model asks for, a fit of the first version has asked for."""
        for trial_id in self._unsettled:
            trial, own = self.trials[trial_id], self._points[trial_id].values
            values = trial.hyperparameters.values
            late = {name: values[name] for name in values if name not in self.grid.names_of_build}
            trial.hyperparameters.values = {**own, **late}
            self._tell_grid(trial)
        self._unsettled = []

    def _tell_grid(self, trial: Trial) -> None:
        """Tell the grid that a candidate is done, and what its fits have asked for: all beyond its point."""
        point = self._points.pop(trial.trial_id, None)
        if point is None:
            return
        values = dict(trial.hyperparameters.values)
        # Keras Tuner's own fits register what they ask for on the trial's hyperparameters; so do ours (`take_over`).
        late = [name for name in values if name not in point.values]
        space = trial.hyperparameters.space if late else ()
        active = [hp for hp in space if all(condition.is_active(values) for condition in hp.conditions)]
        asked = (next((hp for hp in active if hp.name == name), None) for name in late)
        self._late_names.update(late)
        self.grid.tell(point.number, [hp for hp in asked if hp is not None])

    def _run_again(self, trial_id: str) -> Trial:
        trial, point = self.trials[trial_id], self._points[trial_id]
        self._retry_queue.remove(trial_id)
        trial.status, trial.hyperparameters = TrialStatus.RUNNING, point.hyperparameters
        trial.hyperparameters.values = point.values
        return trial

    def _status_without_candidate(self) -> str:
        """A trial that runs may still ask for a new hyperparameter."""
        status: str = TrialStatus.STOPPED if self.grid.is_over else TrialStatus.IDLE
        return status

    def _is_tuned(self, hp: Any) -> bool:
        """Keras Tuner leaves what is not in a given space at its default, where it is told to."""
        return self.tune_new_entries or any(
            known.name == hp.name and known.conditions == hp.conditions for known in self.declared
        )
