"""What stays below the lines on a terminal: a bar with the time left, the best candidate, and what runs now.

Imported only where there is a terminal: rich's live display takes a while to load.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column
from rich.text import Text

from tuner_app.views.terminal.tally import Tally

_MOST_RUNNING = 4
_REFRESHES_PER_SECOND = 2
_BAR_WIDTH = 24


class Display(Progress):
    """rich's progress display with the lines of a search below its bar.

    The times are text of ours: rich's column of the time left knows one speed for all fits, where `Tally` knows how
    much more a large candidate takes than a small one, and its column of the time elapsed stops with the last fit, when
    the refit begins.

    Args:
        tally: Read each time that the display is drawn; never changed.
        console: A terminal.
    """

    def __init__(self, tally: Tally, console: Console) -> None:
        self._tally = tally  # First: rich asks for the lines while it is made, without a bar yet.
        super().__init__(
            # The bar alone may shrink: on a narrow terminal the numbers are worth more.
            BarColumn(_BAR_WIDTH),
            MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=len(f"{tally.total}/{tally.total}"))),
            TextColumn("{task.description}", markup=False),
            console=console,
            refresh_per_second=_REFRESHES_PER_SECOND,
            transient=True,
            # What comes from elsewhere stands above the bar, but `2>file` still goes to the file.
            redirect_stderr=sys.stderr is not None and sys.stderr.isatty(),
        )
        self.add_task("fits", total=tally.total)

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bar and the lines below it.

        Drawn by rich's own thread twice a second, and by the main thread whenever it writes a line: so the bar is
        brought up to date here, not at each event.
        """
        tally = self._tally
        for bar in self.task_ids:
            self.update(bar, completed=tally.done, total=tally.total, description=_state(tally))
        yield from super().get_renderables()
        if tally.best is not None:
            yield _one_line(f"best  {tally.best}")
        running = list(tally.running.values())  # In one step: the main thread begins and ends fits meanwhile.
        for fit in running[:_MOST_RUNNING]:
            yield _one_line(f"now   {fit.text}")
        if len(running) > _MOST_RUNNING:
            yield _one_line(f"      and {len(running) - _MOST_RUNNING} more")


def _state(tally: Tally) -> str:
    now = time.monotonic()
    parts = ["fits"]
    if tally.errors:
        parts.append(f"{tally.errors.total()} failed")
    seconds_left = tally.seconds_left(now)
    # With the last fit nothing is left but the refit, of which nobody knows how long it takes.
    if seconds_left is not None and tally.done < tally.total:
        parts.append(f"about {_clock(seconds_left)} left")
    parts.append(f"{_clock(now - tally.began)} elapsed")
    return ", ".join(parts)


def _clock(seconds: float) -> str:
    """As on a clock, like rich's own columns.

    >>> _clock(3723.4)
    '1:02:03'
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


def _one_line(line: str) -> Text:
    return Text(line, no_wrap=True, overflow="ellipsis")
