"""Targets: the classes in their own form, and the way from labels to class numbers and from outputs back to labels.

Owns the one reading of a model's outputs that `GridSearchCV.predict`, `Predictor` and the command line share, and how a
target is written to JSON. What a target is, is decided in `target_kinds`. NumPy and scikit-learn only.
"""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner_app.data.labels import label_array
from tuner_app.errors import InputError
from tuner_app.folds.rows import arrays_in, map_arrays

Array = npt.NDArray[Any]

KINDS = ("binary", "multiclass", "one-hot", "multilabel", "numbers")
SCALES = ("probabilities", "logits", "margins")


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
        from sklearn.preprocessing import LabelEncoder

        # Its order is the one of `classes`, which np.unique has sorted.
        codes: Array = LabelEncoder().fit(self.classes).transform(values.ravel())
        return codes.astype(np.int64, copy=False).reshape(values.shape)

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
            # Above and not at the threshold, as Keras's BinaryAccuracy counts.
            threshold = 0.5 if self.scale == "probabilities" else 0.0
            return (outputs.reshape(len(outputs)) > threshold).astype(np.intp)
        # A model may have more outputs than there were labels; only those that have one can be the answer.
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
            f"The keys of class_weight must be labels of y ({listed(labels.tolist())}). Received: {strange[0]!r}."
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
    # What later versions add is left out, what earlier ones lack has its default.
    fields = {name: content[name] for name in _CHECKS if name in content}
    classes = fields.get("classes")
    return Target(**fields | {"classes": None if classes is None else label_array(classes)})


def is_list_of_labels(value: Any) -> bool:
    """Whether a value of a JSON file lists different labels of one type."""
    kinds = {type(label) for label in value} if isinstance(value, list) else set()
    return len(kinds) == 1 and kinds <= {str, int, bool, float} and len(set(value)) == len(value)


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


def listed(labels: Sequence[Any]) -> str:
    """The first five labels, for a message."""
    shown = ", ".join(repr(label)[:40] for label in labels[:5])
    return f"{shown}, ..." if len(labels) > 5 else shown


# Both in forms that do not overflow for large logits, whatever NumPy is told to do about that.
def _sigmoid(logits: Array) -> Array:
    return np.exp(-np.logaddexp(0, -logits))


def _softmax(logits: Array) -> Array:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))
