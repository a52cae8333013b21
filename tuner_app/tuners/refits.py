"""Another candidate than the best one, trained on all rows when the search is over."""

from __future__ import annotations

import traceback

import keras

from tuner_app.errors import SearchError, TunerAppError
from tuner_app.execution.threads import ThreadExecutor
from tuner_app.records.tasks import FoldTask
from tuner_app.training.fitter import FoldFitter


def train_again(fitter: FoldFitter, task: FoldTask) -> keras.Model:
    """The model of a refit task, trained in a thread of its own as the folds were: Keras keeps settings by thread.

    Args:
        fitter: What has fitted the folds.
        task: Which candidate.

    Raises:
        SearchError: The training failed.
    """
    executor = ThreadExecutor(1)
    # A refit is no fold: there is nothing to journal.
    executor.start(fitter, lambda task, record, seconds: None)
    executor.submit(task)
    ended = None
    while ended is None:  # A bounded wait lets Ctrl-C through.
        ended = executor.wait(0.2)
    executor.close()
    error = ended.error
    if isinstance(error, Exception) and not isinstance(error, TunerAppError):
        trace = "".join(traceback.format_exception(error))
        raise SearchError(f"The refit of trial {task.trial_id} on all rows failed. Its traceback:\n{trace}") from error
    if error is not None:
        raise error
    return fitter.take_model(task.trial_id)
