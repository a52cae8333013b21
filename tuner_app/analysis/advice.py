"""What a report advises, in the language of who made the search: options of `tune`, or Python.

Owns how far a search has come (finished, running or stopped) and the words for what to do next. Which values to try
next is computed by `edges`, the page belongs to `report`.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence

from tuner_app.analysis.edges import EdgeWarning
from tuner_app.analysis.effects import Effect
from tuner_app.analysis.space import candidates_expected
from tuner_app.records.text import value_text
from tuner_app.storage.journal import SearchRecord

TUNE = "tune.py"
"""How a search begins its `command_line` that was made by `python -m tuner_app.tune`: with the file of that module."""

OPTIONS = {"nodes": "--nodes", "learning_rate": "--learning-rates"}
"""The option of `tune` for each hyperparameter that it has one for."""


@dataclasses.dataclass(frozen=True)
class Standing:
    """How far a search has come.

    Attributes:
        finished: The candidates of which every fold is done.
        expected: The candidates of the whole search; None where `search.json` does not say.
        begun: The candidates of which some folds are done.
        is_running: Whether a search is at work on the project now.
    """

    finished: int
    expected: int | None
    begun: int
    is_running: bool

    @classmethod
    def of(cls, record: SearchRecord) -> Standing:
        """The standing of a search on disk; whether it runs is seen by its lock."""
        finished = len(record.finished)
        begun = len(record.candidates) - finished
        return cls(finished, candidates_expected(record), begun, record.project.is_in_use())

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing."""
        return not self.begun and (self.expected is None or self.expected <= self.finished)

    @property
    def share(self) -> str:
        """Such as `3 of 15`."""
        return f"{self.finished:,}" if self.expected is None else f"{self.finished:,} of {self.expected:,}"


def speaks_options(record: SearchRecord) -> bool:
    """Whether the search was made by `python -m tuner_app.tune`, whose user types options, not Python."""
    # `search.json` keeps the words of the command as the shell gave them; other scripts may be called tune.py too.
    names = {name for candidate in record.candidates for name in candidate.values}
    return _words(record)[:1] == [TUNE] and names <= OPTIONS.keys()


def command_typed(record: SearchRecord) -> str:
    """The command line that made a search, as one would type it again; empty where `search.json` holds none."""
    words = _words(record)
    start = ["python", "-m", "tuner_app.tune"] if words[:1] == [TUNE] else words[:1]
    return shlex.join([*start, *words[1:]])


def _words(record: SearchRecord) -> list[str]:
    words = record.description.get("command_line")
    return [str(word) for word in words] if isinstance(words, list) else []


def unfinished_words(standing: Standing, *, options: bool) -> str:
    """What is missing of a search, and how to go on.

    Args:
        standing: How far it has come.
        options: As `speaks_options` says.
    """
    # The words for Python name no option and those for the command no argument: each user can do what is said.
    begun = f", {standing.begun:,} begun" if standing.begun else ""
    done = f"{standing.share} candidates are finished{begun}"
    if standing.is_running:
        return f"The search is running: {done}. A later report says more."
    again = "Run the same command again" if options else "Call search() again with the same arguments"
    return f"The search was stopped: {done}. {again} to continue; what is finished is kept."


def next_values(edges: Sequence[EdgeWarning], *, options: bool) -> str:
    """The values to try beyond some edges, as one line to type.

    Args:
        edges: The edges.
        options: As `speaks_options` says: `--nodes 256 512 1024`, or else `nodes = [256, 512, 1024]`.
    """
    if options:
        return " ".join(f"{OPTIONS[edge.name]} {' '.join(map(value_text, edge.next_grid))}" for edge in edges)
    return "; ".join(f"{edge.name} = {list(edge.next_grid)}" for edge in edges)


def imbalance_words(effects: Sequence[Effect]) -> str:
    """Over what the effects are averaged, where some candidates have no score; empty where all have one."""
    sentences = []
    for effect in effects:
        if 0 < effect.complete_settings < effect.settings:
            share = f"{effect.complete_settings:,} of {effect.settings:,}"
            sentences.append(f"{effect.name}: over the {share} settings of the others that have a score at each value.")
        elif not effect.complete_settings and effect.settings:
            sentences.append(
                f"{effect.name}: no setting of the others has a score at each value, so its means are not of the same "
                "candidates and cannot be compared."
            )
    return " ".join(sentences)
