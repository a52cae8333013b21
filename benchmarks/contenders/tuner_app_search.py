"""This package's own search."""

from __future__ import annotations

import tempfile

from workloads import CLASSES, Workload, load_rows

from contenders.outcome import Clock, Outcome, mean_scores


def run_tuner_app(workload: Workload, clock: Clock, *, n_jobs: int) -> Outcome:
    """This package's search."""
    with clock("import"):
        from tuner_app import DenseHyperModel, GridSearchCV  # isort: skip  (it may set what TensorFlow reads on loading)

        import keras  # noqa: F401  (what the package imports late counts as an import too)
        from sklearn.model_selection import KFold
    x, y = load_rows(workload)
    with tempfile.TemporaryDirectory() as folder, clock("search"):
        hypermodel = DenseHyperModel(
            input_shape=(workload.inputs,),
            n_classes=CLASSES,
            nodes=list(workload.nodes),
            learning_rates=list(workload.learning_rates),
            input_scale=workload.input_scale,
        )
        tuner = GridSearchCV(
            hypermodel,
            objective="val_accuracy",
            cv=KFold(workload.folds),
            n_jobs=n_jobs,
            refit=workload.refit,
            seed=0,
            directory=folder,
            project_name="bench",
            overwrite=True,
        )
        tuner.search(x, y, epochs=workload.epochs, batch_size=workload.batch_size)
    return Outcome(scores=mean_scores(tuner.cv_results_))
