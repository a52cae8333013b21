"""`CVTuner`: a Keras Tuner tuner whose every candidate is scored by cross-validation.

Owns what a user calls and what Keras Tuner calls. The search itself is `search`, one fit is `training`, how histories
become scores is `records`, what a search leaves behind is `fitted`. Which candidates there are is said by an oracle.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras_tuner
from sklearn.exceptions import FitFailedWarning

from tuner_app.data import prepare, targets
from tuner_app.data.fit_options import check_fit_options
from tuner_app.errors import ProjectError, RefitFailedWarning
from tuner_app.execution.threads import count_jobs
from tuner_app.prediction import rebuilding
from tuner_app.records import tables
from tuner_app.records.results import FoldResult
from tuner_app.records.score import ScoreRule
from tuner_app.records.tasks import FoldTask
from tuner_app.search.loop import run_search
from tuner_app.search.observers import SearchObserver
from tuner_app.search.spec import SearchOutcome
from tuner_app.storage.project import Project
from tuner_app.training import copies
from tuner_app.tuners import arguments, first_model, hooks
from tuner_app.tuners.face import KerasTunerFace
from tuner_app.tuners.fitted import FittedTuner
from tuner_app.tuners.models import ModelsTuner
from tuner_app.tuners.settings import Settings
from tuner_app.tuners.specification import SpecMaker, TunerParts
from tuner_app.tuners.strategy import TrialHooks

logger = logging.getLogger(__name__)

_RELOADING = "Reloading Tuner from "
"""How the line begins that Keras Tuner 1.4.8 prints when it finds a project."""


class CVTuner(FittedTuner, ModelsTuner, KerasTunerFace):
    """What all cross-validating tuners have in common; they differ in their oracle.

    Args:
        oracle: Proposes candidates.
        hypermodel: A `keras_tuner.HyperModel`, or a function of `hp` that returns a compiled model.
        project: The folder of the search.
        cv, n_jobs, refit, error_score, return_train_score, score_epoch, executions_per_trial, overwrite, verbose,
            observers, compile_epochs, jit_compile, keep_fold_models, fold_fitter: As in `GridSearchCV`.
        seed: The search's seed; None where the oracle has drawn one.
        **options: Keras Tuner's own.

    Raises:
        InputError: An argument has a value that cannot work.
        ProjectError: The project cannot be used.
    """

    # Set by each kind of tuner before it makes its oracle, which starts TensorFlow: see `operation_threads`.
    devices: Mapping[str, Any]

    def __init__(
        self,
        oracle: Any,
        hypermodel: Any,
        *,
        project: Project,
        cv: Any,
        n_jobs: int | None,
        refit: bool | str | Callable[[Mapping[str, Any]], int],
        error_score: float | str,
        return_train_score: bool,
        score_epoch: str,
        seed: int | None,
        executions_per_trial: int,
        overwrite: bool,
        verbose: int,
        observers: Sequence[SearchObserver] | None,
        compile_epochs: bool,
        jit_compile: bool | None,
        keep_fold_models: bool,
        fold_fitter: Callable[[FoldTask], FoldResult] | None,
        **options: Any,
    ) -> None:
        self.cv, self.refit, self.return_train_score = cv, refit, return_train_score
        self.n_jobs = count_jobs(n_jobs)
        self.error_score = arguments.checked_error_score(error_score)
        self.compile_epochs, self.jit_compile, self.keep_fold_models = compile_epochs, jit_compile, keep_fold_models
        self.verbose, self.observers, self.fold_fitter = verbose, observers, fold_fitter
        self.project = project
        self._is_seed_given = seed is not None
        score = float("nan") if error_score == "raise" else float(error_score)
        self.rule = ScoreRule(arguments.objectives_of(oracle.objective), score_epoch, score)
        self.refit_label = arguments.refit_label(refit, self.rule)
        self._asked_space: list[Any] = []
        # keras_tuner.GridSearch and its siblings would make an oracle of their own: the class above them takes ours.
        with _begun(project, overwrite=overwrite), _without_keras_tuners_line():
            keras_tuner.Tuner.__init__(
                self,
                oracle=oracle,
                hypermodel=hypermodel,
                directory=str(project.directory),
                project_name=project.name,
                executions_per_trial=executions_per_trial,
                **options,
            )
        self.oracle.verbose = 0
        # `reload` has set it where there is a project already, before the trials' own entries extended the space.
        self._asked_space = self._asked_space or self.oracle.hyperparameters.get_config()["space"]

    # What a user calls -----------------------------------------------------------------------------------------------

    def search(
        self, x: Any = None, y: Any = None, *, groups: Any = None, sample_weight: Any = None, **fit_options: Any
    ) -> None:
        """Fit every candidate on every fold, then the best one on all rows. Run again, it goes on where it was stopped.

        On all rows there is no validation. So the refit trains each call of `model.fit` for the epochs of the folds
        (their mean, or the epoch of `score_epoch="best"`), without the callbacks that monitor or read validation
        metrics, which are named in the log. Where one of them changes the learning rate, each epoch has the geometric
        mean of the folds' rates, as their histories show them (`learning_rate`). An overridden `HyperModel.fit` gets
        the training rows as `validation_data` then, so that it runs as in a fold; what it makes of them is used for
        nothing.

        Args:
            x: Features of shape `(n_samples, ...)`: an array, a list or dict of arrays; or a `Dataset`, without `y`.
            y: Targets of shape `(n_samples, ...)`. Labels (text, Booleans, any integers) become class numbers where the
                model's loss needs some; `predict` gives them back in their own form.
            groups: Group labels of shape `(n_samples,)`, for splitters that need them.
            sample_weight: Weights of shape `(n_samples,)` for training and validation.
            **fit_options: Handed to `HyperModel.fit`: `epochs`, `batch_size`, `callbacks`, `class_weight`
                (whose keys are labels of `y`), ...
                Each fold gets its own deep copies of the callbacks: what one collects in its attributes is not in
                yours afterwards. Read `histories_`, let `HyperModel.fit` return it, or use a `SearchObserver`.
                `ModelCheckpoint`, `CSVLogger`, `BackupAndRestore` and `TensorBoard` write to a folder per trial and
                fold beside the path that they have: `out/best.keras` becomes `out/<trial>/fold_<number>/best.keras`,
                `out/<trial>/refit/best.keras` for the refit. In an overridden `HyperModel.fit`, `model.load_weights`
                finds such a file by the path as it was written there; whoever else reads it takes the callback's own
                `filepath`. `BackupAndRestore` begins each fit anew: what is finished is in the project.

        Raises:
            InputError: The data or an option cannot work.
            ProjectError: The project belongs to another search, or is in use.
            SearchError: Every fit failed.
            RefitFailedWarning: A warning: every fit is done, but there is no model of the best candidate.
            SearchInterrupted: Ctrl-C or SIGTERM; what is finished is kept.
        """
        verbose = fit_options.pop("verbose", self.verbose)
        check_fit_options(fit_options)
        data = prepare.prepare(x, y, groups=groups, sample_weight=sample_weight)
        # Before any build: a hypermodel that cannot be copied is refused unless one fit runs at a time.
        self._own_copies = self.fold_fitter is None and copies.copies_of_its_own(self.hypermodel, n_jobs=self.n_jobs)
        # Once per search, since what the target is (labels, numbers) depends on the model's outputs and loss.
        looked_at = self._look_at_a_model(data.x)
        data = prepare.with_target(data, None if looked_at is None else looked_at.facts.outputs)
        if "class_weight" in fit_options:
            fit_options["class_weight"] = targets.class_weight(data.target, fit_options["class_weight"])
        if self.fold_fitter is None:
            first_model.check(self, self.rule, looked_at, data, fit_options)
        model = None if looked_at is None else looked_at.description
        if self.refit and looked_at is not None:
            rebuilding.announce_obstacles(looked_at.model)
        del looked_at  # its weights are of no use to the search
        self.forget()
        self.classes_ = data.classes
        self.oracle.program = self._program()
        verbosity = 1 if verbose == "auto" else int(verbose)
        maker = SpecMaker(self.settings, self._parts(), data, fit_options=fit_options, verbosity=verbosity, model=model)
        with self.project.locked():
            outcome = self._run(maker)
        if outcome.failures is not None:
            warnings.warn(outcome.failures, FitFailedWarning, stacklevel=2)
        if outcome.refit_failure is not None:  # Last, since Python can be told to make an error of it.
            warnings.warn(outcome.refit_failure, RefitFailedWarning, stacklevel=2)

    def _run(self, maker: SpecMaker) -> SearchOutcome:
        """Open the project, search, and take over the outcome."""
        spec = maker.open()
        self.n_splits_ = len(spec.splits)
        self.on_search_begin()  # The user's: after the project is known to be ours, before the first fit.
        self.save()
        self.oracle.save()
        try:
            outcome = run_search(spec)
        finally:
            # Nothing in the oracle's file is needed to resume, so a full disk must not hide what happened.
            with contextlib.suppress(ProjectError):
                self.oracle.save()
        self.take_over(outcome, maker.fitter)
        # What the screen, the report and TensorBoard call the best goes by the mean score, whatever refit asks for.
        if not isinstance(self.refit, bool) and self.best_index_ != tables.best_index(outcome.table):
            logger.warning("refit has chosen another than the one with the best mean score: %s.", self.best_params_)
        self.on_search_end()
        return outcome

    # What the search is made of --------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """The arguments, as one record."""
        return Settings(
            project=self.project,
            hypermodel=self.hypermodel,
            space=self._asked_space,
            rule=self.rule,
            cv=self.cv,
            seed=self.oracle.seed,
            is_seed_given=self._is_seed_given,
            max_trials=self.oracle.max_trials,
            executions=self.executions_per_trial,
            n_jobs=self.n_jobs,
            stops_at_a_failure=self.error_score == "raise",
            return_train_score=self.return_train_score,
            keep_fold_models=self.keep_fold_models,
            compile_epochs=self.compile_epochs,
            jit_compile=self.jit_compile,
            has_own_fitter=self.fold_fitter is not None,
            devices=self.devices,
        )

    def _parts(self) -> TunerParts:
        return TunerParts(
            oracle=self.oracle,
            trial_hooks=TrialHooks(begin=self.on_trial_begin, end=self.on_trial_end),
            fit_hooks=hooks.fit_hooks(self, CVTuner, self.oracle.trials.get),
            builder=self.builder,
            own_copies=self._own_copies,
            fold_fitter=self.fold_fitter,
            observers=self.observers,
            wants_refit=bool(self.refit),
            select=self.chosen_index,
            selects_by_score=bool(self.refit) and not callable(self.refit) and self.refit_label == "score",
            score_label=self.refit_label,
        )


@contextlib.contextmanager
def _begun(project: Project, *, overwrite: bool) -> Iterator[None]:
    """The project's folder made, emptied first where that is wanted; locked meanwhile, so that no search loses it."""
    if not overwrite:
        project.make_folder()
        yield
        return
    with project.locked():
        project.check_may_overwrite()
        project.remove()
        project.make_folder()
        yield


@contextlib.contextmanager
def _without_keras_tuners_line() -> Iterator[None]:
    """Keras Tuner prints that it reloads; what a user's `build` prints is passed on."""
    caught = io.StringIO()
    with contextlib.redirect_stdout(caught):
        yield
    lines = [line for line in caught.getvalue().splitlines(keepends=True) if not line.startswith(_RELOADING)]
    sys.stdout.write("".join(lines))
