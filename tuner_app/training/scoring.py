"""What a fold's trained model is asked before it is let go.

Owns the confusion matrix, the scores on the training rows and the model's own file. The first two come beside the
score, so they never fail a fit that is paid for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tuner_app.compiled import model_fit
from tuner_app.folds.rows import Rows, arrays_in
from tuner_app.records import metric_values
from tuner_app.records.text import first_line
from tuner_app.storage import model_file
from tuner_app.training.fit_run import FitRun


def after_fit(run: FitRun) -> dict[str, Any]:
    """The fields of the record that need the trained model: where asked for, the confusion matrix and train scores."""
    spec, task = run.spec, run.task
    # By the programs that fits share: Keras's own `predict` and `evaluate` would be traced anew for each model.
    fields: dict[str, Any] = {}
    if spec.n_classes is not None:
        with _forgiving(run, "no confusion matrix"):
            fields["confusion"] = _counted_classes(run, spec.n_classes)
    if spec.return_train_score:
        with _forgiving(run, "no scores on its training rows"):
            fields["train_scores"] = _scores_on_training_rows(run)
    # Not forgiven: who asks for the models wants all of them.
    if spec.keep_fold_models and spec.project is not None:
        model_file.save_model(spec.project.fold_model_file(task.trial_id, task.fold, task.execution), run.model)
    return fields


@contextmanager
def _forgiving(run: FitRun, lack: str) -> Iterator[None]:
    """What comes beside the score never fails a fit that is paid for: one line a search says what is missing."""
    try:
        yield
    except Exception as error:
        reason = first_line(error)
        run.shared.tell_once(f"{lack} {reason}", f"A fit has {lack}, because of {type(error).__name__}: {reason}.")


def _counted_classes(run: FitRun, n_classes: int) -> list[list[int]] | None:
    rows = run.task.validation_rows
    assert rows is not None
    predicted = model_fit.predict_classes(run.model, run.context, Rows(run.spec.x, rows))
    return _confusion(arrays_in(run.spec.y)[0][rows], predicted, n_classes)


def _confusion(true: Any, predicted: Any, n_classes: int) -> list[list[int]] | None:
    labels = np.asarray(true).reshape(-1).astype(np.int64)
    if predicted.ndim != 1 or len(labels) != len(predicted) or predicted.max(initial=0) >= n_classes:
        return None
    counts = np.bincount(labels * n_classes + predicted, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes).tolist()


def _scores_on_training_rows(run: FitRun) -> dict[str, float]:
    """As the validation rows are scored: by the same program, and weighted where they are."""
    spec = run.spec
    x, y, weight = (
        None if part is None else Rows(part, run.task.train_rows) for part in (spec.x, spec.y, spec.sample_weight)
    )
    assert x is not None
    assert y is not None
    batch_size = int(spec.fit_options.get("batch_size") or 32)
    scores = model_fit.evaluate(run.model, run.context, x, y, weight, batch_size=batch_size)
    return metric_values.numbers_of(scores)
