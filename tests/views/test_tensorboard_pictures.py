"""How the pictures are drawn, and how often."""

from __future__ import annotations

import io
import pathlib

import numpy as np
import pytest
from PIL import Image
from support.played_searches import candidates, plan_for
from support.tensorboard_reader import Reader

from tuner_app.views.tensorboard.matrices import Cell, Matrix
from tuner_app.views.tensorboard.observer import TensorBoardLogs
from tuner_app.views.tensorboard.pictures import draw


def test_pictures_are_few_and_wait_until_they_are_cheap(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]

    def tick() -> float:
        clock[0] += 0.001
        return clock[0]

    monkeypatch.setattr("tuner_app.views.tensorboard.pictures.time.perf_counter", tick)
    space = {"learning_rate": list(range(20)), "nodes": list(range(5))}
    whole = candidates(space, n_splits=1)
    for seconds_each, drawings in ((0.0, 1), (60.0, 9)):
        folder = tmp_path / str(seconds_each)
        logs = TensorBoardLogs(max_candidates=0)
        logs.search_begun(plan_for(folder, len(whole), space=space, n_splits=1))
        for candidate in whole:
            clock[0] += seconds_each
            logs.candidate_ended(candidate)
        logs.search_ended(whole, table={}, interrupted=False)
        steps = Reader(folder).steps("digits", "heat_map")
        assert len(steps) == drawings
        assert steps == sorted(set(steps))
        assert steps[-1] == 100


def test_a_picture_has_colours_and_ink_in_its_cells() -> None:
    matrix = Matrix(
        "t", "r", "c", ("1",), ("1", "2"), ((Cell(0.0, ("0.5", "(0.1)")), Cell(1.0, ("0.9", "(0.1)"), True)),)
    )
    picture = draw(matrix)
    image = Image.open(io.BytesIO(picture.png)).convert("RGB")
    assert image.size == (picture.width, picture.height)
    pixels = np.asarray(image, dtype=int).reshape(-1, 3)
    for colour in ((52, 30, 98), (253, 231, 37), (255, 0, 0), (255, 255, 255), (0, 0, 0)):
        assert np.abs(pixels - colour).sum(axis=1).min() < 24
