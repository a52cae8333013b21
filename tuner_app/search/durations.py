"""How long fits take, learnt from those that are done.

A candidate that has a fold takes what its folds took. Another takes the product of what its values do to the seconds:
an additive effect of each on their logarithm; and a number that was not fitted yet lies on the straight line of the
logarithms through those that were. Owns no order: what is made of the seconds is `schedule`'s.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from tuner_app.records.results import FoldResult
from tuner_app.records.tasks import FoldTask

Key = tuple[str, str]
"""A hyperparameter's name and its value as text."""

# So many different numbers of a hyperparameter are fitted to learn from; of a continuous one every candidate has a new
# one, and each would count as something to be learnt.
_ENOUGH_NUMBERS = 8
# Before two numbers were fitted: larger ones from 1 up, as units, layers and epochs are, are taken to last longer.
_FIRST_SLOPE = 0.01
# How much that guess weighs, in squared logarithms: nothing beside two numbers that differ by a tenth.
_FIRST_WEIGHT = 1e-4


@dataclasses.dataclass
class _Mean:
    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        self.total += value
        self.count += 1

    @property
    def value(self) -> float:
        return self.total / self.count


@dataclasses.dataclass
class _Line:
    """The straight line through points, kept as their sums."""

    n: int = 0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    def add(self, x: float, y: float) -> None:
        self.n += 1
        self.x += x
        self.y += y
        self.xx += x * x
        self.xy += x * y

    def at(self, x: float) -> float:
        spread = self.xx - self.x * self.x / self.n
        rise = self.xy - self.x * self.y / self.n
        slope = (rise + _FIRST_WEIGHT * _FIRST_SLOPE) / (max(spread, 0.0) + _FIRST_WEIGHT)
        return self.y / self.n + slope * (x - self.x / self.n)


class Durations:
    """What is known of the seconds that fits take."""

    def __init__(self) -> None:
        self._all = _Mean()
        self._candidates: dict[str, _Mean] = {}
        self._values: dict[Key, _Mean] = {}
        self._lines: dict[str, _Line] = defaultdict(_Line)
        self._begun: dict[str, set[str]] = defaultdict(set)

    def begin(self, task: FoldTask | FoldResult) -> None:
        """A task runs: its values will be known."""
        for name, value in task.values.items():
            self._begun[name].add(repr(value))

    def learn(self, task: FoldTask | FoldResult, seconds: float) -> None:
        """A task took so many seconds; one of an earlier run is known by its record."""
        self.begin(task)
        logarithm = math.log(max(seconds, 1e-6))  # A clock may stand still.
        self._all.add(logarithm)
        self._candidates.setdefault(task.trial_id, _Mean()).add(logarithm)
        for name, value in task.values.items():
            self._values.setdefault((name, repr(value)), _Mean()).add(logarithm)
            if (x := _place(value)) is not None:
                self._lines[name].add(x, logarithm)

    def expected(self, task: FoldTask) -> float:
        """How long a task will take; infinite while there is nothing to tell it from."""
        mine = self._candidates.get(task.trial_id)
        if mine is not None:
            return _seconds(mine.value)
        if not self._all.count or not all(self._is_told(name, value) for name, value in task.values.items()):
            return math.inf
        return self.guess(task)

    def guess(self, task: FoldTask) -> float:
        """The same, where nothing tells it by what is likely: it orders the unknown, and is no time."""
        mean = self._all.value if self._all.count else 0.0
        return _seconds(mean + sum(self._effect(name, value, mean) for name, value in task.values.items()))

    def tells_more(self, task: FoldTask, beside: Sequence[FoldTask]) -> bool:
        """Whether a task has a value that no fit was begun with, and that is worth one to learn from.

        Args:
            task: The task.
            beside: What will be begun before it.
        """
        return any(self._is_untried(name, value, beside) for name, value in task.values.items())

    def _is_untried(self, name: str, value: Any, beside: Sequence[FoldTask]) -> bool:
        if repr(value) in self._begun[name]:
            return False
        claimed = {repr(task.values[name]) for task in beside if name in task.values} | self._begun[name]
        return repr(value) not in claimed and (len(claimed) < _ENOUGH_NUMBERS or _place(value) is None)

    def _is_told(self, name: str, value: Any) -> bool:
        if (name, repr(value)) in self._values:
            return True
        line = self._lines.get(name)
        # Two different numbers make a line.
        return line is not None and _place(value) is not None and line.xx - line.x * line.x / line.n > 1e-9

    def _effect(self, name: str, value: Any, mean: float) -> float:
        known = self._values.get((name, repr(value)))
        if known is not None:
            return known.value - mean
        x = _place(value)
        if x is None:
            return 0.0
        line = self._lines.get(name)
        return line.at(x) - mean if line is not None else _FIRST_SLOPE * max(x, 0.0)


def _place(value: Any) -> float | None:
    """A number's place on a line; None where it is no number that has a logarithm."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return math.log(value) if is_number and 0 < value < math.inf else None


def _seconds(logarithm: float) -> float:
    return math.exp(max(-50.0, min(logarithm, 50.0)))  # Beyond, every fit is the longest one.
