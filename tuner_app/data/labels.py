"""Labels of a table's rows as class numbers.

Integers where each label is written as Python writes an integer (`7`, `-1`); if a single one is not (`01`, `1.0`,
`cat`), all stay text as written. `NA` and `None` are labels like any other; an empty cell is a missing label.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner_app.data import second_look
from tuner_app.data.files import short
from tuner_app.errors import DataError, Remedy

Array = npt.NDArray[Any]

# At most 18 digits: those that fit into 64 bits.
_INTEGER = re.compile(r"0|-?[1-9]\d{0,17}", re.ASCII)


def label_array(labels: Sequence[Any]) -> Array:
    """Labels as an array: text in NumPy's own type, except where that would lose NUL bytes at a label's end."""
    if any(isinstance(label, str) and label.endswith("\0") for label in labels):
        return np.array(labels, dtype=object)
    return np.array(labels)


def class_numbers(path: str, labels: Sequence[str], target: str) -> tuple[npt.NDArray[np.int64], Array]:
    """The rows' class numbers and the sorted classes that they point to.

    Args:
        path: The file that the labels come from, for messages.
        labels: A cell for each row.
        target: The column's name, for messages.

    Raises:
        DataError: A label is missing, there is only one class, or the labels are measurements.
    """
    different = set(labels)
    if any(not label.strip() for label in different):
        row = next(i for i, label in enumerate(labels) if not label.strip())
        raise DataError(
            f"Every row must have a label, but column {target!r} is empty in line {second_look.line_of(path, row)} of "
            f"{path}. Fill it or drop the row."
        )
    if len(different) < 2:
        raise DataError(
            f"There must be two classes or more, but column {target!r} of {path} holds only {short(labels[0])}. "
            f"Name the column of the labels with {Remedy.TARGET}."
        )
    _check_no_measurements(path, different, target)
    if all(_INTEGER.fullmatch(label) for label in different):
        ordered = sorted(different, key=int)
        classes: Array = np.array([int(label) for label in ordered], dtype=np.int64)
    else:
        ordered = sorted(different)
        classes = label_array(ordered)
    # Not scikit-learn's LabelEncoder: integers must not be sorted as the text that they came as.
    number = {label: i for i, label in enumerate(ordered)}
    return np.fromiter((number[label] for label in labels), dtype=np.int64, count=len(labels)), classes


def _check_no_measurements(path: str, labels: Collection[str], target: str) -> None:
    if not all(second_look.NUMBER.fullmatch(label) for label in labels):
        return
    decimals = sorted(label for label in labels if not second_look.INTEGER.fullmatch(label) and float(label) % 1 != 0)
    if decimals:
        raise DataError(
            f"Labels must be classes (integers or text), but column {target!r} of {path} holds measurements such as "
            f"{decimals[0]}. Only classification is supported: name the column of the classes with {Remedy.TARGET}."
        )
