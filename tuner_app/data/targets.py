"""What a target is: numbers or classes, the classes in their own form, and the way from a model's outputs back to them.

Owns the decision between regression and classification, the class numbers that fits get for labels, and the one reading
of outputs that `GridSearchCV.predict`, `Predictor` and the command line share. It needs what is known of the model's
outputs (`probe` looks at a model for that), never a model itself. NumPy only.

The decision, for each target: text and Booleans are classes. Numbers are classes where the model's loss is one of
classification; where the loss is not Keras's own, if the outputs look like it: a softmax, one sigmoid, or one output
for each class number. All other numbers are numbers, however few and whole they are.
"""

from __future__ import annotations

import dataclasses
import decimal
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tuner_app.data.labels import label_array
from tuner_app.errors import DataError, InputError
from tuner_app.folds.checks import as_arrays
from tuner_app.folds.rows import arrays_in, map_arrays

Array = npt.NDArray[Any]

_MARGINS = frozenset({"hinge", "squared_hinge"})
_ONE_BY_ONE = frozenset({"binary_crossentropy", "binary_focal_crossentropy", *_MARGINS})
_ONE_HOT = frozenset({"categorical_crossentropy", "categorical_focal_crossentropy", "categorical_hinge"})
_BY_NUMBER = frozenset({"sparse_categorical_crossentropy", "categorical_generalized_cross_entropy"})
_CLASSIFICATION = _ONE_BY_ONE | _ONE_HOT | _BY_NUMBER
KINDS = ("binary", "multiclass", "one-hot", "multilabel", "numbers")
SCALES = ("probabilities", "logits", "margins")


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


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Target:
    """One target of a model.

    Attributes:
        kind: `binary` (one output for two classes), `multiclass` (one output for each class), `one-hot` and
            `multilabel` (rows of 0 and 1), or `numbers`.
        classes: The labels in their own form (integers, floats, Booleans or text), by class number; None where
            the target names none.
        encoded: Whether a fit gets class numbers in place of the labels.
        column: Whether `y` came in the shape `(n_samples, 1)`; answers come back in it.
        width: How many outputs the model has; None where that is unknown.
        scale: What the outputs of a classifier are: `probabilities`, `logits`, or the `margins` of a hinge loss.
    """

    kind: str = "numbers"
    classes: Array | None = None
    encoded: bool = False
    column: bool = False
    width: int | None = None
    scale: str = "probabilities"

    @property
    def is_classification(self) -> bool:
        """Whether folds are stratified by it: each row belongs to one class."""
        return self.kind in ("binary", "multiclass", "one-hot")

    @property
    def counts_classes(self) -> bool:
        """Whether what a fit gets are class numbers, from 0 to one less than there are classes."""
        return self.classes is not None and (self.encoded or bool(self.classes[0] >= 0))

    def encode(self, values: Array) -> Array:
        """The target as a fit gets it.

        Args:
            values: Labels or numbers of shape `(n_samples, ...)`.

        Returns:
            Class numbers, int64, in the same shape; the values themselves where those need no numbers.
        """
        if not self.encoded or self.classes is None:
            return values
        number = {label: i for i, label in enumerate(self.classes.tolist())}
        codes = np.fromiter((number[label] for label in values.ravel().tolist()), dtype=np.int64, count=values.size)
        return codes.reshape(values.shape)

    def answers(self, outputs: Array) -> Array:
        """What the model says, in the form in which the target came.

        Args:
            outputs: Of shape `(n_samples, ...)`.

        Returns:
            Labels of shape `(n_samples,)`, or `(n_samples, 1)` where the target was such a column. Without classes the
            outputs, those of a single number per row in the shape of the target.
        """
        if self.classes is not None:
            labels: Array = self.classes[self.class_numbers(outputs)]
            return labels[:, None] if self.column and labels.ndim == 1 else labels
        is_column = self.kind == "numbers" and outputs.ndim == 2 and outputs.shape[1] == 1
        return outputs[:, 0] if is_column and not self.column else outputs

    def class_numbers(self, outputs: Array) -> npt.NDArray[np.intp]:
        """The class of each row: the largest output, or whether a single one lies above its threshold."""
        if self._is_single(outputs):
            threshold = 0.5 if self.scale == "probabilities" else 0.0
            return (outputs.reshape(len(outputs)) > threshold).astype(np.intp)
        largest: npt.NDArray[np.intp] = np.argmax(outputs[..., : self._n_classes(outputs)], axis=-1)
        return largest

    def probabilities(self, outputs: Array) -> Array:
        """Probabilities of the classes.

        Args:
            outputs: Of shape `(n_samples, ...)`.

        Returns:
            Of shape `(n_samples, n_classes)`.

        Raises:
            InputError: The outputs are not those of a classifier, or no probabilities can be had of them.
        """
        self.check_has_probabilities()
        if self._is_single(outputs):
            column = outputs.reshape(len(outputs), 1)
            column = _sigmoid(column) if self.scale == "logits" else column
            return np.concatenate([1 - column, column], axis=1)
        if self.scale == "logits":
            outputs = _sigmoid(outputs) if self.kind == "multilabel" else _softmax(outputs)
        return outputs[..., : self._n_classes(outputs)]

    def check_has_probabilities(self) -> None:
        """Refuse to take for probabilities what is none.

        Raises:
            InputError: The outputs are not those of a classifier, or no probabilities can be had of them.
        """
        if self.kind == "numbers":
            raise InputError("Probabilities need a classifier, but this model is a regression. Ask for predictions.")
        if self.scale == "margins":
            raise InputError("Probabilities need outputs that are some, but a hinge loss has margins. Ask for labels.")

    def _is_single(self, outputs: Array) -> bool:
        return self.kind in ("binary", "multiclass") and (outputs.ndim == 1 or outputs.shape[1:] == (1,))

    def _n_classes(self, outputs: Array) -> int:
        return int(outputs.shape[-1]) if self.classes is None else len(self.classes)


