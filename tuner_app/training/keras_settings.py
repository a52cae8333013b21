"""Keras's settings, which it keeps per thread: taken over into the thread of a fit, and put back after a look.

Owns the only places that touch Keras's state of a thread.
"""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import keras

# Keras 3.15 keeps a thread's settings, seeds and counts of names in this object, for which there is no public name.
from keras.src.backend.common import global_state


@dataclasses.dataclass(frozen=True)
class KerasSettings:
    """What a fit's thread takes over from the thread of the search, and nothing else.

    Attributes:
        dtype_policy: The global dtype policy.
        custom_objects: Registered custom objects.
    """

    dtype_policy: Any
    custom_objects: Mapping[str, Any]

    @classmethod
    def current(cls) -> KerasSettings:
        """The settings of this thread."""
        return cls(keras.config.dtype_policy(), dict(keras.saving.get_custom_objects()))

    def apply(self) -> None:
        """Take the settings over into this thread, and forget what another fit has left in it (layer names, seeds)."""
        # `keras.utils.clear_session` would do so for all threads, in the middle of their fits.
        vars(global_state.GLOBAL_STATE_TRACKER).clear()
        keras.config.set_dtype_policy(self.dtype_policy)
        keras.saving.get_custom_objects().update(self.custom_objects)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """A clean Keras state as in a fit's thread, and this thread's own state again afterwards.

    Warnings are left for the fits to give.
    """
    state = vars(global_state.GLOBAL_STATE_TRACKER)
    before = dict(state)
    KerasSettings.current().apply()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        state.clear()
        state.update(before)
