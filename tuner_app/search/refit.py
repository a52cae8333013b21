"""The best candidate trained on all rows: a task like any other.

Owns that task, who takes over its model, and what is said of one that failed. When it begins is `early_refit`'s.
"""

from __future__ import annotations

import abc
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tuner_app.errors import Remedy, TunerAppError
from tuner_app.records.refit_plan import refit_plan
from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.score import ScoreRule
from tuner_app.records.seeds import fit_seed
from tuner_app.records.tasks import REFIT_FOLD, FoldTask
from tuner_app.records.text import first_line
from tuner_app.search.strategy import Proposal

logger = logging.getLogger(__name__)


class ModelKeeper(abc.ABC):
    """What becomes of the refit model. Called by the main thread."""

    @abc.abstractmethod
    def kept(self, candidate: Candidate, table: Mapping[str, Any], index: int) -> tuple[Any, float] | None:
        """The model that an earlier run of the same search has kept, and the seconds of its training; None for none.

        Args:
            candidate: The best candidate.
            table: The search's `cv_results_`.
            index: The candidate's row.
        """

    @abc.abstractmethod
    def keep(self, candidate: Candidate, table: Mapping[str, Any], index: int, record: FoldResult) -> tuple[Any, float]:
        """Take over what a refit task has trained, and keep it.

        Args:
            candidate: The best candidate.
            table: The search's `cv_results_`.
            index: The candidate's row.
            record: What came of the task.

        Returns:
            The model, and the seconds of its training.
        """

    @abc.abstractmethod
    def let_go(self, trial_id: str) -> None:
        """A refit task of a trial has trained a model that nobody wants any more."""


def refit_task(proposal: Proposal, candidate: Candidate, *, rows: int, rule: ScoreRule, seed: int) -> FoldTask:
    """The task that trains a candidate on all rows, for as long as its score was read at.

    Args:
        proposal: What the candidate was proposed as.
        candidate: The candidate, with its folds.
        rows: The number of all rows.
        rule: How histories become scores.
        seed: The seed of the search.
    """
    return FoldTask(
        trial_id=candidate.trial_id,
        fold=REFIT_FOLD,
        execution=0,
        values=candidate.values,
        seed=fit_seed(seed, proposal.seed_values, REFIT_FOLD),
        train_rows=np.arange(rows),
        validation_rows=None,
        space=proposal.space,
        plan=refit_plan(rule, candidate.folds),
    )


def expected_refit_seconds(
    folds: Sequence[FoldResult], splits: Sequence[tuple[Any, Any]], *, rows: int, rule: ScoreRule
) -> float:
    """How long a refit will take: a fold's mean, by the rows and the epochs that it has more or less than a fold.

    Args:
        folds: The candidate's fits, or some of them.
        splits: Pairs of row numbers, training and validation.
        rows: The number of all rows.
        rule: How histories become scores: it says after which epoch the refit ends.
    """
    # A row that is only validated is not gone back through.
    fold_rows = float(np.mean([len(train) + len(validation) / 3 for train, validation in splits]))
    return float(np.mean([fold.fit_seconds for fold in folds])) * rows / fold_rows * _share_of_epochs(folds, rule)


def _share_of_epochs(folds: Sequence[FoldResult], rule: ScoreRule) -> float:
    """The refit's epochs by those that the folds ran, of which `EarlyStopping` takes some back."""
    epochs = [max(map(len, fold.history.values())) for fold in folds if fold.error is None and fold.history]
    planned = rule.refit_epochs(folds)
    if planned is None or not all(epochs) or any(len(fold.stage_epochs) > 1 for fold in folds):
        return 1.0
    return planned / float(np.mean(epochs))


def refit_failure(error: Exception) -> str:
    """What to say of a refit that failed: one line of what is missing and why."""
    reason = str(error) if isinstance(error, TunerAppError) else f"{type(error).__name__}: {first_line(error)}."
    logger.info("The refit failed.", exc_info=error)
    return (
        f"The refit of the best candidate on all rows failed, so there is no model to predict with: {reason} "
        f"Scores and table are there. {Remedy.SEARCH_AGAIN} to try the refit again."
    )
