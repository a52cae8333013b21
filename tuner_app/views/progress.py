"""What a search says on the screen while it runs, and its summary.

Owns the lines and the live display; the numbers come from `results`. On a terminal a bar with the time left, the
best candidate and what runs now stays below one line per finished fit; in a file, a pipe or a notebook there are
the lines alone. Text that came from the user is shown as it is, never read as markup.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tuner_app.errors import InputError, SearchError
from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.score import ScoreRule
from tuner_app.records.tables import best_of, mean_and_std, summary_lines
from tuner_app.search.observers import SearchObserver, SearchPlan
from tuner_app.storage.journal import group

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

_LONGEST_SUMMARY = 50
_SHORT_SUMMARY = 20
_MOST_RUNNING = 4
_REFRESHES_PER_SECOND = 2


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
        self._is_plain = not (self._console.is_terminal or self._console.is_jupyter or self._console.record)
        self._plan: SearchPlan | None = None
        self._live: Live | None = None

    def search_begun(self, plan: SearchPlan) -> None:
        """Say how much there is to do, and start the display."""
        self._stop_display()
        self._plan = plan
        self._tally = _Tally.of(plan)
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
        if self._plan is not None and (self._live is not None or self.verbosity > 1):
            head = f"{_fold_name(self._plan, fold, execution)} {values_text(values)}"
            self._tally.running[trial_id, fold, execution] = _Running(head, time.monotonic())
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
            self._tally.compare(candidate, self._plan.rule)

    def search_ended(self, candidates: Sequence[Candidate], *, table: Mapping[str, Any], interrupted: bool) -> None:
        """Take the display away and write the summary; after an interruption, the exception says how to go on."""
        self._stop_display()
        if self._plan is None:
            return
        plan, self._plan = self._plan, None
        for line in self._tally.failure_lines(plan.rule):
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
            line = line.encode(console.encoding, "backslashreplace").decode(console.encoding)
        if self._is_plain:  # rich would write the same, at many times the cost of a line.
            console.file.write(f"{line}\n")
            console.file.flush()
            return
        from rich.text import Text

        console.print(Text(line, style=style), soft_wrap=True)

    def _start_display(self) -> None:
        console = self._console
        if self.verbosity == 0 or not console.is_terminal or console.is_dumb_terminal or console.is_jupyter:
            return
        from rich.live import Live

        self._live = Live(
            get_renderable=self._render, console=console, refresh_per_second=_REFRESHES_PER_SECOND, transient=True
        )
        # A search that fails on its way never gets to `search_ended`; the cursor must come back all the same.
        atexit.register(self._stop_display)
        self._live.start()

    def _stop_display(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
            atexit.unregister(self._stop_display)

    def _render(self) -> RenderableType:
        """The display below the lines; called by rich's own thread too, so it changes nothing."""
        from rich.console import Group

        tally = self._tally
        lines = [] if tally.best is None else [f"best  {tally.best}"]
        running = list(tally.running.values())
        lines += [f"now   {fit.text}" for fit in running[:_MOST_RUNNING]]
        if len(running) > _MOST_RUNNING:
            lines.append(f"      and {len(running) - _MOST_RUNNING} more")
        return Group(_bar(tally), *map(_one_line, lines))


@dataclasses.dataclass(frozen=True)
class _Running:
    """A fit that runs: how it is shown, and since when."""

    text: str
    began: float


@dataclasses.dataclass
class _Tally:
    """What was counted and measured so far. Each event costs the same, however large the grid."""

    total: int
    fits_per_candidate: int
    n_jobs: int
    began: float
    done: int = 0
    seconds: float = 0.0
    best: str | None = None
    best_candidate: Candidate | None = None
    running: dict[tuple[str, int, int], _Running] = dataclasses.field(default_factory=dict)
    errors: Counter[str] = dataclasses.field(default_factory=Counter)
    begun: dict[str, tuple[int, float]] = dataclasses.field(default_factory=dict)
    begun_fits_left: int = 0
    begun_seconds_left: float = 0.0

    @classmethod
    def of(cls, plan: SearchPlan) -> _Tally:
        fits = plan.n_splits * plan.executions
        tally = cls(fits * plan.n_candidates, fits, max(1, plan.n_jobs), time.monotonic())
        for candidate in group(list(plan.finished)):
            for result in candidate.folds:
                tally.count(result)
            if len(candidate.folds) == fits:
                tally.compare(candidate, plan.rule)
        return tally

    def count(self, result: FoldResult) -> None:
        """A fit is over. What it compiled, the fits to come need not compile."""
        self.running.pop((result.trial_id, result.fold, result.execution), None)
        seconds = result.fit_seconds + result.score_seconds
        self.done += 1
        self.total = max(self.total, self.done)
        self.seconds += seconds
        if result.error is not None:
            self.errors[_last_line(result.error)] += 1
        self._expect(result.trial_id, seconds)

    def _expect(self, trial_id: str, seconds: float) -> None:
        """Replace what the candidate's other folds were expected to take."""
        fits, spent = self.begun.pop(trial_id, (0, 0.0))
        if fits:
            self.begun_fits_left -= self.fits_per_candidate - fits
            self.begun_seconds_left -= (self.fits_per_candidate - fits) * spent / fits
        fits, spent = fits + 1, spent + seconds
        if fits < self.fits_per_candidate:
            self.begun[trial_id] = (fits, spent)
            self.begun_fits_left += self.fits_per_candidate - fits
            self.begun_seconds_left += (self.fits_per_candidate - fits) * spent / fits

    def compare(self, candidate: Candidate, rule: ScoreRule) -> None:
        """A candidate is whole."""
        rivals = [candidate] if self.best_candidate is None else [self.best_candidate, candidate]
        if best_of(rivals, rule) is candidate:
            mean, std = mean_and_std(candidate, rule)
            self.best_candidate = candidate
            self.best = f"{mean:.6f} ({std:.6f}) with {values_text(candidate.values)}"

    def seconds_left(self, now: float) -> float | None:
        """The rest of a begun candidate costs what its own fits did, any other fit the mean of all."""
        if self.done == 0:
            return None
        mean = self.seconds / self.done
        fresh = max(0, self.total - self.done - self.begun_fits_left)
        running = sum(min(now - fit.began, mean) for fit in list(self.running.values()))
        return max(0.0, fresh * mean + self.begun_seconds_left - running) / self.n_jobs

    def failure_lines(self, rule: ScoreRule) -> list[str]:
        """One line about failed fits, none where all went well."""
        if not self.errors:
            return []
        error, count = self.errors.most_common(1)[0]
        return [
            f"{self.errors.total()} of {self.done} fits failed, {count} of them with {_printable(error)}. "
            f"Their score is {rule.error_score}."
        ]


