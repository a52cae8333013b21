"""The confusion of the best candidate, and pictures."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest
from support.written_searches import TUTORIAL, grid_of, nodes, record_of, tutorial_score

from tuner_app.analysis.confusion import ConfusedPicture, Confusion, confusion_of
from tuner_app.analysis.ranking import ranking_of
from tuner_app.errors import InputError

MATRIX = ((8, 2, 0), (1, 9, 0), (0, 5, 5))


def confusion(directory: pathlib.Path, **options: Any) -> Confusion | None:
    matrices = {1: [[1, 1, 1]] * 3, 2: [list(row) for row in MATRIX]}
    record = record_of(
        directory, nodes(1, 2), lambda v, k: v["nodes"] / 10, fold=lambda v, k: {"confusion": matrices[v["nodes"]]}
    )
    return confusion_of(record, ranking_of(record), **options)


def test_the_best_candidates_folds_are_summed(tmp_path: pathlib.Path) -> None:
    matrix = confusion(tmp_path, classes=["cat", "dog", 3])
    assert matrix is not None
    assert matrix.counts.tolist() == [[24, 6, 0], [3, 27, 0], [0, 15, 15]]
    assert matrix.shares[0] == pytest.approx([0.8, 0.2, 0])
    assert (matrix.labels, matrix.n_fits) == (("cat", "dog", "3"), 3)
    assert [(p.true, p.predicted, p.count) for p in matrix.pairs] == [
        ("3", "dog", 15),
        ("cat", "dog", 6),
        ("dog", "cat", 3),
    ]
    assert matrix.pairs[0].share == pytest.approx(0.5)


def test_labels_that_do_not_fit_are_numbered(tmp_path: pathlib.Path) -> None:
    matrix = confusion(tmp_path, classes=["cat"], n_pairs=1)
    assert matrix is not None
    assert matrix.labels == ("0", "1", "2")
    assert len(matrix.pairs) == 1


def test_none_where_nothing_was_counted(tmp_path: pathlib.Path) -> None:
    record = record_of(tmp_path, grid_of(TUTORIAL), tutorial_score)
    assert confusion_of(record, ranking_of(record)) is None


def test_a_class_without_rows(tmp_path: pathlib.Path) -> None:
    record = record_of(tmp_path, nodes(1), lambda v, k: 0.5, fold=lambda v, k: {"confusion": [[3, 1], [0, 0]]})
    matrix = confusion_of(record, ranking_of(record))
    assert matrix is not None
    assert matrix.shares.tolist() == [[0.75, 0.25], [0, 0]]


@pytest.mark.parametrize("image", [[], [1, 2], np.zeros((2, 0)), np.zeros((4, 4, 2)), np.zeros((1, 2, 3, 4))])
def test_a_picture_must_have_a_shape(image: Any) -> None:
    with pytest.raises(InputError, match=r"shape \(height, width\) or \(height, width, 3\)\. Received: \("):
        ConfusedPicture(image, 3, 8, 0.9)
