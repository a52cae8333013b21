"""The one visit to the data that a search was given.

Owns the boundary of `GridSearchCV.search`: everything behind it works with checked NumPy arrays. `prepare` looks at
every array once. What the targets are can only be said of a model's outputs, so `with_target` follows when one has been
built.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tuner_app.data import features, target_kinds, target_values, targets
from tuner_app.data.datasets import Dataset
from tuner_app.errors import InputError
from tuner_app.folds.checks import as_arrays, check_finite, check_same_rows, is_array
from tuner_app.folds.rows import arrays_in, data_fingerprint

# Beyond this many classes a confusion matrix is neither readable nor small.
_MOST_CLASSES = 100
_UNDECIDED = targets.Target()


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class SearchData:
    """The training part of a search.

    Attributes:
        x: Features: an array of shape `(n_samples, ...)`, or a list, tuple or dict of them.
        y: Targets, likewise: as they came, and as the fits get them once `with_target` has seen the model's outputs.
        sample_weight: Weights of shape `(n_samples,)`, or None.
        groups: Group labels of shape `(n_samples,)`, or None.
        dataset: The data set that the arrays come from; None for a user's own arrays.
        rows: The number of rows.
        columns: The names of the columns of `x`, for several inputs a list or dict of them; None where they have none.
        label_column: The name of the column of `y`; None where it has none.
        target: What the targets are: a `targets.Target`, or a list, tuple or dict of them; numbers until the model was
            looked at.
    """

    x: Any
    y: Any
    sample_weight: Any
    groups: Any
    dataset: Dataset | None
    rows: int
    columns: Any = None
    label_column: str | None = None
    target: Any = _UNDECIDED

    @property
    def classes(self) -> Any:
        """The class labels by class number; None where the target is none of one class a row."""
        return self.target.classes if isinstance(self.target, targets.Target) else None

    @property
    def n_classes(self) -> int | None:
        """How many classes a confusion matrix has; None where there is none to draw."""
        counted = isinstance(self.target, targets.Target) and self.target.counts_classes
        count = len(self.classes) if counted else 0
        return count if 2 <= count <= _MOST_CLASSES else None

    @property
    def labels(self) -> list[Any] | None:
        """The class labels as plain numbers, Booleans or strings."""
        return None if self.classes is None else self.classes.tolist()

    def fingerprint(self) -> str:
        """Tells this data from other data; every byte is read for it, once."""
        return self._fingerprint

    # Kept past the frozen fields (in __dict__); `dataclasses.replace` makes a new object without it.
    @functools.cached_property
    def _fingerprint(self) -> str:
        return data_fingerprint(self.x, self.y, self.sample_weight)

    def description(self) -> dict[str, Any]:
        """What `search.json` says about the data."""
        shapes = {"rows": self.rows, "shape": [list(array.shape) for array in arrays_in(self.x)]}
        if self.dataset is None:
            return shapes
        picture = {"image_shape": list(self.dataset.image_shape)} if self.dataset.image_shape is not None else {}
        return {"source": self.dataset.source, "target": self.dataset.target, **picture, **shapes}


def prepare(x: Any, y: Any, *, groups: Any = None, sample_weight: Any = None) -> SearchData:
    """Check what `search` was given and make arrays of it.

    Args:
        x: Features, or a `Dataset`.
        y: Targets; None beside a `Dataset`.
        groups: Group labels, or None.
        sample_weight: Weights, or None.

    Returns:
        The data with `y` as it came; `with_target` goes on from there.

    Raises:
        InputError: `x` or `y` is missing, or `y` comes beside a `Dataset`.
        DataError: The arrays do not fit together, hold NaN, or lack a label.
    """
    dataset = x if isinstance(x, Dataset) else None
    if dataset is not None:
        if y is not None:
            raise InputError("y must not be given when x is a Dataset, which has its own. Leave y out.")
        x, y = dataset.x, dataset.y
    if x is None:
        raise InputError("search() needs x and y. Received: None for x. Give both.")
    # Names are asked for first: arrays have none.
    columns, label_column = (list(dataset.feature_names), dataset.target) if dataset else (_columns(x), _name(y))
    arrays = {"x": features.plain_features(x)}
    if y is None:  # after x: of a tf.data data set, which has y within, the message is about x
        raise InputError("search() needs x and y. Received: None for y. Give both.")
    arrays["y"] = target_values.plain_target(y)
    arrays["sample_weight"] = None if sample_weight is None else as_arrays(sample_weight, "sample_weight")
    groups = None if groups is None else as_arrays(groups, "groups")
    rows = check_same_rows(**arrays, groups=groups)
    for name, structure in arrays.items():
        check_finite(structure, name)
    return SearchData(
        **arrays,
        groups=groups,
        dataset=dataset,
        rows=rows,
        columns=columns or None,
        label_column=label_column,
    )


def with_target(data: SearchData, outputs: Sequence[target_kinds.OutputFacts] | None) -> SearchData:
    """The data with the target decided, and `y` as the fits get it.

    Args:
        data: What `prepare` gave.
        outputs: What is known of the model's outputs; None where nothing is.

    Raises:
        InputError: The labels cannot be learned by such a model.
    """
    # Its y is class numbers already, and `classes` says what they mean.
    if data.dataset is not None:
        return dataclasses.replace(
            data, target=target_kinds.of_class_numbers(np.asarray(data.dataset.classes), outputs)
        )
    target = target_kinds.describe(data.y, outputs)
    return dataclasses.replace(data, target=target, y=targets.encode(target, data.y))


def column_names(table: Any) -> list[str] | None:
    """The names of a table's columns; None where they are no table's, no text, or not different."""
    names = list(getattr(table, "columns", ()))
    is_named = all(isinstance(name, str) for name in names) and len(set(names)) == len(names)
    return names if names and is_named else None


def _columns(x: Any) -> Any:
    if isinstance(x, Mapping):
        return {key: _columns(part) for key, part in x.items()}
    if isinstance(x, list | tuple) and any(map(is_array, x)):
        return [_columns(part) for part in x]
    return column_names(x)


def _name(y: Any) -> str | None:
    """The name of a column, or of a table's only one."""
    names: list[Any] = column_names(y) or [getattr(y, "name", None)]
    return names[0] if len(names) == 1 and isinstance(names[0], str) else None
