"""What a search leaves on its tuner, and the same read back by a tuner that has not searched in this process.

Owns the attributes that scikit-learn calls fitted (those that end in `_`), but for the model, and the choice of the
best candidate among the rows of the table.
"""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Callable, Mapping
from typing import Any

import keras

from tuner_app.data import targets
from tuner_app.data.labels import label_array
from tuner_app.errors import InputError, ProjectError, Remedy, SearchError
from tuner_app.records import tables
from tuner_app.records.results import Candidate
from tuner_app.records.score import ScoreRule
from tuner_app.search.spec import SearchOutcome
from tuner_app.storage import fold_extras
from tuner_app.storage.journal import SearchRecord, load_search
from tuner_app.storage.manifest import load_manifest
from tuner_app.storage.project import Project
from tuner_app.training.fitter import FoldFitter

NAMES = (
    *("cv_results_", "best_index_", "best_params_", "best_score_"),
    *("n_splits_", "classes_", "refit_time_", "histories_"),
)


class FittedTuner:
    """The part of a tuner that answers when a search is over, or was over in an earlier process."""

    project: Project
    rule: ScoreRule
    refit: bool | str | Callable[[Mapping[str, Any]], int]
    refit_label: str
    oracle: Any
    executions_per_trial: int
    return_train_score: bool
    best_model_: keras.Model

    cv_results_: dict[str, Any]
    best_index_: int
    best_params_: dict[str, Any]
    best_score_: float
    refit_time_: float
    n_splits_: int
    classes_: Any

    refit_failure: str | None = None
    _best_model: keras.Model | None = None
    _outcome: SearchOutcome | None = None
    _fitter: FoldFitter | None = None

    def __getattr__(self, name: str) -> Any:
        """What a search leaves behind, read from the project where this process has not searched."""
        # Keras Tuner's constructor asks for attributes before there is an oracle; pickle and copy do so, too.
        if name not in NAMES or "oracle" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        try:
            self._read_back()
        except AttributeError:
            if name not in vars(self):  # A table of failures has no best row, but it is there.
                raise
        return object.__getattribute__(self, name)

    @property
    def histories_(self) -> list[list[Any]]:
        """The histories of every candidate's folds."""
        several = self.executions_per_trial > 1
        return [
            [
                found if several else found[0]
                for fold in range(self.n_splits_)
                for found in [[result.history for result in candidate.folds if result.fold == fold]]
            ]
            for candidate in self.candidates()
        ]

    def candidates(self) -> list[Candidate]:
        """The whole candidates in the order of the table; those of the project where this process has not searched."""
        if self._outcome is None:
            _ = self.n_splits_  # Where there was no search yet, this says so.
            ordering = self.oracle.ordering
            whole = [self._with_values(candidate) for candidate in load_search(self.project).finished]
            return sorted(whole, key=lambda c: (ordering.position(c.values), len(c.trial_id), c.trial_id))
        return list(self._outcome.candidates)

    def forget(self) -> None:
        """Forget what an earlier search has left, before another one begins."""
        for name in NAMES:
            self.__dict__.pop(name, None)
        self._outcome = self._fitter = self._best_model = self.refit_failure = None

    def take_over(self, outcome: SearchOutcome, fitter: FoldFitter | None) -> None:
        """Keep what a search has found.

        Args:
            outcome: What it has found.
            fitter: What has fitted the folds, by which other candidates can be trained later; None for a stranger.
        """
        self._outcome, self._fitter = outcome, fitter
        self.cv_results_ = outcome.table
        self._set_best(outcome.best_index)
        self.refit_failure = outcome.refit_failure
        if outcome.model is not None:
            self.best_model_, self.refit_time_ = outcome.model, outcome.refit_seconds

    def chosen_index(self, table: Mapping[str, Any]) -> int:
        """The row of the best candidate, as `refit` says.

        Raises:
            InputError: `refit` is a function and gives no row of the table.
            SearchError: No candidate has a score.
        """
        if not callable(self.refit):
            return tables.best_index(table, self.refit_label)
        index = self.refit(table)
        if not isinstance(index, numbers.Integral) or not 0 <= index < len(table["params"]):
            raise InputError(f"refit must return the index of a candidate. Received: {index!r}.")
        return int(index)

    def _with_values(self, candidate: Candidate) -> Candidate:
        """A candidate with the values of its trial, those that a fit declared included, in the order of the space."""
        trial = self.oracle.trials.get(candidate.trial_id)
        values = candidate.values if trial is None else trial.hyperparameters.values
        return dataclasses.replace(candidate, values=self.oracle.ordering.ordered(values))

    def _set_best(self, index: int) -> None:
        table = self.cv_results_
        self.best_index_, self.best_params_ = index, table["params"][index]
        self.best_score_ = float(table[f"mean_test_{self.refit_label}"][index])

    def _read_back(self) -> None:
        """Set what the tuner's project holds; of an unfinished search what its whole candidates say.

        Raises:
            AttributeError: There was no search yet, or no candidate of it is whole or has a score.
            ProjectError: The project is damaged, scores by another rule than this tuner, or lacks what its table shows.
        """
        project = self.project
        if not project.exists():
            raise AttributeError(f"There are no results in {project.path} yet. Call search() first.")
        record = load_search(project)
        self._check_rule(record)
        folds = [fold for candidate in record.finished for fold in candidate.folds]
        wanted = {"return_train_score": self.return_train_score, "keep_fold_models": False}
        fold_extras.check_extras(project, record.description, folds, wanted)
        self.n_splits_, self.classes_ = record.n_splits, _classes(record)
        if project.manifest_file.exists():
            self.refit_time_ = load_manifest(project).refit_seconds
        if not record.finished:
            raise AttributeError(f"No candidate in {project.path} is finished yet. Call search() to go on.")
        self.cv_results_ = tables.cv_results(
            self.candidates(), record.rule, n_splits=record.n_splits, return_train_score=self.return_train_score
        )
        try:
            self._set_best(self.chosen_index(self.cv_results_))
        except SearchError as error:
            raise AttributeError(str(error)) from None

    def _check_rule(self, record: SearchRecord) -> None:
        """The tuner's choice among rows must go by the rule that made them."""
        for name, there, here in (
            ("objective", record.rule.objectives, self.rule.objectives),
            ("score_epoch", record.rule.epoch, self.rule.epoch),
            ("executions_per_trial", record.executions, self.executions_per_trial),
        ):
            if there != here:
                raise ProjectError(
                    f"The results in {self.project.path} are those of another search: {name} was {there!r}, and is "
                    f"{here!r} here. Give this tuner the same, or {Remedy.ANOTHER_PROJECT}."
                )


def _classes(record: SearchRecord) -> Any:
    """The labels; those of an earlier version's `search.json` where it does not say what the target is."""
    described, labels = record.description.get("target"), record.description.get("classes")
    if described is not None:
        target = targets.from_json({**described, "classes": labels})
        return target.classes if isinstance(target, targets.Target) else None
    return None if labels is None else label_array(labels)
