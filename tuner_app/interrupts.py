"""Ctrl-C and SIGTERM during a search: noted at once, acted upon between two steps.

The first signal asks the search to stop (running folds are dropped at their next epoch); a second Ctrl-C is immediate.
Bookkeeping is never cut in two, because nothing is raised inside it.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class StopRequest:
    """Whether someone asked to stop, and how."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.signal_number = 0

    def __bool__(self) -> bool:
        return self._event.is_set()

    def ask(self, signal_number: int = signal.SIGINT) -> None:
        """Ask to stop."""
        self.signal_number = self.signal_number or signal_number
        self._event.set()

    @contextlib.contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Listen to SIGINT and SIGTERM; only the main thread can, elsewhere nothing changes.

        A handler for SIGTERM that the program has set itself is left alone.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        numbers = [signal.SIGINT]
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            numbers.append(signal.SIGTERM)
        before = {number: signal.signal(number, self._handle) for number in numbers}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.ask(number)
