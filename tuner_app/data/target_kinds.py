"""What a target is, decided: numbers or classes, and which classes.

Owns the decision between regression and classification and its messages. It needs what is known of the model's outputs
(`probe` looks at a model for that), never a model itself.

The decision, for each target: text and Booleans are classes. Numbers are classes where the model's loss is one of
classification; where the loss is not Keras's own, if the outputs look like it: a softmax, one sigmoid, or one output
for each class number. All other numbers are numbers, however few and whole they are.

Not scikit-learn's `type_of_target`: it looks at the values alone, so counts (0, 1, 2) of a regression are classes to
it, and so are rows of 1 and 5; and it refuses NaN and mixed columns in its own words.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tuner_app.data.labels import label_array
from tuner_app.data.targets import Target, listed
from tuner_app.errors import DataError, InputError
from tuner_app.folds.rows import arrays_in, map_arrays

Array = npt.NDArray[Any]

_MARGINS = frozenset({"hinge", "squared_hinge"})
_ONE_BY_ONE = frozenset({"binary_crossentropy", "binary_focal_crossentropy", *_MARGINS})
_ONE_HOT = frozenset({"categorical_crossentropy", "categorical_focal_crossentropy", "categorical_hinge"})
_BY_NUMBER = frozenset({"sparse_categorical_crossentropy", "categorical_generalized_cross_entropy"})
_CLASSIFICATION = _ONE_BY_ONE | _ONE_HOT | _BY_NUMBER


class OutputFacts(Protocol):
    """What is known of one output of a model before it is trained; `probe.OutputFacts` says what each means."""

    @property
    def shape(self) -> tuple[int | None, ...]: ...  # noqa: D102

    @property
    def loss(self) -> str | None: ...  # noqa: D102

    @property
    def from_logits(self) -> bool: ...  # noqa: D102

    @property
    def activation(self) -> str | None: ...  # noqa: D102


def describe(y: Any, outputs: Sequence[OutputFacts] | None = None) -> Any:
    """What a target is.

    Args:
        y: What `plain_target` gave.
        outputs: What is known of the model's outputs, one for each array of `y` in Keras's order (a dict's by their
            names, else by its sorted keys); None where nothing is known.

    Returns:
        A `Target`, or a list, tuple or dict of them as `y` is one, a dict in the order of the model's outputs.

    Raises:
        InputError: The labels cannot be learned by such a model.
    """
    arrays = arrays_in(y)
    facts_by_array = [None] * len(arrays) if outputs is None or len(outputs) != len(arrays) else list(outputs)
    if isinstance(y, Mapping):
        names = [getattr(facts, "name", None) for facts in facts_by_array]
        order = names if set(names) == set(y) else sorted(y)  # Keras flattens a dict of outputs by its sorted keys
        return {key: _describe_one(y[key], facts) for key, facts in zip(order, facts_by_array, strict=True)}
    remaining = iter(facts_by_array)
    return map_arrays(lambda values: _describe_one(values, next(remaining)), y)


def of_class_numbers(classes: Array, outputs: Sequence[OutputFacts] | None = None) -> Target:
    """A target that comes as class numbers, with its labels beside it.

    Args:
        classes: The labels by class number.
        outputs: As in `describe`.

    Raises:
        InputError: The labels cannot be learned by such a model.
    """
    facts = _Facts.of(outputs[0]) if outputs is not None and len(outputs) == 1 else _Facts()
    _check_can_be_told_apart(classes, facts)
    return _of_labels(classes, facts)


@dataclasses.dataclass(frozen=True)
class _Facts:
    """What is known of an output, and nothing more is asked of it."""

    width: int | None = None
    loss: str | None = None
    from_logits: bool = False
    activation: str | None = None

    @classmethod
    def of(cls, facts: OutputFacts) -> _Facts:
        width = facts.shape[-1] if facts.shape else 1
        return cls(width, facts.loss, facts.from_logits, facts.activation)

    @property
    def scale(self) -> str:
        if self.loss is not None and self.loss.endswith("hinge"):
            return "margins"
        return "logits" if self.from_logits else "probabilities"


def _describe_one(values: Array, facts: OutputFacts | None) -> Target:
    column = values.ndim == 2 and values.shape[1] == 1
    output = _Facts() if facts is None else _Facts.of(facts)
    if values.ndim == 1 or column:
        target = _of_column(values.reshape(len(values)), output)
    elif values.dtype.kind == "O":
        raise DataError(
            f"y must be one column of labels where it holds text. Received: text of shape {values.shape}. Give one "
            "column; for a model of several outputs a dict with one column for each; for several labels a row 0 and 1."
        )
    else:
        target = Target(kind=_kind_of_rows(values, output), width=output.width, scale=output.scale)
    return dataclasses.replace(target, column=column)


def _kind_of_rows(values: Array, facts: _Facts) -> str:
    """Several numbers a row: 0 and 1 for classes, or numbers."""
    # The loss is asked before the values: rows of a regression may be 0 and 1 by chance.
    if values.ndim != 2 or facts.width not in (None, values.shape[1]) or not ((values == 0) | (values == 1)).all():
        return "numbers"
    is_other = facts.loss is not None and facts.loss not in _ONE_BY_ONE | _ONE_HOT
    if (is_other and facts.activation != "softmax") or facts.loss in _MARGINS | _BY_NUMBER:
        return "numbers"
    one_by_one = facts.activation == "sigmoid" or (facts.loss in _ONE_BY_ONE and facts.activation != "softmax")
    if not one_by_one and (values.sum(axis=1) == 1).all():
        return "one-hot"
    return "multilabel" if one_by_one else "numbers"


def _of_column(values: Array, facts: _Facts) -> Target:
    if values.dtype.kind == "f" and not (values == np.floor(values)).all():  # measurements; NaN is refused elsewhere
        return Target(width=facts.width)
    labels = np.unique(values)
    if not _are_classes(labels, facts):
        return Target(width=facts.width)
    return _of_classes(labels, facts)


def _are_classes(labels: Array, facts: _Facts) -> bool:
    """Whether whole numbers, Booleans or text are classes."""
    if labels.dtype.kind in "Ob" or facts.loss in _CLASSIFICATION:
        return True
    if facts.loss is not None:  # Keras's own, of regression, or of another purpose such as the distance of embeddings
        return False
    if facts.width is None:
        return labels.dtype.kind in "iu" and _are_class_numbers(labels, len(labels))
    if facts.activation == ("sigmoid" if facts.width == 1 else "softmax"):
        return True
    # A loss of the user's own on whole numbers: one output for each of them.
    is_enough = _are_class_numbers(labels, facts.width) or len(labels) == facts.width
    return labels.dtype.kind in "iu" and facts.width > 1 and is_enough


def _are_class_numbers(labels: Array, n_classes: int) -> bool:
    return bool(labels[0] >= 0 and labels[-1] < n_classes)


def _of_classes(labels: Array, facts: _Facts) -> Target:
    if labels.dtype.kind != "O":
        unchanged = _classes_as_they_are(labels, facts)
        # Then nothing needs to be translated, and Keras sees what the user gave.
        if unchanged is not None:
            return dataclasses.replace(_of_labels(unchanged, facts), encoded=False)
        if facts.width is None and _kind(facts) == "multiclass":  # they may be the numbers of some of more classes
            return Target()
    _check_can_be_told_apart(labels, facts)
    return _of_labels(labels, facts)


def _of_labels(labels: Array, facts: _Facts) -> Target:
    """Labels of which a fit gets the numbers."""
    if facts.loss in _ONE_HOT:
        raise InputError(
            f"The loss {facts.loss} needs a row of 0 and 1 for each label. Received: y with the labels "
            f"{listed(labels.tolist())}. Compile with sparse_categorical_crossentropy, or give such rows as y."
        )
    classes = label_array(labels.tolist())
    return Target(kind=_kind(facts), classes=classes, encoded=True, width=facts.width, scale=facts.scale)


def _kind(facts: _Facts) -> str:
    is_single = facts.width == 1 or (facts.width is None and facts.loss in _ONE_BY_ONE)
    return "binary" if is_single else "multiclass"


def _classes_as_they_are(labels: Array, facts: _Facts) -> Array | None:
    """All classes where the labels are class numbers of such a model already, so that fits get them unchanged."""
    kind = _kind(facts)
    # Keras's hinge losses take -1 and 1 as they are (and turn 0 into -1).
    if kind == "binary" and facts.loss in _MARGINS and set(labels.tolist()) <= {-1, 1} and labels.dtype.kind != "b":
        return np.array([-1, 1]).astype(labels.dtype)
    n_classes = 2 if kind == "binary" or labels.dtype.kind == "b" else facts.width or len(labels)
    if not _are_class_numbers(labels.astype(np.float64), n_classes):
        return None
    return np.arange(n_classes).astype(np.int64 if labels.dtype.kind in "iu" else labels.dtype)


def _check_can_be_told_apart(labels: Array, facts: _Facts) -> None:
    count = len(labels)
    if facts.width is None:
        return
    if facts.width == 1 and count != 2:
        raise InputError(
            f"A model of one output tells two classes apart. Received: y with {count} ({listed(labels.tolist())}). "
            "Give the model an output for each class and sparse_categorical_crossentropy as its loss."
        )
    if count > facts.width > 1:
        raise InputError(
            f"A model needs an output for each class. Received: {facts.width} outputs and y with {count} classes "
            f"({listed(labels.tolist())}). Give the last layer {count} units."
        )
