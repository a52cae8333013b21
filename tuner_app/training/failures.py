"""What becomes of an exception in a fit: a record's text, or the end of the search.

Owns which errors are no candidate's fault, and so are told at once instead of once per fit.
"""

from __future__ import annotations

import errno
import pathlib
import traceback
from collections.abc import Mapping
from typing import Any

import keras
from keras_tuner import errors as kt_errors

from tuner_app.compiled import model_fit
from tuner_app.errors import DataError, InputError, ProjectError
from tuner_app.storage.files import cannot_write
from tuner_app.training import fit_checks

# Errors that every other fit would have as well, and Keras Tuner's word for them.
OF_THE_SEARCH = (DataError, InputError, ProjectError, kt_errors.FatalError)

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


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


def own_traceback() -> str:
    """The traceback of the current exception from the user's code on, the same for every thread."""
    return traceback.format_exc()
