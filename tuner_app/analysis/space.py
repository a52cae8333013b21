"""The values that each hyperparameter of a search can have, and those that it had.

Owns reading the space out of `search.json` and how many candidates that makes. Which of them won is for `ranking`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tuner_app.records.results import Candidate
from tuner_app.storage.journal import SearchRecord

ABSENT = "not used"
"""Stands for the value of a hyperparameter that a candidate does not have."""

MOST_VALUES = 10_000
"""A whole number with more values between its limits is not listed."""


def search_space(record: SearchRecord) -> dict[str, tuple[Any, ...]]:
    """Each hyperparameter's values: those of the grid in `search.json`, where it lists them, and those tried.

    A candidate without a hyperparameter that others have counts as the value `ABSENT`.
    """
    listed = {name: listed_values(entry) or [] for name, entry in _asked_space(record).items()}
    # From the candidates, not from `search.json`: what a build declares on its own is in no list there.
    names = dict.fromkeys(name for candidate in record.candidates for name in candidate.values)
    return {name: _ordered([*listed.get(name, ()), *_tried(record.candidates, name)]) for name in names}


def candidates_expected(record: SearchRecord) -> int | None:
    """How many candidates the whole search has.

    Returns:
        None where `search.json` does not say: a value is no plain list, or depends on another.
    """
    space = _asked_space(record)
    sizes = [len(listed_values(entry) or ()) for entry in space.values()]
    # Keras Tuner skips a hyperparameter whose condition is not met, so the sizes cannot just be multiplied.
    if not all(sizes) or not sizes or any(_is_conditional(entry) for entry in space.values()):
        return None
    # Safe to ask: a space was found, and it stands in `asked`.
    limit = record.description["asked"].get("max_trials")
    return min(math.prod(sizes), limit) if isinstance(limit, int) else math.prod(sizes)


def listed_values(entry: Any) -> list[Any] | None:
    """The values that a hyperparameter can have.

    Args:
        entry: Its description by Keras Tuner, as in `search.json`, or a plain list.

    Returns:
        None where it lists none.
    """
    if isinstance(entry, Mapping):
        config = entry.get("config")
        entry = _values_of_config(entry.get("class_name"), config) if isinstance(config, Mapping) else None
    scalars = isinstance(entry, list) and all(isinstance(value, str | int | float | None) for value in entry)
    return list(entry) if scalars else None


def is_number(value: Any) -> bool:
    """Whether a value has a place on an axis: a finite number. True and False, numbers to Python, have none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _values_of_config(kind: Any, config: Mapping[str, Any]) -> Any:
    """The values of Keras Tuner's `Choice`, `Boolean`, `Fixed`, and `Int` in even steps."""
    if kind == "Boolean":
        return [False, True]
    if kind == "Fixed":
        return [config.get("value")]
    low, high, step = (config.get(name) for name in ("min_value", "max_value", "step"))
    if kind == "Int" and isinstance(low, int) and isinstance(high, int) and isinstance(step or 1, int):
        is_even = config.get("sampling", "linear") in (None, "linear") and high - low < MOST_VALUES
        return [*range(low, high + 1, step or 1)] if is_even else None
    # `Choice` has its values, `Float` has none.
    return config.get("values")


def _asked_space(record: SearchRecord) -> dict[str, Any]:
    """The space in `search.json`; empty where an older version or a hand wrote something else."""
    asked = record.description.get("asked")
    space = asked.get("space") if isinstance(asked, Mapping) else None
    return dict(space) if isinstance(space, Mapping) else {}


def _is_conditional(entry: Any) -> bool:
    return isinstance(entry, Mapping) and bool(entry.get("config", {}).get("conditions"))


def _tried(candidates: Sequence[Candidate], name: str) -> list[Any]:
    """The value of each candidate, finished or begun."""
    return [candidate.values.get(name, ABSENT) for candidate in candidates]


def _ordered(values: Sequence[Any]) -> tuple[Any, ...]:
    distinct = list(dict.fromkeys(values))
    # Texts keep the order of the grid: it may mean something, the alphabet does not.
    present = [value for value in distinct if value != ABSENT]
    absent = [ABSENT] if len(present) < len(distinct) else []
    return (*(sorted(present) if all(map(is_number, present)) else present), *absent)
