"""A program on the variables of one model: what a fit runs.

Owns how the functions of a program are called: row numbers, steps, the first run. When they are called is the business
of `fit`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tuner_app.compiled.building import build_for
from tuner_app.compiled.program import Program
from tuner_app.compiled.rows import DeviceData
from tuner_app.compiled.traced import NotTransferableError, TracedFunction
from tuner_app.records.text import first_line


class BoundProgram:
    """A program's functions on a model's variables.

    Args:
        model: A model of the program's architecture.
        program: Traced here, as far as nobody has done so before.
        train: The rows to train on.
        validation: The rows to validate on; None for none.

    Attributes:
        program: The program.
        functions: Its functions by name.

    Raises:
        NotTransferableError: The program holds more of the model that it was traced on than variables.
    """

    def __init__(self, model: keras.Model, program: Program, train: DeviceData, validation: DeviceData | None) -> None:
        self.program = program
        self._model, self._train, self._validation = model, train, validation
        # Not made ahead: most models have their metrics by the time that they are bound.
        self._scratch: dict[int, Any] = {}
        # All are traced before the first is bound, because tracing makes the metrics' variables.
        self.functions = self._traced()
        if program.is_shared and program.runs_users_code:
            self._make_metrics()
        self._bound = {name: function.bind(model, self._scratch) for name, function in self.functions.items()}

    def _traced(self) -> dict[str, TracedFunction]:
        program, model = self.program, self._model
        functions = {"loop": program.function("loop", model)}
        if program.xla and len(self._train.rows) % program.batch_size:
            functions["tail"] = program.function("tail", model)
        if self._validation is not None:
            functions["evaluate"] = program.function("evaluate", model, self._validation.specs)
        return functions

    def _make_metrics(self) -> None:
        """Make the metrics that a trace would have made: code of the user's may look at them after the fit."""
        count = self.functions["loop"].n_metrics
        if len(self._model.metrics_variables) != count:
            try:
                build_for(self._model, self._train.specs)
            except Exception as error:  # Its steps are the user's, and need no such call.
                raise NotTransferableError from error
        if len(self._model.metrics_variables) != count:
            raise NotTransferableError

    @property
    def draws(self) -> list[str]:
        """The operations by which the functions draw random numbers that no seed of a fit reaches."""
        return sorted({name for function in self.functions.values() for name in function.draws})

    def run_without_steps(self) -> None:
        """Run what nobody has run yet, for no step: TensorFlow optimises it and XLA compiles it at its first run.

        XLA refuses here, before any variable has changed. A plain graph that fails will fail at its first step, too.
        """
        loop, evaluate = self.functions["loop"], self.functions.get("evaluate")
        try:
            if not loop.has_run:
                self.run_loop(np.zeros(self._train.total, np.int32), steps=0)
                loop.has_run = True  # Two threads may both be the first: that costs time, no numbers.
        except tf.errors.OpError as error:
            if self.program.xla:
                self.program.refusal = f"XLA refuses it ({first_line(error)})"
                return
        if evaluate is not None and not evaluate.has_run:
            with contextlib.suppress(tf.errors.OpError):
                self._run_validation(steps=0)
                evaluate.has_run = True

    def run_loop(self, order: Any, steps: int) -> Any:
        """So many training steps over rows in their order; the logs of the last one."""
        rows = len(order)
        if self.program.xla:  # One length for every fold and the refit, so that XLA compiles once.
            order = np.pad(order, (0, self._train.total - rows))
        counts = (tf.constant(steps), tf.constant(rows))
        return self._bound["loop"](*self._train.arguments, tf.constant(order), *counts)

    def run_tail(self, order: Any) -> Any:
        """One training step over the last, shorter batch."""
        logs = self._bound["tail"](*self._train.arguments, tf.constant(order))
        self.functions["tail"].has_run = True
        return logs

    def validate(self) -> dict[str, Any]:
        """The metrics of the validation rows."""
        assert self._validation is not None
        return floats(self._run_validation(self._steps(self._validation)))

    def evaluate(self, data: DeviceData) -> dict[str, Any]:
        """The metrics of other rows, after the fit."""
        # Other rows may look otherwise (weights where the validation had none): then it is traced once more.
        function = self.program.function("evaluate", self._model, data.specs).bind(self._model, self._scratch)
        return floats(_evaluated(function, data, self._steps(data)))

    def _run_validation(self, steps: int) -> Any:
        assert self._validation is not None
        return _evaluated(self._bound["evaluate"], self._validation, steps)

    def _steps(self, data: DeviceData) -> int:
        return -(-len(data.rows) // self.program.evaluation_batch_size)


def _evaluated(function: Callable[..., Any], data: DeviceData, steps: int) -> Any:
    return function(*data.arguments, tf.constant(data.rows), tf.constant(steps), tf.constant(len(data.rows)))


def floats(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers, and arrays of what is none; a metric that gives a dict is several metrics, as in Keras."""
    numbers: dict[str, Any] = {}
    for name, value in logs.items():
        if isinstance(value, Mapping):
            numbers |= floats(value)
        else:
            array = np.asarray(value)
            numbers[name] = float(array) if array.ndim == 0 else array
    return numbers
