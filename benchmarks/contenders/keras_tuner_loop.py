"""Keras Tuner's `GridSearch` around a loop over the folds."""

from __future__ import annotations

import statistics
import tempfile
from typing import Any

from workloads import VALIDATION_BATCH, Workload, candidate_name, scaled_rows

from contenders.keras_models import build_classifier
from contenders.outcome import Clock, Outcome


def run_keras_tuner_loop(workload: Workload, clock: Clock) -> Outcome:
    """Keras Tuner's `GridSearch` with a `run_trial` that loops over the folds, as its users write it today."""
    with clock("import"):
        import keras
        import keras_tuner
        from sklearn.model_selection import KFold
    x, y = scaled_rows(workload)
    fit_options = {"epochs": workload.epochs, "batch_size": workload.batch_size, "verbose": 0}

    def build(hp: Any) -> Any:
        nodes = hp.Choice("nodes", list(workload.nodes))
        return build_classifier(workload.inputs, nodes, hp.Choice("learning_rate", list(workload.learning_rates)))

    class FoldLoop(keras_tuner.GridSearch):  # type: ignore[misc]
        def run_trial(self, trial: Any, *args: Any, **options: Any) -> dict[str, float]:
            scores = []
            for train, validation in KFold(workload.folds).split(x):
                keras.utils.clear_session()
                model = self.hypermodel.build(trial.hyperparameters)
                history = model.fit(
                    x[train],
                    y[train],
                    validation_data=(x[validation], y[validation]),
                    validation_batch_size=VALIDATION_BATCH,
                    **fit_options,
                )
                scores.append(history.history["val_accuracy"][-1])
            return {"val_accuracy": statistics.fmean(scores)}

    with tempfile.TemporaryDirectory() as folder, clock("search"):
        tuner = FoldLoop(build, objective="val_accuracy", directory=folder, project_name="bench", overwrite=True)
        tuner.search(verbose=0)
        if workload.refit:
            build(tuner.get_best_hyperparameters()[0]).fit(x, y, **fit_options)
    trials = tuner.oracle.trials.values()
    return Outcome(scores={candidate_name(trial.hyperparameters.values): float(trial.score) for trial in trials})
