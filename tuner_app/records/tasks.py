"""Fold tasks: the fits of a search, as records that can travel.

Owns what a fit needs to know beyond the data. Which fits there are is the business of `search`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner_app.records.refit_plan import RefitPlan
from tuner_app.records.results import FoldResult

Index = npt.NDArray[np.intp]

REFIT_FOLD = -1
"""The fold's number of a task that trains on all rows."""


@dataclasses.dataclass(frozen=True)
class Budget:
    """Which epochs of a candidate's training a task runs.

    Attributes:
        first_epoch: The epochs that are done before, by `parent`.
        epochs: The epoch, from 1, after which it ends; None for all that `fit` is told to run.
        parent: The trial whose weights it goes on with; None for a training from its beginning.
    """

    first_epoch: int = 0
    epochs: int | None = None
    parent: str | None = None


WHOLE = Budget()
"""The whole training."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class FoldTask:
    """One fit to do: a candidate on a fold, or the refit on all rows. It can be pickled.

    Attributes:
        trial_id: The candidate's trial.
        fold: The fold's number, from 0; `REFIT_FOLD` for the refit on all rows.
        execution: Which repetition, from 0.
        values: The hyperparameters' values.
        seed: The seed of the fit.
        train_rows: Rows to train on, shape `(n_train,)`.
        validation_rows: Rows to validate on, shape `(n_validation,)`; None for the refit.
        space: The hyperparameters that the candidate's model knows when it is built, as Keras Tuner's objects.
        budget: Which epochs it runs.
        plan: For how many epochs a refit trains, at which learning rates; None for a fold.
        keep_weights: Whether a later task goes on with its weights.
    """

    trial_id: str
    fold: int
    execution: int
    values: Mapping[str, Any]
    seed: int
    train_rows: Index
    validation_rows: Index | None
    space: Sequence[Any] = ()
    budget: Budget = WHOLE
    plan: RefitPlan | None = None
    keep_weights: bool = False

    def record(self, **fields: Any) -> FoldResult:
        """The record of the task.

        Args:
            **fields: What came of it; a `seed` is that of the fit, where it is another than the task's.
        """
        whose = {"trial_id": self.trial_id, "fold": self.fold, "execution": self.execution}
        return FoldResult(**{**whose, "values": dict(self.values), "seed": self.seed, **fields})

    @property
    def is_refit(self) -> bool:
        """Whether it trains on all rows."""
        return self.fold == REFIT_FOLD
