"""Everything of TensorFlow and Keras that this folder uses and that is not public, each with its reason.

Owns the whole list, so that a new version of either is tried here first (`tests/compiled/test_private.py` asks for each
by itself). All of it is that of TensorFlow 2.21 and Keras 3.15. Who may use it: the modules of this folder.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.common import global_state
from tensorflow.python.eager import context as tf_context
from tensorflow.python.framework import ops as tf_ops
from tensorflow.python.framework.func_graph import FuncGraph


def in_one_thread() -> Any:
    """A context in which graphs are traced for, and run in, the calling thread.

    TensorFlow's usual executor hands each small operation to a pool of threads, which costs more than the operation;
    the pool's threads wait for work by spinning, at the expense of the other fits. No public name chooses an executor.
    """
    return tf_context.function_executor_type("SINGLE_THREADED_EXECUTOR")


def on_other_variables(concrete: Any, variables: Sequence[Any]) -> Any:
    """A traced function that works on other variables than those it was traced on, one for each capture.

    The copy is shallow: graph and executable stay one for all. `ConcreteFunction` is public, its captures are not.
    """
    bound = copy.copy(concrete)
    bound.set_external_captures([variable.handle for variable in variables])
    bound.variables_in_use = variables  # handles do not keep their variables alive
    return bound


def captures_of(concrete: Any) -> list[Any]:
    """The tensors that a traced function takes from outside, in the order of `on_other_variables`."""
    return list(concrete.captured_inputs)


def forget_gradients(graph_name: str) -> None:
    """Undo what the tracing of graphs of a name leaves behind in TensorFlow.

    `tf.custom_gradient` (Keras's optimizers use it) registers a function for each trace, for ever, and with it the
    whole graph. Nobody differentiates a training step, so these are of no use once a step is traced. Whoever calls this
    holds the build lock: another thread's trace would add to the registry meanwhile.
    """
    _forget_gradients(lambda graph: str(graph.name).startswith(graph_name))


def forget_gradients_of(model: keras.Model) -> None:
    """The same for a model that Keras's own `fit` has trained: else it stays in memory for ever, with its graphs.

    Any thread may call it while others trace: it leaves alone whatever holds none of the model's variables.
    """
    handles = {id(_handle_of(variable)) for variable in model.variables} - {id(None)}
    _forget_gradients(lambda graph: any(id(tensor) in handles for tensor in graph.external_captures))


def _handle_of(variable: Any) -> Any:
    """What graphs capture of a variable; None for one without a value yet, and for one of several replicas."""
    try:
        return variable.value.handle
    except (AttributeError, ValueError):
        return None


def _forget_gradients(is_over: Callable[[FuncGraph], bool]) -> None:
    entries = getattr(getattr(tf_ops, "gradient_registry", None), "_registry", {})
    for name, entry in list(entries.items()):
        if name.startswith("CustomGradient-") and any(map(is_over, _traces_of(entry["type"]))):
            entries.pop(name, None)  # Another thread may have been quicker.


def _traces_of(gradient: Any) -> list[FuncGraph]:
    """The traced functions that a registered gradient keeps, each the outermost."""
    # The names are those of variables within `tf.custom_gradient`; where they are others, nothing is forgotten.
    within = inspect.getclosurevars(gradient).nonlocals.get("tape_grad_fn")
    result = inspect.getclosurevars(within).nonlocals.get("result") if within is not None else None
    graphs = [getattr(tensor, "graph", None) for tensor in tf.nest.flatten(result)]
    return [graph for graph in map(_outermost, graphs) if graph is not None]


def _outermost(graph: Any) -> FuncGraph | None:
    """The function that a graph (the body of a loop, say) is a part of; None where it is no function's."""
    outermost = None
    while isinstance(graph, FuncGraph):
        outermost, graph = graph, graph.outer_graph
    return outermost


def layers_of(model: keras.Model, *, include_self: bool = False) -> list[Any]:
    """All layers, those within layers and models included; `model.layers` has only the outermost."""
    return list(model._flatten_layers(include_self=include_self))


def output_shapes_of(layer: Any) -> list[Any]:
    """The shapes that a layer of a functional model puts out, wherever it is used.

    `layer.output` raises where a layer is used twice.
    """
    return [tensor.shape for node in layer._inbound_nodes for tensor in node.output_tensors]


def build_symbolically(model: keras.Model, batch: tuple[Any, ...]) -> None:
    """Make the variables of layers, loss, metrics and optimizer; `model.build` makes those of the layers alone."""
    model._symbolic_build(data_batch=batch)


def compiling_of(model: keras.Model) -> Any:
    """What the last `compile` was given, None before: another object after each `compile`.

    `get_compile_config` has it serialised, with no mark that tells one compiling from the next.
    """
    return getattr(model, "_compile_config", None)


def is_distributed(model: keras.Model) -> bool:
    """Whether a model was made under a strategy; `tf.distribute` tells that only while one is entered."""
    return model._distribute_strategy is not None


def restored_epoch(model: keras.Model) -> int | None:
    """The epoch to begin with that `BackupAndRestore` has left in the model; None where it has not."""
    return model._initial_epoch  # type: ignore[no-any-return]


def profiles_batches(callback: keras.callbacks.TensorBoard) -> bool:
    """Whether `profile_batch` names a batch: the callback keeps what it has read of it."""
    return bool(callback._start_batch)


def excludes_from_weight_decay(optimizer: Any) -> bool:
    """Whether `exclude_from_weight_decay` was called, of which an optimizer's configuration says nothing."""
    names = ("_exclude_from_weight_decay", "_exclude_from_weight_decay_pattern")
    return any(getattr(optimizer, name, None) for name in names)


def scoped_objects() -> Mapping[str, Any]:
    """The objects of the `CustomObjectScope` that is entered; `get_custom_objects` has the registered ones alone."""
    return global_state.get_global_attribute("custom_objects_scope_dict") or {}


def is_functional(model: Any) -> bool:
    """Whether an object is a functional model, of whatever class."""
    return hasattr(model, "_inputs_struct") and hasattr(model, "_operations")


def calls_of(model: Any) -> tuple[list[tuple[Any, list[Any]]], Any]:
    """The operations of a functional model, each with the arguments of its calls, and the model's inputs and outputs.

    `get_config` says it in names, and only where each layer has a configuration and the class keeps Keras's arguments.
    """
    calls = [
        (
            operation,
            [
                (number, node.arguments.args, node.arguments.kwargs)
                for number, node in enumerate(operation._inbound_nodes)
                if f"{id(operation)}_ib-{number}" in model._nodes  # as `make_node_key` of Keras 3.15
            ],
        )
        for operation in model._operations
    ]
    return calls, (model._inputs_struct, model._outputs_struct)


def origin_of(tensor: keras.KerasTensor) -> tuple[Any, int, int]:
    """The operation that a tensor of a functional model comes from, the number of its call, and of the output."""
    history = tensor._keras_history
    return history.operation, history.node_index, history.tensor_index