def fold_line(result: FoldResult, plan: SearchPlan) -> str:
    """The line of a finished fit, as scikit-learn writes it.

    Args:
        result: The fit.
        plan: Its search. Where the score's epoch is known only when all folds are in (`epoch="best"`), the
            line says the score of the last epoch.
    """
    rule = plan.rule if plan.rule.epoch == "last" else dataclasses.replace(plan.rule, epoch="last")
    [score] = rule([result])
    label = "score" if plan.rule.epoch == "last" else "last-epoch score"
    head = f"{_fold_name(plan, result.fold, result.execution)} END {values_text(result.values)}"
    seconds = seconds_text(result.total_seconds)
    failure = "" if result.error is None else f" FAILED: {_printable(_last_line(result.error))}"
    return f"{head}; {label}={_number(score)} total time={seconds}{failure}"


def epoch_lines(result: FoldResult) -> list[str]:
    """Each epoch's metrics, one line an epoch."""
    epochs = max(map(len, result.history.values()), default=0)
    lines = []
    for i in range(epochs):
        present = {name: values[i] for name, values in result.history.items() if i < len(values)}
        unmeasured = {name for name, measured in result.measured_epochs.items() if i + 1 not in measured}
        numbers = [f"{name}={_number(value, 4)}" for name, value in present.items() if name not in unmeasured]
        lines.append(f"    epoch {i + 1}/{epochs}: {', '.join(numbers)}")
    return lines


def short_summary(table: Mapping[str, Any], plan: SearchPlan) -> list[str]:
    """The summary's lines: all candidates up to 50, else the best 20; none where no candidate has a score."""
    lines: list[str] = []
    with contextlib.suppress(SearchError):
        lines = summary_lines(table)
    more = len(table["params"]) - _SHORT_SUMMARY
    if len(table["params"]) <= _LONGEST_SUMMARY or not lines:
        return lines
    return [*lines[: _SHORT_SUMMARY + 1], f"... and {more} more candidates in {plan.project.results_file}"]


def values_text(values: Mapping[str, Any]) -> str:
    """Hyperparameters as `learning_rate=0.001, nodes=32`, on one line whatever they hold."""
    text = ", ".join([f"{name}={value}" for name, value in values.items()])
    if text.isprintable():
        return text
    return ", ".join(f"{_printable(name)}={_printable(str(value))}" for name, value in values.items())


def seconds_text(seconds: float) -> str:
    """A duration: `11.2s`, `2.5min` or `1.2h`."""
    if seconds < 100:
        return f"{seconds:.1f}s"
    return f"{seconds / 60:.1f}min" if seconds < 6000 else f"{seconds / 3600:.1f}h"


def _standard_output() -> Console:
    """Plain text also in a notebook, where rich would make a block of HTML of each line.

    IPython sets FORCE_COLOR, which rich takes for a terminal; a display that moves the cursor would be repeated there.
    """
    from rich.console import Console

    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return Console(force_jupyter=False, force_terminal=None if is_terminal else False)


def _bar(tally: _Tally) -> Table:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    now = time.monotonic()
    left = tally.seconds_left(now)
    parts = [f"{tally.done}/{tally.total} fits"]
    if tally.errors:
        parts.append(f"{tally.errors.total()} failed")
    if left is not None:
        parts.append(f"about {_clock(left)} left")
    parts.append(f"{_clock(now - tally.began)} elapsed")
    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_row(ProgressBar(total=max(1, tally.total), completed=tally.done, width=24), _one_line(", ".join(parts)))
    return row


def _one_line(line: str) -> Text:
    from rich.text import Text

    return Text(line, no_wrap=True, overflow="ellipsis")


def _fold_name(plan: SearchPlan, fold: int, execution: int) -> str:
    repetition = "" if plan.executions == 1 else f", execution {execution + 1}/{plan.executions}"
    return f"[CV {fold + 1}/{plan.n_splits}{repetition}]"


def _number(number: float, digits: int = 3) -> str:
    return f"{number:.{digits}g}" if 0 < abs(number) < 10**-digits else f"{number:.{digits}f}"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


def _last_line(error: str) -> str:
    return error.rstrip().rpartition("\n")[2].strip()


def _printable(text: str) -> str:
    return text if text.isprintable() else repr(text)[1:-1]
