"""Pictures inside the page."""

from __future__ import annotations

import base64
import io
import pathlib

import numpy as np
import pytest
from support.pages import page_of
from support.written_searches import nodes, write_search

from tuner_app.analysis.confusion import ConfusedPicture

pytestmark = pytest.mark.usefixtures("words_only")


def test_pictures(tmp_path: pathlib.Path) -> None:
    from PIL import Image

    grey = [[0, 4, 8], [16, 8, 0]]
    colour = np.zeros((2, 2, 3), dtype=np.uint8)
    colour[0, 0] = (255, 0, 51)
    project = write_search(tmp_path, nodes(1), lambda v, k: 0.5)
    page = page_of(project, [ConfusedPicture(grey, 3, "eight", 0.973), ConfusedPicture(colour, "a", "b", 1.0)])
    sources = [str(image["src"]).removeprefix("data:image/png;base64,") for image in page.all("img")]
    first, second = [np.asarray(Image.open(io.BytesIO(base64.b64decode(source)))) for source in sources]
    assert first.tolist() == [[0, 63, 127], [255, 127, 0]]
    assert second.tolist() == colour.tolist()
    assert "3 taken for eight, 97% sure" in page.text
