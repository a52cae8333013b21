"""What a search leaves on its tuner, and the same read back by a tuner that has not searched in this process.

Owns the attributes that scikit-learn calls fitted (those that end in `_`) and the choice of the best candidate among
the rows of the table. The model is the business of `predictor`, the order of the candidates that of `tuner`.
"""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

from tuner_app.data import targets
from tuner_app.data.labels import label_array
from tuner_app.errors import InputError, ProjectError, SearchError
from tuner_app.records import tables
from tuner_app.storage import fold_extras
from tuner_app.storage.journal import SearchRecord, load_search
from tuner_app.storage.manifest import load_manifest

if TYPE_CHECKING:
    from tuner_app.tuners.base import GridSearchCV

NAMES = (
    *("cv_results_", "best_index_", "best_params_", "best_score_"),
    *("n_splits_", "classes_", "refit_time_", "histories_"),
)


def set_best(tuner: GridSearchCV) -> None:
    """Choose the best candidate of the tuner's table, as its `refit` says.

    Raises:
        InputError: `refit` is a function and gives no row of the table.
        SearchError: No candidate has a score.
    """
    table = tuner.cv_results_
    tuner.best_index_ = _chosen_index(tuner, table)
    tuner.best_params_ = table["params"][tuner.best_index_]
    tuner.best_score_ = float(table[f"mean_test_{tuner.refit_label}"][tuner.best_index_])


def forget(tuner: GridSearchCV) -> None:
    """Forget what an earlier search has left, before another one begins."""
    for name in NAMES:
        tuner.__dict__.pop(name, None)


def read_back(tuner: GridSearchCV) -> None:
    """Set what the tuner's project holds; of an unfinished search what its whole candidates say.

    Raises:
        AttributeError: There was no search yet, or no candidate of it is whole or has a score.
        ProjectError: The project is damaged, scores by another rule than this tuner, or lacks what its table shows.
    """
    if not tuner.project.exists():
        raise AttributeError(f"There are no results in {tuner.project.path} yet. Call search() first.")
    record = load_search(tuner.project)
    _check_rule(tuner, record)
    fold_extras.check_extras(
        tuner.project,
        record.description,
        [fold for candidate in record.finished for fold in candidate.folds],
        {"return_train_score": tuner.return_train_score, "keep_fold_models": False},
    )
    tuner.n_splits_, tuner.classes_ = record.n_splits, _classes(record)
    tuner.fold_results = {candidate.trial_id: list(candidate.folds) for candidate in record.finished}
    if tuner.project.manifest_file.exists():
        tuner.refit_time_ = load_manifest(tuner.project).refit_seconds
    if not record.finished:
        raise AttributeError(f"No candidate in {tuner.project.path} is finished yet. Call search() to go on.")
    tuner.cv_results_ = tables.cv_results(
        tuner.candidates(), record.rule, n_splits=record.n_splits, return_train_score=tuner.return_train_score
    )
    try:
        set_best(tuner)
    except SearchError as error:
        raise AttributeError(str(error)) from None


def _check_rule(tuner: GridSearchCV, record: SearchRecord) -> None:
    """The tuner's choice among rows must go by the rule that made them."""
    for name, there, here in (
        ("objective", record.rule.objectives, tuner.rule.objectives),
        ("score_epoch", record.rule.epoch, tuner.rule.epoch),
        ("executions_per_trial", record.executions, tuner.executions_per_trial),
    ):
        if there != here:
            raise ProjectError(
                f"The results in {tuner.project.path} are those of another search: {name} was {there!r}, and is "
                f"{here!r} here. Give this tuner the same, or another project_name."
            )


def _classes(record: SearchRecord) -> Any:
    """The labels; those of an earlier version's `search.json` where it does not say what the target is."""
    described, labels = record.description.get("target"), record.description.get("classes")
    if described is not None:
        target = targets.from_json({**described, "classes": labels})
        return target.classes if isinstance(target, targets.Target) else None
    return None if labels is None else label_array(labels)


def _chosen_index(tuner: GridSearchCV, table: dict[str, Any]) -> int:
    if not callable(tuner.refit):
        return tables.best_index(table, tuner.refit_label)
    index = tuner.refit(table)
    if not isinstance(index, numbers.Integral) or not 0 <= index < len(table["params"]):
        raise InputError(f"refit must return the index of a candidate. Received: {index!r}.")
    return int(index)
