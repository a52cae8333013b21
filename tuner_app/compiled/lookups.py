"""What a piece of Python code is, and which names it looks up outside of itself.

Owns what can be read from compiled code alone, and whose code needs no reading: that of Python, NumPy, TensorFlow,
Keras and this package. What a name stands for is the business of `described`.
"""

from __future__ import annotations

import builtins
import dataclasses
import dis
import functools
import hashlib
import sys
import types
from collections.abc import Iterator
from typing import Any

from tuner_app.process.packages import KERAS, OWN, TENSORFLOW, package_of_module

# Code of these packages depends on its arguments alone, the exceptions below aside. The random numbers of TensorFlow
# and Keras are operations or variables, which a trace shows; those of NumPy and Python are gone once they are drawn.
_KNOWN_PACKAGES = frozenset(
    {KERAS, TENSORFLOW, OWN, "builtins", "numpy", "math", "cmath", "operator", "functools", "itertools"}
    | {"collections", "abc", "typing", "_operator", "_functools", "_collections", "_abc"}
)
_REFUSED_MODULES = (
    *("numpy.random", "keras.src.legacy"),
    "keras.src.initializers",  # One without a seed draws it from Python's random numbers.
    *("tensorflow.python.lib.io", "tensorflow.python.data", "tensorflow.python.saved_model"),
)
# They read a disk, memory as it happens to be, or what a trace does not show; or they call Python at each run.
_REFUSED_FUNCTIONS = frozenset(
    {
        "init_scope",
        "py_function",
        "eager_py_func",
        "numpy_function",
        "py_func",
        "set_seed",
        "set_random_seed",
        "get_value",
    }
    | {"empty", "empty_like", "load", "loadtxt", "genfromtxt", "fromfile", "fromstring", "memmap"}
    | {"load_model", "load_weights", "load_img", "load_data", "get_file", "read_file"}
    | {"make_default_seed", "get_custom_objects", "get_registered_object"}
)
_KNOWN_BUILTINS = frozenset(
    {"abs", "all", "any", "bool", "callable", "complex", "dict", "divmod", "enumerate", "filter", "float", "frozenset"}
    | {"getattr", "hasattr", "int", "isinstance", "issubclass", "len", "list", "map", "max", "min", "object", "pow"}
    | {"print", "property", "range", "repr", "reversed", "round", "set", "slice", "sorted", "str", "sum", "super"}
    | {"tuple", "type", "zip", "NotImplemented", "Ellipsis", "staticmethod", "classmethod", "bytes", "iter", "next"}
)
_LOOKUPS = {"LOAD_GLOBAL": True, "LOAD_NAME": True, "LOAD_DEREF": False, "LOAD_CLASSDEREF": False}
_REFUSED_OPERATIONS = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL", "IMPORT_NAME", "LOAD_BUILD_CLASS"})


class UndescribedError(Exception):
    """Something that a trace may depend on cannot be described."""


@dataclasses.dataclass(frozen=True)
class Lookup:
    """A name that code looks up outside of itself.

    Attributes:
        name: The name.
        is_global: Whether it is of the module (or of Python), and not of an enclosing function.
        attributes: The attributes that are taken of it one after the other, where the code does so at once.
    """

    name: str
    is_global: bool
    attributes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class CodeFacts:
    """What code says by itself, the functions within it included.

    Attributes:
        digest: Says what the code does; equal for equal code.
        lookups: The names that it takes from outside.
        names: All names of attributes and globals in it.
        texts: All texts in it, which may be names for `getattr`.
    """

    digest: str
    lookups: tuple[Lookup, ...]
    names: frozenset[str]
    texts: frozenset[str]


@functools.lru_cache(maxsize=1024)
def facts_of(code: types.CodeType) -> CodeFacts:
    """What a function's code says by itself.

    Raises:
        UndescribedError: It stores into its module, imports, or makes classes.
    """
    within = [facts_of(constant) for constant in code.co_consts if isinstance(constant, types.CodeType)]
    # An inner function may take from the outer one what is made there: that is no lookup from outside.
    passed = [lookup for facts in within for lookup in facts.lookups if lookup.is_global or _is_free(lookup, code)]
    constants = [_words_of_constant(constant) for constant in code.co_consts]
    parts = [code.co_code, code.co_exceptiontable, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars]
    counts = [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags]
    return CodeFacts(
        digest=hashlib.sha256(repr([parts, counts, constants]).encode()).hexdigest(),
        lookups=tuple(dict.fromkeys([*_own_lookups(code), *passed])),
        names=frozenset(code.co_names).union(*(facts.names for facts in within)),
        texts=frozenset(_texts(code.co_consts)).union(*(facts.texts for facts in within)),
    )


