"""A whole epoch as one program, made once per architecture and used by every fit that shares it.

A program is a set of traced TensorFlow functions whose body is Keras's own `train_step` (or `test_step`,
`predict_step`) in a loop over batches of row numbers; the data are arguments. Variables are captured by handle, so the
same program runs on any model of the same architecture once the captures are replaced by that model's handles
(`ConcreteFunction.set_external_captures`): folds, candidates that differ only in the learning rate, and threads share
one trace and one XLA executable. A program keeps no model: whoever needs a function first traces it on its own model.

What makes two models "the same architecture" is decided here (`signature`), strictly: when in doubt, compile anew.
What a fit does with the programs is the business of `compiled_fit`.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import inspect
import json
import math
import threading
import types
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.common import global_state
from tensorflow.python.eager import context as tf_context
from tensorflow.python.framework import ops as tf_ops
from tensorflow.python.framework.func_graph import FuncGraph

from tuner_app.folds.rows import map_arrays
from tuner_app.models.preprocessing import Standardization

# Tracing and building touch state that Keras and Python share between threads (initialisers draw from Python's global
# random numbers); training does not.
build_lock = threading.RLock()

# XLA pays its compilation (about a second) back over this many training steps; below, a plain graph is quicker.
XLA_MINIMUM_STEPS = 4_000

_OWN_MODULES = ("keras", "tuner_app")
# Keras's own classes whose behaviour lies outside of their configuration and variables.
_UNDESCRIBED = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
# `compiled_fit.attach` puts these in place of a model's methods while it is fitted.
ATTACHED = ("fit", "load_weights")
# Keras itself puts these into layers and models, in place of methods.
_SET_BY_KERAS = frozenset({"build", "quantize", "loss"})

# TensorFlow calls the graphs of programs by this name.
_GRAPH_NAME = "tuner_app_program"
_ORDER = tf.TensorSpec((None,), tf.int32)
_SCALAR = tf.TensorSpec((), tf.int32)


class NotCompilableError(Exception):
    """This model or this fit cannot run as one program; the message says why."""


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


class Function:
    """A traced function and the origin of each of its captures.

    Args:
        model: The model that it is traced on.
        function: The `tf.function`.
        arguments: What its arguments look like.
        xla: Whether XLA compiles it.

    Attributes:
        has_run: Whether a fit has run it, so that it is compiled (and XLA is known to accept it).
    """

    def __init__(self, model: keras.Model, function: Any, arguments: tuple[Any, ...], *, xla: bool) -> None:
        self.has_run = False
        self._model = weakref.ref(model)
        self._in_one_thread = not xla
        with _in_one_thread() if self._in_one_thread else contextlib.nullcontext():
            self._concrete = function.get_concrete_function(*arguments)
        nodes = _nodes_of(self._concrete.graph)
        self.draws = sorted({node.op for node in nodes if "seed" in node.attr and "seed2" in node.attr})
        if self._in_one_thread and not _is_plain_loop(nodes):
            self._in_one_thread = False
            self._concrete = tf.function(function.python_function, autograph=False).get_concrete_function(*arguments)
        self._slots = _slots(model, self._concrete)
        self._n_metrics = len(model.metrics_variables)

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
        known = variables_of(model)
        if len(known["metrics"]) != self._n_metrics:
            known["metrics"] = _StandIns(scratch, self._slots)  # type: ignore[assignment]
        variables = [known[slot.kind][slot.index] for slot in self._slots]
        bound = copy.copy(self._concrete)
        bound.set_external_captures([variable.handle for variable in variables])
        bound.variables_in_use = variables  # handles do not keep their variables alive
        return self._runnable(bound)

    def _runnable(self, function: Any) -> Callable[..., Any]:
        if not self._in_one_thread:
            return function  # type: ignore[no-any-return]

        def run(*arguments: Any) -> Any:
            with _in_one_thread():
                return function(*arguments)

        return run


def _in_one_thread() -> Any:
    """A context in which graphs are traced for, and run in, the calling thread.

    TensorFlow's usual executor hands each small operation to a pool of threads, which costs more than the operation;
    the pool's threads wait for work by spinning, at the expense of the other fits.
    """
    return tf_context.function_executor_type("SINGLE_THREADED_EXECUTOR")


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

    def __init__(self, made: dict[int, Any], slots: list[_Slot]) -> None:
        self._made = made
        self._specs = {slot.index: slot.spec for slot in slots if slot.kind == "metrics"}

    def __getitem__(self, index: int) -> Any:
        if index not in self._made:
            spec = self._specs[index]
            assert spec is not None
            self._made[index] = tf.Variable(tf.zeros(spec.shape, spec.dtype), trainable=False)
        return self._made[index]


class Program:
    """The functions of one architecture for one shape of data.

    Args:
        specs: What the data arguments look like: `(x, y, sample_weight)` with open row counts.
        batch_size: Rows per training step.
        evaluation_batch_size: Rows per validation step.
        xla: Whether the training loop is compiled with XLA.

    Attributes:
        refusal: Why the program does not work, once that is known.
    """

    def __init__(self, *, specs: Any, batch_size: int, evaluation_batch_size: int, xla: bool) -> None:
        self.batch_size = batch_size
        self.evaluation_batch_size = evaluation_batch_size
        self.xla = xla
        self.refusal: str | None = None
        self._specs = specs
        self._functions: dict[str, Function] = {}

    def function(self, name: str, model: keras.Model, specs: Any = None) -> Function:
        """A function of the program, traced on the first model that needs it.

        Args:
            name: `loop`, `tail`, `evaluate` or `predict`.
            model: A model of the program's architecture.
            specs: What the data arguments look like, where they differ from the training data.

        Raises:
            NotCompilableError: The model's own step returns what a program cannot carry.
        """
        specs = specs or self._specs
        key = f"{name} {specs!r}"
        with build_lock:
            if key not in self._functions:
                try:
                    self._functions[key] = getattr(self, f"_{name}")(model, specs)
                finally:
                    _forget_gradients()
            return self._functions[key]

    def _loop(self, model: keras.Model, specs: Any) -> Function:
        """All training steps of an epoch that have the full batch size (XLA), or all of them (plain graph)."""
        run = self._steps(model, "train_step", specs, self.batch_size, whole_batches=self.xla)
        return _trace(model, run, (*specs, _ORDER, _SCALAR, _SCALAR), jit_compile=True if self.xla else None)

    def _tail(self, model: keras.Model, specs: Any) -> Function:
        """The last, shorter batch: a plain graph, because XLA would compile the step a second time for it."""

        def step(x: Any, y: Any, weight: Any, order: Any) -> Any:
            return results_of(model, model.train_step(_batch(x, y, weight, order)))

        return _trace(model, step, (*specs, _ORDER))

    def _evaluate(self, model: keras.Model, specs: Any) -> Function:
        """Validation: a plain graph, which runs as fast as XLA's here and compiles in a fraction of the time."""
        run = self._steps(model, "test_step", specs, self.evaluation_batch_size, whole_batches=False)
        return _trace(model, run, (*specs, _ORDER, _SCALAR, _SCALAR))

    def _steps(
        self, model: keras.Model, name: str, specs: Any, batch_size: int, *, whole_batches: bool
    ) -> Callable[..., Any]:
        """A loop of Keras's own steps over `rows` row numbers in `order`; metrics start anew."""
        take_step = getattr(model, name)
        returned = _prepared(model, name, specs)

        def run(x: Any, y: Any, weight: Any, order: Any, steps: Any, rows: Any) -> Any:
            model.reset_metrics()

            def body(step: Any, logs: Any) -> Any:
                begin = step * batch_size
                size = batch_size if whole_batches else tf.minimum(batch_size, rows - begin)
                new = take_step(_batch(x, y, weight, _of_open_length(tf.slice(order, [begin], [size]))))
                return step + 1, {key: tf.cast(new[key], value.dtype) for key, value in logs.items()}

            state = (tf.constant(0), {key: tf.zeros(value.shape, value.dtype) for key, value in returned.items()})
            _, logs = tf.while_loop(lambda step, _: step < steps, body, state, parallel_iterations=1)
            return results_of(model, logs)

        return run

    def _predict(self, model: keras.Model, specs: Any) -> Function:
        """Class numbers of some rows."""

        def predict(x: Any, order: Any) -> Any:
            rows = tf.size(order)

            def body(begin: Any, found: Any) -> Any:
                size = tf.minimum(self.evaluation_batch_size, rows - begin)
                outputs = model.predict_step((_taken(x, tf.slice(order, [begin], [size])),))
                classes = _classes(outputs, class_threshold(model))
                return begin + size, found.write(begin // self.evaluation_batch_size, classes)

            batches = -(-rows // self.evaluation_batch_size)
            found = tf.TensorArray(tf.int32, size=batches, infer_shape=False, element_shape=(None,))
            state = (tf.constant(0), found)
            _, found = tf.while_loop(lambda begin, _: begin < rows, body, state, parallel_iterations=1)
            return found.concat()

        return _trace(model, predict, (specs[0], _ORDER))


class ProgramCache:
    """The programs of a search, the least recently used dropped first.

    Args:
        limit: How many programs are kept. Bounds the memory, however many candidates there are.

    Attributes:
        compiled: How many programs were made.
    """

    def __init__(self, limit: int = 12) -> None:
        self.compiled = 0
        self._limit = limit
        self._programs: OrderedDict[str, Program] = OrderedDict()
        self._tensors: dict[int, tuple[Any, Any]] = {}
        self._said: set[tuple[str, ...]] = set()
        self._lock = threading.Lock()

    def program(self, architecture: str | None, specs: Any, **options: Any) -> Program:
        """The program for a model: a known one where the model is fully described by its configuration.

        Args:
            architecture: The model's `signature`.
            specs: As in `Program`.
            **options: The further arguments of `Program`.
        """
        if architecture is None:
            return self.own_program(specs, **options)
        key = json.dumps([architecture, repr(specs), sorted(options.items())])
        with self._lock:
            if key not in self._programs:
                self.compiled += 1
                self._programs[key] = Program(specs=specs, **options)
                while len(self._programs) > self._limit:
                    self._programs.popitem(last=False)
            self._programs.move_to_end(key)
            return self._programs[key]

    def own_program(self, specs: Any, **options: Any) -> Program:
        """A program that no other fit will get."""
        with self._lock:
            self.compiled += 1
        return Program(specs=specs, **options)

    def keep(self, array: Any) -> None:
        """Hold an array on the device for the whole search."""
        self._tensors.setdefault(id(array), (array, _tensor(array)))

    def tensor(self, array: Any) -> Any:
        """An array as a tensor, as Keras would feed it; a kept one is not copied again.

        Raises:
            NotCompilableError: TensorFlow has no tensor for such an array.
        """
        known = self._tensors.get(id(array))
        return known[1] if known is not None and known[0] is array else _tensor(array)

    def is_news(self, *words: str) -> bool:
        """Whether this was not said before: a search says each thing once, not once per fit."""
        with self._lock:
            known = words in self._said
            self._said.add(words)
            return not known


def signature(model: keras.Model) -> str | None:
    """What the traces of a model depend on, but for its variables; None where the configuration may not say it all.

    A model is fully described when it is a plain Sequential or functional model of Keras's own layers, losses, metrics
    and optimizer. The values that variables start with do not count: initializers, seeds, the learning rate (unless it
    is a schedule).
    """
    layers = model._flatten_layers(include_self=False)
    if not _is_own(model) or not model.built or not all(_is_own(layer) for layer in layers):
        return None
    if not model.compiled or (model.optimizer is not None and not _is_own_optimizer(model.optimizer)):
        return None
    if any(_is_foreign(getattr(part, "fn", part)) for part in compiled_parts(model)):
        return None
    try:
        compiled = model.get_compile_config() or {}
        config = [
            _without_initial_values(model.get_config()),
            _without_initial_values(compiled | {"optimizer": _without_learning_rate(compiled.get("optimizer"))}),
            [_description(variable) for variable in model.variables],
        ]
        if not _only_own(config, _custom_names()):
            return None
        settings = [[layer.trainable for layer in layers], [layer.dtype_policy.name for layer in layers]]
        everywhere = [keras.config.floatx(), keras.config.epsilon()]
        return json.dumps([config, settings, everywhere], sort_keys=True, default=_refuse)
    except (NotImplementedError, TypeError, ValueError, AttributeError):
        return None


def adapts(model: keras.Model) -> bool:
    """Whether a layer learns from the data before the training (`adapt`)."""
    return any(hasattr(layer, "adapt") for layer in model._flatten_layers(include_self=False))


def variables_of(model: keras.Model) -> dict[str, list[Any]]:
    """A model's TensorFlow variables, in an order that depends only on its architecture."""
    optimizer = model.optimizer
    return {
        "model": [variable.value for variable in model.variables],
        "optimizer": [variable.value for variable in optimizer.variables] if optimizer is not None else [],
        "metrics": [variable.value for variable in model.metrics_variables],
    }


def spec(array: Any) -> tf.TensorSpec:
    """The shape and type of an array with an open number of rows."""
    return tf.TensorSpec((None, *array.shape[1:]), tf.as_dtype(array.dtype))


def as_keras_array(array: Any) -> Any:
    """An array as Keras feeds it: floating-point numbers in Keras's own precision."""
    found = np.asarray(array)
    return found.astype(keras.config.floatx(), copy=False) if found.dtype.kind == "f" else found


def with_text_tensors(structure: Any) -> Any:
    """Arrays as Keras's own loops take them: text as tensors (Keras 3.15 takes it as an array of one axis at most)."""

    def convert(array: Any) -> Any:
        return tf.convert_to_tensor(array, tf.string) if array.dtype.kind in "OUS" else array

    return map_arrays(convert, structure)


def compiled_parts(model: keras.Model) -> list[Any]:
    """The losses and metrics as they were given to `compile`, from all lists and dicts."""
    given = getattr(model, "_compile_config", None)
    config = given.config if given is not None else {}
    return [leaf for name in ("loss", "metrics", "weighted_metrics") for leaf in _leaves(config.get(name))]


def is_built(model: keras.Model) -> bool:
    """Whether all layers have their variables."""
    return all(layer.built for layer in model._flatten_layers())


def build_for(model: keras.Model, specs: Any) -> None:
    """Let Keras make all variables of a model (layers, loss, metrics, optimizer) that are not there yet.

    Args:
        model: A compiled model.
        specs: What its data look like, as in `Program`.
    """

    def symbol(tensor: tf.TensorSpec) -> keras.KerasTensor:
        return keras.KerasTensor(tuple(tensor.shape), tensor.dtype.name)

    with build_lock:
        model._symbolic_build(data_batch=tuple(map_arrays(symbol, part) for part in specs))


def class_threshold(model: keras.Model) -> float:
    """From where on a single output means class 1: 0.5 for probabilities, 0 for logits and the margins of a hinge."""
    loss = model.loss
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    is_margin = name.lower().replace("_", "") in ("hinge", "squaredhinge")
    logits = isinstance(loss, keras.losses.Loss) and loss.get_config().get("from_logits")
    return 0.0 if logits or is_margin else 0.5


def _prepared(model: keras.Model, name: str, specs: Any) -> Mapping[str, Any]:
    """Make the variables that a step needs, before its loop is traced; what it returns, where that is its own."""
    if is_standard_step(model, name):
        build_for(model, specs)
        return {}
    step = getattr(model, name)
    traced = _graph_function(lambda x, y, weight, order: step(_batch(x, y, weight, order)))
    outputs = traced.get_concrete_function(*specs, _ORDER).structured_outputs
    if not isinstance(outputs, dict) or not all(
        isinstance(value, tf.TensorSpec | tf.Tensor) and value.shape.is_fully_defined() for value in outputs.values()
    ):
        raise NotCompilableError(f"its own {name} does not return a flat dict of numbers")
    return outputs


def _trace(
    model: keras.Model, function: Callable[..., Any], arguments: tuple[Any, ...], jit_compile: bool | None = None
) -> Function:
    return Function(model, _graph_function(function, jit_compile), arguments, xla=bool(jit_compile))


def _graph_function(function: Callable[..., Any], jit_compile: bool | None = None) -> Any:
    function.__name__ = _GRAPH_NAME
    return tf.function(function, autograph=False, jit_compile=jit_compile)


def _forget_gradients() -> None:
    """Undo what tracing leaves behind in TensorFlow.

    `tf.custom_gradient` (Keras's optimizers use it) registers a function for each trace, for ever, and with it the
    whole graph. Nobody differentiates a training step, so these are of no use once a step is traced.
    """
    entries = getattr(getattr(tf_ops, "gradient_registry", None), "_registry", {})
    for name in [name for name in list(entries) if name.startswith("CustomGradient-")]:
        if _is_of_our_graphs(entries[name]["type"]):
            del entries[name]


def _is_of_our_graphs(gradient: Any) -> bool:
    within = inspect.getclosurevars(gradient).nonlocals.get("tape_grad_fn")
    result = inspect.getclosurevars(within).nonlocals.get("result") if within is not None else None
    graphs = [getattr(tensor, "graph", None) for tensor in tf.nest.flatten(result)]
    return any(graph is not None and _outermost(graph).startswith(_GRAPH_NAME) for graph in graphs)


def _outermost(graph: Any) -> str:
    """The name of the function that a graph (the body of a loop, say) is a part of."""
    name = ""
    while isinstance(graph, FuncGraph):
        name, graph = str(graph.name), graph.outer_graph
    return name


def _slots(model: keras.Model, concrete: Any) -> list[_Slot] | None:
    """The origin of each capture; None where one is no variable of the model."""
    known: dict[int, _Slot] = {}
    for kind, variables in variables_of(model).items():
        for index, variable in enumerate(variables):
            described = tf.TensorSpec(variable.shape, variable.dtype) if kind == "metrics" else None
            known[id(variable.handle)] = _Slot(kind, index, described)
    found = [known.get(id(capture)) for capture in concrete.captured_inputs]
    slots = [slot for slot in found if slot is not None]
    return slots if len(slots) == len(found) else None


def _of_open_length(order: Any) -> Any:
    """Row numbers whose count a trace does not know: Keras weighs the losses of several outputs by a count it knows."""
    return tf.compat.v1.placeholder_with_default(order, shape=(None,))


def _taken(structure: Any, order: Any) -> Any:
    return map_arrays(lambda array: tf.gather(array, order), structure)


def _batch(x: Any, y: Any, weight: Any, order: Any) -> Any:
    """A batch as Keras hands it to a step: `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`."""
    if y is None:
        return (_taken(x, order),) if isinstance(x, tuple) else _taken(x, order)
    parts = (x, y) if weight is None else (x, y, weight)
    return tuple(_taken(part, order) for part in parts)


def _classes(outputs: Any, threshold: float) -> Any:
    """Class numbers from one output per class, or from a single one."""
    if not tf.is_tensor(outputs) or outputs.shape.rank not in (1, 2):
        raise NotCompilableError("its outputs are not those of one classifier")
    if outputs.shape.rank == 2 and outputs.shape[-1] != 1:
        return tf.argmax(outputs, -1, tf.int32)
    return tf.cast(tf.reshape(outputs, (-1,)) > threshold, tf.int32)


def results_of(model: keras.Model, logs: Any) -> Any:
    """What `Model.fit` makes of a step's logs: the metrics' values, unless the step returns something of its own.

    Args:
        model: The model.
        logs: What its step has returned.
    """
    results = model.get_metrics_result()
    return results if not logs or set(logs) == set(results) else logs


def is_standard_step(model: keras.Model, name: str) -> bool:
    """Whether a model's `train_step` or `test_step` is Keras's own."""
    return all(
        getattr(type(model), method) is getattr(keras.Model, method) and method not in vars(model)
        for method in (name, "compute_metrics")
    )


def _tensor(array: Any) -> Any:
    try:
        return tf.convert_to_tensor(as_keras_array(array))
    except (TypeError, ValueError, tf.errors.OpError) as error:
        kind = getattr(array, "dtype", type(array).__name__)
        raise NotCompilableError(f"arrays of type {kind} cannot become tensors") from error


def _is_own(layer: Any) -> bool:
    """Whether a layer (or a model) is Keras's own, behaves as its class does, and has learnt nothing on the side."""
    kind = type(layer)
    if kind.__module__.split(".")[0] not in _OWN_MODULES or kind.__name__ in _UNDESCRIBED:
        return False
    # Keras's Normalization bakes what it has learnt into a trace as constants, lookups keep it in tables.
    if hasattr(layer, "adapt") and kind is not Standardization:
        return False
    return not any(
        _is_foreign(value) or _is_method(kind, name) for name, value in vars(layer).items() if callable(value)
    )


def _is_foreign(value: Any) -> bool:
    """Whether it is a function that is not Keras's own (to serialise a lambda would warn, besides)."""
    return isinstance(value, types.FunctionType) and value.__module__.split(".")[0] not in _OWN_MODULES


def _is_method(kind: type, name: str) -> bool:
    return name not in (*_SET_BY_KERAS, *ATTACHED) and callable(getattr(kind, name, None))


def _is_own_optimizer(optimizer: Any) -> bool:
    """Whether an optimizer's configuration says all: exclusions from weight decay, for one, are not in it."""
    excluded = ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern")
    inner = getattr(optimizer, "inner_optimizer", None)
    return (
        _is_own(optimizer)
        and not any(getattr(optimizer, name, None) for name in excluded)
        and (inner is None or _is_own_optimizer(inner))
    )


def _only_own(config: Any, custom: frozenset[str]) -> bool:
    """Whether a serialised configuration names nothing but Keras's own classes."""
    if isinstance(config, Mapping):
        kind, module = config.get("class_name"), config.get("module")
        if isinstance(kind, str) and (kind in ("function", "__lambda__") or not _names_own(kind, module)):
            return False
        return all(_only_own(value, custom) for value in config.values())
    if isinstance(config, list | tuple):
        return all(_only_own(item, custom) for item in config)
    return not callable(config) and config not in custom


def _names_own(kind: str, module: Any) -> bool:
    """A class of `__main__` is written with no module at all, and so are plain values such as `__numpy__`."""
    return kind.startswith("__") if module is None else str(module).split(".")[0] in _OWN_MODULES


def _custom_names() -> frozenset[str]:
    """Names that a user has given to objects of their own; a string in a configuration may mean one of them."""
    scope = global_state.get_global_attribute("custom_objects_scope_dict") or {}
    objects = {**keras.saving.get_custom_objects(), **scope}
    names = {name for name, thing in objects.items() if thing is not Standardization}
    return frozenset(names | {name.split(">")[-1] for name in names})


def _description(variable: Any) -> list[Any]:
    """What a trace may depend on in a variable, whatever its layer's configuration says."""
    parts = [getattr(variable, name, None) for name in ("regularizer", "constraint")]
    described = [None if part is None else keras.saving.serialize_keras_object(part) for part in parts]
    return [
        list(variable.shape),
        str(variable.dtype),
        variable.trainable,
        getattr(variable, "overwrite_with_gradient", False),
        *described,
    ]


def _without_initial_values(config: Any) -> Any:
    """Seeds and initializers decide the values that variables start with, not what a trace does."""
    if isinstance(config, Mapping):
        return {
            key: _without_initial_values(value)
            for key, value in config.items()
            if key != "seed" and not str(key).endswith("_initializer")
        }
    return [_without_initial_values(item) for item in config] if isinstance(config, list | tuple) else config


def _without_learning_rate(config: Any) -> Any:
    """An optimizer's configuration without its learning rate where that is a variable."""
    if not isinstance(config, Mapping):
        return config
    return {
        key: None
        if key == "learning_rate" and isinstance(value, int | float) and math.isfinite(value)
        else _without_learning_rate(value)
        for key, value in config.items()
    }


def _leaves(structure: Any) -> list[Any]:
    if isinstance(structure, Mapping):
        return _leaves(list(structure.values()))
    if isinstance(structure, list | tuple):
        return [leaf for item in structure for leaf in _leaves(item)]
    return [] if structure is None else [structure]


def _refuse(value: Any) -> Any:
    raise TypeError(f"{type(value).__name__} is not plain data")
