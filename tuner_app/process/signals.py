"""Ctrl-C and SIGTERM: during a search noted at once and acted upon between two steps, elsewhere obeyed at once.

Owns the handlers of the two signals. In a search the first signal asks it to stop (running folds are dropped at their
next epoch) and a second Ctrl-C is immediate; bookkeeping is never cut in two, because nothing is raised inside it.
What is said on the screen, and the exit codes, belong to `console`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

from tuner_app.errors import Remedy, SearchInterrupted
from tuner_app.process import teardown

_AT_ONCE = f"Stopped at once. {Remedy.SEARCH_AGAIN} (without {Remedy.OVERWRITE}) to continue; what is finished is kept."


class StopRequest:
    """Whether someone asked to stop, and how.

    Args:
        then: Called when it is asked, also in the middle of a signal's handler: it must only set something.
    """

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self._event = threading.Event()
        self._then = then
        self.signal_number = 0

    def __bool__(self) -> bool:
        return self._event.is_set()

    def ask(self, signal_number: int = signal.SIGINT) -> None:
        """Ask to stop."""
        self.signal_number = self.signal_number or signal_number  # the exit code is that of the first one
        self._event.set()
        self._then()

    @contextlib.contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Listen to SIGINT and SIGTERM; only the main thread can, elsewhere nothing changes.

        A handler for SIGTERM that the program has set itself is left alone, and so is an ignored SIGINT: a shell
        ignores it for a job in the background, which the Ctrl-C for another job must not stop.
        """
        numbers = []
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            numbers.append(signal.SIGINT)
        if signal.getsignal(signal.SIGTERM) in (signal.SIG_DFL, _leave):
            numbers.append(signal.SIGTERM)
        with _handled(numbers, self._handle):
            yield self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # In the main thread, between two of its bytecodes: whatever is raised here may cut the bookkeeping in two.
        if self and number == signal.SIGINT:
            raise SearchInterrupted(_AT_ONCE, number)
        self.ask(number)


@contextlib.contextmanager
def obeyed_at_once(last_line: str) -> Iterator[None]:
    """For a command line: both signals raise `SearchInterrupted`, wherever the command is, but for a search.

    In the middle of an import they end the process instead: C code that imports turns such an exception into an
    `ImportError`, or loses it.

    Args:
        last_line: What the exception says, or the process before it ends.
    """
    numbers = [signal.SIGTERM] if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL else []
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        numbers.append(signal.SIGINT)
    with _handled(numbers, _leave), _screen.kept(last_line):
        yield


def leave_now(code: int, message: str = "") -> None:
    """End the process without waiting for anything, TensorFlow's threads included.

    Args:
        code: The exit code.
        message: A line for stderr.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            if stream.isatty():
                stream.write("\x1b[?25h")  # A live display hides the cursor.
    # Not sys.exit: Python cannot end in peace while threads are inside TensorFlow.
    teardown.end_process(code, message, _screen.descriptor)


class _Screen:
    """Standard error as it was when the command began: while TensorFlow loads it is held back. And its last line."""

    descriptor = 2
    last_line = ""

    @contextlib.contextmanager
    def kept(self, last_line: str) -> Iterator[None]:
        self.last_line = last_line
        try:
            self.descriptor = os.dup(2)
        except OSError:  # a process without stderr
            yield
            return
        try:
            yield
        finally:
            os.close(self.descriptor)
            self.descriptor = 2


_screen = _Screen()


def _leave(number: int, frame: FrameType | None) -> None:
    if _is_importing(frame):
        leave_now(128 + number, _screen.last_line)
    raise SearchInterrupted(_screen.last_line, number)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        # Python 3.11 to 3.13 call their import machinery so; it has no public name.
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


@contextlib.contextmanager
def _handled(numbers: Sequence[int], handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    # Python lets no other thread set a handler.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
