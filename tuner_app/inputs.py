"""What a search was given: the data, checked, and the fit options, as they are compared between two runs.

Owns the boundary of `GridSearchCV.search`: everything behind it works with checked NumPy arrays.
"""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np

from tuner_app import folds
from tuner_app.data import Dataset
from tuner_app.errors import InputError

# Beyond this many classes a confusion matrix is neither readable nor small.
MOST_CLASSES = 100


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class SearchData:
    """The training part of a search.

    Attributes:
        x: Features: an array of shape `(n_samples, ...)`, or a list, tuple or dict of them.
        y: Targets, likewise; text labels are class numbers here.
        sample_weight: Weights of shape `(n_samples,)`, or None.
        groups: Group labels of shape `(n_samples,)`, or None.
        classes: The class labels in the order of the class numbers; None where the targets are no classes.
        dataset: The data set that the arrays come from; None for a user's own arrays.
        rows: The number of rows.
    """

    x: Any
    y: Any
    sample_weight: Any
    groups: Any
    classes: Any
    dataset: Dataset | None
    rows: int

    @property
    def n_classes(self) -> int | None:
        """How many classes a confusion matrix has; None where there is none to draw."""
        found = 0 if self.classes is None else len(self.classes)
        return found if 2 <= found <= MOST_CLASSES else None

    @property
    def labels(self) -> list[Any] | None:
        """The class labels as plain integers or strings."""
        return None if self.classes is None else np.asarray(self.classes).tolist()

    def fingerprint(self) -> str:
        """Tells this data from other data."""
        return folds.fingerprint(self.x, self.y, self.sample_weight)

    def description(self) -> dict[str, Any]:
        """What `search.json` says about the data."""
        shapes = {"rows": self.rows, "shape": [list(array.shape) for array in folds.arrays_in(self.x)]}
        if self.dataset is None:
            return shapes
        picture = {"image_shape": list(self.dataset.image_shape)} if self.dataset.image_shape is not None else {}
        return {"source": self.dataset.source, "target": self.dataset.target, **picture, **shapes}


def check_data(x: Any, y: Any, *, groups: Any = None, sample_weight: Any = None) -> SearchData:
    """Check what `search` was given.

    Raises:
        InputError: `x` or `y` is missing, or `y` comes beside a `Dataset`.
        DataError: The arrays do not fit together or hold NaN.
    """
    dataset = x if isinstance(x, Dataset) else None
    if dataset is not None:
        if y is not None:
            raise InputError("y must not be given when x is a Dataset, which has its own. Leave y out.")
        x, y = dataset.x, dataset.y
    if x is None or y is None:
        raise InputError(f"search() needs x and y. Received: None for {'x' if x is None else 'y'}. Give both.")
    x, y = folds.as_arrays(x, "x"), folds.as_arrays(y, "y")
    sample_weight = None if sample_weight is None else folds.as_arrays(sample_weight, "sample_weight")
    groups = None if groups is None else folds.as_arrays(groups, "groups")
    rows = folds.check_same_rows(x=x, y=y, sample_weight=sample_weight, groups=groups)
    for name, structure in (("x", x), ("y", y), ("sample_weight", sample_weight)):
        folds.check_finite(structure, name)
    y, classes = _encoded(y)
    return SearchData(
        x=x,
        y=y,
        sample_weight=sample_weight,
        groups=groups,
        classes=np.asarray(dataset.classes) if dataset is not None else classes,
        dataset=dataset,
        rows=rows,
    )


def check_fit_options(options: Mapping[str, Any]) -> None:
    """Refuse options of `fit` that cannot go with folds.

    Raises:
        InputError: Validation data are given, or epochs or the batch size are no positive whole numbers.
    """
    for name in ("validation_data", "validation_split"):
        if options.get(name):
            raise InputError(f"{name} must not be given: the folds are the validation data. Leave it out.")
    for name in ("epochs", "batch_size"):
        value = options.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1):
            raise InputError(f"{name} must be a whole number from 1. Received: {value!r}.")


def plain(value: Any) -> Any:
    """A fit option as something that is the same in every run: JSON, or an object's name and plain settings."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return folds.fingerprint(value)
    if isinstance(value, np.generic):
        return value.item()
    attributes = getattr(value, "__dict__", {})
    settings = {name: item for name, item in attributes.items() if isinstance(item, str | int | float | bool)}
    return {type(value).__qualname__: settings}


def _encoded(y: Any) -> tuple[Any, Any]:
    """Text labels as class numbers; integers from 0 on without a gap are class numbers already."""
    if not isinstance(y, np.ndarray) or y.ndim != 1:
        return y, None
    if y.dtype.kind in "OUS":
        classes, codes = np.unique(y.astype(str), return_inverse=True)
        return codes.astype(np.int64), classes
    if y.dtype.kind in "iub":
        labels = np.unique(y)
        if labels[0] == 0 and labels[-1] == len(labels) - 1:
            return y, labels
    return y, None
