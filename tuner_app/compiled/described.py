"""All that a trace of a user's code can depend on, in words that are equal only where traces are.

Owns what counts: the class of an object with the code of its methods, all of its attributes, what the code looks up
outside of itself, and so on without end. Plain data count by value, variables by their place in the model, what Keras,
TensorFlow and NumPy define by name. Anything else cannot be described, and nothing that holds it is shared.
"""

from __future__ import annotations

import abc
import functools
import hashlib
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tuner_app.compiled import private
from tuner_app.compiled.lookups import Lookup, UndescribedError, facts_of, global_of, known_name, member_of
from tuner_app.models.preprocessing import Standardization
from tuner_app.process.packages import KERAS, OWN, TENSORFLOW, package_of, package_of_module

_PLAIN = (type(None), bool, int, float, complex, str, bytes, range, type(Ellipsis), type(NotImplemented))
_NAMED = (tf.DType, tf.TensorShape, np.dtype)
_ARRAY_LIMIT = 2**20  # bytes; each description reads them
_PARTS_LIMIT = 20_000

# Run before the first step, so that their effects stand in the attributes; counted where other methods name them.
_PREPARING = frozenset(
    {"__init__", "__new__", "__repr__", "__str__", "build", "compile", "get_config", "from_config", "summary"}
    | {"get_build_config", "build_from_config", "get_compile_config", "compile_from_config", "save", "plot", "fit"}
)
_MEMBERS_OF_NO_USE = frozenset(
    {"__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__annotations__", "__abstractmethods__"}
    | {"_abc_impl", "__dataclass_fields__", "__dataclass_params__", "__firstlineno__", "__static_attributes__"}
    | {"__orig_bases__", "__parameters__"}
)
# What Keras 3.15 itself keeps in its objects and what follows from the rest, or is made and read by fits alone.
_KEPT_BY_KERAS = frozenset(
    {"_tracker", "_tracked", "_inbound_nodes", "_outbound_nodes", "_nodes", "_nodes_by_depth", "_operations_by_depth"}
    | {
        "_inputs",
        "_outputs",
        "_inputs_struct",
        "_outputs_struct",
        "_functional",
        "_called",
        "_call_signature",
        "_input_tensor",
    }
    | {"_losses", "_loss_ids", "_losses_override", "_saved_model_arg_spec", "_saved_model_inputs_spec", "_auto_config"}
    | {"_compile_loss", "_compile_metrics", "_loss_tracker", "_compiled_trainable_state", "_eval_epoch_iterator"}
    | {"train_function", "test_function", "predict_function", "history", "stop_training", "_initial_epoch"}
    | {"_self_name_based_restores", "_self_saveable_object_factories", "_self_setattr_tracking", "_self_update_uid"}
    | {"_self_unconditional_checkpoint_dependencies", "_self_unconditional_deferred_dependencies"}
    | {"_self_unconditional_dependency_names", "_distribution_strategy", "_trainable_variables_indices"}
)
# These methods of a layer Keras wraps, and those of a model `model_fit.attach` replaces.
_REPLACED = frozenset({"build", "quantize", "fit", "load_weights"})
_SEEDS = frozenset({"seed", "_initial_seed", "_init_seed"})
# Keras's own classes whose behaviour lies outside of their attributes and variables.
UNDESCRIBED = (
    keras.layers.TFSMLayer,
    keras.layers.TorchModuleWrapper,
    keras.layers.JaxLayer,
    keras.layers.FlaxLayer,
)


def words_of(model: keras.Model, custom_names: frozenset[str]) -> Any:
    """All that the traces of a model depend on, but for the values of its variables.

    Args:
        model: A built and compiled model, of any class.
        custom_names: Texts by which Keras finds objects of the user's.

    Returns:
        JSON, equal for models whose traces are equal.

    Raises:
        UndescribedError: There is something that cannot be described.
    """
    description = Description({id(variable): place for place, variable in enumerate(model.variables)})
    compiled = private.compiling_of(model).config
    words = [description.of(model), description.of(dict(compiled)), description.rest()]
    if custom_names & description.texts:
        raise UndescribedError(f"the name {min(custom_names & description.texts)}")
    return words


