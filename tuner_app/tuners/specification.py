"""What a tuner asks of the search: its arguments and the checked data, put together as a `SearchSpec`.

Owns which parts of the house a search is made of. The parts themselves know nothing of each other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tuner_app.compiled.building import build_lock
from tuner_app.data import prepare
from tuner_app.execution.base import Fit, IsStopped
from tuner_app.execution.threads import ThreadExecutor
from tuner_app.records.results import FoldResult
from tuner_app.records.tasks import FoldTask
from tuner_app.search.observers import SearchObserver, SearchPlan
from tuner_app.search.policy import AllFolds
from tuner_app.search.spec import SearchSpec
from tuner_app.training.build import ModelBuilder
from tuner_app.training.declared import declared_by_fit
from tuner_app.training.fitter import FoldFitter
from tuner_app.training.hooks import FitHooks
from tuner_app.training.hyperparameters import RecordedHyperParameters
from tuner_app.training.spec import FitSpec
from tuner_app.tuners.keeper import ProjectKeeper
from tuner_app.tuners.opening import OpenProject, open_project
from tuner_app.tuners.oracle import GridOracle
from tuner_app.tuners.ranges import grid_size, space_values
from tuner_app.tuners.settings import Settings
from tuner_app.tuners.strategy import OracleStrategy, TrialHooks
from tuner_app.views.results_file import ResultsFile


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TunerParts:
    """What of a tuner its search uses beside the settings.

    Attributes:
        oracle: Proposes the candidates.
        trial_hooks: Called at the ends of a trial.
        fit_hooks: What the fits call of a subclass; None for nothing.
        builder: What Keras Tuner was told about the models.
        own_copies: Whether each fit works on its own copy of the hypermodel.
        fold_fitter: Takes the place of the fits; None for none.
        observers: Who watches; None for progress on the screen and TensorBoard's files.
        wants_refit: Whether the best candidate is trained on all rows.
        select: The row of the table that is the best candidate.
        selects_by_score: Whether it is the row of the best mean score.
        score_label: How the columns end by which it is chosen.
    """

    oracle: GridOracle
    trial_hooks: TrialHooks
    fit_hooks: FitHooks | None
    builder: ModelBuilder
    own_copies: bool
    fold_fitter: Callable[[FoldTask], FoldResult] | None
    observers: Sequence[SearchObserver] | None
    wants_refit: bool
    select: Callable[[Mapping[str, Any]], int]
    selects_by_score: bool
    score_label: str


class SpecMaker:
    """Makes the specification of one search.

    Args:
        settings: What the tuner was told.
        parts: What else of it is used.
        data: The checked data.
        fit_options: What `HyperModel.fit` gets beyond the data.
        verbosity: For the default observers: 0 is quiet.
        model: What a model of the default hyperparameters is; None where there is none to look at.

    Attributes:
        fitter: What fits the folds; None where the tuner was given a `fold_fitter`.
    """

    fitter: FoldFitter | None = None

    def __init__(
        self,
        settings: Settings,
        parts: TunerParts,
        data: prepare.SearchData,
        *,
        fit_options: Mapping[str, Any],
        verbosity: int,
        model: Mapping[str, Any] | None,
    ) -> None:
        self._settings, self._parts, self._data = settings, parts, data
        self._fit_options, self._model = fit_options, model
        watching = _default_observers(verbosity) if parts.observers is None else parts.observers
        # The table's file first: it is there even where a watcher of the user's own fails.
        self._observers = [ResultsFile(return_train_score=settings.return_train_score), *watching]

    def open(self) -> SearchSpec:
        """Open the project, and say what is to be searched. Only for who holds the project's lock.

        Raises:
            InputError: `cv` cannot split these rows.
            ProjectError: The project belongs to another search, or lacks what this one needs.
        """
        parts, settings = self._parts, self._settings
        opened = open_project(settings, self._data, self._fit_options, self._model)
        # A replay: whatever the constructor has shown of an earlier run, every candidate is asked for anew.
        parts.oracle.seed = opened.seed
        parts.oracle.restart(settings.space)
        policy = AllFolds(len(opened.splits), settings.executions)
        strategy = self._strategy(opened, policy)
        if not settings.has_own_fitter:
            self.fitter = FoldFitter(self._fit_spec(opened))
        return SearchSpec(
            plan=self._plan(opened),
            splits=opened.splits,
            rows=self._data.rows,
            seed=opened.seed,
            journal=opened.journal,
            records=opened.records,
            strategy=strategy,
            policy=policy,
            fit=self.fitter or _stranger(parts.fold_fitter, settings),
            fits_ended=self.fitter.fits_ended if self.fitter is not None else lambda: None,
            executor=ThreadExecutor(settings.n_jobs),
            observers=self._observers,
            stops_at_a_failure=settings.stops_at_a_failure,
            return_train_score=settings.return_train_score,
            select=parts.select,
            selects_by_score=parts.selects_by_score,
            keeper=self._keeper(opened) if parts.wants_refit and self.fitter is not None else None,
        )

    def _strategy(self, opened: OpenProject, policy: AllFolds) -> OracleStrategy:
        parts, settings = self._parts, self._settings
        finished = [one.trial_id for one in opened.candidates if not policy.missing(one.folds)]
        return OracleStrategy(
            parts.oracle,
            rule=settings.rule,
            project=settings.project,
            hooks=parts.trial_hooks,
            recorded=opened.recorded,
            finished=finished,
            build_lock=build_lock,  # The one that fits hold while they build: see `compiled.building`.
            builds_disturb=not settings.has_own_fitter and (settings.n_jobs == 1 or not parts.own_copies),
        )

    def _fit_spec(self, opened: OpenProject) -> FitSpec:
        parts, settings, data = self._parts, self._settings, self._data
        return FitSpec(
            hypermodel=settings.hypermodel,
            builder=parts.builder,
            own_copies=parts.own_copies,
            alone=settings.n_jobs == 1,  # Then the process's random numbers are the fit's own.
            x=data.x,
            y=data.y,
            sample_weight=data.sample_weight,
            fit_options=self._fit_options,
            rule=settings.rule,
            search_seed=opened.seed,
            asked_space=settings.space,
            hooks=parts.fit_hooks,
            retries=parts.oracle.max_retries_per_trial,
            planned_fits=len(opened.splits) * settings.executions,
            compile_epochs=settings.compile_epochs,
            jit_compile=settings.jit_compile,
            engine_rule=opened.engine_rule,
            return_train_score=settings.return_train_score,
            n_classes=data.n_classes,
            project=settings.project,
            keep_fold_models=settings.keep_fold_models,
        )

    def _keeper(self, opened: OpenProject) -> ProjectKeeper:
        assert self.fitter is not None
        return ProjectKeeper(
            settings=self._settings,
            opened=opened,
            data=self._data,
            fitter=self.fitter,
            space=self._parts.oracle.get_space,
            score_label=self._parts.score_label,
        )

    def _plan(self, opened: OpenProject) -> SearchPlan:
        oracle, settings, labels = self._parts.oracle, self._settings, self._data.labels
        # What only fits ask for is unknown yet; an earlier run may have met more candidates than are declared.
        size = max(grid_size(oracle.declared), len(opened.candidates))
        return SearchPlan(
            project=settings.project,
            space=space_values(oracle.hyperparameters.space),
            rule=settings.rule,
            n_splits=len(opened.splits),
            executions=settings.executions,
            n_candidates=min(size, settings.max_trials or size),
            n_jobs=settings.n_jobs,
            finished=tuple(opened.records),
            classes=None if labels is None else tuple(labels),
        )


def _stranger(fold_fitter: Callable[[FoldTask], FoldResult] | None, settings: Settings) -> Fit:
    """A `fold_fitter` as a fit: it hears of no stop, and says nothing of what its model has declared."""
    assert fold_fitter is not None

    def fit(task: FoldTask, is_stopped: IsStopped) -> FoldResult:
        record = fold_fitter(task)
        if record.declared is not None:
            return record
        declared = declared_by_fit(RecordedHyperParameters(task.space), task.values, settings.space)
        return dataclasses.replace(record, declared=declared)

    return fit


def _default_observers(verbosity: int) -> list[SearchObserver]:
    # Rich and TensorBoard are imported only where they are shown.
    from tuner_app.views.tensorboard.observer import TensorBoardLogs
    from tuner_app.views.terminal.progress import Progress

    return [Progress(verbosity=verbosity), TensorBoardLogs()]
