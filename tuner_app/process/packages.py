"""Which package code is of: what Keras and this package do themselves is known, a user's code may do anything.

Owns the names of those packages, and the one way to ask.
"""

from __future__ import annotations

from typing import Any

OWN = __name__.split(".")[0]
KERAS = "keras"
KERAS_TUNER = "keras_tuner"
TENSORFLOW = "tensorflow"


def package_of(thing: Any) -> str:
    """The package in which a class, a function, or the class of any other object was defined.

    Example:
        >>> package_of(package_of), package_of([])
        ('tuner_app', 'builtins')
    """
    # What a user types into a notebook or a script is of "__main__"; code made by `exec` may have no module at all.
    module = getattr(thing, "__module__", None) or type(thing).__module__
    return package_of_module(module)


def package_of_module(name: Any) -> str:
    """The package of a module that is known by its name, as Keras writes it into a configuration.

    Example:
        >>> package_of_module("keras.src.layers"), package_of_module(None)
        ('keras', 'None')
    """
    return str(name).split(".")[0]
