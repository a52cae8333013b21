"""The plots' words, and which plots a search gets."""

from __future__ import annotations

import pathlib

import pytest
from support.pages import page_of
from support.written_searches import TUTORIAL, grid_of, nodes, tutorial_score, write_search

from tuner_app.views.report import cards


@pytest.mark.usefixtures("words_only")
def test_executions_and_fits_without_history(tmp_path: pathlib.Path) -> None:
    own = {"history": {}, "scores": {"val_accuracy": 0.8}, "fit_seconds": 0.0, "score_seconds": 0.0}
    page = page_of(write_search(tmp_path, nodes(1, 2), lambda v, k: 0, executions=2, fold=lambda v, k: own))
    assert "12 fits" in page.text
    assert "Learning curves" not in page.text
    assert "Time spent" not in page.text
    assert "Confusion" not in page.text


@pytest.mark.usefixtures("words_only")
def test_what_is_too_large_to_draw(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "MOST_CELLS", 14)
    monkeypatch.setattr(cards, "MOST_CLASSES", 2)
    monkeypatch.setattr(cards, "MOST_POINTS", 10)
    matrix = [[3, 1, 0], [0, 4, 0], [2, 0, 9]]
    page = page_of(write_search(tmp_path, grid_of(TUTORIAL), tutorial_score, fold=lambda v, k: {"confusion": matrix}))
    labels = " ".join(str(svg["aria-label"]) for svg in page.all("svg"))
    assert "Effect of each hyperparameter" in labels
    assert "predicted class" not in labels
    assert "Most confused pairs" in page.text
    assert "The best 10 of 15." in page.text


def test_a_number_that_is_not_finite_in_the_history(tmp_path: pathlib.Path) -> None:
    diverged = {"history": {"val_accuracy": [0.5, 0.6], "loss": [float("inf"), float("nan")]}, "final_epoch": 2}
    page_of(write_search(tmp_path, nodes(1), lambda v, k: 0, fold=lambda v, k: diverged))
