"""Pictures as PNG, drawn with Pillow, and when there is time to draw them.

Owns pixels, colours and fonts; what a picture shows is said by `matrices`.
"""

from __future__ import annotations

import dataclasses
import io
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tuner_app.views.tensorboard.matrices import Cell, Matrix

# TensorBoard keeps ten pictures of a tag by default: nine on the way, and the last one.
_DRAWINGS = 9
_SHARE_FOR_DRAWING = 0.02
# Before the first drawing nothing is measured; Pillow loads its font with it.
_FIRST_DRAWING_SECONDS = 0.1
# In pixels; the rows begin below the title and both axes' names.
_MARGIN = 12
_TOP = 78


class PictureBudget:
    """When to draw: evenly over the candidates, at most 9 times and a last one, in at most 2 % of the time passed."""

    def __init__(self, n_candidates: int) -> None:
        self.last_step = 0
        self._spacing = max(1, math.ceil(n_candidates / _DRAWINGS))
        self._seconds: list[float] = []
        self._begun = time.perf_counter()

    def is_due(self, step: int) -> bool:
        """Whether to draw now, with `step` candidates whole."""
        if step < self.last_step + self._spacing or len(self._seconds) >= _DRAWINGS:
            return False
        expected = sum(self._seconds) + (self._seconds[-1] if self._seconds else _FIRST_DRAWING_SECONDS)
        return expected <= _SHARE_FOR_DRAWING * (time.perf_counter() - self._begun)

    def record(self, step: int, seconds: float) -> None:
        """Count a drawing."""
        self.last_step = step
        self._seconds.append(seconds)


@dataclasses.dataclass(frozen=True)
class Picture:
    """A drawn picture.

    Attributes:
        width: In pixels.
        height: In pixels.
        png: The file's content.
    """

    width: int
    height: int
    png: bytes


def draw(matrix: Matrix) -> Picture:
    """Draw a picture.

    Args:
        matrix: Its content.
    """
    # Late: Pillow takes a while to load, and the first fits need not wait for it.
    from PIL import Image, ImageDraw, ImageFont

    large, small = ImageFont.load_default(15), ImageFont.load_default(12)
    layout = _Layout.of(matrix, large.getlength)
    image = Image.new("RGB", (layout.width, layout.height), "white")
    pen = ImageDraw.Draw(image)
    pen.text((_MARGIN, 10), matrix.title, fill="black", font=large)
    pen.text((layout.left, 33), matrix.column_title, fill="#555555", font=large)
    pen.text((_MARGIN, 56), matrix.row_title, fill="#555555", font=large)
    for j, label in enumerate(matrix.columns):
        pen.text((layout.left + layout.cell_width * (j + 0.5), 67), label, fill="black", font=large, anchor="mm")
    for i, label in enumerate(matrix.rows):
        y = _TOP + layout.cell_height * i
        pen.text((layout.left - 8, y + layout.cell_height / 2), label, fill="black", font=large, anchor="rm")
        for j, cell in enumerate(matrix.cells[i]):
            _draw_cell(pen, cell, layout, layout.left + layout.cell_width * j, y, (large, small))
    buffer = io.BytesIO()
    # A palette makes the file a third as large: its checksum, in pure Python, is most of the cost of writing it.
    image.quantize(64, method=Image.Quantize.FASTOCTREE).save(buffer, "PNG")
    return Picture(layout.width, layout.height, buffer.getvalue())


@dataclasses.dataclass(frozen=True)
class _Layout:
    """Where the cells of a picture lie, in pixels."""

    left: int
    cell_width: int
    cell_height: int
    width: int
    height: int

    @classmethod
    def of(cls, matrix: Matrix, length: Callable[[str], float]) -> _Layout:
        cells = [cell for row in matrix.cells for cell in row]
        # At least as wide as three digits, where all cells are empty.
        texts = [*matrix.columns, *(line for cell in cells for line in cell.text), "000"]
        cell_width = int(max(map(length, texts))) + 14
        cell_height = 14 + 18 * max(len(cell.text) for cell in cells)
        left = int(max(map(length, [matrix.row_title, *matrix.rows]))) + 2 * _MARGIN
        ends = (
            left + cell_width * len(matrix.columns),
            left + length(matrix.column_title),
            _MARGIN + length(matrix.title),
        )
        return cls(
            left, cell_width, cell_height, int(max(ends)) + _MARGIN, _TOP + cell_height * len(matrix.rows) + _MARGIN
        )


def _draw_cell(pen: Any, cell: Cell, layout: _Layout, x: int, y: int, fonts: tuple[Any, Any]) -> None:
    colour = _colour(cell.shade)
    # Two pixels stay white between cells; the frame is drawn inside the box.
    box = (x, y, x + layout.cell_width - 2, y + layout.cell_height - 2)
    pen.rectangle(box, fill=colour, outline="red" if cell.marked else colour, width=3)
    middle = y + layout.cell_height / 2 - 9 * (len(cell.text) - 1)
    for k, line in enumerate(cell.text):
        place = (x + layout.cell_width / 2 - 1, middle + 18 * k)
        pen.text(place, line, fill=_ink(colour), font=fonts[min(k, 1)], anchor="mm")


def _colour(shade: float | None) -> tuple[int, int, int]:
    """From dark blue over green to yellow, brighter with every step, so that it also reads in grey."""
    if shade is None:
        return (238, 238, 238)
    stops = np.array([[52, 30, 98], [48, 104, 142], [53, 183, 121], [253, 231, 37]])
    red, green, blue = (int(np.interp(shade * 3, range(4), channel)) for channel in stops.T)
    return (red, green, blue)


def _ink(colour: tuple[int, int, int]) -> str:
    red, green, blue = colour
    # The brightness as ITU-R BT.601 weighs it.
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 130 else "white"
