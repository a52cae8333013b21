"""The process around TensorFlow: how it is loaded.

Owns what must happen before or while TensorFlow is imported. Nothing here imports it at module level.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import BinaryIO

from tuner_app.errors import InputError

_lock = threading.RLock()
_STDERR = 2
_NOISE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog\(\)"
    rb"|[IWE]\d{4} [\d:.]+\s+\d+ \S+\.cc:\d+\]"
    rb"|\d{4}-\d\d-\d\d [\d:.]+: [IWE] \S+\.cc:\d+\]"
    rb"|To enable the following instructions: .* rebuild TensorFlow"
)


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
    _check_backend()
    # Before the import, which reads it once.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # The descriptor belongs to the process: two threads that hold it back at once would lose it.
    with _lock:
        if "tensorflow" in sys.modules or os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0":
            import tensorflow as tf
        else:
            with stderr_without_noise():
                import tensorflow as tf
    module: ModuleType = tf
    return module


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


@contextlib.contextmanager
def stderr_without_noise() -> Iterator[None]:
    """Hold back what is written to file descriptor 2, and pass on all but TensorFlow's log lines.

    Works below Python, for C++ writes to the descriptor; therefore in notebooks and under pytest too.
    Where the block raises, every line is passed on.
    """
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sys.stderr.flush()
    try:
        screen = os.dup(_STDERR)
    except OSError:  # a process without stderr, such as a desktop application
        yield
        return
    try:
        with tempfile.TemporaryFile() as held:
            yield from _held_back(held, screen)
    finally:
        os.close(screen)


def _held_back(held: BinaryIO, screen: int) -> Iterator[None]:
    keep_all = True
    os.dup2(held.fileno(), _STDERR)
    try:
        yield
        keep_all = False
    finally:
        # What Python has written is still in its own buffer, and belongs to what is held back.
        with contextlib.suppress(AttributeError, OSError, ValueError):
            sys.stderr.flush()
        os.dup2(screen, _STDERR)
        held.seek(0)
        for line in held:
            if keep_all or not _NOISE.match(line):
                os.write(_STDERR, line)
