"""A whole epoch as one program: Keras's own steps in a loop over batches of row numbers, with the data as arguments.

Owns what is traced: training, the last shorter batch, validation, prediction. A program keeps no model: whoever needs a
function first traces it on its own model, and all others run it on their own variables (`traced`). Who may share a
program is the business of `signature`, which of them there are that of `programs`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from tuner_app.compiled import private
from tuner_app.compiled.arrays import NotCompilableError, batch_of, taken
from tuner_app.compiled.building import build_for, build_lock
from tuner_app.compiled.signature import configured, signature
from tuner_app.compiled.traced import GRAPH_NAME, NotTransferableError, TracedFunction, tf_function

_ORDER = tf.TensorSpec((None,), tf.int32)
_SCALAR = tf.TensorSpec((), tf.int32)


class Program:
    """The functions of one architecture for one shape of data.

    Args:
        specs: What the data arguments look like: `(x, y, sample_weight)` with open row counts.
        batch_size: Rows per training step.
        evaluation_batch_size: Rows per validation step.
        xla: Whether the training loop is compiled with XLA.
        one_thread: As in `TracedFunction`, for all functions.
        nested_logs: Whether a step of the model's own may return dicts in dicts.
        architecture: The signature of the models that share it; None for a program of one model.

    Attributes:
        refusal: Why the program does not work, once that is known.
    """

    def __init__(
        self,
        *,
        specs: Any,
        batch_size: int,
        evaluation_batch_size: int,
        xla: bool,
        one_thread: bool = True,
        nested_logs: bool = False,
        architecture: str | None = None,
    ) -> None:
        self.batch_size = batch_size
        self.evaluation_batch_size = evaluation_batch_size
        self.xla = xla
        self._one_thread = one_thread
        self._nested_logs = nested_logs
        self.refusal: str | None = None
        self._specs = specs
        self._architecture = architecture
        self._owner: weakref.ref[keras.Model] | None = None
        self._functions: dict[str, TracedFunction] = {}

    def function(self, name: str, model: keras.Model, specs: Any = None) -> TracedFunction:
        """A function of the program, traced on the first model that needs it.

        Args:
            name: `loop`, `tail`, `evaluate` or `predict`.
            model: A model of the program's architecture.
            specs: What the data arguments look like, where they differ from the training data.

        Raises:
            NotCompilableError: The model's own step returns what a program cannot carry.
            NotTransferableError: The program belongs to another model, or the model is of another architecture by now.
        """
        specs = specs or self._specs
        key = f"{name} {specs!r}"
        # One trace at a time, of all programs: tracing touches state of Keras's that all threads share.
        with build_lock:
            if self._owner is not None and self._owner() is not model:
                raise NotTransferableError
            if key not in self._functions:
                self._trace(key, name, model, specs)
            return self._functions[key]

    @property
    def is_shared(self) -> bool:
        """Whether any model of its architecture may run it."""
        return self._architecture is not None and self._owner is None

    @property
    def runs_users_code(self) -> bool:
        """Whether there may be code of the user's in it."""
        return configured(self._architecture) is None

    def _trace(self, key: str, name: str, model: keras.Model, specs: Any) -> None:
        # Code of the user's may have changed what it depends on: since the signature was taken (another thread, a
        # callback), or while it is traced (a counter in Python). Then it may have done so in another way elsewhere.
        checks = self.is_shared and self.runs_users_code
        if checks and signature(model) != self._architecture:
            raise NotTransferableError
        try:
            self._functions[key] = getattr(self, f"_{name}")(model, specs)
        finally:
            private.forget_gradients(GRAPH_NAME)
        if checks and signature(model) != self._architecture:
            self._owner = weakref.ref(model)

    def _loop(self, model: keras.Model, specs: Any) -> TracedFunction:
        """All training steps of an epoch that have the full batch size (XLA), or all of them (plain graph)."""
        run = self._steps(model, "train_step", specs, self.batch_size, whole_batches=self.xla)
        return TracedFunction(model, run, (*specs, _ORDER, _SCALAR, _SCALAR), xla=self.xla, one_thread=self._one_thread)

    def _tail(self, model: keras.Model, specs: Any) -> TracedFunction:
        """The last, shorter batch: a plain graph, because XLA would compile the step a second time for it."""

        def step(x: Any, y: Any, weight: Any, order: Any) -> Any:
            return results_of(model, model.train_step(batch_of(x, y, weight, order)))

        return TracedFunction(model, step, (*specs, _ORDER), one_thread=self._one_thread)

    def _evaluate(self, model: keras.Model, specs: Any) -> TracedFunction:
        """Validation: a plain graph, which runs as fast as XLA's here and compiles in a fraction of the time."""
        run = self._steps(model, "test_step", specs, self.evaluation_batch_size, whole_batches=False)
        return TracedFunction(model, run, (*specs, _ORDER, _SCALAR, _SCALAR), one_thread=self._one_thread)

    def _steps(
        self, model: keras.Model, name: str, specs: Any, batch_size: int, *, whole_batches: bool
    ) -> Callable[..., Any]:
        """A loop of Keras's own steps over `rows` row numbers in `order`; metrics start anew."""
        take_step = getattr(model, name)
        returned = _prepared(model, name, specs, nested=self._nested_logs)

        def run(x: Any, y: Any, weight: Any, order: Any, steps: Any, rows: Any) -> Any:
            model.reset_metrics()  # Traced, so it is a part of the program, and resets whoever's metrics are bound.

            def body(step: Any, logs: Any) -> Any:
                begin = step * batch_size
                # XLA knows no slices of changing length, so there the shorter batch is the tail's.
                size = batch_size if whole_batches else tf.minimum(batch_size, rows - begin)
                new = take_step(batch_of(x, y, weight, _of_open_length(tf.slice(order, [begin], [size]))))
                return step + 1, _map_logs(lambda log, value: tf.cast(value, log.dtype), logs, new)

            # The logs of the last step: metrics gather in their variables, only a step of the user's returns its own.
            state = (tf.constant(0), _map_logs(lambda log, _: tf.zeros(log.shape, log.dtype), returned, returned))
            _, logs = tf.while_loop(lambda step, _: step < steps, body, state, parallel_iterations=1)
            return results_of(model, logs)

        return run

    def _predict(self, model: keras.Model, specs: Any) -> TracedFunction:
        """Class numbers of some rows."""

        def predict(x: Any, order: Any) -> Any:
            rows = tf.size(order)

            def body(begin: Any, written: Any) -> Any:
                size = tf.minimum(self.evaluation_batch_size, rows - begin)
                outputs = model.predict_step((taken(x, tf.slice(order, [begin], [size])),))
                classes = _classes(outputs, class_threshold(model))
                return begin + size, written.write(begin // self.evaluation_batch_size, classes)

            batches = -(-rows // self.evaluation_batch_size)
            empty = tf.TensorArray(tf.int32, size=batches, infer_shape=False, element_shape=(None,))
            state = (tf.constant(0), empty)
            _, classes = tf.while_loop(lambda begin, _: begin < rows, body, state, parallel_iterations=1)
            return classes.concat()

        return TracedFunction(model, predict, (specs[0], _ORDER), one_thread=self._one_thread)


def results_of(model: keras.Model, logs: Any) -> Any:
    """What `Model.fit` makes of a step's logs: the metrics' values, unless the step returns something of its own.

    Args:
        model: The model.
        logs: What its step has returned.
    """
    # As `_get_metrics_result_or_logs` of Keras 3.15, which is not public and reads metrics of the model's own.
    results = model.get_metrics_result()
    return results if not logs or set(logs) == set(results) else logs


def is_standard_step(model: keras.Model, name: str) -> bool:
    """Whether a model's `train_step` or `test_step` is Keras's own."""
    return all(
        getattr(type(model), method) is getattr(keras.Model, method) and method not in vars(model)
        for method in (name, "compute_metrics")
    )


def class_threshold(model: keras.Model) -> float:
    """From where on a single output means class 1: 0.5 for probabilities, 0 for logits and the margins of a hinge."""
    loss = model.loss
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    is_margin = name.lower().replace("_", "") in ("hinge", "squaredhinge")
    logits = isinstance(loss, keras.losses.Loss) and loss.get_config().get("from_logits")
    return 0.0 if logits or is_margin else 0.5


def _prepared(model: keras.Model, name: str, specs: Any, *, nested: bool) -> Mapping[str, Any]:
    """What a step returns, where that is its own and not the metrics.

    Makes the variables that the step needs: within its loop, TensorFlow would refuse to make any.
    """
    if is_standard_step(model, name):
        build_for(model, specs)
        return {}
    step = getattr(model, name)
    traced = tf_function(lambda x, y, weight, order: step(batch_of(x, y, weight, order)))
    outputs = traced.get_concrete_function(*specs, _ORDER).structured_outputs
    if not _are_logs(outputs, nested=nested):
        raise NotCompilableError(f"its own {name} does not return a {'' if nested else 'flat '}dict of numbers")
    return outputs  # type: ignore[no-any-return]


def _are_logs(outputs: Any, *, nested: bool) -> bool:
    """Whether a step's outputs are a dict of numbers; `{m.name: m.result() for m in self.metrics}` has a dict in it."""
    return isinstance(outputs, dict) and all(
        (isinstance(value, tf.TensorSpec | tf.Tensor) and value.shape.is_fully_defined())
        or (nested and _are_logs(value, nested=True))
        for value in outputs.values()
    )


def _map_logs(change: Callable[[Any, Any], Any], logs: Mapping[str, Any], values: Any) -> dict[str, Any]:
    return {
        key: _map_logs(change, log, values[key]) if isinstance(log, Mapping) else change(log, values[key])
        for key, log in logs.items()
    }


def _of_open_length(order: Any) -> Any:
    """Row numbers whose count a trace does not know: Keras weighs the losses of several outputs by a count it knows."""
    return tf.compat.v1.placeholder_with_default(order, shape=(None,))


def _classes(outputs: Any, threshold: float) -> Any:
    """Class numbers from one output per class, or from a single one."""
    if not tf.is_tensor(outputs) or outputs.shape.rank not in (1, 2):
        raise NotCompilableError("its outputs are not those of one classifier")
    if outputs.shape.rank == 2 and outputs.shape[-1] != 1:
        return tf.argmax(outputs, -1, tf.int32)
    return tf.cast(tf.reshape(outputs, (-1,)) > threshold, tf.int32)
