"""`GridSearchCV`: a Keras Tuner grid search whose every candidate is scored by cross-validation.

Owns what a user calls and what Keras Tuner calls. The search itself is `search`, one fit is `training`, how histories
become scores is `results`, what lies on disk is `project` and `journal`.
"""

from __future__ import annotations

import contextlib
import io
import logging
import numbers
import os
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial

from tuner_app.data import features, prepare, targets
from tuner_app.errors import InputError, ProjectError
from tuner_app.execution.threads import count_jobs
from tuner_app.folds.rows import arrays_in
from tuner_app.prediction import predictor, rebuilding
from tuner_app.process import devices
from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.score import Objective, ScoreRule
from tuner_app.records.tasks import FoldTask
from tuner_app.search.loop import Search
from tuner_app.search.observers import SearchObserver
from tuner_app.storage.files import read_json, write_json
from tuner_app.storage.manifest import load_manifest
from tuner_app.storage.project import Project
from tuner_app.training import copies, fit_checks, probe
from tuner_app.training.build import ModelBuilder, build_seeded
from tuner_app.training.hooks import FitHooks
from tuner_app.training.hyperparameters import RecordedHyperParameters
from tuner_app.training.keras_settings import undisturbed
from tuner_app.training.spec import has_own_fit
from tuner_app.tuners import fitted, hooks, trials
from tuner_app.tuners.oracle import GridOracle

logger = logging.getLogger(__name__)

# Keras Tuner's methods that run one trial, alone and as a whole.
_NEVER_CALLED = ("run_trial", "_build_and_fit_model", "_run_and_update_trial", "_try_run_and_update_trial")


