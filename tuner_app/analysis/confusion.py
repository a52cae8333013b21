"""Which classes the best candidate takes for which, and pictures that a model got wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner_app.analysis.ranking import Ranking
from tuner_app.errors import InputError
from tuner_app.records.text import value_text
from tuner_app.storage.journal import SearchRecord


@dataclasses.dataclass(frozen=True)
class ConfusedPair:
    """Rows of one class taken for another.

    Attributes:
        true: The true class.
        predicted: The class that the model said.
        count: How many rows.
        share: Of the rows of the true class, from 0 to 1.
    """

    true: str
    predicted: str
    count: int
    share: float


@dataclasses.dataclass(frozen=True, eq=False)
class Confusion:
    """The validation rows of the best candidate by true class and predicted class, summed over its fits.

    Attributes:
        labels: The classes, `(n_classes,)`.
        counts: Rows by true class (row) and predicted class (column), `(n_classes, n_classes)`.
        shares: The same, each row divided by its sum.
        pairs: The most confused pairs, most frequent first.
        n_fits: How many fits are summed.
    """

    labels: tuple[str, ...]
    counts: npt.NDArray[np.int64]
    shares: npt.NDArray[np.float64]
    pairs: tuple[ConfusedPair, ...]
    n_fits: int


@dataclasses.dataclass(frozen=True, eq=False)
class ConfusedPicture:
    """A test picture that the refit model got wrong.

    Attributes:
        image: Grey levels `(height, width)` or colours `(height, width, 3)`, from 0 up; any brightness.
        true_label: What it is.
        predicted_label: What the model said.
        probability: How sure it was, from 0 to 1.

    Raises:
        InputError: The image has another shape or is empty.
    """

    image: npt.ArrayLike
    true_label: Any
    predicted_label: Any
    probability: float

    def __post_init__(self) -> None:
        shape = np.shape(self.image)
        if len(shape) not in (2, 3) or 0 in shape or (len(shape) == 3 and shape[2] != 3):
            raise InputError(
                f"A picture must have the shape (height, width) or (height, width, 3). Received: {shape}. "
                "Reshape the row to its image_shape first."
            )


def confusion_of(
    record: SearchRecord, ranking: Ranking, *, classes: Sequence[Any] | None = None, n_pairs: int = 10
) -> Confusion | None:
    """The confusion of the best candidate on the rows that its fits did not see.

    Args:
        record: The search.
        ranking: Its ranking.
        classes: The labels in the order of the model's outputs; None or a wrong number: 0, 1, 2, ...
        n_pairs: How many of the most confused pairs to list.

    Returns:
        None where no fit counted its classes.
    """
    best = ranking.best
    fits = [fold.confusion for c in record.finished if best and c.trial_id == best.trial_id for fold in c.folds]
    matrices = [np.asarray(matrix, dtype=np.int64) for matrix in fits if matrix]
    # A fit of one's own may count other classes in each fold; such matrices have no sum.
    if not matrices or any(matrix.shape != matrices[0].shape for matrix in matrices):
        return None
    counts: npt.NDArray[np.int64] = np.sum(matrices, axis=0)
    named = classes is not None and len(classes) == len(counts)
    labels = tuple(value_text(label) for label in (classes if named and classes is not None else range(len(counts))))
    # A class may have no row in the validation parts: its shares are 0, not 0 / 0.
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    return Confusion(labels, counts, shares, _pairs(labels, counts, shares)[:n_pairs], len(matrices))


def _pairs(
    labels: Sequence[str], counts: npt.NDArray[np.int64], shares: npt.NDArray[np.float64]
) -> tuple[ConfusedPair, ...]:
    wrong = [(int(i), int(j)) for i, j in zip(*np.nonzero(counts), strict=True) if i != j]
    # The pair itself comes last, so that equals stand in the same order in each report.
    wrong.sort(key=lambda pair: (-counts[pair], -shares[pair], pair))
    return tuple(ConfusedPair(labels[i], labels[j], int(counts[i, j]), float(shares[i, j])) for i, j in wrong)
