"""The order in which tasks run."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner_app.records.tasks import FoldTask
from tuner_app.search.schedule import Schedule


def task(fold: int = 0, **values: Any) -> FoldTask:
    rows = np.arange(3)
    return FoldTask(
        trial_id=str(values), fold=fold, execution=0, values=values, seed=0, train_rows=rows, validation_rows=rows
    )


def drained(schedule: Schedule) -> list[FoldTask]:
    return [schedule.next() for _ in range(len(schedule))]


def test_without_news_tasks_run_as_they_came() -> None:
    schedule, tasks = Schedule(), [task(fold, a=a) for a in (1, 2) for fold in (0, 1)]
    for one in tasks:
        schedule.add(one)
    assert len(schedule) == 4
    assert drained(schedule) == tasks


def test_values_never_seen_run_first_then_the_longest() -> None:
    schedule = Schedule()
    for a, seconds in ((1, 1.0), (2, 10.0)):
        schedule.learn(task(a=a), seconds)
    for a in (1, 2, 3):
        schedule.add(task(a=a))
    assert [one.values["a"] for one in drained(schedule)] == [3, 2, 1]


def test_the_effects_of_values_multiply() -> None:
    schedule = Schedule()
    for a, b, seconds in ((1, "x", 1.0), (1, "y", 4.0), (2, "x", 3.0)):
        schedule.learn(task(a=a, b=b), seconds)
    expected = {(a, b): schedule.expected_seconds(task(a=a, b=b)) for a in (1, 2) for b in "xy"}
    assert max(expected, key=lambda pair: expected[pair]) == (2, "y")
    assert min(expected, key=lambda pair: expected[pair]) == (1, "x")
    assert expected[2, "y"] / expected[1, "y"] == pytest.approx(expected[2, "x"] / expected[1, "x"])


def test_one_hyperparameter_is_expected_at_its_geometric_mean() -> None:
    schedule = Schedule()
    schedule.learn(task(a=1), 2.0)
    schedule.learn(task(1, a=1), 8.0)
    assert schedule.expected_seconds(task(2, a=1)) == pytest.approx(4.0)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e300])
def test_odd_times_do_no_harm(seconds: float) -> None:
    schedule = Schedule()
    schedule.learn(task(a=1), seconds)
    schedule.add(task(1, a=1))
    assert math.isfinite(schedule.expected_seconds(task(1, a=1)))
    assert schedule.next().fold == 1


def test_a_candidate_without_hyperparameters_is_scheduled() -> None:
    schedule = Schedule()
    schedule.add(task())
    schedule.learn(task(), 1.0)
    assert schedule.next().values == {}


@given(st.lists(st.tuples(st.sampled_from(["add", "learn", "next"]), st.integers(1, 4)), max_size=60))
def test_no_task_is_lost_or_run_twice(steps: list[tuple[str, int]]) -> None:
    schedule, added, taken = Schedule(), [], []
    for number, (step, a) in enumerate(steps):
        if step == "add":
            added.append(task(number, a=a))
            schedule.add(added[-1])
        elif step == "learn":
            schedule.learn(task(a=a), float(a))
        elif len(schedule):
            taken.append(schedule.next())
    taken += drained(schedule)
    assert sorted(map(id, taken)) == sorted(map(id, added))