class GridSearchCV(keras_tuner.GridSearch):
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
        jit_compile: True or False forces or forbids XLA; None decides by the amount of work. Defaults to None.
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
        self._check_overridden()
        fit_checks.check_hypermodel(hypermodel)
        self.devices = devices.configure()
        self.cv, self.refit, self.return_train_score = cv, refit, return_train_score
        self.n_jobs = count_jobs(n_jobs)
        self.error_score = _checked_error_score(error_score)
        self._check_counts(max_trials, executions_per_trial, seed)
        self.compile_epochs, self.jit_compile, self.keep_fold_models = compile_epochs, jit_compile, keep_fold_models
        self.verbose, self.observers, self.fold_fitter = verbose, observers, fold_fitter
        # The working directory may be another one later; the project stays where it is.
        self.project = Project(os.path.abspath(directory or "."), project_name or "untitled_project")
        self._given_seed = seed
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
        score = float("nan") if error_score == "raise" else float(error_score)
        self.rule = ScoreRule(_objectives(oracle.objective), score_epoch, score)
        self.refit_label = _refit_label(refit, self.rule)
        self.asked_space: list[Any] = []
        self.fold_results: dict[str, list[FoldResult]] = {}
        # keras_tuner.GridSearch would put its own oracle here: the next class in line takes ours.
        with self._overwriting(overwrite), _without_keras_tuners_line():
            super(keras_tuner.GridSearch, self).__init__(
                oracle=oracle,
                hypermodel=hypermodel,
                directory=str(self.project.directory),
                project_name=self.project.name,
                executions_per_trial=executions_per_trial,
                **options,
            )
        self.oracle.verbose = 0
        self.asked_space = self.asked_space or self.oracle.hyperparameters.get_config()["space"]

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
        prepare.check_fit_options(fit_options)
        data = prepare.prepare(x, y, groups=groups, sample_weight=sample_weight)
        self._own_copies = self.fold_fitter is None and copies.copies_of_its_own(self.hypermodel, n_jobs=self.n_jobs)
        looked_at = self._look_at_a_model(data.x)
        self._model_facts = None if looked_at is None else looked_at.facts
        data = prepare.with_target(data, None if self._model_facts is None else self._model_facts.outputs)
        if "class_weight" in fit_options:
            fit_options["class_weight"] = targets.class_weight(data.target, fit_options["class_weight"])
        self._check_fit(looked_at, data, fit_options)
        self._check_objective(looked_at, data, fit_options.get("callbacks"))
        model = None if looked_at is None else looked_at.description
        if self.refit and looked_at is not None:
            rebuilding.announce_obstacles(looked_at.model)
        del looked_at  # its weights are of no use to the search
        fitted.forget(self)
        self.classes_ = data.classes
        self.oracle.program = self._program()
        verbosity = 1 if verbose == "auto" else int(verbose)
        search = Search(self, data, fit_options=fit_options, verbosity=verbosity, model=model)
        self.n_splits_ = len(search.splits)
        with self.project.locked():
            search.run()

    def predict(self, x: Any, *, batch_size: int = 1024) -> Any:
        """Predictions of the refit model; see `predictor.Predictor.predict`.

        Args:
            x: Features of shape `(n_samples, ...)`; the columns of a DataFrame may come in any order, if `search` was
                given one.
            batch_size: Rows per step. Defaults to 1024.

        Returns:
            Class labels of shape `(n_samples,)` for a classifier, else the model's outputs, of shape `(n_samples,)`
            where it has one. The model's outputs as well where `y` had rows of 0 and 1.

        Raises:
            DataError: `x` is not what the model was trained on.
            ProjectError: There is no refit model.
        """
        return self._predictor().predict(x, batch_size)

    def predict_proba(self, x: Any, *, batch_size: int = 1024) -> Any:
        """Probabilities of the classes by the refit model, logits turned into them.

        Args:
            x: As in `predict`.
            batch_size: Rows per step. Defaults to 1024.

        Returns:
            Shape `(n_samples, n_classes)`, in the order of `classes_`.

        Raises:
            DataError: `x` is not what the model was trained on.
            InputError: The model is no classifier.
            ProjectError: There is no refit model.
        """
        return self._predictor().predict_proba(x, batch_size)

    @property
    def best_model_(self) -> keras.Model:
        """The best candidate, trained on all rows; from `build` and the weights where this process did not train it."""
        if self.refit_failure is not None:
            raise ProjectError(self.refit_failure)
        if self._best_model is None:
            if not self.project.manifest_file.exists():
                raise ProjectError("There is no refit model yet. Call search() with refit=True first.")
            self._best_model, _ = rebuilding.kept_model(self.project, self.build_apart, self.oracle.get_space)
        return self._best_model

    @best_model_.setter
    def best_model_(self, model: keras.Model) -> None:
        self._best_model = model

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

    def get_best_models(self, num_models: int = 1) -> list[keras.Model]:
        """The best models, best first, each trained on all rows.

        Keras Tuner loads what each trial saved at its best epoch; a cross-validated candidate has no one model, so the
        refit one is given, and others are trained now.

        Args:
            num_models: How many. Defaults to 1.

        Raises:
            ProjectError: More than the refit model is asked for, and there was no search in this process.
        """
        models: list[keras.Model] = super().get_best_models(num_models)
        return models

    def load_model(self, trial: Trial) -> keras.Model:
        """The model of a candidate, trained on all rows."""
        best = self.project.manifest_file.exists() and self._manifest_trial() == trial.trial_id
        if best:
            return self.best_model_
        if self.refit_candidate is None:
            raise ProjectError(
                "Only the best candidate's model is kept. Call search() in this process first to train others."
            )
        candidate = next((c for c in self.candidates() if c.trial_id == trial.trial_id), None)
        if candidate is None:
            raise ProjectError(
                f"Trial {trial.trial_id} is not finished, so it has no model. Run the search again to finish it."
            )
        return self.refit_candidate(candidate)

    # What Keras Tuner calls ------------------------------------------------------------------------------------------

    _best_model: keras.Model | None = None
    refit_failure: str | None = None
    _answering: predictor.Predictor | None = None
    refit_candidate: Callable[[Candidate], keras.Model] | None = None
    cv_results_: dict[str, Any]
    best_index_: int
    best_params_: dict[str, Any]
    best_score_: float
    refit_time_: float
    n_splits_: int
    classes_: Any
    _is_marked = False
    _own_copies = False
    _model_facts: probe.ModelFacts | None = None

    @property
    def hypermodel(self) -> Any:
        """The hypermodel; in a fit's thread (in a build, in a hook of a subclass) the copy that the fit works on."""
        return hooks.hypermodel_of(self, self._hypermodel)

    @hypermodel.setter
    def hypermodel(self, hypermodel: Any) -> None:
        self._hypermodel = hypermodel

    def reload(self) -> None:
        """Make the trials of an earlier run from its journal. The space is declared anew: a changed one can be told."""
        self._populate_initial_space()
        self.asked_space = self.oracle.hyperparameters.get_config()["space"]
        trials.reload(self.oracle, self.rule, self.project, self.asked_space)

    def save(self) -> None:
        """Leave Keras Tuner's mark of a project; once is enough, since it holds no state."""
        if not self._is_marked and not pathlib.Path(self._get_tuner_fname()).exists():
            write_json(pathlib.Path(self._get_tuner_fname()), self.get_state())
        self._is_marked = True

    def run_trial(self, trial: Trial, *arguments: Any, **options: Any) -> Any:
        """Not used: a trial is several fold tasks, which `search` runs side by side."""
        raise NotImplementedError("GridSearchCV fits folds, not trials. Call search().")

    # Inside ----------------------------------------------------------------------------------------------------------

    def _look_at_a_model(self, x: Any) -> probe.Probe | None:
        """A model of the default hyperparameters and what it tells; None where `fold_fitter` needs none."""
        if self.fold_fitter is not None:
            return None
        return probe.probe_model(self.build_apart, self.oracle.get_space(), x, seed=self.oracle.seed)

    def build_apart(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Build a model as a fit does, on a copy of the hypermodel where the fits have copies of it."""
        with hooks.using(self, copies.copy_hypermodel(self.hypermodel) if self._own_copies else self.hypermodel):
            return self.builder.checked(self._build_hypermodel(hp))

    @property
    def builder(self) -> ModelBuilder:
        """What Keras Tuner was told about the models."""
        return ModelBuilder(
            optimizer=self.optimizer,
            loss=self.loss,
            metrics=self.metrics,
            max_model_size=self.max_model_size,
            distribution_strategy=self.distribution_strategy,
        )

    def fit_hooks(self, trial: Callable[[str], Trial | None]) -> FitHooks | None:
        """What the fits must call of a subclass; None where it overrides nothing that a fit calls.

        Args:
            trial: Gives a trial by its id; None where it is not running.
        """
        return hooks.fit_hooks(self, GridSearchCV, trial)

    def _override_compile_args(self, model: keras.Model) -> None:
        """Keras Tuner's name for it; its own one does not work with Keras 3."""
        self.builder.override_compile_arguments(model)

    def _check_fit(
        self, looked_at: probe.Probe | None, data: prepare.SearchData, fit_options: Mapping[str, Any]
    ) -> None:
        """Refuse what would fail in every fit; a fit that hands options on to `model.fit` tells by itself."""
        if self.fold_fitter is not None:
            return
        if has_own_fit(self.hypermodel):
            fit_checks.check_option_names(fit_options, self.hypermodel.fit, "HyperModel.fit")
        elif looked_at is not None:
            fit_checks.check_option_names(fit_options, type(looked_at.model).fit, "model.fit")
            fit_checks.check_is_compiled(looked_at.model)
            fit_checks.check_takes_text(looked_at.model, any(map(features.is_text, arrays_in(data.x))))

    def _check_objective(self, looked_at: probe.Probe | None, data: prepare.SearchData, callbacks: Any) -> None:
        """Refuse an objective that no fit will have; where a user's own code makes the metrics, the first fit tells."""
        if looked_at is None or has_own_fit(self.hypermodel) or hooks.overridden_hooks(self):
            return
        names = probe.history_names(looked_at.model, data, callbacks)
        if names is not None:
            self.rule.check_names(names)

    def __getattr__(self, name: str) -> Any:
        """What a search leaves behind, read from the project where this process has not searched."""
        if name not in fitted.NAMES or "oracle" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        fitted.read_back(self)
        return object.__getattribute__(self, name)

    def _predictor(self) -> predictor.Predictor:
        model = self.best_model_
        if self._answering is None or self._answering.model is not model:
            self._answering = predictor.Predictor(model, load_manifest(self.project))
        return self._answering

    def _program(self) -> Callable[[RecordedHyperParameters], None]:
        """What tells which hyperparameters a candidate has: its `build`, run on a hypermodel that no fit uses."""
        if self.hypermodel is None:
            return RecordedHyperParameters.ask_all
        hypermodel = copies.copy_hypermodel(self.hypermodel) if self._own_copies else self.hypermodel

        def ask(hyperparameters: RecordedHyperParameters) -> None:
            with undisturbed():
                try:
                    build_seeded(hypermodel.build, hyperparameters, self.oracle.seed)
                except InputError:
                    raise
                except Exception as error:  # The candidate's fits meet it again, and tell it with its place.
                    logger.debug("The build that tells the hyperparameters of a candidate failed: %r", error)

        return ask

    @contextlib.contextmanager
    def _overwriting(self, overwrite: bool) -> Iterator[None]:
        if not overwrite:
            self.project.make_folder()
            yield
            return
        with self.project.locked():
            self.project.check_may_overwrite()
            self.project.remove()
            self.project.make_folder()
            yield

    def _check_overridden(self) -> None:
        """Refuse methods that would never be called: a trial is several folds, which run side by side."""
        for name in _NEVER_CALLED:
            if getattr(type(self), name) is not getattr(GridSearchCV, name):
                raise InputError(
                    f"{type(self).__name__} must not override {name}, which is never called: a trial is several folds, "
                    "and each is a fit of its own. Override HyperModel.fit instead; it is called for each fold."
                )

    def _check_counts(self, max_trials: Any, executions: Any, seed: Any) -> None:
        for name, value, least in (
            ("max_trials", max_trials, 1),
            ("executions_per_trial", executions, 1),
            ("seed", seed, 0),
        ):
            if value is None and name != "executions_per_trial":
                continue
            if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
                raise InputError(f"{name} must be a whole number from {least}. Received: {value!r}.")

    def candidates(self) -> list[Candidate]:
        """The whole candidates in the order of the grid."""
        whole = self.n_splits_ * self.executions_per_trial
        found = [
            Candidate(
                trial_id,
                self._values_of(trial_id, records),
                tuple(sorted(records, key=lambda r: (r.fold, r.execution))),
            )
            for trial_id, records in self.fold_results.items()
            if len(records) == whole
        ]
        position = self.oracle.ordering.position
        return sorted(found, key=lambda c: (position(c.values), len(c.trial_id), c.trial_id))

    def _values_of(self, trial_id: str, records: Sequence[FoldResult]) -> dict[str, Any]:
        """The trial's values, those that a fit declared on the way included; the journal's where its file is lost."""
        trial = self.oracle.trials.get(trial_id)
        values = records[0].values if trial is None else trial.hyperparameters.values
        ordered: dict[str, Any] = self.oracle.ordering.ordered(values)
        return ordered

    def _manifest_trial(self) -> str | None:
        values = read_json(self.project.manifest_file).get("hyperparameters")
        return next((t.trial_id for t in self.oracle.trials.values() if t.hyperparameters.values == values), None)


def _objectives(objective: Any) -> tuple[Objective, ...]:
    several = getattr(objective, "objectives", None)
    return tuple(Objective(one.name, one.direction) for one in (several or [objective]))


def _refit_label(refit: Any, rule: ScoreRule) -> str:
    """How the columns end by which the best candidate is chosen."""
    if isinstance(refit, bool | np.bool_) or callable(refit):
        return "score"
    return rule.label(refit)


def _checked_error_score(error_score: Any) -> float | str:
    if error_score == "raise":
        return "raise"
    if isinstance(error_score, numbers.Real) and not isinstance(error_score, bool):
        return float(error_score)
    raise InputError(f"error_score must be a number or 'raise'. Received: {error_score!r}.")


@contextlib.contextmanager
def _without_keras_tuners_line() -> Iterator[None]:
    """Keras Tuner prints that it reloads; what a user's `build` prints is passed on."""
    caught = io.StringIO()
    with contextlib.redirect_stdout(caught):
        yield
    lines = [
        line for line in caught.getvalue().splitlines(keepends=True) if not line.startswith("Reloading Tuner from ")
    ]
    sys.stdout.write("".join(lines))
