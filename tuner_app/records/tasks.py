"""Fold tasks: the fits of a search, as records that can travel.

Owns what a fit needs to know beyond the data. Which fits there are is the business of `search`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.intp]

REFIT_FOLD = -1
"""The fold's number of a task that trains on all rows."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class FoldTask:
    """One fit to do: a candidate on a fold.

    Attributes:
        trial_id: The candidate's trial.
        fold: The fold's number, from 0; -1 for the refit on all rows.
        execution: Which repetition, from 0.
        values: The hyperparameters' values.
        seed: The seed of the fit.
        train_rows: Rows to train on, shape `(n_train,)`.
        validation_rows: Rows to validate on, shape `(n_validation,)`; None for the refit.
    """

    trial_id: str
    fold: int
    execution: int
    values: Mapping[str, Any]
    seed: int
    train_rows: Index
    validation_rows: Index | None