def plain_target(y: Any) -> Any:
    """A target as arrays of numbers, Booleans or text, in the same structure.

    An object column of floats is a column of floats, of integers one of integers, of Booleans one of Booleans, and
    anything else one of text (an object array of `str`, which keeps what NumPy's own type of text loses).

    Args:
        y: An array-like of shape `(n_samples, ...)`, or a list, tuple or dict of them.

    Raises:
        DataError: Something is no array, is empty, a label is missing, or dates are given.
    """
    return map_arrays(_plain_values, as_arrays(_with_text_as_objects(y), "y"))


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
    known = [None] * len(arrays) if outputs is None or len(outputs) != len(arrays) else list(outputs)
    if isinstance(y, Mapping):
        names = [getattr(facts, "name", None) for facts in known]
        order = names if set(names) == set(y) else sorted(y)  # Keras flattens a dict of outputs by its sorted keys
        return {key: _describe_one(y[key], facts) for key, facts in zip(order, known, strict=True)}
    remaining = iter(known)
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


def encode(target: Any, y: Any) -> Any:
    """A target as the fits get it, in the same structure."""
    return _in_pairs(lambda one, values: one.encode(values), target, y)


def answers(target: Any, outputs: Any) -> Any:
    """What a model's outputs say, in the structure of the outputs; outputs without a target stay as they are."""
    return _by_output(lambda one, values: one.answers(values), target, outputs)


def probabilities(target: Any, outputs: Any) -> Any:
    """Probabilities of the classes, in the structure of the outputs.

    Raises:
        InputError: An output is not that of a classifier.
    """
    return _by_output(lambda one, values: one.probabilities(values), target, outputs)


def stratification(target: Any, y: Any) -> Array | None:
    """The class of each row, by which folds are stratified; None where there is none, or several.

    Args:
        target: What `describe` gave.
        y: What `encode` gave.

    Returns:
        Shape `(n_samples,)`.
    """
    if not isinstance(target, Target) or not target.is_classification:
        return None
    values: Array = np.asarray(y)
    return values.argmax(axis=1) if target.kind == "one-hot" else values.reshape(len(values))


def class_weight(target: Any, weights: Any) -> Any:
    """Weights by label as weights by class number, which Keras wants.

    Class numbers stay what they are where the target is class numbers or names no classes, and beside text labels.

    Args:
        target: What `describe` gave.
        weights: The option `class_weight`: label to weight.

    Raises:
        InputError: It is no dict, or a key is no label.
    """
    if weights is not None and not isinstance(weights, Mapping):
        raise InputError(
            f"class_weight must be a dict of labels and their weights. Received: {weights!r}. For balanced ones see "
            "sklearn.utils.class_weight.compute_class_weight."
        )
    labels = target.classes if isinstance(target, Target) else None
    if labels is None or weights is None:
        return weights
    number = {label: i for i, label in enumerate(labels.tolist())}
    strange = [key for key in weights if key not in number]
    is_text = labels.dtype.kind in "OU"
    if is_text and len(strange) == len(weights) and all(_is_number_of(key, len(labels)) for key in strange):
        return weights
    if strange:
        raise InputError(
            f"The keys of class_weight must be labels of y ({_listed(labels.tolist())}). Received: {strange[0]!r}."
        )
    return {number[key]: weight for key, weight in weights.items()}


