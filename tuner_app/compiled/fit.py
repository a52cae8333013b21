"""One call of `model.fit` as programs: the epochs with their callbacks, as `Model.fit` runs them.

Owns the order of events within a fit. Its numbers are those of `Model.fit` given the same order of rows.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Mapping
from typing import Any

import keras

from tuner_app.compiled import LOGGER, private
from tuner_app.compiled.arrays import NotCompilableError
from tuner_app.compiled.bound import BoundProgram, floats
from tuner_app.compiled.building import build_for, build_from_seed, is_built
from tuner_app.compiled.context import FinishedFit, FitContext
from tuner_app.compiled.engine import runs_in_one_thread, wants_xla
from tuner_app.compiled.program import Program, is_standard_step
from tuner_app.compiled.refit_callbacks import is_users
from tuner_app.compiled.rows import DeviceData, Parts, are_same, split_off
from tuner_app.compiled.signature import configured, signature
from tuner_app.compiled.stages import StageWatch
from tuner_app.compiled.traced import NotTransferableError
from tuner_app.compiled.validation import evaluation_batch_size, validates_after
from tuner_app.records.text import first_line

logger = logging.getLogger(LOGGER)


class CompiledFit:
    """One fit.

    Args:
        model: A compiled model that `eligibility.why_not` has nothing against.
        context: The context of the fit.
        options: The arguments of `Model.fit`, all of them.

    Raises:
        NotCompilableError: The data cannot become tensors.
    """

    def __init__(self, model: keras.Model, context: FitContext, options: Mapping[str, Any]) -> None:
        self._model, self._context, self._options = model, context, options
        self._batch_size = int(options["batch_size"] or 32)
        self._epochs = int(options["epochs"])
        train, validation = split_off(context.rows, options)
        self._train = DeviceData(context.cache, train)
        self._validates = validation is not None
        is_needed = validation is not None and not self._knows_beforehand(train, validation)
        self._validation = DeviceData(context.cache, validation) if validation is not None and is_needed else None
        self._compiling = private.compiling_of(model)
        self._architecture: str | None = None
        self._bound: BoundProgram

    def run(self) -> keras.callbacks.History:
        """Train; the history that `Model.fit` would return.

        Raises:
            NotCompilableError: It cannot run as a program; nothing has changed, no callback has run.
        """
        model, context = self._model, self._context
        # Before any callback has run, so that a refusal leaves nothing half done.
        self._prepare()
        callbacks = self._callback_list()
        model.stop_training = False
        callbacks.on_train_begin()
        logs: dict[str, Any] | None = None
        for epoch in range(private.restored_epoch(model) or int(self._options["initial_epoch"]), self._epochs):
            callbacks.on_epoch_begin(epoch)
            if logs is None:  # Only before the first step: Keras, too, traces its step once per fit.
                self._follow_changes()
            logs = self._train_epoch()
            if self._validates and validates_after(epoch, self._options["validation_freq"]):
                logs |= self._validate(callbacks, logs)
            callbacks.on_epoch_end(epoch, logs)
            context.check()  # After the callbacks: what they write of this epoch is whole when the search stops.
            if model.stop_training:
                break
        # Averages of weights (`use_ema`) take the weights' places at the end, as in Keras.
        if isinstance(model.optimizer, keras.optimizers.Optimizer) and self._epochs > 0:
            model.optimizer.finalize_variable_values(model.trainable_weights)
        callbacks.on_train_end(logs)
        context.last = FinishedFit(self._architecture, self._compiling, self._bound)
        return model.history

    def _callback_list(self) -> keras.callbacks.CallbackList:
        verbose = self._options["verbose"]
        return keras.callbacks.CallbackList(
            self._options["callbacks"],
            add_history=True,
            add_progbar=verbose != 0,
            verbose=verbose,
            epochs=self._epochs,
            steps=-(-len(self._train.rows) // self._batch_size),
            model=self._model,
        )

    def _prepare(self) -> None:
        """Trace and compile where nobody did it before."""
        try:
            # Held for the variables only. A trace takes it by itself, and others train meanwhile.
            with self._context.building():
                self._make_variables()
            self._architecture = signature(self._model)
            program = self._choose_program()
            _check_works(program)
            with self._context.compiling():
                self._bound = self._bind(program)
            if configured(self._architecture) is None and not self._bound.program.is_shared:
                self._architecture = None  # It stands for itself alone.
        except NotCompilableError:
            raise
        except Exception as error:
            # Whatever is wrong: Keras's own fit either can do it or says it in Keras's words.
            raise NotCompilableError(f"tracing its epoch failed ({first_line(error)})") from error
        self._tell_of_draws()
        with self._context.compiling():
            self._bound.run_without_steps()
        _check_works(self._bound.program)

    def _make_variables(self) -> None:
        model, specs = self._model, self._train.specs
        if not is_built(model):
            build_from_seed(model, specs, self._context.seed)
        if model.optimizer is not None and not model.optimizer.built and is_built(model):
            model.optimizer.build(model.trainable_variables)
        # The user's code may look at the model's metrics, and not only at the logs.
        if self._runs_users_code() and _has_standard_steps(model):
            build_for(model, specs)

    def _choose_program(self) -> Program:
        model, context = self._model, self._context
        validation_batch_size = self._options["validation_batch_size"]
        steps = len(self._train.rows) // self._batch_size
        architecture = configured(self._architecture)
        context.program_options = {
            "specs": self._train.specs,
            "batch_size": self._batch_size,
            "evaluation_batch_size": int(validation_batch_size)
            if validation_batch_size
            else evaluation_batch_size(model, self._batch_size, architecture, rule=context.engine_rule),
            "xla": wants_xla(
                *(model, context, architecture),
                steps_per_epoch=steps,
                epochs=self._epochs,
                batch_size=self._batch_size,
            ),
            "one_thread": runs_in_one_thread(context),
            "nested_logs": context.engine_rule >= 3,
        }
        return context.cache.program(self._architecture, **context.program_options)

    def _bind(self, program: Program) -> BoundProgram:
        try:
            return BoundProgram(self._model, program, self._train, self._validation)
        except NotTransferableError:
            # Its trace holds a constant or a table of the first model: this one gets a program of its own.
            own = self._context.cache.own_program(**self._context.program_options or {})
            return BoundProgram(self._model, own, self._train, self._validation)

    def _tell_of_draws(self) -> None:
        draws = self._bound.draws
        if draws and self._context.cache.is_news("draws", *draws):
            logger.warning(
                "%s draws random numbers by TensorFlow's %s, which no seed of a fit reaches: two equal searches "
                "differ. Use keras.random with a keras.random.SeedGenerator(seed) instead.",
                self._model.name,
                ", ".join(draws),
            )

    def _follow_changes(self) -> None:
        """Callbacks may have changed the model (frozen a layer, say) before the first step."""
        if self._architecture is None or not self._runs_users_code():
            return
        if signature(self._model) != self._architecture:
            self._prepare()

    def _runs_users_code(self) -> bool:
        return any(
            is_users(callback) and not isinstance(callback, StageWatch) for callback in self._options["callbacks"]
        )

    def _knows_beforehand(self, train: Parts, validation: Parts) -> bool:
        """Whether validation would only say once more how the training went, to nobody who acts on it.

        A refit trains on all rows, and a `HyperModel.fit` of the user's gets the same ones to validate on.
        """
        is_repetition = self._context.stages.plan is not None and are_same(train, validation)
        has_same_metrics = all(is_standard_step(self._model, name) for name in ("train_step", "test_step"))
        return is_repetition and has_same_metrics and not self._runs_users_code()

    def _train_epoch(self) -> dict[str, Any]:
        order = self._context.order(self._train.rows, shuffle=bool(self._options["shuffle"]))
        if self._model.stop_training:  # A callback does not want this epoch: Keras does one step nevertheless.
            order = order[: self._batch_size]
        steps, rest = divmod(len(order), self._batch_size)
        if not self._bound.program.xla:
            return floats(self._bound.run_loop(order, steps + bool(rest)))
        logs = self._bound.run_loop(order, steps)
        if rest:
            # The first run of the shorter batch counts as compiling: the one batch is nothing beside that.
            is_first = not self._bound.functions["tail"].has_run
            with self._context.compiling() if is_first else contextlib.nullcontext():
                logs = self._bound.run_tail(order[-rest:])
        return floats(logs)

    def _validate(self, callbacks: Any, logs: Mapping[str, Any]) -> dict[str, Any]:
        if self._validation is None:  # The user's fit may read the numbers by their names, though of the training.
            return {f"val_{name}": value for name, value in logs.items()}
        began = time.perf_counter()
        callbacks.on_test_begin()
        results = self._bound.validate()
        callbacks.on_test_end(results)
        self._context.score_seconds += time.perf_counter() - began
        return {f"val_{name}": value for name, value in results.items()}


def _check_works(program: Program) -> None:
    if program.refusal is not None:
        raise NotCompilableError(program.refusal)


def _has_standard_steps(model: keras.Model) -> bool:
    names = ("train_step", "test_step")
    return all(getattr(type(model), name) is getattr(keras.Model, name) for name in names)
