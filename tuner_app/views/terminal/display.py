"""What stays below the lines on a terminal: a bar with the time left, the best candidate, and what runs now."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from tuner_app.views.terminal.lines import clock_text
from tuner_app.views.terminal.tally import Tally

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text


def standard_output() -> Console:
    """Plain text also in a notebook, where rich would make a block of HTML of each line.

    IPython sets FORCE_COLOR, which rich takes for a terminal; a display that moves the cursor would be repeated there.
    """
    from rich.console import Console

    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return Console(force_jupyter=False, force_terminal=None if is_terminal else False)


def bar(tally: Tally) -> Table:
    """The bar with how many fits are done, and the time."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    now = time.monotonic()
    left = tally.seconds_left(now)
    parts = [f"{tally.done}/{tally.total} fits"]
    if tally.errors:
        parts.append(f"{tally.errors.total()} failed")
    if left is not None:
        parts.append(f"about {clock_text(left)} left")
    parts.append(f"{clock_text(now - tally.began)} elapsed")
    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_row(ProgressBar(total=max(1, tally.total), completed=tally.done, width=24), one_line(", ".join(parts)))
    return row


def one_line(line: str) -> Text:
    """A line that is cut at the terminal's edge."""
    from rich.text import Text

    return Text(line, no_wrap=True, overflow="ellipsis")
