"""The errors that a user can meet, and nothing else.

    TunerAppError
    ├── InputError (ValueError)      an argument, an option or a data set that cannot work
    │   └── DataError                a table or an array: columns, types, shapes, missing values
    ├── ProjectError (RuntimeError)  a project's folder: another search, in use, damaged, not there yet
    └── SearchError (RuntimeError)   every candidate failed

    SearchInterrupted (KeyboardInterrupt)   Ctrl-C or SIGTERM: what is done is kept

Every message says in one line what must hold, what came, and what to do.
"""

from __future__ import annotations


class TunerAppError(Exception):
    """Base class of the errors that this package raises on purpose."""


class InputError(TunerAppError, ValueError):
    """An argument or an option has a value that cannot work."""


class DataError(InputError):
    """A data set cannot be used as it is."""


class ProjectError(TunerAppError, RuntimeError):
    """A project's folder cannot be used for what was asked."""


class SearchError(TunerAppError, RuntimeError):
    """A search ended without a single usable candidate."""


class SearchInterrupted(KeyboardInterrupt):
    """A search was stopped by Ctrl-C or SIGTERM; finished folds are on disk.

    Attributes:
        signal_number: The signal that asked to stop (2 for Ctrl-C, 15 for SIGTERM).
    """

    def __init__(self, message: str, signal_number: int = 2) -> None:
        super().__init__(message)
        self.signal_number = signal_number
