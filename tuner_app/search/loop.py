"""One call of `GridSearchCV.search`: the project opened, the loop over fold tasks, the end.

Owns the order of events: candidates from the oracle times folds from the splitter, through the executor, into the
journal, and whole candidates back to the oracle. What the user sees of it is `tuner`; how one fit works is `training`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import logging
import math
import numbers
import pathlib
import re
import sys
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import KFold

from tuner_app.compiled import programs
from tuner_app.data import prepare, targets
from tuner_app.errors import ProjectError, RefitFailedWarning, SearchError, SearchInterrupted, TunerAppError
from tuner_app.execution.base import Batch, Executor, FoldStopped, Outcome
from tuner_app.execution.threads import ThreadExecutor
from tuner_app.folds.rows import data_fingerprint
from tuner_app.folds.splits import make_splits
from tuner_app.process.signals import StopRequest
from tuner_app.process.versions import package_versions
from tuner_app.records import tables
from tuner_app.records.refit_plan import refit_plan
from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.seeds import fit_seed
from tuner_app.records.tasks import REFIT_FOLD, FoldTask
from tuner_app.search.observers import SearchObserver, SearchPlan
from tuner_app.search.refit import Refit, refit_best, refit_failure
from tuner_app.search.schedule import Schedule
from tuner_app.storage import description, fold_extras, journal, kept_folds
from tuner_app.storage.files import sealed, set_aside, write_json
from tuner_app.training import fingerprint
from tuner_app.training.declared import declared_by_fit
from tuner_app.training.fitter import FoldFitter
from tuner_app.training.hyperparameters import RecordedHyperParameters
from tuner_app.training.spec import FitSpec
from tuner_app.tuners import fitted, trials
from tuner_app.tuners.grid import grid_size, space_values, without_late_defaults
from tuner_app.views.results_file import ResultsFile

if TYPE_CHECKING:
    from tuner_app.tuners.base import GridSearchCV

logger = logging.getLogger(__name__)

# Candidates that are handed out before their predecessors ended; bounds the bookkeeping of huge grids.
_WINDOW = 256
_POLL_SECONDS = 0.2
# How long candidates are asked for while fits could begin: to know a candidate's hyperparameters, a model is built.
_ASKING_SECONDS = 0.05
_BUSY_SECONDS = 0.02
# Two threads wake each other and are back within this time; fits that take less come in batches.
_HAND_OVER_SECONDS = 0.0005
_BATCH = 32
# What a disk may take to confirm a small file.
_DURABLE_SECONDS = 0.02
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


class _Done(NamedTuple):
    """A fit that is over and on disk."""

    task: FoldTask
    record: FoldResult
    seconds: float


class Search:
    """The data, the folds, and the loop.

    Args:
        tuner: Whose search it is; its results are set on it.
        data: The checked data.
        fit_options: What `HyperModel.fit` gets beyond the data.
        verbosity: For the default observers: 0 is quiet.
        model: What a model of the default hyperparameters is; None where there is none to look at.
    """

    def __init__(
        self,
        tuner: GridSearchCV,
        data: prepare.SearchData,
        *,
        fit_options: Mapping[str, Any],
        verbosity: int,
        model: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.tuner, self.data, self.fit_options = tuner, data, fit_options
        self.classes = targets.stratification(data.target, data.y)
        self.splits = make_splits(tuner.cv, data.x, data.y, data.groups, classes=self.classes)
        self.fingerprint = data.fingerprint()
        observers = _default_observers(verbosity) if tuner.observers is None else tuner.observers
        self.observers: list[SearchObserver] = [ResultsFile(return_train_score=tuner.return_train_score), *observers]
        self.executor: Executor = ThreadExecutor(tuner.n_jobs)
        self.stop = StopRequest()
        self.schedule = Schedule()
        self.running = 0
        self.slowest_fit = math.inf
        self.best: Candidate | None = None
        self.early_refit: Refit | None = None
        self.asked_for = 0
        self.planned_fits = 0
        self.exhausted = False
        self.handed_out = False
        self.must_wait = False
        self.told_unasked = False
        self.trials: dict[str, Trial] = {}
        self.tasks_left: dict[str, int] = {}
        self.declared = {entry["config"]["name"] for entry in tuner.asked_space}
        self.search_id = ""
        self.extras: dict[str, bool] = {}
        self.fitter: Any = None

    def run(self) -> None:
        """Search, refit, tell.

        Raises:
            ProjectError: The project belongs to another search.
            SearchError: Every fit failed.
            SearchInterrupted: Ctrl-C or SIGTERM.
        """
        tuner = self.tuner
        self._open_project()
        self.fitter = tuner.fold_fitter or self._fitter()
        tuner.on_search_begin()
        tuner.save()
        tuner.oracle.save()
        plan = self._plan()
        self.planned_fits = plan.n_candidates * plan.n_splits * plan.executions
        self._tell("search_begun", plan)
        with self.stop.listening():
            try:
                self._loop()
                if tuner.fold_fitter is None:
                    self.fitter.fits_ended()
                self._finish()
            except FoldStopped:
                self._interrupted()
            except Exception:
                self._drain()
                with contextlib.suppress(ProjectError):
                    tuner.oracle.save()
                raise
            finally:
                self.executor.close()
        tuner.oracle.save()
        tuner.on_search_end()
        if tuner.refit_failure is not None:  # Last, since Python can be told to make an error of it.
            warnings.warn(tuner.refit_failure, RefitFailedWarning, stacklevel=3)

    # The loop --------------------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        told = False
        while True:
            if self.stop and self.running and not told:
                told = True
                logger.warning("Stopping at the end of the running epochs. Press Ctrl-C again to stop at once.")
            if not self.stop:
                self._refill()
                self._refit_early()
                while len(self.schedule) and self.running < self._free_jobs():
                    self._start()
            if not self.running:
                if self.stop:
                    self._interrupted()
                if self.exhausted and not len(self.schedule):
                    return
                continue
            self._take(self.executor.wait(self._seconds_to_wait()))

    def _refill(self) -> None:
        """Ask the oracle for candidates while it has some and few wait.

        Which candidate comes next depends on no clock, so it may be asked for whenever there is time: most of them
        while fits run, and not while a fit's thread holds the lock that a build needs.
        """
        began = time.perf_counter()
        self.exhausted = self.handed_out = self.must_wait = False
        while len(self.trials) < _WINDOW and not self.handed_out and not self.stop:
            can_wait = len(self.schedule) >= self.executor.n_jobs
            if can_wait and time.perf_counter() - began > _ASKING_SECONDS:
                return
            self.must_wait = self._build_would_disturb() or not programs.build_lock.acquire(blocking=not can_wait)
            if self.must_wait:
                return
            try:
                self._ask()
            finally:
                programs.build_lock.release()

    def _build_would_disturb(self) -> bool:
        """Whether a fit is at work on the very hypermodel, or on random numbers, that a build would use now."""
        tuner = self.tuner
        disturbs = tuner.fold_fitter is None and (tuner.n_jobs == 1 or not tuner._own_copies)
        return disturbs and self.running > 0

    def _ask(self) -> None:
        try:
            trial = self.tuner.oracle.create_trial(f"{self.tuner.tuner_id}-{self.asked_for}")
        except RuntimeError as error:  # Keras Tuner's, where new entries are not allowed.
            raise error if isinstance(error, TunerAppError) else SearchError(str(error)) from None
        if trial.status == TrialStatus.RUNNING:
            self.asked_for += 1
            self._begin_trial(trial)
            return
        self.handed_out = True
        self.exhausted = trial.status == TrialStatus.STOPPED
        if self.exhausted:
            self._drop_foreign_trials()
            self._tell_what_was_not_searched()

    def _tell_what_was_not_searched(self) -> None:
        """Once every candidate is done: what no model has ever asked for, most likely a name with a typing error."""
        oracle = self.tuner.oracle
        if self.told_unasked or not oracle.grid.is_over:
            return
        self.told_unasked = True
        asked = {name for trial in oracle.trials.values() for name in trial.hyperparameters.values}
        unasked = [hp.name for hp in oracle.declared if hp.name not in asked]
        if unasked:
            logger.warning("Not searched, since no build and no fit has asked for it: %s.", ", ".join(unasked))

    def _drop_foreign_trials(self) -> None:
        """Set aside what is in the journal of candidates that this search does not have.

        The first version told candidates apart by hyperparameters that their models do not have.
        """
        foreign = self.tuner.oracle.unclaimed
        for trial_id in foreign:
            self.tuner.fold_results.pop(trial_id, None)
            for path in sorted(self.tuner.project.trial_folder(trial_id).glob("*.json")):
                set_aside(path, "no candidate of this search has its values")
        self.tuner.oracle.drop(foreign)

    def _seconds_to_wait(self) -> float:
        """How long to wait for a fit: not at all while there are candidates to ask for."""
        if self.handed_out or self.stop or len(self.trials) >= _WINDOW:
            return _POLL_SECONDS
        return _BUSY_SECONDS if self.must_wait else 0.0

    def _begin_trial(self, trial: Trial) -> None:
        self.tuner.on_trial_begin(trial)
        self.trials[trial.trial_id] = trial
        done = {(result.fold, result.execution) for result in self.tuner.fold_results.get(trial.trial_id, [])}
        tasks = [task for task in self._tasks(trial) if (task.fold, task.execution) not in done]
        self.tasks_left[trial.trial_id] = len(tasks)
        for task in tasks:
            self.schedule.add(task)
        if not tasks:
            self._end_trial(trial.trial_id)

    def _tasks(self, trial: Trial) -> Iterable[FoldTask]:
        values = dict(trial.hyperparameters.values)
        counted = self._counted(values, trial)
        for fold, (train, validation) in enumerate(self.splits):
            for execution in range(self.tuner.executions_per_trial):
                yield FoldTask(
                    trial_id=trial.trial_id,
                    fold=fold,
                    execution=execution,
                    values=values,
                    seed=fit_seed(self.tuner.oracle.seed, counted, fold, execution),
                    train_rows=train,
                    validation_rows=validation,
                    space=trial.hyperparameters.space,
                )

    def _counted(self, values: Mapping[str, Any], trial: Trial) -> Mapping[str, Any]:
        """The values that a fit's seed is made of."""
        return without_late_defaults(values, trial.hyperparameters.space, self.declared)

    def _start(self) -> None:
        batch = [self.schedule.next() for _ in range(min(self._batch_size(), len(self.schedule)))]
        self.running += 1
        for task in batch:
            self._tell("fold_begun", task.trial_id, task.values, task.fold, task.execution)
        self.executor.submit(self._fit_batch, batch)

    def _batch_size(self) -> int:
        """How many fits a thread is given at once: more than one only where handing over takes longer than a fit."""
        return _BATCH if self.slowest_fit < _HAND_OVER_SECONDS else 1

    def _fit_batch(self, batch: Batch) -> tuple[list[_Done], BaseException | None]:
        """In the fits' own thread: one after another. A failed fit is the last one, since it may end the search."""
        done: list[_Done] = []
        try:
            for task in batch:
                self._check()
                done.append(self._fit_and_keep(task))
                if done[-1].record.error is not None:
                    break
        except BaseException as error:  # handed over to the search with what was done before it
            return done, error
        return done, None

    def _fit_and_keep(self, task: FoldTask) -> _Done:
        """The record is on disk before the search hears of it.

        A fit that is over before a disk could confirm its record is not worth the wait: a power cut (nothing less)
        may cost it, and it is done again.
        """
        began = time.perf_counter()
        record = self.fitter(task) if self.tuner.fold_fitter is not None else self.fitter(task, self._is_stopped)
        seconds = time.perf_counter() - began
        if record.declared is None:  # of a `fold_fitter`, which asks for nothing
            declared = declared_by_fit(RecordedHyperParameters(task.space), task.values, self.tuner.asked_space)
            record = dataclasses.replace(record, declared=declared)
        self.journal.write(record, durable=seconds >= _DURABLE_SECONDS)
        return _Done(task, record, seconds)

    def _take(self, outcome: Outcome | None) -> None:
        if outcome is None:
            return
        batch, (done, error), _ = outcome
        self.running -= 1
        self.slowest_fit = max((fit.seconds for fit in done), default=math.inf)
        for fit in done:
            self._take_record(fit.task, fit.record)
        if error is None:
            for task in batch[len(done) :]:
                self.schedule.add(task)
        elif not isinstance(error, FoldStopped):
            raise error

    def _take_record(self, task: FoldTask, record: FoldResult) -> None:
        self.schedule.learn(task, record.fit_seconds + record.score_seconds)
        self.tuner.fold_results.setdefault(task.trial_id, []).append(record)
        self._tell("fold_ended", record)
        if record.error is None:
            self.tuner.rule.check_names(record.history or record.scores)
        elif self.tuner.error_score == "raise":
            raise SearchError(f"A fit failed and error_score is 'raise'. Its traceback:\n{record.error}")
        self.tasks_left[task.trial_id] -= 1
        if not self.tasks_left[task.trial_id]:
            self._end_trial(task.trial_id)

    def _end_trial(self, trial_id: str) -> None:
        trial = self.trials.pop(trial_id)
        del self.tasks_left[trial_id]
        tuner = self.tuner
        records = tuple(sorted(tuner.fold_results[trial_id], key=_by_fold))
        trials.take_over(trial, records)
        candidate = Candidate(trial_id, tuner.oracle.grid.ordered(trial.hyperparameters.values), records)
        trials.report(tuner.oracle, tuner.rule, trial, candidate)
        self._compare(candidate)
        self._tell("candidate_ended", candidate)
        try:
            tuner.on_trial_end(trial)
        except RuntimeError as error:  # Too many failures in a row.
            raise error if isinstance(error, ProjectError) else SearchError(str(error)) from None

    def _compare(self, candidate: Candidate) -> None:
        """Keep the best candidate so far; a refit of one that is beaten is dropped."""
        rivals = [candidate] if self.best is None else [self.best, candidate]
        best = tables.best_of(rivals, self.tuner.rule)
        if best is self.best:
            return
        self.best = best
        if self.early_refit is not None:
            self.early_refit.cancel()
            self.early_refit = None

    def _refit_early(self) -> None:
        """Begin the refit of the best candidate so far when the fits that wait take no longer than it will.

        Otherwise it would run alone in the end, and the other cores idle. The model is the same whenever it is trained.
        """
        by_score = bool(self.tuner.refit) and not callable(self.tuner.refit) and self.tuner.refit_label == "score"
        wanted = by_score and self.tuner.fold_fitter is None and self.executor.n_jobs > 1
        if not wanted or not self.handed_out or self.best is None or self.early_refit is not None or not self.running:
            return
        candidate = self.best
        seconds = float(np.mean([fold.fit_seconds for fold in candidate.folds]))
        share = self.data.rows / float(np.mean([len(train) for train, _ in self.splits]))
        if self.schedule.remaining_seconds() <= seconds * share:
            self.early_refit = self._refitting(candidate)

    def _free_jobs(self) -> int:
        """How many batches may run: beside an early refit one less; of short fits one, they want Python's lock only."""
        if self._batch_size() > 1:
            return 1
        return self.executor.n_jobs - bool(self.early_refit is not None and self.early_refit.running)

    def _drain(self) -> None:
        """Let the running fits stop at their next epoch; their outcomes are dropped."""
        self.stop.ask()
        while self.running:
            if self.executor.wait(_POLL_SECONDS) is not None:
                self.running -= 1
        while self.early_refit is not None and self.early_refit.running:
            time.sleep(_POLL_SECONDS)

    # Before and after ------------------------------------------------------------------------------------------------

    def _open_project(self) -> None:
        """Check that the project is this search's, and read what it has done."""
        tuner, project = self.tuner, self.tuner.project
        if not project.exists() and project.path.exists():
            project.check_may_overwrite()
        known = description.read_description(project)
        if tuner._given_seed is None:
            seed = trials.drawn_seed(project) if known is None else known["asked"]["seed"]
            tuner.oracle.seed = tuner.oracle.seed if seed is None else seed
        self._take_folds_of_earlier_versions(known)
        asked = self._asked()
        drawn_anew = kept_folds.draws_anew(tuner.cv)
        if drawn_anew:
            asked = self._with_kept_folds(asked, known)
        if known is not None:
            asked = _with_comparable_build(asked, known["asked"])
            description.check_same_search(project, known, asked)
            self._warn_of_other_code(known)
        self.search_id = description.search_id(known, asked, lambda: journal.owners(project))
        self.journal = journal.Journal(project, self.search_id)
        project.remove_leftovers()
        self._restore(known)
        if drawn_anew:
            kept_folds.keep_folds(project, asked, self.splits)
        write_json(project.search_file, sealed(self._description(asked, known)))

    def _with_kept_folds(self, asked: dict[str, Any], known: Mapping[str, Any] | None) -> dict[str, Any]:
        """Take the folds of the first run in place of those drawn now; gives what is asked with them."""
        project = self.tuner.project
        self.splits = kept_folds.kept_folds(project, asked) or self.splits
        asked = self._asked()
        if known is not None:
            kept_folds.check_folds(project, known, asked)
        return asked

    def _warn_of_other_code(self, known: Mapping[str, Any]) -> None:
        then, now = known.get("code"), fingerprint.source_digest(self.tuner.hypermodel)
        if then is not None and now is not None and then != now:
            logger.warning(
                "The hypermodel's code has changed since %s was last searched, though it builds the same model from "
                "the default hyperparameters. What is finished is kept; start over with overwrite=True if it would "
                "come out otherwise now.",
                self.tuner.project.path,
            )

    def _take_folds_of_earlier_versions(self, known: Mapping[str, Any] | None) -> None:
        """The first version never stratified a number of folds: a search that it began goes on with its folds."""
        if self.classes is None or not isinstance(self.tuner.cv, numbers.Integral):
            return
        stratified = self.splits
        self.splits = make_splits(KFold(int(self.tuner.cv)), self.data.x, self.data.y)
        asked = self._asked()
        if known is not None:
            is_theirs = known["asked"]["folds"] == asked["folds"]
        else:
            is_theirs = not journal.owners(self.tuner.project).isdisjoint(description.search_ids(asked))
        if not is_theirs:
            self.splits = stratified

    def _records(self) -> list[FoldResult]:
        """The journal's records; failed fits are tried again where nothing else came of the search."""
        records = self.journal.read()
        if self.tuner.error_score == "raise" or all(record.error is not None for record in records):
            return [record for record in records if record.error is None]
        return records

    def _restore(self, known: Mapping[str, Any] | None) -> None:
        """Take over what the journal holds, and nothing else."""
        tuner = self.tuner
        executions = tuner.executions_per_trial
        records = [r for r in self._records() if r.fold < len(self.splits) and r.execution < executions]
        wanted = {
            "return_train_score": tuner.return_train_score,
            "keep_fold_models": tuner.keep_fold_models and tuner.fold_fitter is None,
        }
        self.extras = fold_extras.check_extras(tuner.project, known, records, wanted)
        candidates, fits = journal.group(records), len(self.splits) * executions
        tuner.fold_results = {candidate.trial_id: list(candidate.folds) for candidate in candidates}
        trials.restore(
            *(tuner.oracle, tuner.rule, candidates), space=tuner.asked_space, fits=fits, project=tuner.project
        )
        trials.set_aside_contradictions(tuner.oracle, tuner.project)

    def _asked(self) -> dict[str, Any]:
        tuner = self.tuner
        asked = {
            "data": {"rows": self.data.rows, "fingerprint": self.fingerprint},
            "space": {entry["config"]["name"]: entry for entry in tuner.asked_space},
            "folds": {
                "splitter": _ADDRESS.sub("", repr(tuner.cv)) if hasattr(tuner.cv, "split") else "given",
                "number": len(self.splits),
                "fingerprint": data_fingerprint(self.splits),
            },
            "fit_options": {name: prepare.plain(value) for name, value in self.fit_options.items()},
            "objective": [list(pair) for pair in tuner.rule.objectives],
            "score_epoch": tuner.rule.epoch,
            "executions_per_trial": tuner.executions_per_trial,
            "max_trials": tuner.oracle.max_trials,
            "seed": tuner.oracle.seed,
            "intra_op_threads": tuner.devices["intra_op_threads"],
            "compiled_epochs": {"compile_epochs": tuner.compile_epochs, "jit_compile": tuner.jit_compile},
        }
        if self.model is not None:
            asked["build"] = {"keras": keras.__version__, **self.model}
        plain: dict[str, Any] = json.loads(json.dumps(asked, default=prepare.plain))
        return plain

    def _description(self, asked: dict[str, Any], known: Mapping[str, Any] | None) -> dict[str, Any]:
        tuner = self.tuner
        created = (known or {}).get("created") or datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        return {
            "search_id": self.search_id,
            "asked": asked,
            "rule": journal.rule_to_json(tuner.rule),
            "n_splits": len(self.splits),
            "executions_per_trial": tuner.executions_per_trial,
            "n_jobs": tuner.n_jobs,
            "extras": self.extras,
            "model": type(tuner.hypermodel).__qualname__,
            "code": fingerprint.source_digest(tuner.hypermodel),
            "classes": self.data.labels,
            "target": targets.description(self.data.target),
            "data": self.data.description(),
            "devices": tuner.devices,
            "versions": package_versions(),
            "command_line": sys.argv[:1] and [pathlib.Path(sys.argv[0]).name, *sys.argv[1:]],
            "created": created,
        }

    def _plan(self) -> SearchPlan:
        tuner = self.tuner
        done = len(tuner.fold_results)
        size = max(grid_size(tuner.oracle.declared), done)
        return SearchPlan(
            project=tuner.project,
            space=space_values(tuner.oracle.hyperparameters.space),
            rule=tuner.rule,
            n_splits=len(self.splits),
            executions=tuner.executions_per_trial,
            n_candidates=min(size, tuner.oracle.max_trials or size),
            n_jobs=tuner.n_jobs,
            finished=tuple(record for records in tuner.fold_results.values() for record in records),
            classes=None if self.data.labels is None else tuple(self.data.labels),
        )

    def _fitter(self) -> FoldFitter:
        tuner = self.tuner
        return FoldFitter(
            FitSpec(
                hypermodel=tuner.hypermodel,
                builder=tuner.builder,
                own_copies=tuner._own_copies,
                alone=tuner.n_jobs == 1,
                x=self.data.x,
                y=self.data.y,
                sample_weight=self.data.sample_weight,
                fit_options=self.fit_options,
                rule=tuner.rule,
                search_seed=tuner.oracle.seed,
                asked_space=tuner.asked_space,
                hooks=tuner.fit_hooks(self.trials.get),
                retries=tuner.oracle.max_retries_per_trial,
                planned_fits=len(self.splits) * tuner.executions_per_trial,
                compile_epochs=tuner.compile_epochs,
                jit_compile=tuner.jit_compile,
                return_train_score=tuner.return_train_score,
                n_classes=self.data.n_classes,
                project=tuner.project,
                keep_fold_models=tuner.keep_fold_models,
            )
        )

    def _finish(self) -> None:
        """The table, the summary and the refit."""
        tuner = self.tuner
        candidates = tuner.candidates()
        tuner.cv_results_ = self._table(candidates)
        if all(fold.error is not None for candidate in candidates for fold in candidate.folds):
            self._tell("search_ended", candidates, table=tuner.cv_results_, interrupted=False)
            found = tables.most_common_error(candidates)
            assert found is not None
            raise SearchError(
                f"All {sum(len(c.folds) for c in candidates)} fits failed. {found[1]} of them with:\n{found[0]}"
            )
        fitted.set_best(tuner)
        message = tables.failure_warning(candidates, tuner.rule.error_score)
        if message is not None:
            warnings.warn(message, FitFailedWarning, stacklevel=4)
        if tuner.fold_fitter is None:
            tuner.refit_candidate = lambda candidate: self.refit(candidate)[0]
            if tuner.refit:
                self._refit_best(candidates[tuner.best_index_])
        self._tell("search_ended", candidates, table=tuner.cv_results_, interrupted=False)
        # What the screen, the report and TensorBoard call the best goes by the mean score, whatever refit asks for.
        if not isinstance(tuner.refit, bool) and tuner.best_index_ != tables.best_index(tuner.cv_results_):
            logger.warning("refit has chosen another than the one with the best mean score: %s.", tuner.best_params_)

    def _refit_best(self, candidate: Candidate) -> None:
        """The best candidate's model. A refit that fails costs that model, not the search that is paid for."""
        tuner = self.tuner
        tuner._best_model = tuner.refit_failure = None
        try:
            tuner.best_model_, tuner.refit_time_ = refit_best(self, candidate)
        except Exception as error:
            tuner.refit_failure = refit_failure(error)
            logger.info("The refit failed.", exc_info=error)

    def _table(self, candidates: Sequence[Candidate]) -> dict[str, Any]:
        tuner = self.tuner
        return tables.cv_results(
            candidates, tuner.rule, n_splits=len(self.splits), return_train_score=tuner.return_train_score
        )

    def refit(self, candidate: Candidate) -> tuple[keras.Model, float]:
        """Train a candidate on all rows, or take over the training that began early.

        Returns:
            The model, and the seconds that its training took.
        """
        refit, self.early_refit = self.early_refit, None
        if refit is not None and refit.trial_id != candidate.trial_id:
            refit.cancel()
            refit = None
        refit = refit or self._refitting(candidate)
        return refit.wait(), refit.seconds

    def _refitting(self, candidate: Candidate) -> Refit:
        counted = self._counted(candidate.values, self.tuner.oracle.trials[candidate.trial_id])
        return Refit(
            self.fitter,
            candidate,
            rows=self.data.rows,
            seed=fit_seed(self.tuner.oracle.seed, counted, REFIT_FOLD),
            plan=refit_plan(self.tuner.rule, candidate.folds),
            space=self.tuner.oracle.trials[candidate.trial_id].hyperparameters.space,
            is_stopped=self._is_stopped,
        )

    def _interrupted(self) -> None:
        """Keep a readable table, say what is done, and how to go on."""
        self._drain()
        tuner = self.tuner
        candidates = tuner.candidates()
        self._tell("search_ended", candidates, table=self._table(candidates), interrupted=True)
        tuner.oracle.save()
        done = sum(len(records) for records in tuner.fold_results.values())
        raise SearchInterrupted(
            f"Interrupted: {done} of {max(done, self.planned_fits)} fits are done and kept in {tuner.project.path}. "
            "Call search() again (without overwrite=True) to continue.",
            self.stop.signal_number or 2,
        )

    def _check(self) -> None:
        if self.stop:
            raise FoldStopped

    def _is_stopped(self) -> bool:
        return bool(self.stop)

    def _tell(self, event: str, *arguments: Any, **options: Any) -> None:
        for observer in self.observers:
            getattr(observer, event)(*arguments, **options)


def _with_comparable_build(asked: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked, with the model that the project knows where that cannot be compared with this one.

    Whatever keeps a model from being built, the fits tell; another Keras may word the same model otherwise.
    """
    known, now = then.get("build"), asked.get("build")
    if known is None or (now is not None and now["keras"] == known.get("keras")):
        return dict(asked)
    return {**asked, "build": known}


def _default_observers(verbosity: int) -> list[SearchObserver]:
    from tuner_app.views.tensorboard.observer import TensorBoardLogs
    from tuner_app.views.terminal.progress import Progress

    return [Progress(verbosity=verbosity), TensorBoardLogs()]


def _by_fold(result: FoldResult) -> tuple[int, int]:
    return result.fold, result.execution
