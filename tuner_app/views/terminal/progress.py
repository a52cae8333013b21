"""The observer that says on the screen how a search goes.

Owns which event leads to which line; the lines are worded by `lines` and `summary` from what `tally` counts, and what
stays below them on a terminal is drawn by `display`. rich is imported when a `Progress` is made: it loads slowly.
"""

from __future__ import annotations

import atexit
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tuner_app.errors import InputError
from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.text import values_line
from tuner_app.search.observers import SearchObserver, SearchPlan
from tuner_app.views.terminal.lines import epoch_lines, fold_line, fold_name
from tuner_app.views.terminal.summary import failure_lines, short_summary
from tuner_app.views.terminal.tally import RunningFit, Tally

if TYPE_CHECKING:
    from rich.console import Console

    from tuner_app.views.terminal.display import Display


class Progress(SearchObserver):
    """Shows a search on a terminal, or writes it line by line.

    Args:
        verbosity: 0 says nothing but how many fits failed, 1 (the default) a line per fit and the summary,
            2 also the starts and each epoch's metrics.
        console: Where to write; None is standard output, as plain lines where that is no terminal.

    Raises:
        InputError: `verbosity` is not 0, 1 or 2.
    """

    def __init__(self, *, verbosity: int = 1, console: Console | None = None) -> None:
        if verbosity not in (0, 1, 2):
            raise InputError(f"verbosity must be 0, 1 or 2. Received: {verbosity!r}. Use 1 for a line per fit.")
        self.verbosity = verbosity
        self._console = console or _standard_output()
        # A console that records is asked for its lines later, so that rich must have written them.
        self._is_plain = not (self._console.is_terminal or self._console.is_jupyter or self._console.record)
        self._plan: SearchPlan | None = None
        self._display: Display | None = None

    def search_begun(self, plan: SearchPlan) -> None:
        """Say how much there is to do, and start the display."""
        self._stop_display()  # Of a search before, which an error ended.
        self._plan = plan
        self._tally = Tally.of(plan)
        times = "" if plan.executions == 1 else f", {plan.executions} times each,"
        total = self._tally.total
        self._say(
            f"Fitting {plan.n_splits} folds{times} for each of {plan.n_candidates} candidates, totalling {total} fits"
        )
        if plan.finished:
            self._say(f"Resuming: {self._tally.done} of {total} fits were done before")
        self._start_display()

    def fold_begun(self, trial_id: str, values: Mapping[str, Any], fold: int, execution: int) -> None:
        """Show that a fit runs."""
        if self._plan is not None and (self._display is not None or self.verbosity > 1):
            # Words that nobody reads are not made: a search of tiny fits has thousands of starts a second.
            head = f"{fold_name(self._plan, fold, execution)} {values_line(values)}"
            self._tally.running[trial_id, fold, execution] = RunningFit(head, time.monotonic())
            self._say(head.replace("]", "] START", 1), level=2)

    def fold_ended(self, result: FoldResult) -> None:
        """Write the line of a finished fit."""
        if self._plan is None:
            return
        self._tally.count(result)
        if self.verbosity >= 1:
            self._say(fold_line(result, self._plan), style="red" if result.error else "")
        if self.verbosity >= 2:
            for line in epoch_lines(result):
                self._say(line, level=2)

    def candidate_ended(self, candidate: Candidate) -> None:
        """See whether the candidate is the best one."""
        if self._plan is not None:
            self._tally.compare(candidate)

    def search_ended(self, candidates: Sequence[Candidate], *, table: Mapping[str, Any], interrupted: bool) -> None:
        """Take the display away and write the summary; after an interruption, the exception says how to go on."""
        self._stop_display()  # First: the summary stays, the display does not.
        if self._plan is None:
            return
        plan, self._plan = self._plan, None
        for line in failure_lines(self._tally, plan.rule):
            self._say(line, level=0, style="yellow")
        if interrupted:
            return
        for line in short_summary(table, plan):
            self._say(line)

    def _say(self, line: str, *, level: int = 1, style: str = "") -> None:
        if self.verbosity < level:
            return
        console = self._console
        if not line.isascii():
            # A file or a pipe may be of an encoding that has not all characters; the search must not end for it.
            line = line.encode(console.encoding, "backslashreplace").decode(console.encoding)
        if self._is_plain:
            # rich would write the same, at many times the cost of a line. Flushed, so that `tail -f` shows it.
            console.file.write(f"{line}\n")
            console.file.flush()
            return
        from rich.text import Text

        # A `Text` is no markup; a soft wrap leaves the breaking of long lines to the terminal.
        console.print(Text(line, style=style), soft_wrap=True)

    def _start_display(self) -> None:
        console = self._console
        if self.verbosity == 0 or not console.is_terminal or console.is_dumb_terminal or console.is_jupyter:
            return
        from tuner_app.views.terminal.display import Display

        self._display = Display(self._tally, console)
        # A search that fails on its way never gets to `search_ended`; the cursor must come back all the same.
        atexit.register(self._stop_display)
        self._display.start()

    def _stop_display(self) -> None:
        if self._display is not None:
            self._display.stop()
            self._display = None
            atexit.unregister(self._stop_display)


def _standard_output() -> Console:
    """Standard output: a terminal, or plain lines also in a notebook, where rich would make HTML of each line."""
    from rich.console import Console

    # IPython sets FORCE_COLOR, which rich takes for a terminal; a display that moves the cursor is repeated there.
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return Console(force_jupyter=False, force_terminal=None if is_terminal else False)
