"""`GridSearchCV`: every candidate of a Keras Tuner search space, each scored by cross-validation."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras_tuner
import numpy as np

from tuner_app.records.results import FoldResult
from tuner_app.records.tasks import FoldTask
from tuner_app.search.observers import SearchObserver
from tuner_app.storage.project import Project
from tuner_app.training import fit_checks
from tuner_app.tuners import arguments, operation_threads
from tuner_app.tuners.base import CVTuner
from tuner_app.tuners.oracle import GridOracle


class GridSearchCV(CVTuner, keras_tuner.GridSearch):
    """Exhaustive search over a Keras Tuner search space, each candidate scored by cross-validation.

    The arguments are Keras Tuner's and scikit-learn's, under their names there.

    Args:
        hypermodel: A `keras_tuner.HyperModel`, or a function of `hp` that returns a compiled model. An overridden
            `HyperModel.fit` is called. Each fit works on its own deep copy of it, whose `build` and `fit` are called;
            arrays and data sets in its attributes are shared. One that cannot be copied needs `n_jobs=1`.
        objective: A metric's name such as `"val_accuracy"`, a `keras_tuner.Objective`, or a list of them (their sum,
            each in its direction, decides). Optional when `HyperModel.fit` returns a number to minimise.
        cv: The number of folds as in scikit-learn (`StratifiedKFold` for a classification, else `KFold`; neither
            shuffles), any scikit-learn splitter, or an iterable of index pairs. Defaults to 3.
        n_jobs: How many fits run side by side; None or -1 is the number of cores. Never changes a result, but for
            fits that draw from the global random numbers of NumPy, Python or TensorFlow: use `keras.random`, or
            `numpy.random.default_rng(seed)`.
        refit: Whether to train the best candidate on all rows at the end; or the objective by which it is the best
            one, where there are several (`get_best_hyperparameters` goes by their sum); or a function of `cv_results_`
            that returns the index of the candidate to take. Defaults to True.
        error_score: The score of a fit that failed, or `"raise"` to stop. Defaults to NaN.
        return_train_score: Whether to score the training rows, too. Defaults to False.
        score_epoch: `"last"` scores each fold by its final epoch; `"best"` by the epoch at which the mean curve over
            the folds is best, the same for all folds. The refit trains for as long. Defaults to `"last"`.
        max_trials: At most so many candidates; None is all of them.
        seed: The search's seed; 0 is a seed. None draws one, which `search.json` keeps for a resume.
        hyperparameters: As in Keras Tuner.
        tune_new_entries: As in Keras Tuner.
        allow_new_entries: As in Keras Tuner.
        max_retries_per_trial: How often a failed fit is tried again. Defaults to 0.
        max_consecutive_failed_trials: After so many failed candidates in a row the search stops with a RuntimeError.
            Defaults to 3.
        executions_per_trial: How often each fold is fitted; the scores are averaged. Defaults to 1.
        directory: The folder of all projects. Defaults to the current one; it is made absolute at once.
        project_name: The folder of this search. Defaults to `untitled_project`.
        overwrite: Whether to start over. Defaults to False: what is done is kept, what is missing is trained.
        verbose: 0 for no output, 1 for progress, 2 for more. Defaults to 1.
        observers: Who watches the search; None is progress on the screen and TensorBoard's files.
        compile_epochs: Whether an epoch runs as one program where that is possible. Defaults to True.
        jit_compile: True or False forces or forbids XLA; None decides by the layers of the model (convolutions
            never by XLA on a CPU) and the amount of work. Defaults to None.
        keep_fold_models: Whether each fold's model is saved as `trial_*/fold_*.keras` (only its weights, as
            `fold_*.weights.h5`, where Keras cannot save it whole). Defaults to False.
        fold_fitter: Replaces the fitting of a fold: a function of a `FoldTask` that returns a `FoldResult`. For tests
            and benchmarks; there is no refit then.
        **options: `optimizer`, `loss`, `metrics`, `max_model_size`, `distribution_strategy`: as in Keras Tuner.

    A tuner that has not searched in this process reads the attributes below from its project, if there is one; from an
    unfinished one what the whole candidates say.

    Attributes:
        cv_results_: scikit-learn's table, a dict of columns; see `results.cv_results`.
        best_index_: The row of the best candidate.
        best_params_: Its hyperparameters' values.
        best_score_: Its mean score, by the objective that `refit` names where it names one; higher is better (a metric
            to minimise is negated).
        best_model_: The refit model.
        refit_time_: Seconds that the refit took.
        histories_: Per candidate (in the order of `cv_results_`) and fold: metric to a list of one number per epoch.
            With several executions a list of such dicts per fold.
        n_splits_: The number of folds.
        classes_: The class labels, where the targets are classes; else None.

    Raises:
        InputError: An argument has a value that cannot work.
        ProjectError: The project cannot be used.
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        *,
        cv: Any = 3,
        n_jobs: int | None = None,
        refit: bool | str | Callable[[Mapping[str, Any]], int] = True,
        error_score: float | str = np.nan,
        return_train_score: bool = False,
        score_epoch: str = "last",
        max_trials: int | None = None,
        seed: int | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        executions_per_trial: int = 1,
        directory: str | os.PathLike[str] | None = None,
        project_name: str | None = None,
        overwrite: bool = False,
        verbose: int = 1,
        observers: Sequence[SearchObserver] | None = None,
        compile_epochs: bool = True,
        jit_compile: bool | None = None,
        keep_fold_models: bool = False,
        fold_fitter: Callable[[FoldTask], FoldResult] | None = None,
        **options: Any,
    ) -> None:
        arguments.check_overridden(type(self), CVTuner)
        fit_checks.check_hypermodel(hypermodel)
        arguments.check_numbers(max_trials=max_trials, seed=seed, executions_per_trial=executions_per_trial)
        project = Project(os.path.abspath(directory or "."), project_name or "untitled_project")
        earlier = None if overwrite else project
        # First of all: to learn an objective's direction, the oracle makes a metric, and that starts TensorFlow.
        self.devices = operation_threads.configure(
            *(earlier, hypermodel, hyperparameters), cv=cv, executions=executions_per_trial, max_trials=max_trials
        )
        oracle = GridOracle(
            objective=objective,
            max_trials=max_trials,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        super().__init__(
            oracle,
            hypermodel,
            project=project,
            cv=cv,
            n_jobs=n_jobs,
            refit=refit,
            error_score=error_score,
            return_train_score=return_train_score,
            score_epoch=score_epoch,
            seed=seed,
            executions_per_trial=executions_per_trial,
            overwrite=overwrite,
            verbose=verbose,
            observers=observers,
            compile_epochs=compile_epochs,
            jit_compile=jit_compile,
            keep_fold_models=keep_fold_models,
            fold_fitter=fold_fitter,
            **options,
        )
