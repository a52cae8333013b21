"""The threads that are at a fit: marked by those who run fits, looked at by those who would end the process.

Owns the mark. A thread's name says the same to whoever reads a stack dump, and nothing depends on it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

_GRACE_SECONDS = 0.2
# Adding, removing and copying are each one step under Python's lock, so no other lock is needed.
_at_a_fit: set[threading.Thread] = set()


@contextlib.contextmanager
def at_a_fit(name: str) -> Iterator[None]:
    """Mark this thread for as long as the block runs.

    Args:
        name: What the thread is called meanwhile.
    """
    thread = threading.current_thread()
    before, thread.name = thread.name, name
    _at_a_fit.add(thread)
    try:
        yield
    finally:
        _at_a_fit.discard(thread)
        thread.name = before


def threads_at_a_fit() -> set[threading.Thread]:
    """The threads that are at a fit now."""
    return _at_a_fit.copy()


def is_training() -> bool:
    """Whether fits run in their threads; those that are just ending do not count."""
    for thread in threads_at_a_fit():
        thread.join(_GRACE_SECONDS)
    return any(thread.is_alive() for thread in threads_at_a_fit())
