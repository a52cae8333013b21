"""A trial's file, for Keras Tuner's readers: `trial_*/trial.json`, as `Trial.save` writes it.

Owns how it is written at little cost. Nothing is read back from it: the journal says what a trial is.
"""

from __future__ import annotations

import json
import operator
import pathlib
from typing import Any

from keras_tuner.engine.trial import Trial

from tuner_app.storage.files import write_whole


class TrialWriter:
    """Writes trials, most of which share one search space."""

    def __init__(self) -> None:
        self._encoded_space: list[Any] = []
        self._space_text = "[]"

    def write(self, folder: pathlib.Path, trial: Trial) -> None:
        """Write a trial's file, whole; the disk need not confirm it.

        Args:
            folder: The project's folder.
            trial: The trial.
        """
        write_whole(folder / f"trial_{trial.trial_id}" / "trial.json", self.text(trial), durable=False)

    def text(self, trial: Trial) -> str:
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
