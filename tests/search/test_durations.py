"""How long fits are expected to take."""

from __future__ import annotations

import math
from typing import Any

import pytest
from support.fakes import task

from tuner_app.search.durations import Durations


def durations_of(*fits: tuple[dict[str, Any], float]) -> Durations:
    durations = Durations()
    for number, (values, seconds) in enumerate(fits):
        durations.learn(task(trial_id=str(number), **values), seconds)
    return durations


def test_the_effects_of_values_multiply() -> None:
    durations = durations_of(({"a": 1, "b": "x"}, 1.0), ({"a": 1, "b": "y"}, 4.0), ({"a": 2, "b": "x"}, 3.0))
    expected = {(a, b): durations.expected(task(a=a, b=b)) for a in (1, 2) for b in "xy"}
    assert max(expected, key=lambda pair: expected[pair]) == (2, "y")
    assert min(expected, key=lambda pair: expected[pair]) == (1, "x")
    assert expected[2, "y"] / expected[1, "y"] == pytest.approx(expected[2, "x"] / expected[1, "x"])


def test_a_candidate_takes_what_its_folds_took() -> None:
    durations = durations_of(({"a": 1, "b": 1}, 9.0), ({"a": 1, "b": 2}, 1.0))
    durations.learn(task(a=1, b=3), 2.0)
    durations.learn(task(1, a=1, b=3), 8.0)
    assert durations.expected(task(2, a=1, b=3)) == pytest.approx(4.0)


def test_a_number_lies_on_the_line_through_others() -> None:
    durations = durations_of(({"a": 16}, 2.0), ({"a": 64}, 4.0))
    assert durations.expected(task(a=256)) == pytest.approx(8.0, rel=0.01)
    assert durations.expected(task(a=32)) == pytest.approx(math.sqrt(8.0), rel=0.01)


@pytest.mark.parametrize("value", ["y", True, 0, -1, math.inf, 2])
def test_what_nothing_tells_is_unknown(value: Any) -> None:
    """Two is a number, but one other makes no line."""
    durations = durations_of(({"a": 1}, 1.0), ({"a": 1}, 1.5))
    assert durations.expected(task(a=value)) == math.inf
    assert math.isfinite(durations.guess(task(a=value)))
