"""One fit of one candidate on one fold: build, train, score, and a record of it, whatever happens.

Owns what a fit is: seeding, the user's `HyperModel.build` and `fit`, callbacks per fold, failures as records.
It knows nothing of the other fits; `tuner` decides what is fitted, `executors` where it runs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import logging
import math
import pathlib
import random
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras.src.backend.common import global_state
from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR
from keras.src.utils.rng_utils import GLOBAL_RANDOM_SEED
from keras_tuner import errors as kt_errors

from tuner_app.compiled import model_fit, programs
from tuner_app.compiled.callback_paths import OwnPaths
from tuner_app.compiled.stages import Stages, kept_epochs
from tuner_app.errors import DataError, InputError, ProjectError
from tuner_app.folds.rows import Rows, arrays_in
from tuner_app.records import metric_values
from tuner_app.records.refit_plan import RefitPlan
from tuner_app.records.results import FoldResult
from tuner_app.records.score import ScoreRule
from tuner_app.records.seeds import fit_seed
from tuner_app.records.tasks import FoldTask
from tuner_app.storage import model_file
from tuner_app.storage.files import cannot_write
from tuner_app.training import copies, fit_checks, global_random

logger = logging.getLogger(__name__)

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclasses.dataclass(kw_only=True)
class FoldFitter:
    """Fits candidates on folds; called by the executor's threads.

    Attributes:
        hypermodel: The user's `HyperModel`.
        build: Builds a model from hyperparameters (Keras Tuner's overrides of compile arguments included).
        using: While it is entered, `build` and the tuner's hooks in this thread use the hypermodel that it was given.
        own_copies: Whether each fit works on its own copy of the hypermodel.
        alone: Whether fits run one after another, so that the process's random numbers can be seeded for each.
        space: The hyperparameters that a task's candidate knows; its values are set on them.
        x, y, sample_weight: The whole training part.
        fit_options: What the user gave `search` beyond the data.
        rule: How the history becomes a score.
        search_seed: The seed of the search.
        cache: The programs that the fits share.
        check: Raises `FoldStopped` when the search is to stop.
        callbacks: More callbacks for a task (the tuner's hooks).
        retries: How often a failed fit is tried again.
        planned_fits: How many fits share an architecture at least.
        compile_epochs, jit_compile: As in `FitContext`.
        return_train_score: Whether to score the training rows, too.
        n_classes: The number of classes, for the confusion matrix; None for none.
        own_folder: A task's folder within one that a user's callback writes to.
        model_file: Where the fold's model is kept; None where it is not.
        settings: Keras's settings of the thread that began the search.
        random_state: The process's random numbers when the search began.
    """

    hypermodel: keras_tuner.HyperModel
    build: Callable[[Any], keras.Model]
    space: Callable[[FoldTask], keras_tuner.HyperParameters]
    x: Any
    y: Any
    sample_weight: Any
    fit_options: Mapping[str, Any]
    rule: ScoreRule
    search_seed: int
    cache: programs.ProgramCache
    check: Callable[[], None]
    using: Callable[[Any], AbstractContextManager[None]] = contextlib.nullcontext
    own_copies: bool = True
    alone: bool = False
    callbacks: Callable[[FoldTask], Sequence[Any]] = lambda task: ()
    retries: int = 0
    planned_fits: int = 1
    compile_epochs: bool = True
    jit_compile: bool | None = None
    return_train_score: bool = False
    n_classes: int | None = None
    own_folder: Callable[[FoldTask, str], str] = lambda task, folder: folder
    model_file: Callable[[FoldTask], pathlib.Path | None] = lambda task: None
    settings: KerasSettings = dataclasses.field(default_factory=lambda: KerasSettings.current())
    random_state: global_random.State = dataclasses.field(init=False, default_factory=global_random.state)

    def __call__(self, task: FoldTask) -> tuple[FoldResult, keras_tuner.HyperParameters]:
        """Fit a candidate on a fold.

        Returns:
            The record, and the hyperparameters with any that `build` or `fit` declared on the way.
        """
        self.settings.apply()
        for attempt in range(self.retries + 1):
            record, hyperparameters, may_try_again = self._attempt(task, attempt)
            if not may_try_again:
                break
        return record, hyperparameters

    def fits_ended(self) -> None:
        """Tell, when all folds are fitted, what a short fit could not: others were always building when it ended."""
        with programs.build_lock:
            self.tell_of_draws(global_random.drawn_since(self.random_state))

    def tell_of_draws(self, names: list[str]) -> None:
        """Say, once per search, which of the process's random numbers were drawn; nothing where none were."""
        if names:
            self.tell_once("random numbers", global_random.told(names))

    def tell_once(self, subject: str, line: str) -> None:
        """A warning once per search, not once per fit."""
        if self.cache.is_news("told", subject):
            logger.warning("%s", line)

    def refit(self, task: FoldTask, plan: RefitPlan, *, check: Callable[[], None]) -> keras.Model:
        """Fit a candidate and keep the model. Failures are the caller's.

        Args:
            task: Which candidate on which rows.
            plan: How long it trains.
            check: Called after each epoch, beside the search's own check; an exception from it ends the fit.
        """

        def check_both() -> None:
            self.check()
            check()

        self.settings.apply()
        with self._fitting(task, task.seed, plan, check_both) as fit:
            fit.train()
            return fit.model

    def _attempt(self, task: FoldTask, attempt: int) -> tuple[FoldResult, Any, bool]:
        """The record, the hyperparameters, and whether it has failed in a way that another attempt may mend."""
        began, started = time.perf_counter(), time.time()
        seed = (
            task.seed if attempt == 0 else fit_seed(self.search_seed, task.values, task.fold, task.execution, attempt)
        )
        outcome: dict[str, Any] = {}
        fit, is_final = None, False
        try:
            with self._fitting(task, seed, None, self.check) as fit:
                outcome = self._outcome(fit.train(), fit)
                seconds = time.perf_counter() - began
                outcome |= self._after(task, fit)
        except (DataError, InputError, ProjectError, kt_errors.FatalError):
            raise
        except Exception as error:
            if isinstance(error, model_fit.UnknownOptionError) and error.option in self.fit_options:
                fit_checks.check_option_names([error.option], keras.Model.fit, "model.fit")
            is_final = isinstance(error, kt_errors.FailedTrialError)
            if isinstance(error, OSError) and error.errno in _DISK_FULL:
                raise ProjectError(cannot_write(pathlib.Path(error.filename or "a file of this fit"), error)) from error
            seconds = time.perf_counter() - began
            outcome["error"] = _own_traceback()
        score_seconds = fit.context.score_seconds if fit is not None else 0.0
        compile_seconds = fit.context.compile_seconds if fit is not None else 0.0
        record = FoldResult(
            trial_id=task.trial_id,
            fold=task.fold,
            execution=task.execution,
            values=dict(task.values),
            seed=seed,
            started=started,
            fit_seconds=seconds - score_seconds - compile_seconds,
            score_seconds=score_seconds,
            compile_seconds=compile_seconds,
            **outcome,
        )
        record = _without_endless_loss(record, self.rule)
        hyperparameters = fit.hyperparameters if fit is not None else self.space(task)
        return record, hyperparameters, record.error is not None and not is_final

    @contextmanager
    def _fitting(self, task: FoldTask, seed: int, plan: RefitPlan | None, check: Callable[[], None]) -> Iterator[_Fit]:
        fit = _Fit(self, task, seed, plan, check)
        try:
            fit.begin()
            yield fit
        finally:
            fit.tell_what_copies_collected()
            if fit.model is not None:
                model_fit.detach(fit.model)

    def _outcome(self, returned: Any, fit: _Fit) -> dict[str, Any]:
        """What the calls of `model.fit` did, and what `HyperModel.fit` gave back."""
        stages = fit.context.stages
        return {
            "stage_epochs": [stage.kept for stage in stages.done],
            "stage_rates": [stage.rates for stage in stages.done] if any(stage.rates for stage in stages.done) else [],
            **self._returned(returned, fit),
        }

    def _returned(self, returned: Any, fit: _Fit) -> dict[str, Any]:
        """A History, metrics, or the objective alone."""
        if isinstance(returned, keras.callbacks.History):
            self._say_what_is_left_out({name: values[-1] for name, values in returned.history.items() if values})
            history = metric_values.history_of(returned.history)
            return _history_of(history, fit, fit.context.stages.of(returned))
        if isinstance(returned, Mapping):
            self._say_what_is_left_out(returned)
            return {"scores": metric_values.numbers_of(returned)}
        if isinstance(returned, int | float | np.floating):
            return {"scores": {self.rule.objectives[0][0]: float(returned)}}
        raise kt_errors.FatalTypeError(
            "HyperModel.fit() must return a History, a dict of metrics or a number. "
            f"Received: {returned!r} of type {type(returned).__name__}. Return what model.fit() returns."
        )

    def _say_what_is_left_out(self, metrics: Mapping[str, Any]) -> None:
        for name, count in metric_values.left_out(metrics):
            self.tell_once(
                f"left out {name}",
                f"The metric {name} is left out: it has {count} numbers, of which at most {metric_values.MOST_NUMBERS} "
                "are kept. Give it an average (average='macro', say) to have it as one.",
            )

    def _after(self, task: FoldTask, fit: _Fit) -> dict[str, Any]:
        """What needs the trained model: the confusion matrix, scores on the training rows, a file of its own."""
        found: dict[str, Any] = {}
        if self.n_classes is not None:
            with self._forgiving("no confusion matrix"):
                found["confusion"] = self._counted_classes(task, fit, self.n_classes)
        if self.return_train_score:
            with self._forgiving("no scores on its training rows"):
                found["train_scores"] = self._scores_on_training_rows(task, fit)
        path = self.model_file(task)
        if path is not None:
            model_file.save_model(path, fit.model)
        return found

    @contextmanager
    def _forgiving(self, lack: str) -> Iterator[None]:
        """What comes beside the score never fails a fit that is paid for: one line a search says what is missing."""
        try:
            yield
        except Exception as error:
            reason = model_fit.first_line(error)
            self.tell_once(f"{lack} {reason}", f"A fit has {lack}, because of {type(error).__name__}: {reason}.")

    def _counted_classes(self, task: FoldTask, fit: _Fit, n_classes: int) -> list[list[int]] | None:
        rows = task.validation_rows
        assert rows is not None
        predicted = model_fit.predict_classes(fit.model, fit.context, Rows(self.x, rows))
        return _confusion(arrays_in(self.y)[0][rows], predicted, n_classes)

    def _scores_on_training_rows(self, task: FoldTask, fit: _Fit) -> dict[str, float]:
        """As the validation rows are scored: by the same program, and weighted where they are."""
        x, y, weight = (
            None if part is None else Rows(part, task.train_rows) for part in (self.x, self.y, self.sample_weight)
        )
        assert x is not None
        assert y is not None
        batch_size = int(self.fit_options.get("batch_size") or 32)
        scores = model_fit.evaluate(fit.model, fit.context, x, y, weight, batch_size=batch_size)
        return metric_values.numbers_of(scores)


class _Fit:
    """A model on its way through one fit."""

    def __init__(
        self, fitter: FoldFitter, task: FoldTask, seed: int, plan: RefitPlan | None, check: Callable[[], None]
    ) -> None:
        self.fitter, self.task = fitter, task
        self.hypermodel: Any = fitter.hypermodel
        self.hyperparameters = fitter.space(task)
        self.hyperparameters.values = dict(task.values)
        self.model: Any = None
        self.given_callbacks: list[Any] = []
        # The copies, what they held at first, and whether a new container in place of another is theirs alone.
        self._births: list[tuple[Any, copies.Contents, bool]] = []
        self._random_state: global_random.State
        self._seed = seed
        self.context = model_fit.FitContext(
            seed=seed,
            cache=fitter.cache,
            compile_epochs=fitter.compile_epochs,
            jit_compile=fitter.jit_compile,
            planned_fits=fitter.planned_fits,
            check=check,
            stages=Stages(plan),
            paths=OwnPaths(lambda folder: fitter.own_folder(task, folder), self._tell_once),
        )

    def begin(self) -> None:
        """Build the model from the seed, with a hypermodel of its own."""
        fitter = self.fitter
        with self.context.building():  # no other fit builds with the random numbers of the process meanwhile
            if fitter.own_copies:
                self.hypermodel = copies.copy_hypermodel(fitter.hypermodel)
                self._births.append((self.hypermodel, copies.Contents.of(self.hypermodel), True))
            with fitter.using(self.hypermodel):
                self.model = build_seeded(fitter.build, self.hyperparameters, self._seed)
            self._random_state = global_random.state()  # While no build has seeded them.
        model_fit.attach(self.model, self.context)

    def train(self) -> Any:
        """Call `HyperModel.fit` as Keras Tuner does."""
        fitter, task = self.fitter, self.task
        options = dict(fitter.fit_options)
        options["callbacks"] = self.given_callbacks = self._callbacks(options.get("callbacks"))
        options = fit_checks.with_default(options, fitter.hypermodel.fit, "verbose", 0)
        train = self._parts(task.train_rows)
        if len(train) == 3:
            options["sample_weight"] = train[2]
        if task.validation_rows is not None:
            options["validation_data"] = self._parts(task.validation_rows)
        elif has_own_fit(fitter.hypermodel):
            # Keras Tuner's documented forms of fit read it. What they make of it is used for nothing in a refit.
            options["validation_data"] = train
        with fitter.using(self.hypermodel), self._global_random_numbers():
            return self.hypermodel.fit(self.hyperparameters, self.model, *train[:2], **options)

    @contextmanager
    def _global_random_numbers(self) -> Iterator[None]:
        """Seed the process's random numbers where no other fit uses them; say where a fit draws them."""
        if self.fitter.alone:
            with global_random.kept():
                before = global_random.seed_for_fit(self._seed)
                yield
                self.fitter.tell_of_draws(global_random.drawn_since(before))
            return
        yield
        if programs.build_lock.acquire(blocking=False):  # Else a build has seeded them; the search's end will tell.
            try:
                self.fitter.tell_of_draws(global_random.drawn_since(self._random_state))
            finally:
                programs.build_lock.release()

    def tell_what_copies_collected(self) -> None:
        """One line per search for each class whose copies have collected what nobody will find."""
        for copied, contents, in_place in self._births:
            names = contents.grown(copied, in_place=in_place)
            if names:
                self._tell_once(f"{type(copied).__qualname__} collects", copies.what_a_copy_collects(copied, names))

    def _tell_once(self, subject: str, line: str) -> None:
        self.fitter.tell_once(subject, line)

    def _parts(self, index: Any) -> tuple[Any, ...]:
        """`(x, y)` or `(x, y, sample_weight)` of rows."""
        fitter = self.fitter
        parts = (fitter.x, fitter.y) if fitter.sample_weight is None else (fitter.x, fitter.y, fitter.sample_weight)
        return tuple(self._rows(part, index) for part in parts)

    def _rows(self, structure: Any, index: Any) -> Any:
        """A part of the data: a mere view where Keras Tuner's own `fit` hands it straight on, else real arrays."""
        rows = Rows(structure, index)
        if not has_own_fit(self.fitter.hypermodel):
            return rows
        copied = rows.copy()
        self.context.known[id(copied)] = (copied, rows)
        return copied

    def _callbacks(self, given: Any) -> list[Any]:
        """Copies of the user's callbacks, which write to places of this fold, and the tuner's own."""
        callbacks = copies.copy_callbacks(given)
        self._births += [(callback, copies.Contents.of(callback), False) for callback in callbacks]
        callbacks = self.context.stages.able(callbacks)
        self.context.paths.move(callbacks)
        return [*callbacks, *self.fitter.callbacks(self.task)]


@dataclasses.dataclass(frozen=True)
class KerasSettings:
    """Keras's settings, which it keeps per thread: a fit's thread takes over those of the search, and nothing else.

    Attributes:
        dtype_policy: The global dtype policy.
        custom_objects: Registered custom objects.
    """

    dtype_policy: Any
    custom_objects: Mapping[str, Any]

    @classmethod
    def current(cls) -> KerasSettings:
        """The settings of this thread."""
        return cls(keras.config.dtype_policy(), dict(keras.saving.get_custom_objects()))

    def apply(self) -> None:
        """Take the settings over into this thread, and forget what another fit has left in it (layer names, seeds)."""
        # `keras.utils.clear_session` would do so for all threads, in the middle of their fits.
        vars(global_state.GLOBAL_STATE_TRACKER).clear()
        keras.config.set_dtype_policy(self.dtype_policy)
        keras.saving.get_custom_objects().update(self.custom_objects)


def has_own_fit(hypermodel: Any) -> bool:
    """Whether a hypermodel overrides Keras Tuner's `fit`, which hands everything on to `model.fit`."""
    return type(hypermodel).fit is not keras_tuner.HyperModel.fit or "fit" in vars(hypermodel)


def build_seeded(
    build: Callable[[Any], keras.Model], hyperparameters: keras_tuner.HyperParameters, seed: int
) -> keras.Model:
    """Build a model from a seed; the process's own random numbers are put back afterwards.

    Args:
        build: Builds a model from hyperparameters.
        hyperparameters: The values.
        seed: Decides the initial weights.
    """
    with programs.build_lock, global_random.kept():
        _seed_everything(seed)
        return build(hyperparameters)


def _seed_everything(seed: int) -> None:
    """Seed Python, NumPy and Keras in this thread.

    `keras.utils.set_random_seed` would also seed TensorFlow's own generator, which belongs to all threads, and for that
    TensorFlow forgets every compiled kernel: most of a small fit's time.
    """
    random.seed(seed)
    np.random.seed(seed)
    global_state.set_global_attribute(GLOBAL_RANDOM_SEED, seed)
    global_state.set_global_attribute(GLOBAL_SEED_GENERATOR, keras.random.SeedGenerator(seed))


def _history_of(history: dict[str, list[float]], fit: _Fit, number: int | None) -> dict[str, Any]:
    """A history as the record keeps it, and its final epoch; `number` is its stage, None where `model.fit` ran none."""
    if number is None:  # A training loop of the user's own, which may have called the callbacks.
        epochs = _length(history)
        return {"history": history, "final_epoch": kept_epochs(fit.given_callbacks, 0, epochs)}
    stage = fit.context.stages.done[number]
    aligned, measured = stage.aligned(history)
    epochs = _length(aligned)
    # A history of another length is one that the user has put together: its last epoch counts.
    final = stage.kept if epochs == len(stage.logs) else epochs
    return {"history": aligned, "measured_epochs": measured, "final_epoch": final, "scored_stage": number}


def _length(history: Mapping[str, Sequence[float]]) -> int:
    return max((len(values) for values in history.values()), default=0)


def _without_endless_loss(record: FoldResult, rule: ScoreRule) -> FoldResult:
    """A fit whose loss or score is NaN or infinite has failed, though it raised nothing.

    At its last epoch; where the best epoch counts, only if there is no epoch without.
    """
    if record.error is not None:
        return record
    epochs = [None] if rule.epoch == "last" else [None, *range(1, record.final_epoch + 1)]
    endless = [_endless(record.at_epoch(epoch), rule) for epoch in epochs]
    if not all(endless):
        return record
    name, value = next(iter(endless[0].items()))
    return dataclasses.replace(record, error=f"ValueError: {name} must be a finite number, but it is {value}.\n")


def _endless(metrics: Mapping[str, float], rule: ScoreRule) -> dict[str, float]:
    names = ("loss", "val_loss", *(name for name, _ in rule.objectives))
    return {name: metrics[name] for name in names if name in metrics and not math.isfinite(metrics[name])}


def _confusion(true: Any, predicted: Any, n_classes: int) -> list[list[int]] | None:
    labels = np.asarray(true).reshape(-1).astype(np.int64)
    if predicted.ndim != 1 or len(labels) != len(predicted) or predicted.max(initial=0) >= n_classes:
        return None
    counts = np.bincount(labels * n_classes + predicted, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes).tolist()


def _own_traceback() -> str:
    """The traceback of the current exception from the user's code on, the same for every thread."""
    return traceback.format_exc()
