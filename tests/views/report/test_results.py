"""The tables that repeat the search, and how they spell numbers."""

from __future__ import annotations

import pathlib

import pytest
from support.pages import page_of
from support.written_searches import ACCURACY, LOSS, nodes, write_search

pytestmark = pytest.mark.usefixtures("words_only")


def test_a_loss_is_said_as_it_is(tmp_path: pathlib.Path) -> None:
    project = write_search(tmp_path, nodes(32, 64), lambda v, k: v["nodes"] / 100, objectives=LOSS)
    page = page_of(project)
    assert "with a mean loss 0.3600" in page.text
    assert "loss (lower is better)" in page.text
    assert "-0.36" not in page.text
    assert "holds these scores negated" in page.text


def test_several_objectives_have_columns(tmp_path: pathlib.Path) -> None:
    page = page_of(write_search(tmp_path, nodes(32), lambda v, k: 0.75, objectives=ACCURACY + LOSS))
    assert "Mean accuracy - loss Standard deviation accuracy loss Fold 0" in page.text
    assert "0.500000 0.000000 0.750000 0.250000 0.500000" in page.text


def test_the_description_is_shown_whatever_it_holds(tmp_path: pathlib.Path) -> None:
    page = page_of(
        write_search(
            tmp_path, nodes(1), lambda v, k: 0.5, command_line=None, deep={"a": [{"b": [1, [2, None]]}, {}]}, empty=[]
        )
    )
    assert "a[0].b[0] 1 a[0].b[1] 2, None a[1] none" in page.text
    assert "empty none" in page.text


def test_more_folds_than_a_table_can_show(tmp_path: pathlib.Path) -> None:
    page = page_of(write_search(tmp_path, nodes(1, 2), lambda v, k: v["nodes"] + k / 100, n_splits=25))
    assert "Fold 0" not in page.text
    assert "is itself rough" not in page.text


def test_numbers_as_fine_as_their_spread(tmp_path: pathlib.Path) -> None:
    page = page_of(write_search(tmp_path, nodes(1, 2), lambda v, k: 0.00034 + (v["nodes"] + k) / 10**6))
    assert "with a mean accuracy 0.0003430" in page.text
