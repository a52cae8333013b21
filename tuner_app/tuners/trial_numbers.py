"""The numbers of trials: counted, but that a candidate of an earlier run keeps the one that it had."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


class TrialNumbers:
    """Gives each candidate its trial's number.

    Args:
        most: The number of candidates at most, which decides how many digits a number has.
    """

    def __init__(self, most: int | None) -> None:
        self._pattern = f"{{:0{len(str(most))}d}}"
        self._next = 0
        self._recorded: dict[str, str] = {}
        self._taken: set[str] = set()

    def recall(self, trial_id: str, values: Mapping[str, Any]) -> None:
        """Note the number of a candidate of an earlier run; no other gets it.

        Args:
            trial_id: The number.
            values: The candidate's values, less those that say nothing.
        """
        self._taken.add(trial_id)
        self._recorded.setdefault(_key(values), trial_id)

    def number_of(self, values: Mapping[str, Any], present: Collection[str]) -> str:
        """The number of a candidate: that of an earlier run, else the next one.

        Args:
            values: The candidate's values, less those that say nothing.
            present: Numbers that are in use.
        """
        return self._recorded.pop(_key(values), None) or self.unused(present)

    def unused(self, present: Collection[str]) -> str:
        """The next number that is not in use.

        Keras Tuner counts the trials; after a resume one in the middle may be missing, and gets its number again.
        """
        while (number := self._pattern.format(self._next)) in present or number in self._taken:
            self._next += 1
        return number


def _key(values: Mapping[str, Any]) -> str:
    return repr(sorted(values.items()))
