"""The errors that a user can meet, and nothing else.

    TunerAppError
    ├── InputError (ValueError)      an argument, an option or a data set that cannot work
    │   └── DataError                a table or an array: columns, types, shapes, missing values
    ├── ProjectError (RuntimeError)  a project's folder: another search, in use, damaged, not there yet
    └── SearchError (RuntimeError)   every candidate failed

    SearchInterrupted (KeyboardInterrupt)   Ctrl-C or SIGTERM: what is done is kept
    RefitFailedWarning (UserWarning)        the search is whole, but for the model of its best candidate

    Remedy                                  what to do, where that is an argument or a call

Every message says in one line what must hold, what came, and what to do. What came may be as long as it likes: it is
shortened here, for all messages.
"""

from __future__ import annotations

import enum
import re

# A text in quotes, and a word: paths, which one wants to copy, are let through.
_QUOTED = re.compile(r"""(?<![^\s(\[{=:])(?:'[^'\n]{160,}'|"[^"\n]{160,}")(?!\w)""")
_WORD = re.compile(r"\S{400,}")
_LONGEST_LINE = 2_000


class Remedy(enum.StrEnum):
    """What to do about an error, in Python's words.

    Messages that a command's user can meet have these in place of words of their own: `commands.console` says each of
    them in options, so none that is reworded or added can reach that user in Python.
    """

    SEARCH_FIRST = "Call search() first"
    SEARCH_AGAIN = "Call search() again"
    SEARCH_ANEW = "Search anew with overwrite=True"
    WRITE_ANEW = "Call search() again to write it anew"
    OVERWRITE = "overwrite=True"
    ANOTHER_PROJECT = "another project_name"
    ANOTHER_FOLDER = "another directory or project_name"
    ANOTHER_CV = "another cv"
    TARGET = "the argument target"


class TunerAppError(Exception):
    """Base class of the errors that this package raises on purpose.

    Args:
        message: What went wrong; its first line is shortened where it is long (the others are tracebacks).
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(readable(message))


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


class RefitFailedWarning(UserWarning):
    """The best candidate could not be trained on all rows: scores and table are there, a model is not."""


def readable(message: str) -> str:
    """A message with long names, and a first line that is longer than a screen, cut in their middle."""
    first, newline, rest = message.partition("\n")
    for long in (_QUOTED, _WORD):
        first = long.sub(lambda match: _without_middle(match[0], 100, 40), first)
    if len(first) > _LONGEST_LINE:
        first = _without_middle(first, _LONGEST_LINE // 2, _LONGEST_LINE // 4)
    return first + newline + rest


def _without_middle(text: str, head: int, tail: int) -> str:
    return f"{text[:head]}...{text[-tail:]}"