class Description:
    """Describes objects; each once, and by its number where it comes again.

    Args:
        places: The places of a model's variables, by identity.

    Attributes:
        texts: All texts that were met, those in code included.
    """

    def __init__(self, places: Mapping[int, int]) -> None:
        self._places = places
        self._numbers: dict[int, int] = {}
        self._objects: list[Any] = []  # Held, so that no other object takes the identity of one that was described.
        self.texts: set[str] = set()
        self._names: set[str] = set()
        self._texts_of_code: set[str] = set()
        self._preparing: list[tuple[str, types.FunctionType]] = []
        self._passed_over: set[str] = set()
        self._kinds: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
            (_NAMED, lambda value: [type(value).__name__, repr(value)]),
            ((np.ndarray, np.generic, tf.Tensor), _words_of_array),
            (keras.Variable, self._variable),
            ((tf.Variable, keras.KerasTensor, types.ModuleType), _refuse),
            ((list, tuple, dict, set, frozenset), self._container),
            (slice, lambda value: ["slice", *map(self.of, (value.start, value.stop, value.step))]),
            (types.FunctionType, self._function),
            (types.MethodType, lambda value: ["method", self.of(value.__func__), self.of(value.__self__)]),
            (functools.partial, self._partial),
            (property, lambda value: ["property", *map(self.of, (value.fget, value.fset, value.fdel))]),
            ((staticmethod, classmethod), lambda value: [type(value).__name__, self.of(value.__func__)]),
            (type, self._class),
            ((types.BuiltinFunctionType, np.ufunc, type(np.mean)), _words_of_compiled),
            (object, self._object),
        )

    def of(self, value: Any) -> Any:
        """The words of a value.

        Raises:
            UndescribedError: There are none.
        """
        if type(value) in _PLAIN:
            if isinstance(value, str):
                self.texts.add(value)
            return [type(value).__name__, repr(value)]
        if id(value) in self._numbers:
            return ["the same as", self._numbers[id(value)]]
        self._numbers[id(value)] = len(self._objects)
        self._objects.append(value)
        if len(self._objects) > _PARTS_LIMIT:
            raise UndescribedError("too many parts")
        return next(words for kinds, words in self._kinds if isinstance(value, kinds))(value)

    def rest(self) -> Any:
        """What counts because some code names it; to be asked last.

        Raises:
            UndescribedError: Some code names what was passed over.
        """
        words: list[Any] = []
        while chosen := [(name, function) for name, function in self._preparing if name in self._names]:
            self._preparing = [pair for pair in self._preparing if pair not in chosen]
            words.extend([name, self.of(function)] for name, function in chosen)
        # Seeds by their attribute alone: as the names of arguments they stand in much code.
        read = (self._names & self._passed_over) | (self._texts_of_code & (self._passed_over - _SEEDS))
        if read:
            raise UndescribedError(f"code reads {min(read)}")
        return words

    def _variable(self, variable: Any) -> Any:
        place = self._places.get(id(variable))
        return [
            *("variable", place, list(variable.shape), str(variable.dtype), bool(variable.trainable), variable.path),
            bool(getattr(variable, "overwrite_with_gradient", False)),
            self.of(variable.regularizer),
            self.of(variable.constraint),
        ]

    def _container(self, value: Any) -> Any:
        # Keras and TensorFlow put their own lists and dicts into the places of plain ones, TensorFlow as a shell.
        kind = type(getattr(value, "__wrapped__", value))
        if kind not in (list, tuple, dict, set, frozenset) and package_of(kind) not in (KERAS, TENSORFLOW):
            raise UndescribedError(f"a {kind.__name__}")
        if isinstance(value, dict):
            return ["dict", *([self.of(key), self.of(item)] for key, item in value.items())]
        base = next(base for base in (list, tuple, set, frozenset) if isinstance(value, base))
        # Sets in the order in which code would go through them: another order may be another trace.
        return [base.__name__, *map(self.of, value)]

    def _partial(self, value: Any) -> Any:
        return ["partial", self.of(value.func), self.of(value.args), self.of(value.keywords)]

    def _function(self, function: types.FunctionType) -> Any:
        name = known_name(function)
        if name is not None:
            return ["known", name]
        facts = facts_of(function.__code__)
        self._names |= facts.names
        self._texts_of_code |= facts.texts
        self.texts |= facts.texts
        return [
            *("function", facts.digest),
            *(self.of(part) for part in (function.__defaults__, function.__kwdefaults__, vars(function))),
            *self._cells(function, facts.lookups),
            *(self._looked_up(global_of(function, item.name), item) for item in facts.lookups if item.is_global),
        ]

    def _cells(self, function: types.FunctionType, lookups: tuple[Lookup, ...]) -> Iterator[Any]:
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                value = cell.cell_contents
            except ValueError:  # the name has no value yet
                yield "empty"
                continue
            taken = [item for item in lookups if item.name == name and not item.is_global]
            yield [self._looked_up(value, item) for item in taken] or self._looked_up(value, None)

    def _looked_up(self, value: Any, lookup: Lookup | None) -> Any:
        is_module = isinstance(value, types.ModuleType)
        return self.of(member_of(value, lookup.attributes) if is_module and lookup is not None else value)

    def _class(self, kind: type) -> Any:
        name = known_name(kind)
        if name is not None:
            self.texts.add(kind.__name__)  # By which Keras may find another class, where a user has registered one.
            return ["known", name]
        if type(kind) not in (type, abc.ABCMeta) and known_name(type(kind)) is None:
            raise UndescribedError(f"the metaclass of {kind.__name__}")
        members = []
        for name, member in sorted(vars(kind).items()):
            if name in _PREPARING and isinstance(member, types.FunctionType):
                self._preparing.append((name, member))
            elif name not in _MEMBERS_OF_NO_USE:
                members.append([name, self.of(member)])
        return ["class", kind.__module__, kind.__qualname__, [self.of(base) for base in kind.__bases__], members]

    def _object(self, value: Any) -> Any:
        kind = type(value)
        is_keras = any(package_of(base) in (KERAS, OWN) for base in kind.__mro__)
        _check_object(value, is_keras=is_keras)
        words = ["object", self.of(kind)]
        for name, attribute in sorted(vars(value).items()):
            if not (is_keras and self._is_passed_over(kind, name, attribute)):
                words.append([name, self.of(attribute)])
        if is_keras and private.is_functional(value):
            words.append(self._connections(value))
        return words

    def _is_passed_over(self, kind: type, name: str, attribute: Any) -> bool:
        """Whether no trace depends on an attribute of a Keras object, as long as no code of the user's names it."""
        is_known = known_name(kind) is not None
        if name in _KEPT_BY_KERAS or (is_known and name in _SEEDS):
            self._passed_over.add(name)
            return True
        # They decide what variables start with, unless the user's code calls one in a step.
        if isinstance(attribute, keras.initializers.Initializer) and package_of(type(attribute)) == KERAS:
            self._passed_over.add(name)
            return True
        if kind is keras.random.SeedGenerator and name == "backend":
            return True
        # An attribute of the user's may bear such a name.
        replaces = isinstance(attribute, types.FunctionType) and attribute.__globals__.get("__name__", "")
        return name in _REPLACED and bool(replaces) and package_of_module(replaces) in (KERAS, OWN)

    def _connections(self, model: Any) -> Any:
        """Which operation of a functional model takes what from which."""
        calls, ends = private.calls_of(model)
        numbers = {id(operation): number for number, (operation, _) in enumerate(calls)}

        def origin(part: Any) -> Any:
            if not isinstance(part, keras.KerasTensor):
                return part
            operation, *place = private.origin_of(part)
            if id(operation) not in numbers:
                raise UndescribedError("a connection to another model")
            return ("tensor", numbers[id(operation)], *place, repr(part.shape), str(part.dtype))

        return [
            [[self.of(operation), self.of(keras.tree.map_structure(origin, made))] for operation, made in calls],
            self.of(keras.tree.map_structure(origin, ends)),
        ]


