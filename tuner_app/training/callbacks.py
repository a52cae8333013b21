"""The callbacks of one fit.

Owns where a fit's callbacks write, and which it has: its own copies of the user's, then those by which a subclass of
the tuner is called. What becomes of them in a refit is the business of `compiled`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import keras

from tuner_app.compiled.model_fit import FitContext
from tuner_app.records.tasks import FoldTask
from tuner_app.training.hooks import FitHooks


def own_folder(task: FoldTask, folder: str) -> str:
    """A task's own folder within one that a callback of the user's writes to."""
    part = "refit" if task.is_refit else f"fold_{task.fold}"
    name = part if task.execution == 0 else f"{part}_execution_{task.execution}"
    return os.path.join(folder, task.trial_id, name)


def fit_callbacks(task: FoldTask, copied: list[Any], context: FitContext, hooks: FitHooks | None) -> list[Any]:
    """What `HyperModel.fit` gets as `callbacks`.

    Args:
        task: The fit.
        copied: This fit's copies of the user's callbacks; they are made to write to its own places.
        context: Knows which callbacks can run, and moves their paths.
        hooks: What a subclass of the tuner adds. Its refits never call it: their trial has ended.
    """
    # What cannot run in a refit goes first, so that it makes no folder.
    callbacks = context.stages.able(copied)
    context.paths.move(callbacks)
    return callbacks if hooks is None or task.is_refit else [*callbacks, *hooks.callbacks(task.trial_id)]


def close_files(callbacks: Sequence[Any]) -> None:
    """Close what a fit has left open that did not come to its end: Keras tells callbacks of no such thing.

    Args:
        callbacks: Those of the fit.
    """
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.CSVLogger):
            # Keras 3.15 opens it when the training begins, which it may never have done.
            file = getattr(callback, "csv_file", None)
            if file is not None:
                file.close()
