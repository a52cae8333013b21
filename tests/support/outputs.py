"""Targets seen by models that are told of by their outputs alone."""

from __future__ import annotations

import dataclasses
from typing import Any

from tuner_app.data import target_kinds, target_values, targets

SPARSE, BCE = "sparse_categorical_crossentropy", "binary_crossentropy"


@dataclasses.dataclass(frozen=True)
class Facts:
    """What `probe` tells of an output."""

    shape: tuple[int | None, ...]
    loss: str | None = None
    activation: str | None = None
    from_logits: bool = False
    name: str | None = None


TEN = Facts((10,), SPARSE, "softmax")
ONE = Facts((1,), BCE, "sigmoid")


def described(y: Any, *facts: Facts) -> Any:
    """What a target is for a model of such outputs."""
    return target_kinds.describe(target_values.plain_target(y), facts or None)


def encoded(y: Any, *facts: Facts) -> Any:
    """A target as a fit of such a model gets it."""
    values = target_values.plain_target(y)
    return targets.encode(target_kinds.describe(values, facts or None), values)