def _check_object(value: Any, *, is_keras: bool) -> None:
    kind = type(value)
    if known_name(kind) is not None and package_of(kind) not in (KERAS, OWN):
        raise UndescribedError(f"a {kind.__name__}")
    # What lies in slots, or in a built-in type's own memory, no `vars` shows.
    bases = [base for base in kind.__mro__ if known_name(base) is None]
    if not hasattr(value, "__dict__") or any("__slots__" in vars(base) for base in bases):
        raise UndescribedError(f"a {kind.__name__} without attributes")
    if not is_keras and any(base not in (*bases, object, abc.ABC) for base in kind.__mro__):
        raise UndescribedError(f"a {kind.__name__} of a built-in kind")
    # What Keras's layers learn by `adapt` lies in constants and tables.
    learns = any(package_of(base) == KERAS and hasattr(base, "adapt") for base in kind.__mro__)
    is_other = isinstance(value, Standardization) and kind is not Standardization
    if learns or is_other or isinstance(value, UNDESCRIBED) or private.excludes_from_weight_decay(value):
        raise UndescribedError(f"a {kind.__name__}")


def _words_of_array(value: Any) -> Any:
    if isinstance(value, tf.Tensor):
        if not hasattr(value, "numpy"):
            raise UndescribedError("a tensor of a trace")
        value = value.numpy()
    if isinstance(value, np.ndarray) and type(value) is not np.ndarray:
        raise UndescribedError(f"a {type(value).__name__}")
    array = np.asarray(value)
    if array.dtype.hasobject or array.nbytes > _ARRAY_LIMIT:
        raise UndescribedError("a large array")
    return [type(value).__name__, str(array.dtype), list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]


def _words_of_compiled(value: Any) -> Any:
    """The name of a function without Python code; one that is bound to an object, or made by a user, has none."""
    owner = getattr(value, "__self__", None)
    is_own = np.ufunc is type(value) and getattr(np, value.__name__, None) is not value
    if is_own or (owner is not None and not isinstance(owner, types.ModuleType)):
        raise UndescribedError(f"the function {value.__name__}")
    name = f"numpy.{value.__name__}" if type(value) is np.ufunc else known_name(value)
    if name is None:
        raise UndescribedError(f"the function {value.__name__}")
    return ["known", name]


def _refuse(value: Any) -> Any:
    raise UndescribedError(f"a {type(value).__name__}")
