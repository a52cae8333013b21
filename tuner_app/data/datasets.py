"""Data sets: built-in ones and CSV files, as arrays of the smallest type that holds their values.

Owns what a data set is and the built-in ones; `tables` reads files. Scaling belongs to the model (`models`), so that it
is learned from training rows only; folds belong to `folds`. No TensorFlow unless a built-in data set of Keras is asked
for.
"""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner_app.data.files import BUILT_IN, PACKED, abbreviated
from tuner_app.data.labels import class_numbers
from tuner_app.data.tables import check_unique, hint_at_missing_names, import_reader, read_names, read_table
from tuner_app.errors import DataError, Remedy

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Rows to learn from and, where there is one, a test part that a search never sees.

    Attributes:
        name: The default name of a project on these data.
        source: What was asked for: a built-in name or a path.
        x: Features, of shape (n_samples, n_features).
        y: Codes 0..k-1 into `classes`, int64, of shape (n_samples,).
        classes: The labels as they are in the data, sorted, of shape (k,): integers or text.
        x_test: Test features, or None.
        y_test: Test codes, or None.
        feature_names: The columns of `x`.
        image_shape: Rows and columns of a picture where a row of `x` is one; else None.
        input_scale: What to divide `x` by to get 0..1; None where the features are no pictures.
        target: The column that holds the labels in a CSV file.
    """

    name: str
    source: str
    x: Array
    y: npt.NDArray[np.int64]
    classes: Array
    x_test: Array | None = None
    y_test: npt.NDArray[np.int64] | None = None
    feature_names: tuple[str, ...] = ()
    image_shape: tuple[int, int] | None = None
    input_scale: float | None = None
    target: str | None = None


def load_dataset(source: str | os.PathLike[str], *, target: str = "label") -> Dataset:
    """A built-in data set by name, or a CSV file by path.

    `digits` is scikit-learn's 1,797 pictures of 8 x 8, of which a fixed, stratified fifth is the test part.
    `mnist` and `fashion_mnist` are Keras's, downloaded once, with their own test parts. A CSV file has no test part.

    Args:
        source: `digits`, `mnist`, `fashion_mnist` or a path.
        target: The column of the labels; all other columns are features.

    Returns:
        The data set.

    Raises:
        DataError: The source is not there or cannot be learned from.

    Example:
        >>> digits = load_dataset("digits")
        >>> digits.x.shape, digits.x_test.shape, digits.x.dtype.name
        ((1437, 64), (360, 64), 'uint8')
    """
    source = os.fspath(source)
    if source == "digits":
        return _digits()
    if source in BUILT_IN:
        return _keras_pictures(source)
    return _load_csv(source, target)


def _digits() -> Dataset:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    pixels, labels = digits.data.astype(np.uint8), digits.target.astype(np.int64)
    # A fixed part: random_state is part of the data set, not of a search.
    x, x_test, y, y_test = train_test_split(pixels, labels, test_size=0.2, random_state=0, stratify=labels)
    return Dataset(
        name="digits",
        source="digits",
        x=x,
        y=y,
        classes=digits.target_names.astype(np.int64),
        x_test=x_test,
        y_test=y_test,
        feature_names=tuple(digits.feature_names),
        image_shape=(8, 8),
        input_scale=16.0,
        target="label",
    )


def _keras_pictures(name: str) -> Dataset:
    from tuner_app.process.loading import import_tensorflow_quietly

    import_tensorflow_quietly()
    import keras

    try:
        (x, y), (x_test, y_test) = getattr(keras.datasets, name).load_data()
    except Exception as error:  # get_file raises a bare Exception
        raise DataError(_not_downloaded(name, error)) from None
    n_pixels = x.shape[1] * x.shape[2]
    return Dataset(
        name=name,
        source=name,
        x=x.reshape(len(x), n_pixels),
        y=y.astype(np.int64),
        classes=np.arange(10),
        x_test=x_test.reshape(len(x_test), n_pixels),
        y_test=y_test.astype(np.int64),
        feature_names=tuple(f"pixel{i}" for i in range(n_pixels)),
        image_shape=(x.shape[1], x.shape[2]),
        input_scale=255.0,
        target="label",
    )


def _not_downloaded(name: str, error: Exception) -> str:
    home = pathlib.Path(os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras") / "datasets"
    place = home / "mnist.npz" if name == "mnist" else f"{home / 'fashion-mnist'} (its four .gz files)"
    reason = " ".join(str(error).split())[:200]
    return f"The data set {name!r} must be downloaded once, but that failed ({reason}). Connect, or put it at {place}."


def begin_csv(source: str, *, target: str) -> None:
    """Refuse a CSV file by its first line alone, and import what reading the rest needs.

    Args:
        source: Its path.
        target: The column of the labels.

    Raises:
        DataError: The file is not there, or its names are not those of a table with this target.
    """
    _checked_names(source, target)
    import_reader()


def _load_csv(source: str, target: str) -> Dataset:
    names = _checked_names(source, target)
    table = read_table(source, names, {target})
    y, classes = class_numbers(source, table.text[target], target)
    # Kaggle's names of columns. Their values are 0..255, so 255 divides them, whatever the largest one in the file is.
    pictures = table.numbers.dtype == np.uint8 and all(re.fullmatch(r"pixel\d+", name) for name in table.names)
    return Dataset(
        name=_project_name(source),
        source=source,
        x=table.numbers,
        y=y,
        classes=classes,
        feature_names=tuple(table.names),
        image_shape=_square(len(table.names)) if pictures else None,
        input_scale=255.0 if pictures else None,
        target=target,
    )


def _project_name(source: str) -> str:
    """The file's stem with everything replaced that a project's name must not have."""
    path = pathlib.PurePath(source)
    # train.csv.gz has two suffixes to lose.
    stem = pathlib.PurePath(path.stem).stem if path.suffix in PACKED else path.stem
    return re.sub(r"[^A-Za-z0-9_.\- ]", "_", stem).lstrip(" .-")[:100].rstrip(" .") or "data"


def _square(n_pixels: int) -> tuple[int, int] | None:
    side = math.isqrt(n_pixels)
    return (side, side) if side * side == n_pixels else None


def _checked_names(path: str, target: str) -> list[str]:
    names = read_names(path)
    if target not in names:
        raise DataError(
            f"There must be a column {target!r} with the labels, but {path} has the columns {abbreviated(names)}. "
            f"Name it with {Remedy.TARGET}.{hint_at_missing_names(names)}"
        )
    check_unique(path, names)
    if len(names) == 1:
        raise DataError(f"There must be columns of features, but {path} has only the target column {target!r}.")
    return names
