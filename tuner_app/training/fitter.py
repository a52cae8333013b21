"""One fit of one candidate on one fold: build, train, score, and a record of it, whatever happens.

Owns the way from a task to its record: attempts, seconds, failures. It knows nothing of the other fits; `search`
decides what is fitted, `execution` where it runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import keras

from tuner_app.records.results import FoldResult
from tuner_app.records.seeds import fit_seed
from tuner_app.records.tasks import FoldTask
from tuner_app.training import failures
from tuner_app.training.declared import declared_by_fit
from tuner_app.training.fit_run import FitRun
from tuner_app.training.outcome import fields_of, without_endless_loss
from tuner_app.training.scoring import after_fit
from tuner_app.training.shared import SharedByFits
from tuner_app.training.spec import FitSpec


def never() -> bool:
    """Nothing stops the fit."""
    return False


class FoldFitter:
    """Fits candidates on folds, and on all rows; called by the executor's threads, several at a time.

    It can be pickled as its spec can; in another process it makes programs and tensors of its own.

    Args:
        spec: What all fits have in common.
    """

    def __init__(self, spec: FitSpec) -> None:
        self.spec = spec
        # Only for making what is shared; a build has a lock of its own, which may be held by the search's thread.
        self._lock = threading.Lock()
        self._shared_by_fits: SharedByFits | None = None
        self._models: dict[str, keras.Model] = {}

    def __getstate__(self) -> FitSpec:
        return self.spec

    def __setstate__(self, spec: FitSpec) -> None:
        self.__init__(spec)  # type: ignore[misc]

    def __call__(self, task: FoldTask, is_stopped: Callable[[], bool] = never) -> FoldResult:
        """Fit a candidate on a fold; or on all rows, and keep the model for `take_model`.

        Args:
            task: Which candidate on which rows.
            is_stopped: Whether to end at the end of the running epoch; asked after each.

        Returns:
            The record. That of a fold may be one of a failure. That of a refit has no metrics, and as `fit_seconds` the
            whole training's seconds; its failures are raised.

        Raises:
            FoldStopped: `is_stopped` has answered with True.
            InputError, DataError, ProjectError, FatalError: What every other fit would meet as well.
        """
        self.spec.settings.apply()  # Whatever ran in this thread before.
        if task.is_refit:
            return self._refit(task, is_stopped)
        for attempt in range(self.spec.retries + 1):
            record, may_try_again = self._attempt(task, attempt, is_stopped)
            if not may_try_again:
                break
        return record

    def take_model(self, trial_id: str) -> keras.Model:
        """The model that the last refit of a trial in this process has trained; it is forgotten here.

        Raises:
            KeyError: There was no refit of it, or its model was taken already.
        """
        return self._models.pop(trial_id)

    def fits_ended(self) -> None:
        """Tell, when all folds are fitted, what a short fit could not: others were always building when it ended."""
        if self._shared_by_fits is not None:
            self._shared_by_fits.tell_of_all_draws()

    def _shared(self) -> SharedByFits:
        """What the fits of this process share, made by the first of them."""
        with self._lock:
            if self._shared_by_fits is None:
                self._shared_by_fits = SharedByFits(self.spec)
            return self._shared_by_fits

    def _refit(self, task: FoldTask, is_stopped: Callable[[], bool]) -> FoldResult:
        began, started = time.perf_counter(), time.time()
        run = FitRun(self.spec, self._shared(), task, seed=task.seed, is_stopped=is_stopped)
        with run.under_way():
            run.train()  # What it returns says nothing: there was no validation.
        self._models[task.trial_id] = run.model
        # On the clock, compiling included: what a user waited for.
        return task.record(started=started, fit_seconds=time.perf_counter() - began)

    def _attempt(self, task: FoldTask, attempt: int, is_stopped: Callable[[], bool]) -> tuple[FoldResult, bool]:
        """The record, and whether it has failed in a way that another attempt may mend."""
        shared = self._shared()
        began, started = time.perf_counter(), time.time()
        # Another seed for another attempt: with the same one, most failures would only come again.
        seed = self._seed(task, attempt)
        fields: dict[str, Any] = {}
        run, is_final = FitRun(self.spec, shared, task, seed=seed, is_stopped=is_stopped), False
        try:
            with run.under_way():
                fields = fields_of(run.train(), run)
                seconds = time.perf_counter() - began  # The rest is no part of the fit.
                fields |= after_fit(run)
        except failures.OF_THE_SEARCH:
            raise
        except Exception as error:
            failures.raise_if_of_the_search(error, self.spec.fit_options)
            is_final = failures.is_final(error)
            seconds = time.perf_counter() - began
            fields["error"] = failures.own_traceback(error)
        fields["declared"] = declared_by_fit(run.hyperparameters, task.values, self.spec.asked_space)
        context = run.context
        record = task.record(
            seed=seed,
            started=started,
            fit_seconds=seconds - context.score_seconds - context.compile_seconds,
            score_seconds=context.score_seconds,
            compile_seconds=context.compile_seconds,
            **fields,
        )
        record = without_endless_loss(record, self.spec.rule)
        return record, record.error is not None and not is_final

    def _seed(self, task: FoldTask, attempt: int) -> int:
        if attempt == 0:
            return task.seed
        return fit_seed(self.spec.search_seed, task.values, task.fold, task.execution, attempt)
