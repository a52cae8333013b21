"""What a tuner was told, as one record for what reads it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tuner_app.records.score import ScoreRule
from tuner_app.storage.project import Project


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Settings:
    """The arguments of a tuner, checked.

    Attributes:
        project: The folder of the search.
        hypermodel: The user's `HyperModel`.
        space: The search space as it was asked for, as `HyperParameters.get_config()["space"]` gives it.
        rule: How histories become scores.
        cv: The splitter, the number of folds, or the folds.
        seed: The seed of the search; `is_seed_given` says whether the user chose it.
        max_trials: At most so many candidates; None for all.
        executions: The repetitions per fold.
        n_jobs: How many fits run side by side.
        stops_at_a_failure: Whether `error_score` is "raise".
        return_train_score, keep_fold_models, compile_epochs, jit_compile: As the tuner's arguments.
        has_own_fitter: Whether a `fold_fitter` takes the place of the fits.
        devices: TensorFlow's threads and GPUs.
    """

    project: Project
    hypermodel: Any
    space: Sequence[Any]
    rule: ScoreRule
    cv: Any
    seed: int
    is_seed_given: bool
    max_trials: int | None
    executions: int
    n_jobs: int
    stops_at_a_failure: bool
    return_train_score: bool
    keep_fold_models: bool
    compile_epochs: bool
    jit_compile: bool | None
    has_own_fitter: bool
    devices: Mapping[str, Any]
