"""Copies of rows are known again as long as they are copies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.compiled_fits import LABELS, SECOND, X

from tuner_app.compiled.context import FitContext
from tuner_app.compiled.origins import Origins
from tuner_app.compiled.programs import ProgramCache
from tuner_app.folds.rows import Rows

ROWS = np.arange(5, 25)


def test_copies_are_known_however_they_are_nested() -> None:
    origins = Origins()
    first, second = origins.copies_of(Rows([X, SECOND], ROWS))
    assert (type(first), first.flags.writeable) == (np.ndarray, True)
    rows = origins.rows_behind({"a": second, "b": (first,)})
    assert rows is not None
    assert rows.index is ROWS
    assert rows.arrays["a"] is SECOND
    assert rows.arrays["b"][0] is X


CHANGES: dict[str, Callable[[Any], Any]] = {
    "computed": lambda copied: copied * 2,
    "sliced": lambda copied: copied[:10],
    "copied": lambda copied: copied.copy(),
    "in place": lambda copied: np.multiply(copied, 2, out=copied),
    "through a view": lambda copied: (np.negative(copied[3:], out=copied[3:]), copied)[1],
    "through asarray": lambda copied: (np.asarray(copied).fill(7), copied)[1],
    "shuffled": lambda copied: (np.random.default_rng(0).shuffle(copied), copied)[1],
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_other_array_is_one_of_its_own(change: str) -> None:
    context = FitContext(seed=0, cache=ProgramCache())
    changed = CHANGES[change](context.origins.copies_of(Rows(X, ROWS)))
    rows = context.rows(changed)
    assert rows is not None
    assert rows.arrays is not X
    np.testing.assert_array_equal(rows.copy(), changed)


def test_copies_of_other_rows_are_not_rows_of_one_whole() -> None:
    origins = Origins()
    x, y = origins.copies_of(Rows(X, ROWS)), origins.copies_of(Rows(LABELS, np.arange(20)))
    assert origins.rows_behind([x, y]) is None
    assert origins.rows_behind([]) is None