def to_json(target: Any) -> Any:
    """A target, or a structure of them, for a JSON file."""
    if isinstance(target, Mapping):
        return {"outputs": {key: to_json(one) for key, one in target.items()}}
    if isinstance(target, list | tuple):
        return {"outputs": [to_json(one) for one in target]}
    plain = dataclasses.asdict(target)
    return plain | {"classes": None if target.classes is None else target.classes.tolist()}


def description(target: Any) -> dict[str, Any]:
    """`to_json`, but without the classes of a single target: the files that hold this list them by themselves."""
    return {name: value for name, value in to_json(target).items() if name != "classes"}


def from_json(content: Any) -> Any:
    """A target, or a structure of them, from what `to_json` gave.

    Raises:
        ValueError: It is something else.
    """
    if not isinstance(content, Mapping):
        raise ValueError(f"{str(content)[:60]!r} is no object")
    if "outputs" in content:
        several = content["outputs"]
        if isinstance(several, Mapping):
            return {key: from_json(one) for key, one in several.items()}
        if isinstance(several, list):
            return [from_json(one) for one in several]
        raise ValueError("its outputs are no list and no object")
    for name, is_valid in _CHECKS.items():
        if name in content and not is_valid(content[name]):
            raise ValueError(f"its {name} is {str(content[name])[:60]}")
    fields = {name: content[name] for name in _CHECKS if name in content}
    classes = fields.get("classes")
    return Target(**fields | {"classes": None if classes is None else label_array(classes)})


def is_list_of_labels(value: Any) -> bool:
    """Whether a value of a JSON file lists different labels of one type."""
    kinds = {type(label) for label in value} if isinstance(value, list) else set()
    return len(kinds) == 1 and kinds <= {str, int, bool, float} and len(set(value)) == len(value)


# Values to arrays of one type ----------------------------------------------------------------------------------------


def _with_text_as_objects(y: Any) -> Any:
    """A list with text as an object array: NumPy would turn its missing values and numbers into text as well."""
    if not isinstance(y, list | tuple) or any(hasattr(item, "__array__") for item in y if not _is_scalar(item)):
        return y
    try:
        return np.array(y, dtype=object) if np.asarray(y).dtype.kind in "OUS" else y
    except ValueError:  # rows of different lengths, which `as_arrays` tells
        return y


def _is_scalar(item: Any) -> bool:
    return isinstance(item, np.generic | str | bytes | numbers.Number)


def _plain_values(values: Array) -> Array:
    if values.dtype.kind in "Mm":
        raise DataError(
            f"y must hold numbers or labels. Received: dates or times ({values.dtype}). "
            "Turn them into numbers, or into text if they are classes."
        )
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8").astype(object)
    if values.dtype.kind == "U":
        return values.astype(object)
    return _plain_objects(values) if values.dtype.kind == "O" else values


