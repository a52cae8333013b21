"""Validation in large steps, only where that changes nothing but rounding."""

from __future__ import annotations

import keras
import pytest
from support.compiled_fits import (
    SAME_AS_KERAS,
    dense,
    in_new_thread,
    sequential,
)

from tuner_app.compiled.context import ENGINE_RULE
from tuner_app.compiled.signature import signature
from tuner_app.compiled.validation import LARGE_BATCH, evaluation_batch_size, validates_after

layers, callbacks, losses, optimizers = keras.layers, keras.callbacks, keras.losses, keras.optimizers


@pytest.mark.parametrize(
    ("kind", "large"),
    [
        *[(kind, True) for kind in ("dense", "sample weight", "l2", "dropout", "many metrics", "images")],
        *[(kind, False) for kind in ("list in, dict out", "own test_step", "own loss and metric", "tokens", "dice")],
        *[(kind, False) for kind in ("activity regularizer", "sums", "weighted means", "masked outputs")],
        ("own compute_metrics", False),
    ],
)
def test_validation_takes_large_batches_only_where_that_changes_nothing(kind: str, large: bool) -> None:
    model = in_new_thread(SAME_AS_KERAS[kind][0])
    assert validation_batch(model, 16) == (LARGE_BATCH if large else 16)


def validation_batch(model: keras.Model, batch_size: int) -> int:
    return evaluation_batch_size(model, batch_size, signature(model), rule=ENGINE_RULE)


def test_ignored_classes_and_metrics_of_whole_batches_forbid_large_batches() -> None:
    ignoring = dense(loss=losses.SparseCategoricalCrossentropy(ignore_class=0))
    assert validation_batch(ignoring, 16) == 16
    assert validation_batch(dense(metrics=["dice"]), 16) == 16
    assert validation_batch(dense(loss=losses.SparseCategoricalCrossentropy()), 16) == 1024


def test_large_outputs_make_validation_batches_smaller() -> None:
    model = sequential(keras.Input((256, 256, 3)), layers.Conv2D(16, 3, padding="same"), layers.GlobalMaxPool2D())
    assert validation_batch(model, 8) == 2**25 // (256 * 256 * (3 + 16) + 16)
    assert validation_batch(model, 64) == 64


def test_validation_comes_every_so_many_epochs_or_after_those_that_are_named() -> None:
    assert [validates_after(epoch, 2) for epoch in range(4)] == [False, True, False, True]
    assert [validates_after(epoch, [1, 4]) for epoch in range(4)] == [True, False, False, True]
