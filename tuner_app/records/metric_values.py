"""A metric's value as numbers with names: what a history, a table and a curve can hold.

Most metrics answer with one number; some with several, as `keras.metrics.F1Score` without an average does with one for
each class. Those become metrics of their own: `f1_score_0`, `f1_score_1`, ... Owns their names and their number; which
metrics there are is said by the model.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

MOST_NUMBERS = 100
"""A value of more numbers is left out: nobody reads so many curves."""


def names_of(name: str, shape: Sequence[int]) -> list[str]:
    """The names of a value's numbers.

    Args:
        name: The metric's name.
        shape: The value's shape, `()` for one number.

    Returns:
        In the order of the numbers; none where they are more than `MOST_NUMBERS`.

    >>> names_of("f1_score", (3,))
    ['f1_score_0', 'f1_score_1', 'f1_score_2']
    """
    if not len(shape):
        return [name]
    # Python's numbers: the product of a large shape overflows NumPy's, and would be small or negative.
    if np.prod(shape, dtype=object) > MOST_NUMBERS:
        return []
    return ["_".join([name, *map(str, place)]) for place in np.ndindex(*shape)]


def numbers_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Metrics of a model as single numbers; one of the model's own names comes before one that is made here.

    Raises:
        TypeError: A value is no number and no array of numbers.
        ValueError: A value is text that is no number.
    """
    # The single numbers first: a model may have metrics named f1_score and f1_score_0.
    numbers = {name: float(value) for name, value in metrics.items() if np.ndim(value) == 0}
    for name, value in metrics.items():
        if np.ndim(value):
            for part, number in zip(names_of(name, np.shape(value)), np.ravel(value), strict=False):
                numbers.setdefault(part, float(number))
    return numbers


def history_of(history: Mapping[str, Sequence[Any]]) -> dict[str, list[float]]:
    """A history with one number per metric and epoch."""
    curves: dict[str, list[float]] = {}
    for name, values in history.items():
        epochs = [numbers_of({name: value}) for value in values]
        # A metric without an epoch stays an empty curve: that it exists is known, though nothing was measured.
        for part in epochs[0] if epochs else [name]:
            if (part == name or part not in history) and all(part in numbers for numbers in epochs):
                curves[part] = [numbers[part] for numbers in epochs]
    return curves


def left_out(metrics: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The metrics whose values are of too many numbers, and how many they are."""
    for name, value in metrics.items():
        if not names_of(name, np.shape(value)):
            yield name, int(np.size(value))


def parts_of(name: str, names: Collection[str]) -> list[str]:
    """Those of some names that were made of one metric, in the order of its numbers."""
    pattern = re.compile(re.escape(name) + r"((?:_\d+)+)")
    parts = [(match[1], part) for part in names if (match := pattern.fullmatch(part))]
    # By number, not as text: f1_score_10 comes after f1_score_9.
    return [part for places, part in sorted(parts, key=lambda pair: [int(n) for n in pair[0].split("_")[1:]])]
