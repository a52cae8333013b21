"""Python's collector of cyclic garbage, while there is none to collect: going through all objects takes long.

Owns when it pauses. TensorFlow and Keras make 400,000 objects as they are imported, which the collector goes through
again and again: 4.0 seconds of a processor for both with it, 2.6 without (TensorFlow 2.21, Keras 3.15).
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """No collection while the block runs; one that the program has switched off stays so."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def pause() -> None:
    """No collection until `resume`. For a command, which is about to load everything that it needs."""
    gc.disable()


def resume() -> None:
    """Go on collecting, but for what there is by now, which stays until the process ends: its modules."""
    # Only after `pause`: a program that calls a command's `main` may have garbage of its own.
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