def member_of(module: types.ModuleType, attributes: tuple[str, ...]) -> Any:
    """What code gets from a module by taking attributes one after the other, up to the first that is no module.

    Raises:
        UndescribedError: That is a module still (the code hands it on), random, or not there.
    """
    value: Any = module
    for name in attributes:
        if not isinstance(value, types.ModuleType):
            break
        if value.__name__.startswith(_REFUSED_MODULES):
            break
        # A module of the user's may compute its attributes; those of the known packages load theirs late.
        is_known = package_of_module(value.__name__) in _KNOWN_PACKAGES
        value = getattr(value, name, value) if is_known else vars(value).get(name, value)
    if isinstance(value, types.ModuleType):
        raise UndescribedError(f"the module {value.__name__}")
    return value


def global_of(function: types.FunctionType, name: str) -> Any:
    """What a global name stands for in a function.

    Raises:
        UndescribedError: For nothing, or for a builtin that knows more than its arguments.
    """
    if name in function.__globals__:
        return function.__globals__[name]
    value = getattr(builtins, name, UndescribedError)
    is_error = isinstance(value, type) and issubclass(value, BaseException)
    if value is UndescribedError or not (name in _KNOWN_BUILTINS or is_error):
        raise UndescribedError(f"the name {name}")
    return value


def known_name(thing: Any) -> str | None:
    """The name of a class or function of the known packages; None where it may be the user's.

    Raises:
        UndescribedError: It is of a known package and depends on more than its arguments.
    """
    module, name = str(getattr(thing, "__module__", None) or ""), str(getattr(thing, "__qualname__", thing.__name__))
    if package_of_module(module) not in _KNOWN_PACKAGES:
        return None
    # What a decorator of a user's wraps bears the name of what it wraps: only what is found by its name has it.
    if not _is_found(thing, module, name) and not _is_plain_function(thing, module):
        return None
    if name.split(".")[-1] in _REFUSED_FUNCTIONS or module.startswith(_REFUSED_MODULES):
        raise UndescribedError(f"{module}.{name}")
    if module == "builtins" and not (
        name in _KNOWN_BUILTINS or (isinstance(thing, type) and issubclass(thing, BaseException))
    ):
        raise UndescribedError(f"the builtin {name}")
    line = thing.__code__.co_firstlineno if isinstance(thing, types.FunctionType) else 0  # lambdas have one name
    return f"{module}.{name}:{line}"


def _is_found(thing: Any, module: str, name: str) -> bool:
    value: Any = sys.modules.get(module)
    for part in name.split("."):
        value = getattr(value, part, None)
    return value is thing


def _is_plain_function(thing: Any, module: str) -> bool:
    """Whether it is a function that was written in a module and holds nothing of who called it."""
    return (
        isinstance(thing, types.FunctionType)
        and thing.__globals__.get("__name__") == module
        and thing.__closure__ is None
        and not thing.__defaults__
        and not thing.__kwdefaults__
    )


def _is_free(lookup: Lookup, code: types.CodeType) -> bool:
    return lookup.name in code.co_freevars


def _own_lookups(code: types.CodeType) -> Iterator[Lookup]:
    instructions = [item for item in dis.get_instructions(code) if item.opname != "EXTENDED_ARG"]
    for number, instruction in enumerate(instructions):
        operation, name = instruction.opname, instruction.argval
        if operation in _REFUSED_OPERATIONS:
            raise UndescribedError(f"{operation} in {code.co_name}")
        is_global = _LOOKUPS.get(operation)
        if is_global or (is_global is False and name in code.co_freevars):
            yield Lookup(name, bool(is_global), tuple(_attributes_after(instructions, number)))


def _attributes_after(instructions: list[dis.Instruction], number: int) -> Iterator[str]:
    for instruction in instructions[number + 1 :]:
        # Python 3.11 has another operation for the attribute that is called next.
        if instruction.opname not in ("LOAD_ATTR", "LOAD_METHOD"):
            return
        yield instruction.argval


def _words_of_constant(constant: Any) -> str:
    if isinstance(constant, types.CodeType):
        return facts_of(constant).digest
    if isinstance(constant, frozenset):
        return repr(sorted(map(repr, constant)))
    # Tells 1, 1.0 and True apart, and 0.0 and -0.0.
    return repr(constant)


def _texts(constants: tuple[Any, ...]) -> Iterator[str]:
    for constant in constants:
        if isinstance(constant, str):
            yield constant
        elif isinstance(constant, tuple | frozenset):
            yield from _texts(tuple(constant))
