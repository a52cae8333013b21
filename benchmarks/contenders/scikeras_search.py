"""scikit-learn's `GridSearchCV` with a SciKeras classifier."""

from __future__ import annotations

import functools

from workloads import VALIDATION_BATCH, Workload, scaled_rows

from contenders.keras_models import build_classifier
from contenders.outcome import Clock, Outcome, mean_scores
from contenders.scikeras_command import share_cores


def run_scikeras(workload: Workload, clock: Clock, *, n_jobs: int) -> Outcome:
    """scikit-learn's `GridSearchCV` with a SciKeras classifier."""
    with clock("import"):
        import keras  # noqa: F401  (SciKeras imports it anyway; here it is counted as an import)
        from scikeras.wrappers import KerasClassifier
        from sklearn.model_selection import GridSearchCV, KFold
    if n_jobs > 1:
        share_cores(n_jobs)
    x, y = scaled_rows(workload)
    with clock("search"):
        classifier = KerasClassifier(
            model=functools.partial(build_classifier, workload.inputs),
            nodes=workload.nodes[0],
            learning_rate=workload.learning_rates[0],
            epochs=workload.epochs,
            batch_size=workload.batch_size,
            predict__batch_size=VALIDATION_BATCH,
            verbose=0,
        )
        search = GridSearchCV(
            classifier,
            {"nodes": list(workload.nodes), "learning_rate": list(workload.learning_rates)},
            scoring="accuracy",
            cv=KFold(workload.folds),
            n_jobs=n_jobs,
            refit=workload.refit,
            error_score="raise",
        )
        search.fit(x, y)
    return Outcome(scores=mean_scores(search.cv_results_))
