"""The best candidate trained on all rows, saved with a manifest, and found again.

Owns what a refit is: the same fit as a fold's, on every row, for as many epochs as the candidate's score was read at.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from tuner_app.data import targets
from tuner_app.errors import ProjectError, SearchError, TunerAppError
from tuner_app.execution.base import Batch, Outcome
from tuner_app.execution.threads import ThreadExecutor
from tuner_app.folds.rows import arrays_in
from tuner_app.prediction import rebuilding
from tuner_app.process.versions import package_versions
from tuner_app.records.refit_plan import RefitPlan, refit_plan
from tuner_app.records.results import Candidate
from tuner_app.records.tasks import REFIT_FOLD, FoldTask
from tuner_app.records.text import first_line
from tuner_app.storage.manifest import Manifest, change_manifest, load_manifest
from tuner_app.training.fitter import FoldFitter

if TYPE_CHECKING:
    from tuner_app.search.loop import Search
    from tuner_app.tuners.base import GridSearchCV

# What a manifest of an earlier version may have wrong, since it looked at the target alone.
_DECIDED_ANEW = ("classes", "decoding", "feature_names", "columns", "input_shape", "score")
_POLL_SECONDS = 0.2


class Refit:
    """A candidate's training on all rows, under way in a thread of its own like a fold's.

    Args:
        fitter: Fits candidates.
        candidate: The candidate.
        rows: The number of rows.
        seed: The seed of the fit.
        plan: For how many epochs.
        space: The hyperparameters that the candidate's model knows.
        is_stopped: Whether the search is to stop.
    """

    def __init__(
        self,
        fitter: FoldFitter,
        candidate: Candidate,
        *,
        rows: int,
        seed: int,
        plan: RefitPlan,
        space: Sequence[Any],
        is_stopped: Callable[[], bool],
    ) -> None:
        self.trial_id = candidate.trial_id
        self.seconds = 0.0
        self._fitter, self._is_stopped = fitter, is_stopped
        self._cancelled = threading.Event()
        self._executor = ThreadExecutor(1)
        self._outcome: Outcome | None = None
        task = FoldTask(
            trial_id=candidate.trial_id,
            fold=REFIT_FOLD,
            execution=0,
            values=candidate.values,
            seed=seed,
            train_rows=np.arange(rows),
            validation_rows=None,
            space=space,
            plan=plan,
        )
        self._executor.submit(self._fit, [task])
        self._executor.close()

    @property
    def running(self) -> bool:
        """Whether the training goes on."""
        self._outcome = self._outcome or self._executor.wait(0.0)
        return self._outcome is None

    def cancel(self) -> None:
        """Let it end at its next epoch; nobody wants it any more."""
        self._cancelled.set()

    def wait(self) -> keras.Model:
        """The trained model.

        Raises:
            FoldStopped: The search is to stop, or the refit was cancelled.
            SearchError: The training failed.
        """
        while self._outcome is None:
            self._outcome = self._executor.wait(_POLL_SECONDS)
        _, model, error = self._outcome
        if isinstance(error, Exception) and not isinstance(error, TunerAppError):
            trace = "".join(traceback.format_exception(error))
            raise SearchError(f"The refit of the best candidate on all rows failed. Its traceback:\n{trace}") from error
        if error is not None:
            raise error
        return model

    def _fit(self, batch: Batch) -> keras.Model:
        [task] = batch
        self.seconds = self._fitter(task, self._is_over).fit_seconds
        return self._fitter.take_model(task.trial_id)

    def _is_over(self) -> bool:
        return self._cancelled.is_set() or self._is_stopped()


def refit_best(search: Search, candidate: Candidate) -> tuple[keras.Model, float]:
    """The refit model of a search's best candidate: the one that an earlier run has saved, or a new one.

    Returns:
        The model, and the seconds that its refit took.
    """
    manifest, tuner = _manifest(search, candidate), search.tuner
    kept = _kept(search, manifest)
    if kept is not None:
        return kept
    model, seconds = search.refit(candidate)
    manifest = dataclasses.replace(manifest, refit_seconds=seconds)
    rebuilding.keep_model(tuner.project, model, manifest, tuner.build_apart, tuner.oracle.get_space(), search.data.x)
    return model, seconds


def refit_failure(error: Exception) -> str:
    """What to say of a refit that failed: one line of what is missing and why."""
    cause = error.__cause__ if isinstance(error, SearchError) and error.__cause__ is not None else error
    reason = str(cause) if isinstance(cause, TunerAppError) else f"{type(cause).__name__}: {first_line(cause)}."
    return (
        f"The refit of the best candidate on all rows failed, so there is no model to predict with: {reason} "
        "Scores and table are there; call search() again to try the refit again."
    )


def _kept(search: Search, manifest: Manifest) -> tuple[keras.Model, float] | None:
    """The model that an earlier run of the same search has saved, and the seconds that its refit took."""
    tuner = search.tuner
    if not tuner.project.manifest_file.exists():
        return None
    with contextlib.suppress(ProjectError):
        known = load_manifest(tuner.project)
        same = ("search_id", "hyperparameters", "epochs")
        if all(getattr(known, name) == getattr(manifest, name) for name in same):
            model, _ = rebuilding.kept_model(tuner.project, tuner.build_apart, tuner.oracle.get_space)
            if known.decoding is None:  # of an earlier version, which did not know what the outputs are
                changes = {name: getattr(manifest, name) for name in _DECIDED_ANEW}
                change_manifest(tuner.project, model, changes)
            return model, known.refit_seconds
    return None


def _chosen_score(tuner: GridSearchCV) -> tuple[str, float, float]:
    """The objective that chose the best candidate, its mean in the objective's own sign, and its standard deviation."""
    label, row = tuner.refit_label, tuner.best_index_
    mean, std = (float(tuner.cv_results_[f"{statistic}_test_{label}"][row]) for statistic in ("mean", "std"))
    chosen = [pair for pair in tuner.rule.objectives if label in ("score", pair[0].removeprefix("val_"))]
    if len(chosen) == 1 and chosen[0][1] == "min":
        mean = -mean
    return ", ".join(name for name, _ in chosen), mean, std


def _manifest(search: Search, candidate: Candidate) -> Manifest:
    tuner, data = search.tuner, search.data
    dataset = data.dataset
    objective, score, std = _chosen_score(tuner)
    inputs = arrays_in(data.x)
    is_one = inputs[0] is data.x and inputs[0].ndim > 1 and inputs[0].dtype.kind in "biuf"
    described = {"source": None if dataset is None else dataset.source, "target": data.label_column}
    return Manifest(
        hyperparameters=dict(candidate.values),
        score=score,
        score_std=std,
        objective=objective,
        n_splits=tuner.n_splits_,
        epochs=refit_plan(tuner.rule, candidate.folds).epochs or 0,
        seed=tuner.oracle.seed,
        classes=data.labels,
        decoding=targets.description(data.target),
        feature_names=data.columns if is_one else None,
        columns=None if is_one else data.columns,
        input_shape=list(inputs[0].shape[1:]) if is_one else None,
        image_shape=list(dataset.image_shape) if dataset is not None and dataset.image_shape else None,
        data={**described, "fingerprint": search.fingerprint},
        versions=package_versions(),
        test_score=None,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        search_id=search.search_id,
        refit_seconds=0.0,
    )