def _plain_objects(values: Array) -> Array:
    cells = values.ravel().tolist()
    present = [cell for cell in cells if not _is_missing(cell)]
    for dtype, kinds in ((bool, bool | np.bool_), (np.int64, numbers.Integral | np.bool_), (np.float64, _NUMBERS)):
        if all(isinstance(cell, kinds) for cell in present):
            if len(present) < len(cells):
                cells = [math.nan if _is_missing(cell) else float(cell) for cell in cells]
                dtype = np.float64
            try:
                return np.array(cells, dtype=dtype).reshape(values.shape)
            except OverflowError:  # whole numbers beyond 64 bits: names rather than numbers
                break
    per_row = values.size // len(values)
    text = [_text(cell, place // per_row) for place, cell in enumerate(cells)]
    return np.array(text, dtype=object).reshape(values.shape)


_NUMBERS = numbers.Real | decimal.Decimal | np.bool_


def _is_missing(cell: Any) -> bool:
    """None, NaN and pandas's own marks, of which the last two differ from themselves or refuse to be compared."""
    if cell is None:
        return True
    if isinstance(cell, str | bytes):
        return False
    try:
        return not bool(cell == cell)
    except (TypeError, ValueError):
        return type(cell).__name__ == "NAType"


def _text(cell: Any, row: int) -> str:
    if _is_missing(cell):
        raise DataError(
            f"y must hold a label in every row. Received: {cell!r} in row {row}. Remove such rows or label them."
        )
    if isinstance(cell, list | tuple | dict | set | np.ndarray):
        raise DataError(f"y must hold one label a row. Received: a {type(cell).__name__} in row {row}.")
    return cell.decode() if isinstance(cell, bytes) else str(cell)


# The decision --------------------------------------------------------------------------------------------------------


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
    known = _Facts() if facts is None else _Facts.of(facts)
    if values.ndim == 1 or column:
        target = _of_column(values.reshape(len(values)), known)
    elif values.dtype.kind == "O":
        raise DataError(
            f"y must be one column of labels where it holds text. Received: text of shape {values.shape}. Give one "
            "column; for a model of several outputs a dict with one column for each; for several labels a row 0 and 1."
        )
    else:
        target = Target(kind=_kind_of_rows(values, known), width=known.width, scale=known.scale)
    return dataclasses.replace(target, column=column)


def _kind_of_rows(values: Array, facts: _Facts) -> str:
    """Several numbers a row: 0 and 1 for classes, or numbers."""
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
        known = _classes_as_they_are(labels, facts)
        if known is not None:
            return dataclasses.replace(_of_labels(known, facts), encoded=False)
        if facts.width is None and _kind(facts) == "multiclass":  # they may be the numbers of some of more classes
            return Target()
    _check_can_be_told_apart(labels, facts)
    return _of_labels(labels, facts)


def _of_labels(labels: Array, facts: _Facts) -> Target:
    """Labels of which a fit gets the numbers."""
    if facts.loss in _ONE_HOT:
        raise InputError(
            f"The loss {facts.loss} needs a row of 0 and 1 for each label. Received: y with the labels "
            f"{_listed(labels.tolist())}. Compile with sparse_categorical_crossentropy, or give such rows as y."
        )
    classes = label_array(labels.tolist())
    return Target(kind=_kind(facts), classes=classes, encoded=True, width=facts.width, scale=facts.scale)


def _kind(facts: _Facts) -> str:
    is_single = facts.width == 1 or (facts.width is None and facts.loss in _ONE_BY_ONE)
    return "binary" if is_single else "multiclass"


def _classes_as_they_are(labels: Array, facts: _Facts) -> Array | None:
    """All classes where the labels are class numbers of such a model already, so that fits get them unchanged."""
    kind = _kind(facts)
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
            f"A model of one output tells two classes apart. Received: y with {count} ({_listed(labels.tolist())}). "
            "Give the model an output for each class and sparse_categorical_crossentropy as its loss."
        )
    if count > facts.width > 1:
        raise InputError(
            f"A model needs an output for each class. Received: {facts.width} outputs and y with {count} classes "
            f"({_listed(labels.tolist())}). Give the last layer {count} units."
        )


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "kind": lambda value: value in KINDS,
    "classes": lambda value: value is None or is_list_of_labels(value),
    "encoded": lambda value: isinstance(value, bool),
    "column": lambda value: isinstance(value, bool),
    "width": lambda value: value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0),
    "scale": lambda value: value in SCALES,
}


# Small things --------------------------------------------------------------------------------------------------------


def _in_pairs(function: Callable[[Target, Any], Any], target: Any, structure: Any) -> Any:
    if isinstance(target, Target):
        return function(target, structure)
    if isinstance(target, Mapping):
        return {key: _in_pairs(function, target[key], part) for key, part in structure.items()}
    return type(target)(_in_pairs(function, one, part) for one, part in zip(target, structure, strict=True))


def _by_output(function: Callable[[Target, Array], Any], target: Any, outputs: Any) -> Any:
    """Keras's outputs and the user's target may differ in structure: matched by key, else in the model's order."""
    if isinstance(target, Mapping) and isinstance(outputs, Mapping) and set(target) == set(outputs):
        return {key: function(target[key], values) for key, values in outputs.items()}
    every = _every(target)
    if len(every) != len(arrays_in(outputs)) or isinstance(outputs, Mapping):
        return outputs
    remaining = iter(every)
    return map_arrays(lambda values: function(next(remaining), values), outputs)


def _every(target: Any) -> list[Target]:
    parts = target.values() if isinstance(target, Mapping) else target
    return [target] if isinstance(target, Target) else [one for part in parts for one in _every(part)]


def _is_number_of(key: Any, n_classes: int) -> bool:
    return isinstance(key, numbers.Integral) and not isinstance(key, bool) and 0 <= int(key) < n_classes


def _listed(labels: Sequence[Any]) -> str:
    shown = ", ".join(repr(label)[:40] for label in labels[:5])
    return f"{shown}, ..." if len(labels) > 5 else shown


def _sigmoid(logits: Array) -> Array:
    return np.exp(-np.logaddexp(0, -logits))


def _softmax(logits: Array) -> Array:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))
