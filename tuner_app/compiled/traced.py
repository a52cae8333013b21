"""A traced function that runs on any model of the architecture that it was traced on.

Owns where a trace's captures come from, and how they are replaced by another model's variables. What is traced belongs
to `program`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tuner_app.compiled import private

# TensorFlow calls the graphs of programs by this name.
GRAPH_NAME = "tuner_app_program"

_CALLS_OF_PYTHON = ("PyFunc", "PyFuncStateless", "EagerPyFunc")


class NotTransferableError(Exception):
    """A function holds something of the model that it was traced on, so no other model may use it."""


@dataclasses.dataclass(frozen=True)
class _Slot:
    """Where a captured tensor of a function comes from: the variable at a place in `variables_of`.

    `spec` describes a metric's variable, for a stand-in where a model has not made its metrics yet.
    """

    kind: str
    index: int
    spec: tf.TensorSpec | None = None


class TracedFunction:
    """A traced function and the origin of each of its captures.

    Args:
        model: The model that it is traced on; it is not kept.
        function: What is traced.
        arguments: What its arguments look like.
        xla: Whether XLA compiles it.
        one_thread: Whether a plain graph runs in the thread that calls it, where that is possible.

    Attributes:
        has_run: Whether a fit has run it, so that it is compiled (and XLA is known to accept it).
        n_metrics: How many variables the metrics of the model had by then.
        draws: The operations by which it draws random numbers of TensorFlow's own, which no seed of a fit reaches.
    """

    def __init__(
        self,
        model: keras.Model,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        *,
        xla: bool = False,
        one_thread: bool = True,
    ) -> None:
        self.has_run = False
        self._model = weakref.ref(model)  # A program outlives its first model by a whole search.
        self._in_one_thread = one_thread and not xla
        graph_function = tf_function(function, jit_compile=True if xla else None)
        # The executor is written into the graph while it is traced, and asked for again in each run.
        with private.in_one_thread() if self._in_one_thread else contextlib.nullcontext():
            self._concrete = graph_function.get_concrete_function(*arguments)
        nodes = _nodes_of(self._concrete.graph)
        self.draws = sorted({node.op for node in nodes if "seed" in node.attr and "seed2" in node.attr})
        # A condition within a loop would wait in one thread for a second: such a graph keeps TensorFlow's executor.
        if self._in_one_thread and not _is_plain_loop(nodes):
            self._in_one_thread = False
            self._concrete = tf_function(function).get_concrete_function(*arguments)
        # A stateful operation goes on where the fit before it ended, a call of Python calls the first model's.
        is_bound = self.draws or any(node.op in _CALLS_OF_PYTHON for node in nodes)
        self._slots = None if is_bound else _slots(model, self._concrete)
        self.n_metrics = len(model.metrics_variables)

    def bind(self, model: keras.Model, scratch: dict[int, Any]) -> Callable[..., Any]:
        """The function on a model's variables.

        Args:
            model: A model of the same architecture.
            scratch: Stand-ins for the variables of metrics that the model has not made yet, filled as needed;
                the functions of one fit share them.

        Raises:
            NotTransferableError: It was traced on another model and holds more of it than variables.
        """
        if self._slots is None:
            if self._model() is not model:
                raise NotTransferableError
            return self._runnable(self._concrete)
        variables = variables_of(model)
        # Keras makes metrics at the first step, which a fit on a shared program never takes in Python.
        if len(variables["metrics"]) != self.n_metrics:
            variables["metrics"] = _StandIns(scratch, self._slots)  # type: ignore[assignment]
        own = [variables[slot.kind][slot.index] for slot in self._slots]
        return self._runnable(private.on_other_variables(self._concrete, own))

    def _runnable(self, function: Any) -> Callable[..., Any]:
        if not self._in_one_thread:
            return function  # type: ignore[no-any-return]

        def run(*arguments: Any) -> Any:
            with private.in_one_thread():
                return function(*arguments)

        return run


def tf_function(function: Callable[..., Any], *, jit_compile: bool | None = None) -> Any:
    """A `tf.function` whose graph has the name of programs, by which `private.forget_gradients` knows it."""
    function.__name__ = GRAPH_NAME
    return tf.function(function, autograph=False, jit_compile=jit_compile)


def variables_of(model: keras.Model) -> dict[str, list[Any]]:
    """A model's TensorFlow variables, in an order that depends only on its architecture."""
    optimizer = model.optimizer
    return {
        "model": [variable.value for variable in model.variables],
        "optimizer": [variable.value for variable in optimizer.variables] if optimizer is not None else [],
        "metrics": [variable.value for variable in model.metrics_variables],
    }


def _nodes_of(graph: Any) -> list[Any]:
    """All operations of a graph, those of the functions that it calls included."""
    definition = graph.as_graph_def()
    return [*definition.node, *(node for function in definition.library.function for node in function.node_def)]


def _is_plain_loop(nodes: Sequence[Any]) -> bool:
    """Whether a graph calls no function but a program's loop: a condition in it would wait for a second thread."""
    callers = [node.op for node in nodes if any(value.HasField("func") for value in node.attr.values())]
    return len(callers) <= 1 and set(callers) <= {"While", "StatelessWhile"}


class _StandIns:
    """Variables in the places of metrics' variables, made at their first use."""

    def __init__(self, variables: dict[int, Any], slots: list[_Slot]) -> None:
        self._variables = variables
        self._specs = {slot.index: slot.spec for slot in slots if slot.kind == "metrics"}

    def __getitem__(self, index: int) -> Any:
        if index not in self._variables:
            spec = self._specs[index]
            assert spec is not None
            self._variables[index] = tf.Variable(tf.zeros(spec.shape, spec.dtype), trainable=False)
        return self._variables[index]


def _slots(model: keras.Model, concrete: Any) -> list[_Slot] | None:
    """The origin of each capture; None where one is no variable of the model."""
    places: dict[int, _Slot] = {}
    for kind, variables in variables_of(model).items():
        for index, variable in enumerate(variables):
            described = tf.TensorSpec(variable.shape, variable.dtype) if kind == "metrics" else None
            places[id(variable.handle)] = _Slot(kind, index, described)
    origins = [places.get(id(capture)) for capture in private.captures_of(concrete)]
    slots = [slot for slot in origins if slot is not None]
    return slots if len(slots) == len(origins) else None
