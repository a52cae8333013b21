"""What a subclass of a tuner adds to its fits.

Owns the record by which a fit reaches the tuner. It holds the tuner's own methods, so a fit that has it stays in the
tuner's process; a fit of a tuner that overrides nothing knows no tuner.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NoReturn

import keras

from tuner_app.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FitHooks:
    """The methods that a tuner's class overrides.

    Attributes:
        owner: The class, and what it overrides, for messages.
        callbacks: Gives the callbacks by which a fold of a trial calls the tuner; called in the fit's thread.
        using: While it is entered, the tuner's methods use, in this thread, the hypermodel that it was given.
        build: Builds and compiles a model by the tuner's own methods, with the hypermodel in use.
    """

    owner: str
    callbacks: Callable[[str], Sequence[Any]]
    using: Callable[[Any], AbstractContextManager[None]]
    build: Callable[[Any], keras.Model]

    def __reduce__(self) -> NoReturn:
        raise InputError(
            f"{self.owner} of the tuner itself, which other processes do not have: use threads, or override the "
            "HyperModel's build and fit instead."
        )
