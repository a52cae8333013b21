"""The end of a command's process: whatever ends by itself has ended, and nothing is torn down.

Owns the end. Python would go through all of TensorFlow's objects once more, which takes more than a second, and it
cannot end in peace while another thread is inside TensorFlow or imports it.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from tuner_app.process import noise


def skipped() -> Callable[[int], None]:
    """From now on this process ends without its teardown, if it gets to know its exit code.

    Call it before TensorFlow is imported: of the functions that Python calls at its end the first is called last.

    Returns:
        Takes the exit code, for a process that is done; without it (a bug's traceback) Python ends as it always does.
    """
    codes: list[int] = []

    def leave() -> None:
        if codes:
            end_process(codes[-1])

    atexit.register(leave)
    return codes.append


def end_process(code: int, message: str = "", descriptor: int = 2) -> NoReturn:
    """End the process now, whatever its threads are at; what it has printed is not lost.

    Args:
        code: The exit code.
        message: A last line.
        descriptor: Where to write it.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    with contextlib.suppress(OSError):
        noise.pass_on_held()
    with contextlib.suppress(OSError):
        os.write(descriptor, f"{message}\n".encode() if message else b"")
    os._exit(code)
