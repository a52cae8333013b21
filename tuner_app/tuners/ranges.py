"""The values of Keras Tuner's hyperparameters, in the order of the grid, without making them all.

Owns how many there are and where one stands. Which of them a candidate has is the business of `grid`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


class ValueRange(Sequence[Any]):
    """A hyperparameter's values, its default first; a billion of them cost no more than two.

    Args:
        hp: A Keras Tuner `HyperParameter`.
    """

    def __init__(self, hp: Any) -> None:
        self._first = hp.default
        self._rest = _in_order(hp)
        self._skipped = _position(self._rest, self._first)

    def __len__(self) -> int:
        return 1 + len(self._rest) - (self._skipped is not None)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        position = range(len(self))[index]
        if position == 0:
            return self._first
        return self._rest[position - 1 if self._skipped is None or position <= self._skipped else position]

    def index(self, value: Any, *_: Any) -> int:
        """Where a value stands; the number of values where it is none of them."""
        if value == self._first:
            return 0
        place = _position(self._rest, value)
        if place is None:
            return len(self)
        return place + 1 if self._skipped is None or place < self._skipped else place


def grid_size(space: Sequence[Any]) -> int:
    """The number of candidates of a search space, without making them."""
    parents = {condition.name for hp in space for condition in hp.conditions}
    repeated = {hp.name for i, hp in enumerate(space) if any(other.name == hp.name for other in space[:i])}
    known: dict[Any, int] = {}

    def count(place: int, values: dict[str, Any]) -> int:
        if place == len(space):
            return 1
        key = place, repr(sorted(values.items()))
        if key not in known:
            known[key] = count_from(place, values)
        return known[key]

    def count_from(place: int, values: dict[str, Any]) -> int:
        hp, total = space[place], 0
        if hp.name in values or not all(condition.is_active(values) for condition in hp.conditions):
            return count(place + 1, values)
        choices = ValueRange(hp)
        decisive = _decisive_values(hp.name, space[place + 1 :], choices) if hp.name in parents else []
        for value in decisive:
            total += count(place + 1, {**values, hp.name: value})
        others = len(choices) - len(decisive)
        if others:  # They open no condition, so they are all alike.
            total += others * count(place + 1, {**values, **({hp.name: None} if hp.name in repeated else {})})
        return total

    return count(0, {})


def space_values(space: Sequence[Any]) -> dict[str, Sequence[Any]]:
    """Each hyperparameter's values, in the order of the space."""
    values: dict[str, Sequence[Any]] = {}
    for hp in space:
        known = values.get(hp.name)
        values[hp.name] = _in_order(hp) if known is None else [*known, *(v for v in _in_order(hp) if v not in known)]
    return values


class _Steps(Sequence[Any]):
    """The values of an `Int` or `Float` with a step.

    Keras Tuner 1.4.8 makes numbers of type float for an `Int` with logarithmic sampling, which no layer takes.
    """

    def __init__(self, hp: Any) -> None:
        self._hp, self._whole = hp, type(hp).__name__ == "Int"
        self._size = int(hp._get_n_values())

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        value = self._hp._get_value_by_index(range(self._size)[index])
        return round(value) if self._whole else value

    def index(self, value: Any, *_: Any) -> int:
        hp = self._hp
        if hp.sampling == "linear":
            place = (value - hp.min_value) / hp.step
        else:
            distance = value if hp.sampling == "log" else hp.max_value + hp.min_value - value
            place = math.log(distance / hp.min_value, hp.step) if distance > 0 else -1.0
        nearest = [i for i in (math.floor(place), math.ceil(place)) if 0 <= i < self._size and self[i] == value]
        return nearest[0] if nearest else self._size

    def __contains__(self, value: Any) -> bool:
        return _position(self, value) is not None


def _in_order(hp: Any) -> Sequence[Any]:
    """A hyperparameter's values as Keras Tuner orders them, each once."""
    if getattr(hp, "step", None) is not None:
        return _Steps(hp)
    values = map(round, hp.values) if type(hp).__name__ == "Int" else hp.values
    return list(dict.fromkeys(values))


def _position(values: Sequence[Any], value: Any) -> int | None:
    if isinstance(values, _Steps):
        wrong_type = isinstance(value, bool | str) or not isinstance(value, int | float)
        place = len(values) if wrong_type else values.index(value)
        return place if place < len(values) else None
    return next((i for i, known in enumerate(values) if known == value), None)


def _decisive_values(name: str, later: Sequence[Any], choices: ValueRange) -> list[Any]:
    """The values of a hyperparameter that open a condition."""
    named = [value for hp in later for c in hp.conditions if c.name == name for value in c.values]
    return [value for value in dict.fromkeys(named) if choices.index(value) < len(choices)]
