"""In steps of how many rows a model is validated, and after which epochs.

Owns the one freedom that a program takes: larger steps than Keras's, where they cannot change the result but for
rounding.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import keras
import numpy as np

from tuner_app.compiled import private
from tuner_app.compiled.engine import shares_by
from tuner_app.compiled.signature import compiled_parts

# Validation in steps of this many rows, where the size of the step cannot change the result ...
LARGE_BATCH = 1024
# ... and the outputs of all layers together stay below this many numbers (128 MiB).
_LARGE_OUTPUTS = 2**25

# Losses that are a mean over rows, whatever the batch, unless their configuration says otherwise.
_ROW_LOSSES = frozenset(
    {
        keras.losses.mean_squared_error,
        keras.losses.mean_absolute_error,
        keras.losses.mean_absolute_percentage_error,
        keras.losses.mean_squared_logarithmic_error,
        keras.losses.log_cosh,
        keras.losses.huber,
        keras.losses.poisson,
        keras.losses.cosine_similarity,
        keras.losses.binary_crossentropy,
        keras.losses.binary_focal_crossentropy,
        keras.losses.categorical_crossentropy,
        keras.losses.categorical_focal_crossentropy,
        keras.losses.sparse_categorical_crossentropy,
        keras.losses.kl_divergence,
        keras.losses.hinge,
        keras.losses.squared_hinge,
        keras.losses.categorical_hinge,
    }
)
# Losses of a whole batch, which do not become means over rows as metrics either.
_BATCH_LOSSES = ("dice", "tversky", "circle", "ctc")


def evaluation_batch_size(model: keras.Model, batch_size: int, architecture: str | None, *, rule: int) -> int:
    """Rows per validation step: many, where that changes neither the result nor the order of memory's size.

    Args:
        model: A built and compiled model.
        batch_size: The rows of a training step.
        architecture: The model's signature; a model without one may do anything with a batch.
        rule: The number of the rule by which engines are chosen, see `engine.shares_by`.
    """
    if not shares_by(rule, model, architecture) or not _any_batch_size_scores_alike(model):
        return batch_size
    return max(batch_size, min(LARGE_BATCH, _LARGE_OUTPUTS // max(1, _outputs_per_row(model))))


def validates_after(epoch: int, frequency: int | Collection[int]) -> bool:
    """Whether `validation_freq`, every so many epochs or the numbers of some, has validation after an epoch.

    Args:
        epoch: From 0, as Keras counts.
        frequency: Every so many epochs, or the epochs from 1.
    """
    return (epoch + 1) % frequency == 0 if isinstance(frequency, int) else epoch + 1 in frequency


def _outputs_per_row(model: keras.Model) -> int:
    """How many numbers the layers put out for one row, all together; very many where a shape is open."""
    shapes = [shape[1:] for layer in private.layers_of(model) for shape in private.output_shapes_of(layer)]
    return sum(_LARGE_OUTPUTS if None in shape else int(np.prod(shape)) for shape in shapes)


def _any_batch_size_scores_alike(model: keras.Model) -> bool:
    """Whether validation gives the same, but for rounding, in steps of any size.

    It does where the loss is a mean over rows, metrics add rows up, and no layer ties the rows of a batch together: a
    mask makes a batch's loss a mean over what is not masked.
    """
    if len(model.outputs) != 1 or isinstance(model.loss, Mapping | list | tuple):
        return False  # Keras reports the loss of each output as a plain mean over batches.
    if any(_looks_at_batches(layer) for layer in private.layers_of(model)):
        return False
    parts = " ".join(str(part) for part in compiled_parts(model)).lower()
    return _is_mean_over_rows(model.loss) and not any(name in parts for name in _BATCH_LOSSES)


def _looks_at_batches(layer: Any) -> bool:
    names = ("activity_regularizer", "mask_zero", "stateful")
    return isinstance(layer, keras.layers.Masking) or any(bool(getattr(layer, name, None)) for name in names)


def _is_mean_over_rows(loss: Any) -> bool:
    resolved = keras.losses.get(loss)
    if not isinstance(resolved, keras.losses.Loss):
        return resolved in _ROW_LOSSES
    function, ignored = getattr(resolved, "fn", None), resolved.get_config().get("ignore_class")
    return function in _ROW_LOSSES and resolved.reduction == "sum_over_batch_size" and ignored is None
