"""Empty panels to draw on: their sizes, margins, labels and the settings of matplotlib.

Owns how large a plot is and where its words go. It draws without pyplot, so a notebook's figures and settings stay as
they are, and without matplotlib's automatic layout, which would draw each figure twice to measure it.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tuner_app.analysis.ranking import Ranking
from tuner_app.records.text import shortened
from tuner_app.views.report.svg import INK, LINE, MUTED, PAPER
from tuner_app.views.report.wording import naming_parameters

WIDTH = 3.7  # inches: about a phone's page, so that text keeps its size there
CHARACTER = 0.075  # inches, one character of a tick label
RIGHT = 0.15  # inches, the margin at the right

_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",  # Text stays text: to be searched, copied, read aloud, and drawn in the page's font.
    "svg.hashsalt": "tuner_app",  # Ids come from this and not from chance: the same search, the same file.
    "text.parse_math": False,  # A value such as `$x^2$` is a text of the user's.
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-4, 5),
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.labelcolor": INK,
}


@contextlib.contextmanager
def settings_of_the_report() -> Iterator[None]:
    """Our settings of matplotlib and none of the user's, for as long as the context lasts."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        # Names in a script that matplotlib's font lacks are measured wrongly, and drawn well by the browser.
        warnings.simplefilter("ignore")
        matplotlib.rcdefaults()
        for name, value in _SETTINGS.items():
            matplotlib.rcParams[name] = value  # type: ignore[index, literal-required, unused-ignore]
        yield


def panels(
    rows: int,
    columns: int,
    *,
    per_panel: float,
    left: float = 0.72,
    bottom: float = 0.25,
    top: float = 0.12,
    between: float = 0.0,
) -> tuple[Figure, list[Axes]]:
    """A figure of empty panels, row by row; all sizes in inches.

    Args:
        rows: How many panels below each other.
        columns: How many side by side.
        per_panel: The height of each.
        left: The margin for the labels of the vertical axis.
        bottom: The margin for those of the horizontal axis.
        top: The margin for a title.
        between: The gap between rows.
    """
    height = top + bottom + rows * per_panel + (rows - 1) * between
    figure = Figure(figsize=(WIDTH, height))
    figure.patch.set_visible(False)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=columns == 1, sharey="row" if columns > 1 else False)
    figure.subplots_adjust(
        left=left / WIDTH,
        right=1 - RIGHT / WIDTH,
        bottom=bottom / height,
        top=1 - top / height,
        wspace=0.1,
        hspace=between / per_panel,
    )
    panel = (WIDTH - left - RIGHT) / columns
    for axes in grid.flat:
        # Labels at a fixed place: matplotlib would measure the tick labels first, in a font that the page does not use.
        axes.yaxis.set_label_coords(-(left - 0.18) / panel, 0.5)
        axes.xaxis.set_label_coords(0.5, -(bottom - 0.22) / per_panel)
    return figure, list(grid.flat)


def bars(ranking: Ranking, labels: Sequence[str]) -> tuple[Figure, Axes]:
    """One line for each candidate, named at its left; what the names consist of stands above them."""
    left = max(0.5, 0.15 + CHARACTER * max(len(label) for label in labels))
    figure, (axes,) = panels(1, 1, per_panel=0.25 * len(labels) + 0.1, left=left, bottom=0.5, top=0.3)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    names = shortened(", ".join(naming_parameters(ranking)), 54)
    axes.set_title(names, loc="left", x=0.15 / WIDTH - left / (WIDTH - left), fontsize=9, color=MUTED)
    axes.locator_params(axis="x", nbins=5)
    return figure, axes


def matrix(
    rows: Sequence[str], columns: Sequence[str], row_name: str, column_name: str, *, per_row: float
) -> tuple[Figure, Axes]:
    """An empty matrix with its labels, the first row on top; `per_row` in inches."""
    down, across = [shortened(label, 10) for label in rows], [shortened(label, 10) for label in columns]
    left = 0.45 + CHARACTER * max(len(label) for label in down)
    room = label_room(across, width=WIDTH - left - RIGHT)
    per_panel = min(8.0, max(0.8, per_row * len(rows)))
    figure, (axes,) = panels(1, 1, per_panel=per_panel, left=left, bottom=room + 0.25)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    tick_labels(axes, across, width=WIDTH - left - RIGHT)
    step = max(1, len(rows) // 25)
    axes.set_yticks(range(0, len(rows), step), down[::step])
    axes.set_xlabel(shortened(column_name, 40))
    axes.set_ylabel(shortened(row_name, max(6, int(per_panel / CHARACTER))))
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return figure, axes


def cell(axes: Axes, row: int, column: int, *, margin: float = 0.0, **style: Any) -> None:
    """One rectangle of a matrix, smaller by a margin on each side (in cells).

    Rectangles and not an image: an image would be a PNG inside the SVG, without colours of the page and tooltips.
    """
    side = 1 - 2 * margin
    axes.add_patch(Rectangle((column - 0.5 + margin, row - 0.5 + margin), side, side, **style))


def tick_labels(axes: Axes, labels: Sequence[str], *, width: float) -> None:
    """As many labels below an axis as are readable, upright where they are too long for its width in inches."""
    step = max(1, len(labels) // 20)
    rotation = 90 if _crowded(labels, width) else 0
    axes.set_xticks(range(0, len(labels), step), labels[::step], rotation=rotation)


def label_room(labels: Sequence[str], *, width: float) -> float:
    """The inches that `tick_labels` needs below an axis."""
    return 0.2 + CHARACTER * max(len(label) for label in labels) if _crowded(labels, width) else 0.28


def _crowded(labels: Sequence[str], width: float) -> bool:
    return len(labels) * (max(len(label) for label in labels) + 0.5) * CHARACTER > width


def boxed(axes: Axes, x: float, y: float, text: str) -> None:
    """A small text on a box that keeps lines behind it from crossing it."""
    box = {"boxstyle": "round,pad=0.15", "facecolor": PAPER, "edgecolor": "none", "alpha": 0.85}
    axes.text(x, y, text, ha="center", va="center", fontsize=8.5, bbox=box, zorder=5)


def readable_on(color: Sequence[float]) -> str:
    """Black or white, whichever contrasts more (WCAG 2, relative luminance)."""
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color[:3])
    return "#000000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "#ffffff"
