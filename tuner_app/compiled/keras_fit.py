"""Keras's own `fit`, where a call cannot run as programs.

Owns what a compiled fit would do by itself: the order of rows that the seed says, whatever other threads do; the check
after each epoch; the seconds of validation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import keras

from tuner_app.compiled.arrays import as_keras_array, with_text_tensors
from tuner_app.compiled.building import build_from_seed, is_built
from tuner_app.compiled.context import FitContext
from tuner_app.compiled.rows import Parts, batch_specs, is_in_memory, split_off, unwrapped
from tuner_app.folds.rows import map_arrays


def fit_by_keras(model: keras.Model, fit: Callable[..., Any], context: FitContext, options: dict[str, Any]) -> Any:
    """A history of Keras's own making.

    Args:
        model: The model.
        fit: Its `fit` as it was before `attach`.
        context: The context of its fit.
        options: The arguments of `Model.fit`, all of them.
    """
    options = _with_callback(options, _AfterEpoch(context))
    in_memory = all(is_in_memory(options[name]) for name in ("x", "y", "sample_weight"))
    # Keras hands a lone x to a step as it is, but a data set's batches as tuples.
    if not in_memory or options["y"] is None or options["x"] is None or options["steps_per_epoch"] is not None:
        return fit(**{name: unwrapped(value) for name, value in options.items()})
    train, validation = split_off(context.rows, options)
    if not is_built(model) and not model.run_eagerly:
        build_from_seed(model, batch_specs(train), context.seed)
    batch_size = int(options["batch_size"] or 32)
    rest = {name: options[name] for name in ("epochs", "verbose", "callbacks", "initial_epoch", "validation_freq")}
    if validation is not None:
        rest["validation_data"] = tuple(unwrapped(part) for part in validation if part is not None)
    else:
        rest["validation_data"] = unwrapped(options["validation_data"])
    # Keras would take 32 for arrays: it knows no batch size of ours.
    if is_in_memory(rest["validation_data"]):
        rest["validation_batch_size"] = options["validation_batch_size"] or batch_size
    batches = _RowBatches(train, context, batch_size=batch_size, shuffle=bool(options["shuffle"]))
    try:
        return fit(batches, shuffle=False, validation_steps=options["validation_steps"], **rest)
    finally:
        batches.let_go()


def _with_callback(options: dict[str, Any], callback: keras.callbacks.Callback) -> dict[str, Any]:
    callbacks = options["callbacks"]
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks.callbacks.append(callback)
        return options
    return {**options, "callbacks": [*callbacks, callback]}


class _RowBatches(keras.utils.PyDataset):
    """Batches of rows in the order in which a compiled fit takes them."""

    def __init__(self, parts: Parts, context: FitContext, *, batch_size: int, shuffle: bool) -> None:
        # In this fit's own thread: the order is drawn from its context.
        super().__init__(workers=1, use_multiprocessing=False)
        self._parts = [part for part in parts if part is not None]
        self._context, self._batch_size, self._shuffle = context, batch_size, shuffle
        self._order = parts[0].index

    def let_go(self) -> None:
        """Give up the data and the fit: `tf.data` never forgets the function that reads these batches."""
        # TensorFlow 2.21 ties it to the default graph of the process, and the fit's stages hold the model.
        self._parts = []
        del self._context

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch_size)

    # Keras 3.15 calls this before each epoch, the first included, and before it asks for a batch.
    def on_epoch_begin(self) -> None:
        self._order = self._context.order(self._parts[0].index, shuffle=self._shuffle)

    def __getitem__(self, number: int) -> Any:
        numbers = self._order[number * self._batch_size : (number + 1) * self._batch_size]
        return tuple(
            with_text_tensors(map_arrays(lambda array: as_keras_array(array[numbers]), part.arrays))
            for part in self._parts
        )


class _AfterEpoch(keras.callbacks.Callback):
    """Does in Keras's own fit what a compiled fit does by itself."""

    def __init__(self, context: FitContext) -> None:
        super().__init__()
        self._context = context
        self._began = 0.0

    def on_test_begin(self, logs: Any = None) -> None:
        self._began = time.perf_counter()

    def on_test_end(self, logs: Any = None) -> None:
        self._context.score_seconds += time.perf_counter() - self._began

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._context.check()
