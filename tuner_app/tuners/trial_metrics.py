"""What an oracle's trials have reported, and which of them is best.

Keras Tuner (1.4.8) looks for the best report at each one, and locks by a function that Python has deprecated.
"""

from __future__ import annotations

from collections.abc import Mapping

from keras_tuner.engine.trial import Trial, TrialStatus

from tuner_app.tuners.asked_space import AskedSpace


class TrialMetrics(AskedSpace):
    """The part of an oracle that knows the trials' metrics."""

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

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """The best trials, ties in the order of the grid, whichever ended first."""
        order = sorted(self.trials.values(), key=lambda trial: (len(trial.trial_id), trial.trial_id))
        done = [trial for trial in order if trial.status == TrialStatus.COMPLETED]
        sign = -1.0 if self.objective.direction == "max" else 1.0
        done.sort(key=lambda trial: sign * trial.score)
        rest = [trial for trial in order if trial.status != TrialStatus.COMPLETED]
        return (done if len(done) >= num_trials else done + rest)[:num_trials]
