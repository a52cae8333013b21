"""How TensorFlow is imported: quietly, and beside other work where there is some.

Owns what must happen before or while TensorFlow is imported. Nothing here imports it at module level.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pathlib
import sys
import threading
from collections.abc import Sequence
from types import ModuleType

from tuner_app.errors import InputError
from tuner_app.process import collector, noise

_lock = threading.RLock()


class _Import(threading.Thread):
    """Imports TensorFlow, then modules that need it, beside the thread that has begun it."""

    def __init__(self, modules: Sequence[str]) -> None:
        # A daemon: a command that refuses its data ends at once, in the middle of the import.
        super().__init__(name="tuner_app-import", daemon=True)
        self._modules = modules
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            import_tensorflow_quietly()
            for module in self._modules:
                importlib.import_module(module)
        except BaseException as error:  # for the thread that waits
            self.error = error


_begun: _Import | None = None


def begin_import(*modules: str) -> None:
    """Begin to import TensorFlow in another thread; `import_tensorflow_quietly` waits for it.

    Until then this thread must import nothing that TensorFlow imports too (Keras takes pandas and scikit-learn along):
    threads that enter a package by different modules may get each other's unfinished ones. So import such before.

    Args:
        modules: What to import after TensorFlow, by name.

    Raises:
        InputError: Keras runs, or will run, on something else.
    """
    global _begun
    _check_backend()
    if _begun is None and "tensorflow" not in sys.modules:
        _begun = _Import(modules)
        _begun.start()


def import_tensorflow_quietly() -> ModuleType:
    """Import TensorFlow without the lines that its C++ part writes to the screen.

    `TF_CPP_MIN_LOG_LEVEL` silences what comes after the import (XLA, devices) but not the first
    lines, which are written before it is read. A value that the user set is respected.

    Returns:
        The module `tensorflow`.

    Raises:
        InputError: Keras runs, or will run, on something else.
        ImportError: TensorFlow cannot be imported; all that it wrote is shown then.
    """
    _wait_for_begun()  # Before the check, which would look into an unfinished Keras.
    _check_backend()
    # Before the import, which reads it once.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # The descriptor belongs to the process: two threads that hold it back at once would lose it.
    with _lock, collector.paused():
        if "tensorflow" in sys.modules or os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0":
            import tensorflow as tf
        else:
            with noise.stderr_without_noise():
                import tensorflow as tf
    module: ModuleType = tf
    return module


def _wait_for_begun() -> None:
    """Wait for the import in the other thread; raises what it has raised."""
    global _begun
    if _begun is None or _begun is threading.current_thread():
        return
    _begun.join()
    error, _begun = _begun.error, None
    if error is not None:
        raise error


def _check_backend() -> None:
    """Before Keras is imported: its own error about a package that is not there says nothing of us."""
    backend, origin = _backend()
    if backend != "tensorflow":
        raise InputError(
            f"Keras must run on TensorFlow. Received: the backend {backend!r}, from {origin}. Set KERAS_BACKEND to "
            "tensorflow and start Python anew."
        )


def _backend() -> tuple[str, str]:
    """Keras's backend and where that is said, read as Keras 3.15 reads it: its environment variable, then its file."""
    keras = sys.modules.get("keras")
    if hasattr(keras, "backend"):
        return str(keras.backend.backend()), "the Keras that is imported already"  # type: ignore[union-attr]
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"], "the environment variable KERAS_BACKEND"
    with contextlib.suppress(OSError, ValueError, AttributeError, RuntimeError):  # no file, no JSON, no object, no home
        file = pathlib.Path(os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras") / "keras.json"
        return str(json.loads(file.read_text(encoding="utf-8")).get("backend", "tensorflow")), str(file)
    return "tensorflow", "Keras"
