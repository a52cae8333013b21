"""What each fit has of its own: a copy of the hypermodel and of the callbacks, so that fits share no state.

Owns what is copied, what stays shared because it is large or cannot be copied (data, modules, locks), and how a copy
that collects something tells so, since nobody will look into it. When a fit copies is the business of `training`.
"""

from __future__ import annotations

import collections
import copy
import dataclasses
import functools
import threading
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras_tuner import errors as kt_errors

from tuner_app.errors import InputError
from tuner_app.process.packages import KERAS, KERAS_TUNER, OWN, package_of
from tuner_app.training import global_random

# Data and what belongs to the whole process; a copy of data would cost its memory once per fit.
_SHARED = (np.ndarray, tf.data.Dataset, keras.utils.PyDataset, types.ModuleType, type(threading.Lock()))
_SHARED_PACKAGES = ("pandas", "scipy")
_ATOMS = (str, bytes, int, float, complex, bool, type(None), type, types.FunctionType, types.BuiltinFunctionType)
_CONTAINERS = (list, dict, set, collections.deque)
_FRAMEWORKS = (KERAS, KERAS_TUNER, OWN)
# Keras's own callbacks keep these, and a subclass with them; nobody collects in them.
_KEPT_BY_KERAS = frozenset({"params", "best_weights"})


@dataclasses.dataclass(frozen=True, eq=False)
class Contents:
    """The lists, dicts and sets of an object at some moment.

    Attributes:
        held: Names of public attributes to the container and its length then.
    """

    held: Mapping[str, tuple[Any, int]]

    @classmethod
    def of(cls, owner: Any) -> Contents:
        """What an object holds now."""
        return cls({name: (container, len(container)) for name, container in _containers(owner)})

    def grown(self, owner: Any, *, in_place: bool) -> list[str]:
        """The attributes that hold more than they did.

        Args:
            owner: The object.
            in_place: Whether a container that has taken the place of another does not count.
        """
        names = []
        for name, container in _containers(owner):
            before, length = self.held.get(name, (None, 0))
            if len(container) > length and (container is before or not in_place):
                names.append(name)
        return names


def copy_hypermodel(hypermodel: Any) -> Any:
    """A hypermodel of one fit's own; the arrays and data sets that it holds are shared.

    The process's random numbers are as before: Keras draws some to copy a layer.

    Args:
        hypermodel: A `keras_tuner.HyperModel`. Plain functions, as everywhere in Python, are not copied.
    """
    with global_random.kept():
        # deepcopy takes from its memo whatever stands there by identity: so these are not copied, wherever they are.
        return copy.deepcopy(hypermodel, {id(shared): shared for shared in _shared_by(hypermodel)})


def copies_of_its_own(hypermodel: Any, *, n_jobs: int) -> bool:
    """Whether each fit gets a copy of the hypermodel. One that cannot be copied serves all fits, one after another.

    Args:
        hypermodel: A `keras_tuner.HyperModel`.
        n_jobs: How many fits run side by side.

    Raises:
        InputError: It cannot be copied, and several fits would use it at the same time.
    """
    try:
        copy_hypermodel(hypermodel)
    except Exception as error:  # whatever a user's class raises
        if n_jobs == 1:
            return False
        raise InputError(
            "A hypermodel must be deep-copyable where fits run side by side, since each works on its own copy. "
            f"Received: {type(hypermodel).__name__}, of which copy.deepcopy says: {' '.join(str(error).split())}. "
            "Give it a __deepcopy__ method, or use n_jobs=1."
        ) from error
    return True


def copy_callbacks(callbacks: Any) -> list[Any]:
    """Callbacks of one fit's own.

    Args:
        callbacks: A callback, a list or tuple of them, or None.

    Raises:
        FatalValueError: One cannot be copied.
    """
    originals = list_of(callbacks)
    try:
        # All at once: two callbacks that share an object still share one afterwards.
        return copy.deepcopy(originals)
    except Exception as error:  # whatever a user's class raises
        raise kt_errors.FatalValueError(
            "All callbacks of a search must be deep-copyable, since each fold needs its own. "
            f"Received: {originals!r}, of which copy.deepcopy says: {error}"
        ) from error


def list_of(callbacks: Any) -> list[Any]:
    """The callbacks that a user has given: one, a list or tuple of them, or None."""
    return list(callbacks) if isinstance(callbacks, list | tuple) else [] if callbacks is None else [callbacks]


def what_a_copy_collects(owner: Any, names: Sequence[str]) -> str:
    """What to say where a fit's copy has collected something that its owner will look for in vain.

    Args:
        owner: The copy.
        names: The attributes that have grown.
    """
    return (
        f"{type(owner).__name__} collects in {', '.join(names)}, but each fit has its own copy of it: yours stays "
        "as it was. Read histories_ of the tuner, let HyperModel.fit return the numbers, or watch the search "
        "with a SearchObserver."
    )


def _containers(owner: Any) -> Iterator[tuple[str, Any]]:
    """An object's public lists, dicts and sets, and those of the objects whose methods it calls (`LambdaCallback`)."""
    # By its class: a user's subclass of a callback of Keras's may well collect something.
    is_frameworks = package_of(type(owner)) in _FRAMEWORKS
    for name, value in getattr(owner, "__dict__", {}).items():
        if isinstance(value, types.MethodType) and value.__self__ is not owner:
            inner = type(value.__self__).__name__
            yield from ((f"{inner}.{key}", container) for key, container in _containers(value.__self__))
        elif isinstance(value, _CONTAINERS) and not (is_frameworks or name.startswith("_") or name in _KEPT_BY_KERAS):
            yield name, value


def _shared_by(root: Any) -> list[Any]:
    """Everything to be shared that is within reach of an object."""
    shared: list[Any] = []
    visited: set[int] = set()  # by identity: what is compared may be arrays, and objects refer to each other
    queue = [root]
    while queue:
        value = queue.pop()
        if isinstance(value, _ATOMS) or id(value) in visited:
            continue
        visited.add(id(value))
        if isinstance(value, _SHARED) or package_of(type(value)) in _SHARED_PACKAGES:
            shared.append(value)
        else:
            queue.extend(_parts(value))
    return shared


def _parts(value: Any) -> Sequence[Any]:
    """What an object is made of, as far as `copy.deepcopy` would follow it."""
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, list | tuple | set | frozenset | collections.deque):
        return list(value)
    if isinstance(value, types.MethodType):
        return [value.__self__]
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    return list(getattr(value, "__dict__", {}).values())
