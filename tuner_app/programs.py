"""A whole epoch as one program, made once per architecture and used by every fit that shares it.

A program is a traced TensorFlow function whose body is Keras's own `train_step` (or `test_step`, `predict_step`)
in a loop over batches of row numbers; the data are arguments. Its variables are captured by handle, so the same
program runs on any model of the same architecture once the captures are replaced by that model's handles
(`ConcreteFunction.set_external_captures`): folds, candidates that differ only in the learning rate, and threads share
one trace and one XLA executable. Metrics' variables are scratch space of a fit.

What makes two models "the same architecture" is decided here (`signature`), strictly: when in doubt, compile anew.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

# Tracing and building touch state that Keras and Python share between threads (initialisers draw from Python's global
# random numbers); training does not.
build_lock = threading.RLock()

# XLA pays its compilation (about a second) back over this many training steps; below, a plain graph is quicker.
XLA_MINIMUM_STEPS = 4_000

_OWN_MODULES = ("keras", "tuner_app")
# Layers that learn from data outside of their variables (vocabularies, means): constants in a trace.
_ADAPTED = (keras.layers.Normalization, keras.layers.Discretization, keras.layers.StringLookup, keras.layers.IntegerLookup)


class NotCompilableError(Exception):
    """This model or this fit cannot run as one program; the message says why."""


@dataclasses.dataclass(frozen=True)
class _Slot:
    """Where a captured tensor of a program comes from: a variable of the model, or scratch space."""

    kind: str
    index: int
    variable: Any = None


class Function:
    """A traced function and the origin of each of its captures."""

    def __init__(self, model: keras.Model, function: Any, arguments: tuple[Any, ...]) -> None:
        with build_lock:
            self._concrete = function.get_concrete_function(*arguments)
            self._slots = _slots(model, self._concrete)

    @property
    def transferable(self) -> bool:
        """Whether every capture is a variable that another model has, too."""
        return self._slots is not None

    def bind(self, variables: Mapping[str, list[Any]], scratch: dict[int, Any]) -> Callable[..., Any]:
        """The function on another model's variables.

        Args:
            variables: The model's variables as `variables_of` gives them.
            scratch: Stand-ins for metrics' variables, by the identity of the original; filled as needed.
        """
        if self._slots is None:
            return self._concrete
        captures, kept = [], []
        for slot in self._slots:
            if slot.kind == "scratch":
                if id(slot.variable) not in scratch:
                    scratch[id(slot.variable)] = _like(slot.variable)
                stand_in = scratch[id(slot.variable)]
            else:
                stand_in = variables[slot.kind][slot.index]
            kept.append(stand_in)
            captures.append(stand_in.handle)
        bound = copy.copy(self._concrete)
        bound.set_external_captures(captures)
        bound.variables_in_use = kept  # handles do not keep their variables alive
        return bound


class Program:
    """The functions of one architecture for one shape of data.

    Args:
        model: The first model of the architecture; kept as the template of later traces.
        batch_size: Rows per training step.
        evaluation_batch_size: Rows per validation step.
        xla: Whether the training loop is compiled with XLA.
        specs: What the data arguments look like: `(x, y, sample_weight)` with open row counts.
    """

    def __init__(self, model: keras.Model, *, batch_size: int, evaluation_batch_size: int, xla: bool, specs: Any) -> None:
        self.model = model
        self.batch_size = batch_size
        self.evaluation_batch_size = evaluation_batch_size
        self.xla = xla
        self._specs = specs
        self._functions: dict[str, Function] = {}
        self.proven = False

    def function(self, name: str, specs: Any = None) -> Function:
        """A function of the program, traced at its first use: `loop`, `tail`, `evaluate` or `predict`."""
        key = name if specs is None else f"{name} {specs!r}"
        with build_lock:
            if key not in self._functions:
                make = {"loop": self._loop, "tail": self._tail, "evaluate": self._evaluate, "predict": self._predict}[name]
                self._functions[key] = make(specs or self._specs)
            return self._functions[key]

    def _loop(self, specs: Any) -> Function:
        """All training steps of an epoch that have the full batch size (XLA), or all of them (plain graph)."""
        run = self._steps("train_step", specs, self.batch_size, whole_batches=self.xla)
        return self._trace(run, (*specs, _ORDER, _SCALAR, _SCALAR), jit_compile=True if self.xla else None)

    def _tail(self, specs: Any) -> Function:
        """The last, shorter batch: a plain graph, because XLA would compile the step a second time for it."""

        def step(x: Any, y: Any, weight: Any, order: Any) -> Any:
            return _results(self.model, self.model.train_step(_batch(x, y, weight, order)))

        return self._trace(step, (*specs, _ORDER))

    def _evaluate(self, specs: Any) -> Function:
        """Validation: a plain graph, which runs as fast as XLA's here and compiles in a fraction of the time."""
        run = self._steps("test_step", specs, self.evaluation_batch_size, whole_batches=False)
        return self._trace(run, (*specs, _ORDER, _SCALAR, _SCALAR))

    def _steps(self, name: str, specs: Any, batch_size: int, *, whole_batches: bool) -> Callable[..., Any]:
        """A loop of Keras's own steps over `rows` row numbers in `order`; metrics start anew."""
        take_step = getattr(self.model, name)
        returned = {} if _is_standard_step(self.model, name) else self._returned(take_step, specs)

        def run(x: Any, y: Any, weight: Any, order: Any, steps: Any, rows: Any) -> Any:
            self.model.reset_metrics()

            def body(step: Any, logs: Any) -> Any:
                begin = step * batch_size
                size = batch_size if whole_batches else tf.minimum(batch_size, rows - begin)
                new = take_step(_batch(x, y, weight, tf.slice(order, [begin], [size])))
                return step + 1, {key: tf.cast(new[key], value.dtype) for key, value in logs.items()}

            state = (tf.constant(0), {key: tf.zeros(value.shape, value.dtype) for key, value in returned.items()})
            _, logs = tf.while_loop(lambda step, _: step < steps, body, state, parallel_iterations=1)
            return _results(self.model, logs)

        return run

    def _returned(self, step: Callable[..., Any], specs: Any) -> dict[str, Any]:
        """What an overridden step returns: one more trace tells."""
        traced = tf.function(lambda x, y, weight, order: step(_batch(x, y, weight, order)), autograph=False)
        outputs = traced.get_concrete_function(*specs, _ORDER).structured_outputs
        if not isinstance(outputs, dict) or not all(
            isinstance(value, tf.TensorSpec | tf.Tensor) and value.shape.is_fully_defined() for value in outputs.values()
        ):
            raise NotCompilableError("its own step does not return a flat dict of metrics")
        return outputs

    def _trace(self, function: Callable[..., Any], arguments: tuple[Any, ...], jit_compile: bool | None = None) -> Function:
        return Function(self.model, tf.function(function, autograph=False, jit_compile=jit_compile), arguments)

    def _predict(self, specs: Any) -> Function:
        """Class numbers of some rows: the largest output of each."""

        def predict(x: Any, order: Any) -> Any:
            rows = tf.size(order)

            def body(begin: Any, found: Any) -> Any:
                size = tf.minimum(self.evaluation_batch_size, rows - begin)
                taken = tf.nest.map_structure(lambda a: tf.gather(a, tf.slice(order, [begin], [size])), x)
                outputs = self.model.predict_step((taken,))
                return begin + size, found.write(begin // self.evaluation_batch_size, tf.argmax(outputs, -1, tf.int32))

            batches = -(-rows // self.evaluation_batch_size)
            found = tf.TensorArray(tf.int32, size=batches, infer_shape=False, element_shape=(None,))
            _, found = tf.while_loop(lambda begin, _: begin < rows, body, (tf.constant(0), found), parallel_iterations=1)
            return found.concat()

        return self._trace(predict, (specs[0], _ORDER))


class ProgramCache:
    """The programs of a search, the least recently used dropped first.

    Args:
        limit: How many programs are kept. Bounds the memory, however many candidates there are.
    """

    def __init__(self, limit: int = 12) -> None:
        self._limit = limit
        self._programs: OrderedDict[str, Program] = OrderedDict()
        self._tensors: dict[int, tuple[Any, Any]] = {}
        self._lock = threading.Lock()
        self.compiled = 0

    def program(self, model: keras.Model, specs: Any, **options: Any) -> Program:
        """The program for a model: a known one where the model is fully described by its configuration."""
        architecture = signature(model)
        if architecture is None:
            return self._new(model, specs, options)
        key = json.dumps([architecture, repr(specs), sorted(options.items())])
        with self._lock:
            if key not in self._programs:
                self._programs[key] = self._new(model, specs, options)
                while len(self._programs) > self._limit:
                    self._programs.popitem(last=False)
            self._programs.move_to_end(key)
            return self._programs[key]

    def keep(self, array: Any) -> None:
        """Hold an array on the device for the whole search."""
        self._tensors.setdefault(id(array), (array, tf.convert_to_tensor(array)))

    def tensor(self, array: Any) -> Any:
        """An array as a tensor; a kept one is not copied again."""
        known = self._tensors.get(id(array))
        return known[1] if known is not None and known[0] is array else tf.convert_to_tensor(array)

    def _new(self, model: keras.Model, specs: Any, options: Mapping[str, Any]) -> Program:
        self.compiled += 1
        return Program(model, specs=specs, **options)


def signature(model: keras.Model) -> str | None:
    """What the traces of a model depend on, but for its variables; None where the configuration may not say it all.

    A model is fully described when it is a plain Sequential or functional model of Keras's own layers, losses, metrics
    and optimizer. The learning rate is a variable and left out, unless it is a schedule.
    """
    layers = model._flatten_layers(include_self=False)
    own = all(_is_own(layer) and "call" not in vars(layer) for layer in layers)
    if type(model).__module__.split(".")[0] != "keras" or not own or not model.built:
        return None
    if any(name in vars(model) for name in ("train_step", "test_step", "compute_loss", "compute_metrics", "call")):
        return None
    try:
        config = [model.get_config(), model.get_compile_config(), [layer.trainable for layer in layers]]
    except (NotImplementedError, TypeError, ValueError, AttributeError):
        return None
    if not _only_own(config):
        return None
    optimizer = (config[1] or {}).get("optimizer", {})
    rate = optimizer.get("config", {}).get("learning_rate") if isinstance(optimizer, dict) else None
    if isinstance(rate, int | float):
        optimizer["config"]["learning_rate"] = None
    policies = [layer.dtype_policy.name for layer in layers if hasattr(layer, "dtype_policy")]
    try:
        return json.dumps([_without_seeds(config), policies, keras.config.floatx()], sort_keys=True, default=_refuse)
    except TypeError:
        return None


def is_described(model: keras.Model) -> bool:
    """Whether the model consists of Keras's own parts only."""
    return signature(model) is not None


def variables_of(model: keras.Model) -> dict[str, list[Any]]:
    """A model's TensorFlow variables, in an order that depends only on its architecture."""
    optimizer = model.optimizer
    return {
        "model": [variable.value for variable in model.variables],
        "optimizer": [variable.value for variable in optimizer.variables] if optimizer is not None else [],
    }


def spec(array: Any) -> tf.TensorSpec:
    """The shape and type of an array with an open number of rows."""
    return tf.TensorSpec((None, *array.shape[1:]), tf.as_dtype(array.dtype))


_ORDER = tf.TensorSpec((None,), tf.int32)
_SCALAR = tf.TensorSpec((), tf.int32)


def _slots(model: keras.Model, concrete: Any) -> list[_Slot] | None:
    known: dict[int, _Slot] = {}
    for kind, variables in variables_of(model).items():
        known.update({id(v.handle): _Slot(kind, i) for i, v in enumerate(variables)})
    for variable in model.metrics_variables:
        known[id(variable.value.handle)] = _Slot("scratch", 0, variable.value)
    slots = [known.get(id(capture)) for capture in concrete.captured_inputs]
    return None if any(slot is None for slot in slots) else slots  # type: ignore[return-value]


def _like(variable: Any) -> tf.Variable:
    return tf.Variable(tf.zeros(variable.shape, variable.dtype), trainable=False)


def _batch(x: Any, y: Any, weight: Any, order: Any) -> Any:
    def take(array: Any) -> Any:
        return tf.gather(array, order)

    parts = (tf.nest.map_structure(take, x), tf.nest.map_structure(take, y))
    return parts if weight is None else (*parts, tf.nest.map_structure(take, weight))


def _results(model: keras.Model, logs: Any) -> Any:
    """As `Model.fit` does: the metrics' values, unless the step returns something else of its own."""
    results = model.get_metrics_result()
    return results if not logs or set(logs) == set(results) else logs


def _is_standard_step(model: keras.Model, name: str) -> bool:
    return getattr(type(model), name) is getattr(keras.Model, name) and name not in vars(model)


def _is_own(layer: Any) -> bool:
    module = type(layer).__module__.split(".")[0]
    return module in _OWN_MODULES and not isinstance(layer, (keras.layers.Lambda, *_ADAPTED)) and type(layer).__name__ != "TextVectorization"


def _only_own(config: Any) -> bool:
    """Whether a serialised configuration names nothing but Keras's own classes."""
    if isinstance(config, Mapping):
        module = config.get("module")
        if config.get("class_name") in ("function", "__lambda__", "Lambda"):
            return False
        if isinstance(module, str) and module.split(".")[0] not in (*_OWN_MODULES, "builtins"):
            return False
        return all(_only_own(value) for value in config.values())
    if isinstance(config, list | tuple):
        return all(_only_own(item) for item in config)
    return not callable(config)


def _without_seeds(config: Any) -> Any:
    """Seeds decide the values that variables start with, not what a trace does."""
    if isinstance(config, Mapping):
        return {key: _without_seeds(value) for key, value in config.items() if key != "seed"}
    return [_without_seeds(item) for item in config] if isinstance(config, list | tuple) else config


def _refuse(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} is not plain data")
