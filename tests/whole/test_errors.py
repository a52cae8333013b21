"""Messages stay readable however long a name, a value or a list is."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tuner_app.data.datasets import load_dataset
from tuner_app.data.fit_options import check_fit_options
from tuner_app.errors import DataError, InputError, SearchError, TunerAppError, readable
from tuner_app.folds.splits import make_splits
from tuner_app.storage.project import Project

NAMES = {"letters": "n" * 3000, "words": "a name " * 430, "quotes": "it's " * 600}


def _column(folder: Path, name: str) -> None:
    (folder / "data.csv").write_text(f'"{name}",label\n1,x\nred,y\n')
    load_dataset(folder / "data.csv")


def _target(folder: Path, name: str) -> None:
    (folder / "data.csv").write_text("a,b\n1,2\n")
    load_dataset(folder / "data.csv", target=name)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize(
    "refused",
    [
        _column,
        _target,
        Project,
        lambda folder, name: make_splits(name, np.ones((9, 1)), np.ones(9)),
        lambda folder, name: check_fit_options({"epochs": name}),
    ],
)
def test_a_long_name_is_shortened_wherever_it_comes_from(
    tmp_path: Path, refused: Callable[[Path, str], Any], name: str
) -> None:
    with pytest.raises(InputError) as refusal:
        refused(tmp_path, name)
    message = str(refusal.value)
    assert len(message) < 600
    assert name[:50] in message
    assert "..." in message


def test_a_long_list_is_cut_and_what_to_do_is_kept() -> None:
    with pytest.raises(
        InputError, match=r"cv must be able to split 9 rows\. Received: .*\.\.\..*which says: "
    ) as refusal:
        make_splits([(list(range(5000)), ["a"])], np.ones((9, 1)), np.ones(9))
    assert len(str(refusal.value)) < 2_000


@pytest.mark.parametrize(
    "message",
    [
        "",
        "short",
        f"{'/folder' * 50}/file.csv is not there. Call search() first.",
        "Keras's own " + "words and " * 30 + "the user's 'a' and 'b' are kept.",
        "All fits failed. 3 of them with:\n" + "x" * 5000,
    ],
)
def test_what_is_no_long_name_stays(message: str) -> None:
    assert readable(message) == message
    assert str(SearchError(message)) == message


def test_shortened_once_and_no_more() -> None:
    error = DataError(f"There is no column {'n' * 3000!r}.")
    assert str(error) == f"There is no column '{'n' * 99}...{'n' * 39}'."
    assert str(pickle.loads(pickle.dumps(error))) == str(error) == readable(str(error))
    assert isinstance(error, TunerAppError)
