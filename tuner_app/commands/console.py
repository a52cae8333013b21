"""The one place where an error becomes a line on the screen and an exit code.

    0     done
    1     a TunerAppError, or out of memory: one line on stderr (and a fit's traceback, where all fits failed)
    2     argparse refused the command line
    130   Ctrl-C (128 + the number of the signal; 143 for SIGTERM)
    141   the reader of our output went away (`... | head`)

Anything else is a bug, and a bug shows its traceback.

The library's messages name Python's arguments; here, and nowhere else, they become the options of the commands.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NoReturn, TextIO

from tuner_app.errors import Remedy, SearchError, SearchInterrupted, TunerAppError
from tuner_app.process import collector, fit_threads, signals, teardown

_INTERRUPTED = 130
_BROKEN_PIPE = 141

# A remedy that needs a search names its command, since those that only read a project meet it too; all others have the
# option themselves.
IN_OPTIONS: Mapping[Remedy, str] = {
    Remedy.SEARCH_FIRST: "Run `python -m tuner_app.tune` first",
    Remedy.SEARCH_AGAIN: "Run the same command again",
    Remedy.SEARCH_ANEW: "Start over with `python -m tuner_app.tune --overwrite`",
    Remedy.WRITE_ANEW: "Run `python -m tuner_app.tune` again to write it anew",
    Remedy.OVERWRITE: "--overwrite",
    Remedy.ANOTHER_PROJECT: "another --project-name",
    Remedy.ANOTHER_FOLDER: "another --directory or --project-name",
    Remedy.ANOTHER_CV: "another --folds",
    Remedy.TARGET: "--target",
}
_LEAVING = f"Interrupted. {Remedy.SEARCH_AGAIN} (without {Remedy.OVERWRITE}) to continue; what is finished is kept."


def run_process(main: Callable[[Sequence[str] | None], int | None]) -> NoReturn:
    """Call a command's `main` in a process of its own, and end it with the exit code.

    Args:
        main: As for `run`.
    """
    # Both before TensorFlow is imported, and not in `run`, which tests and programs may call: whose process is it?
    leave_with = teardown.skipped()
    collector.pause()
    code = run(main)
    leave_with(code)
    sys.exit(code)


def run(main: Callable[[Sequence[str] | None], int | None], argv: Sequence[str] | None = None) -> int:
    """Call a command's `main` and answer with its exit code.

    Args:
        main: Takes the arguments, returns an exit code; None is 0.
        argv: The arguments without the program's name; None takes them from `sys.argv`.

    Returns:
        The exit code, for `sys.exit`.

    Raises:
        SystemExit: From argparse: 0 after `--help`, 2 for a command line that it refuses.
    """
    try:
        with signals.obeyed_at_once(in_options(_LEAVING)), _plain_warnings():
            code = main(argv)
            sys.stdout.flush()  # A broken pipe is met here, where it is caught, not when Python ends.
    except SearchError as error:  # Its first line says what failed; the fit's traceback below it stays in its lines.
        return _say(f"error: {error}", 1)
    except TunerAppError as error:
        return _fail(f"error: {error}", 1)
    except MemoryError as error:
        return _fail(f"error: Out of memory. {error} Close other programs, or take fewer rows or a smaller model.", 1)
    except SearchInterrupted as error:
        return _end(_fail(str(error), 128 + error.signal_number))
    except KeyboardInterrupt:
        return _end(_fail("Interrupted.", _INTERRUPTED))
    except BrokenPipeError:
        return _quiet_broken_pipe()
    return code or 0


def in_options(message: str) -> str:
    """A message of the library as a command says it. Only its first line: the rest is the traceback of a fit.

    >>> in_options("It is damaged. Start over with overwrite=True, or choose another project_name.")
    'It is damaged. Start over with --overwrite, or choose another --project-name.'
    """
    first, *rest = message.split("\n", 1)
    for remedy in sorted(Remedy, key=len, reverse=True):  # The longest first: some hold others.
        for words, options in ((str(remedy), IN_OPTIONS[remedy]), (_lower(remedy), _lower(IN_OPTIONS[remedy]))):
            first = first.replace(words, options)
    return "\n".join([first, *rest])


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


class InOptions(logging.Formatter):
    """What the library logs, as a command says it."""

    def format(self, record: logging.LogRecord) -> str:
        """The message alone, without level or time."""
        return in_options(super().format(record))


class StandardError(logging.StreamHandler[TextIO]):
    """Logs to standard error as it is at each message, not as it was when logging was set up.

    The live display puts a stream of its own in its place, which writes above the display; past it, a line would stand
    in the middle of the bar.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message."""
        self.stream = sys.stderr
        super().emit(record)


@contextlib.contextmanager
def _plain_warnings() -> Iterator[None]:
    """Warnings in the words of a command, without the line of our code that gave them."""
    python = warnings.formatwarning
    # How a warning is worded, not where it goes (`showwarning`): whoever collects warnings still gets them.
    warnings.formatwarning = lambda message, *place, **line: f"warning: {in_options(str(message)).rstrip()}\n"
    try:
        yield
    finally:
        warnings.formatwarning = python


def _end(code: int) -> int:
    """Python cannot end in peace while TensorFlow works in other threads: then the process ends here."""
    if fit_threads.is_training():
        signals.leave_now(code)
    return code


def _fail(message: str, code: int) -> int:
    return _say(" ".join(part.strip() for part in message.splitlines() if part.strip()), code)


def _say(message: str, code: int) -> int:
    # In one piece: another thread may write to the screen while it imports, and `print` writes an end by itself.
    print(f"{in_options(message).rstrip()}\n", end="", file=sys.stderr)
    return code


def _quiet_broken_pipe() -> int:
    """Send the rest of the output nowhere, or Python complains once more when it flushes at its end."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
    return _BROKEN_PIPE
