"""Standard error while TensorFlow is imported: held back below Python, and passed on without TensorFlow's log lines.

Owns file descriptor 2 for that time, and which lines are noise. It belongs to the whole process: what another thread
writes meanwhile is held back too, and passed on at the end of the import, or of the process.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator

_STDERR = 2
_NOISE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog\(\)"
    rb"|[IWE]\d{4} [\d:.]+\s+\d+ \S+\.cc:\d+\]"
    rb"|\d{4}-\d\d-\d\d [\d:.]+: [IWE] \S+\.cc:\d+\]"
    rb"|To enable the following instructions: .* rebuild TensorFlow"
)
# Re-entrant: a signal's handler may end the process in the middle of `pass_on_held`.
_lock = threading.RLock()


@contextlib.contextmanager
def stderr_without_noise() -> Iterator[None]:
    """Hold back what is written to file descriptor 2, and pass on all but TensorFlow's log lines.

    Works below Python, for C++ writes to the descriptor; therefore in notebooks and under pytest too.
    Where the block raises, every line is passed on. Only one thread at a time may be in such a block.
    """
    _flush()
    try:
        screen = os.dup(_STDERR)
    except OSError:  # a process without stderr, such as a desktop application
        yield
        return
    with contextlib.ExitStack() as at_the_end:
        at_the_end.callback(os.close, screen)
        file = at_the_end.enter_context(tempfile.TemporaryFile())
        held = _Held(file.fileno(), screen)
        _holding.append(held)
        os.dup2(file.fileno(), _STDERR)
        try:
            yield
        except BaseException:
            held.noise = None
            raise
        finally:
            # What Python has written is still in its own buffer, and belongs to what is held back.
            _flush()
            os.dup2(screen, _STDERR)
            with _lock:
                held.pass_on()
                _holding.remove(held)


def pass_on_held() -> None:
    """Pass on what is held back so far; what is written later still is. For a process that ends during the import."""
    with _lock:
        for held in _holding:
            _flush()
            held.pass_on()


class _Held:
    """What is held back in a file, and how much of it is passed on already."""

    def __init__(self, file: int, screen: int) -> None:
        self._file, self._screen = file, screen
        self._position = 0
        self.noise: re.Pattern[bytes] | None = _NOISE

    def pass_on(self) -> None:
        # Not by seek and read: the place in the file is shared with descriptor 2, where others go on writing.
        size = os.fstat(self._file).st_size
        lines = os.pread(self._file, size - self._position, self._position).splitlines(keepends=True)
        self._position = size
        for line in lines:
            if self.noise is None or not self.noise.match(line):
                os.write(self._screen, line)


_holding: list[_Held] = []


def _flush() -> None:
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sys.stderr.flush()
