"""The candidates of a search space, in their order, one by one.

Owns which combinations there are and which comes next: each that a model can tell apart exactly once. A model's
hyperparameters are those that it asks for, which only running it with some values can tell; nothing is enumerated
before it is wanted, and no order depends on what finished when. Handing candidates out as trials is `oracle`'s.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tuner_app.training.hyperparameters import RecordedHyperParameters
from tuner_app.tuners.ranges import ValueRange

# After so many runs that asked for what the space declares, looks elsewhere in the grid settle whether all of it is so.
_RUNS_BEFORE_LOOKS = 32
# The looks: at most so many values of each hyperparameter, and so many candidates drawn from the whole grid.
_VALUES_LOOKED_AT = 16
_DRAWN_LOOKS = 32

Values = dict[str, Any]
Program = Callable[[RecordedHyperParameters], None]


@dataclasses.dataclass(frozen=True)
class Point:
    """A candidate of the grid.

    Attributes:
        number: Its place in the order in which candidates are handed out.
        values: The values of what it asks for, as far as is known, in the order of the space.
        hyperparameters: The same values with the space that it knows; whoever runs the candidate may add to them.
    """

    number: int
    values: Values
    hyperparameters: RecordedHyperParameters


class Grid:
    """Candidates in a fixed order: first those that `build` tells apart, then those that a fit's own asking adds.

    The first are the leaves of a tree: run with some values, a program asks for hyperparameters; the last one that has
    another value takes it, those behind it start anew. A fit's hyperparameters are known when a candidate is done: each
    of their values other than the default makes one more candidate, in the order of the candidates that asked. So
    neither the candidates nor their order depend on what finished first, or on when the next one is asked for.

    A run of the program costs as much as building a model. A space that declares all that its program asks for needs
    none: where the first runs and looks all over the grid (each hyperparameter at its other values, and candidates
    drawn from the whole) asked for just what the space declares, the rest is taken from the space. What such a program
    nevertheless asks for later is met as what a fit has asked for.

    Args:
        space: The hyperparameters that are known before.
        program: Asks a `RecordedHyperParameters` for what a model has; what it is not told takes its default.
        is_tuned: Whether a hyperparameter takes other values than its default.
        admit: Told of each run of the program in which new hyperparameters turn up.

    Attributes:
        given: How many candidates were handed out.
    """

    def __init__(
        self,
        space: Sequence[Any],
        program: Program,
        *,
        is_tuned: Callable[[Any], bool] = lambda hp: True,
        admit: Callable[[RecordedHyperParameters], None] = lambda hyperparameters: None,
    ) -> None:
        self._space, self._program, self._is_tuned, self._admit = list(space), program, is_tuned, admit
        self._late: list[Any] = []  # What only fits have asked for.
        self._leaves = self._walk()
        self._leaves_left = True
        self._children: deque[Iterator[RecordedHyperParameters]] = deque()
        self._open: dict[int, Point] = {}
        self._told: dict[int, Sequence[Any]] = {}
        self.given = self._heard = 0
        self._runs = 0
        self._is_declared = True  # As far as is known, the space says what the program asks for.
        self._ranges: dict[int, tuple[Any, ValueRange]] = {}

    @property
    def names_of_build(self) -> set[str]:
        """The hyperparameters that are known without any fit."""
        return {hp.name for hp in self._space}

    @property
    def is_over(self) -> bool:
        """Whether there is no more candidate, nor will one come of those that are not done."""
        return not self._leaves_left and not self._children and not self._open

    def next(self) -> Point | None:
        """The next candidate; None while there is none."""
        hyperparameters = next(self._leaves, None) if self._leaves_left else None
        if hyperparameters is None:
            self._leaves_left = False
            hyperparameters = self._next_child()
        if hyperparameters is None:
            return None
        point = self._open[self.given] = Point(self.given, dict(hyperparameters.values), hyperparameters)
        self.given += 1
        return point

    def tell(self, number: int, asked_by_fit: Sequence[Any]) -> None:
        """A candidate is done.

        Args:
            number: Its number.
            asked_by_fit: The hyperparameters that its fits asked for beyond its values, in the order of asking.
        """
        if number in self._open:
            self._told[number] = asked_by_fit
        while self._heard in self._told:
            point, asked = self._open.pop(self._heard), self._told.pop(self._heard)
            self._heard += 1
            if asked:
                self._late += [hp for hp in asked if not _is_among(hp, self._late)]
                self._children.append(self._varied(point, asked))

    def position(self, values: Mapping[str, Any]) -> tuple[tuple[int, str], ...]:
        """Where values stand in the grid: a key to sort by."""
        active = self._active(values)
        return tuple((-1, "") if hp is None else self._place(hp, values[hp.name]) for hp in active.values())

    def ordered(self, values: Mapping[str, Any]) -> Values:
        """Values in the order of the space."""
        names = dict.fromkeys(hp.name for hp in (*self._space, *self._late))
        return {name: values[name] for name in (*names, *values) if name in values}

    def _next_child(self) -> RecordedHyperParameters | None:
        while self._children:
            child = next(self._children[0], None)
            if child is not None:
                return child
            self._children.popleft()
        return None

    def _walk(self) -> Iterator[RecordedHyperParameters]:
        """The leaves of the tree, depth first; one run of the program for each."""
        path: list[tuple[str, Sequence[Any], int]] = []
        seen: set[str] = set()
        while True:
            hyperparameters = self._run({name: choices[i] for name, choices, i in path})
            asked, known = hyperparameters.asked, {name for name, *_ in path}
            new = sorted((hp for hp in asked.values() if hp.name not in known), key=self._rank)
            path += [(hp.name, self.values_of(hp), 0) for hp in new]
            hyperparameters.values = self.ordered(hyperparameters.asked_values)
            # Only where a space lists what decides behind what it decides on can two paths end in the same leaf.
            key = repr(sorted(hyperparameters.values.items()))
            if key not in seen:
                seen.add(key)
                yield hyperparameters
            while path and path[-1][0] not in asked:  # What was not asked for at the end cannot make a difference.
                path.pop()
            while path and path[-1][2] + 1 >= len(path[-1][1]):
                path.pop()
            if not path:
                return
            name, choices, i = path.pop()
            path.append((name, choices, i + 1))

    def _run(self, values: Values) -> RecordedHyperParameters:
        if self._is_declared and self._runs >= _RUNS_BEFORE_LOOKS:
            if self._runs == _RUNS_BEFORE_LOOKS:
                self._is_declared = all(map(self._is_foreseen, self._looks()))
                self._runs += 1
            if self._is_declared:
                return self._foreseen(values)
        hyperparameters = RecordedHyperParameters(self._space, values)
        self._program(hyperparameters)
        self._runs += 1
        self._is_declared = self._is_declared and self._agrees(hyperparameters, values)
        new = hyperparameters.space[len(self._space) :]
        if new:
            self._admit(hyperparameters)
            self._space += [hp for hp in new if self._is_tuned(hp)]
        return hyperparameters

    def _foreseen(self, values: Values) -> RecordedHyperParameters:
        """What the space says that the program asks for."""
        hyperparameters = RecordedHyperParameters(self._space, values)
        hyperparameters.ask_all()
        return hyperparameters

    def _agrees(self, ran: RecordedHyperParameters, values: Values) -> bool:
        return len(ran.space) == len(self._space) and set(ran.asked) == set(self._foreseen(values).asked)

    def _is_foreseen(self, values: Values) -> bool:
        """Whether the program asks, with these values, for what the space says. Nothing of this run is kept."""
        hyperparameters = RecordedHyperParameters(self._space, values)
        self._program(hyperparameters)
        return self._agrees(hyperparameters, values)

    def _looks(self) -> Iterator[Values]:
        """Values all over the grid, the same for each search of this space."""
        for hp in self._space:
            choices = self.values_of(hp)
            places = range(1, len(choices))
            for place in dict.fromkeys([*places[:: max(1, -(-len(places) // _VALUES_LOOKED_AT))], *places[-1:]]):
                yield {hp.name: choices[place]}
        draw = random.Random(0)
        for _ in range(_DRAWN_LOOKS):
            choices_by_name = {hp.name: self.values_of(hp) for hp in self._space}
            yield {name: choices[draw.randrange(len(choices))] for name, choices in choices_by_name.items()}

    def _varied(self, point: Point, asked: Sequence[Any]) -> Iterator[RecordedHyperParameters]:
        """Candidates that differ from one that is done in what its fits have asked for; the last varies first."""
        space, values = point.hyperparameters.space, point.values
        for i in reversed(range(len(asked))):
            known = [*space, *(hp for hp in asked[: i + 1] if not _is_among(hp, space))]
            before = {hp.name: hp.default for hp in asked[:i]}
            for value in itertools.islice(self.values_of(asked[i]), 1, None):
                yield RecordedHyperParameters(known, self.ordered({**values, **before, asked[i].name: value}))

    def values_of(self, hp: Any) -> Sequence[Any]:
        """The values that a hyperparameter takes, its default first."""
        known = self._ranges.get(id(hp))
        if known is None or known[0] is not hp:
            known = self._ranges[id(hp)] = hp, ValueRange(hp)
        return known[1] if self._is_tuned(hp) else [hp.default]

    def _active(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Each known name with its hyperparameter, or None where the values have none of it."""
        found: dict[str, Any] = {}
        for hp in (*self._space, *self._late):
            if found.get(hp.name) is None:
                here = hp.name in values and all(condition.is_active(values) for condition in hp.conditions)
                found[hp.name] = hp if here else None
        return found

    def _place(self, hp: Any, value: Any) -> tuple[int, str]:
        choices = self.values_of(hp)
        place = choices.index(value) if isinstance(choices, ValueRange) else int(value != choices[0])
        return (place, "") if place < len(choices) else (place, repr(value))

    def _rank(self, hp: Any) -> int:
        return next((i for i, known in enumerate(self._space) if known is hp), len(self._space))


def grid(space: Sequence[Any]) -> Iterator[Values]:
    """All candidates of a search space, the default of each hyperparameter first, the last one varying fastest.

    Args:
        space: Keras Tuner's `HyperParameter`s; those under conditions appear only where their conditions hold.

    Yields:
        The active hyperparameters' values, by name.
    """
    candidates = Grid(space, RecordedHyperParameters.ask_all)
    while (point := candidates.next()) is not None:
        candidates.tell(point.number, ())
        yield dict(point.values)


def _is_among(hp: Any, space: Sequence[Any]) -> bool:
    return any(known.name == hp.name and known.conditions == hp.conditions for known in space)
