"""The arguments of a tuner, checked before anything is done.

Owns every message about a bad one that does not belong to the data or to a folder.
"""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from tuner_app.errors import InputError
from tuner_app.records.checks import check_whole
from tuner_app.records.score import Objective, ScoreRule

# Keras Tuner's methods that run one trial, alone and as a whole.
_NEVER_CALLED = ("run_trial", "_build_and_fit_model", "_run_and_update_trial", "_try_run_and_update_trial")


def check_overridden(cls: type, base: type) -> None:
    """Refuse methods that would never be called: a trial is several folds, which run side by side.

    Args:
        cls: The tuner's class.
        base: The class of this package that it is of.

    Raises:
        InputError: It overrides one of them.
    """
    for name in _NEVER_CALLED:
        if getattr(cls, name) is not getattr(base, name):
            raise InputError(
                f"{cls.__name__} must not override {name}, which is never called: a trial is several folds, "
                "and each is a fit of its own. Override HyperModel.fit instead; it is called for each fold."
            )


def check_numbers(*, max_trials: Any, seed: Any, executions_per_trial: Any) -> None:
    """Check the whole numbers; `max_trials` and `seed` may be None.

    Raises:
        InputError: One is something else, or too small.
    """
    for name, value, least in (("max_trials", max_trials, 1), ("seed", seed, 0)):
        if value is not None:
            check_whole(name, value, least)
    check_whole("executions_per_trial", executions_per_trial, 1)


def checked_error_score(error_score: Any) -> float | str:
    """A number, or "raise".

    Raises:
        InputError: It is neither.
    """
    if error_score == "raise":
        return "raise"
    if isinstance(error_score, numbers.Real) and not isinstance(error_score, bool):
        return float(error_score)
    raise InputError(f"error_score must be a number or 'raise'. Received: {error_score!r}.")


def objectives_of(objective: Any) -> tuple[Objective, ...]:
    """Keras Tuner's objective, or its several ones, as this package's."""
    several = getattr(objective, "objectives", None)
    return tuple(Objective(one.name, one.direction) for one in (several or [objective]))


def refit_label(refit: Any, rule: ScoreRule) -> str:
    """How the columns end by which the best candidate is chosen."""
    if isinstance(refit, bool | np.bool_) or callable(refit):
        return "score"
    return rule.label(refit)
