"""What becomes of an exception in a fit: a record's text, or the end of the search.

Owns which errors are no candidate's fault, and so are told at once instead of once per fit.
"""

from __future__ import annotations

import errno
import pathlib
import sys
import traceback
import types
from collections.abc import Mapping
from typing import Any

import keras
from keras_tuner import errors as kt_errors

from tuner_app.compiled import model_fit
from tuner_app.errors import DataError, InputError, ProjectError
from tuner_app.process.packages import KERAS, KERAS_TUNER, OWN, TENSORFLOW
from tuner_app.storage.files import cannot_write
from tuner_app.training import fit_checks

# Errors that every other fit would have as well, and Keras Tuner's word for them.
OF_THE_SEARCH = (DataError, InputError, ProjectError, kt_errors.FatalError)

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

# The packages whose code may stand in a traceback above the user's first line.
_BETWEEN_SEARCH_AND_USER = frozenset(
    {OWN, KERAS, KERAS_TUNER, TENSORFLOW, "numpy", "optree", "h5py", *sys.stdlib_module_names}
)


def raise_if_of_the_search(error: Exception, fit_options: Mapping[str, Any]) -> None:
    """Raise in other words what ends the search: an option that `model.fit` does not have, a full disk.

    Args:
        error: What a fit has raised.
        fit_options: What the user gave `search` beyond the data.

    Raises:
        InputError: The user has given an option that `model.fit` does not have.
        ProjectError: The disk is full.
    """
    if isinstance(error, model_fit.UnknownOptionError) and error.option in fit_options:
        fit_checks.check_option_names([error.option], keras.Model.fit, "model.fit")
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        raise ProjectError(cannot_write(pathlib.Path(error.filename or "a file of this fit"), error)) from error


def is_final(error: Exception) -> bool:
    """Whether another attempt would end alike, by Keras Tuner's own error for it."""
    return isinstance(error, kt_errors.FailedTrialError)


def own_traceback(error: BaseException) -> str:
    """The traceback of an error from the user's code on, so that the same error of many fits reads the same.

    Args:
        error: The error. What it was raised from is told as well, each from the user's code on; whole where no code of
            the user's took part.
    """
    report = traceback.TracebackException.from_exception(error)
    _cut_outer_frames(report, error)
    return "".join(report.format())


def _cut_outer_frames(report: traceback.TracebackException, error: BaseException) -> None:
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    outer = next((number for number, frame in enumerate(frames) if _is_the_users(frame)), 0)
    # The chain is cut as well: an error that code of ours has caught in between begins there, not in the user's code.
    report.stack = traceback.StackSummary.from_list(report.stack[outer:])
    for earlier, its_report in ((error.__cause__, report.__cause__), (error.__context__, report.__context__)):
        if earlier is not None and its_report is not None:
            _cut_outer_frames(its_report, earlier)


def _is_the_users(frame: types.FrameType) -> bool:
    # By module, not by file: TensorFlow's autograph runs a user's function from a file of its own making.
    return str(frame.f_globals.get("__name__")).split(".")[0] not in _BETWEEN_SEARCH_AND_USER
