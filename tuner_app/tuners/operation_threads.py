"""How many fits a search is known to have before TensorFlow starts, and how many threads each operation gets.

TensorFlow takes the threads of an operation once, when it starts, and any build of a model starts it. So what is not
declared apart from `build` is not known here.
"""

from __future__ import annotations

from typing import Any

import keras_tuner

from tuner_app.execution.threads import count_jobs
from tuner_app.folds.splits import number_of_splits
from tuner_app.process import devices
from tuner_app.storage.description import recorded_threads
from tuner_app.storage.project import Project
from tuner_app.training.hyperparameters import RecordedHyperParameters
from tuner_app.tuners.ranges import grid_size


def configure(
    project: Project | None,
    hypermodel: Any,
    hyperparameters: keras_tuner.HyperParameters | None,
    *,
    cv: Any,
    executions: int,
    max_trials: int | None,
) -> dict[str, Any]:
    """Set the threads of a search's operations: those of its first run, if there was one.

    Args:
        project: The folder of the search; None where it is begun anew.
        hypermodel: The user's hypermodel.
        hyperparameters: The space that the tuner was given; None for none.
        cv: The splitter, the number of folds, or the folds.
        executions: The repetitions per fold.
        max_trials: At most so many candidates; None for all.

    Returns:
        What is in force, as `devices.configure` gives it.
    """
    recorded = None if project is None else recorded_threads(project)
    if recorded is not None:
        return devices.configure(recorded)
    fits = known_fits(_known_candidates(hypermodel, hyperparameters, max_trials), cv, executions)
    return devices.configure(devices.threads_of_an_operation(fits, cores=count_jobs(None)))


def known_fits(candidates: int | None, cv: Any, executions: int) -> int | None:
    """How many fits a search has at least; None where that is not known.

    Args:
        candidates: How many candidates there are at least; None where only `build` would tell.
        cv: The splitter, the number of folds, or the folds.
        executions: The repetitions per fold.

    A space that only `build` declares is counted as one candidate on one split, and as many on several folds. To build
    a model in a forked process would tell, but a build may write files, and a fork of a process with threads may hang.
    So one guesses where the wrong guess costs least: whoever validates on one split has long fits, and too many threads
    then cost up to 1.5 times the processor's seconds, and at 512 nodes end sooner all the same; whoever has folds has,
    nearly always, a grid of more fits than cores.
    """
    splits = number_of_splits(cv)
    if splits is None:
        return None
    fits_per_candidate = splits * executions
    if candidates is None:
        return 1 if fits_per_candidate == 1 else None
    return candidates * fits_per_candidate


def _known_candidates(
    hypermodel: Any, hyperparameters: keras_tuner.HyperParameters | None, max_trials: int | None
) -> int | None:
    """The size of the grid that is declared already, at most `max_trials`; None where neither says anything."""
    space = RecordedHyperParameters(hyperparameters.space if hyperparameters is not None else ())
    if isinstance(hypermodel, keras_tuner.HyperModel):
        hypermodel.declare_hyperparameters(space)  # Keras Tuner's hook: called before any build, it builds nothing.
    if not space.space:
        return max_trials
    size = grid_size(space.space)
    return min(size, max_trials or size)
