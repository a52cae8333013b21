"""The order in which tasks run."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import task

from tuner_app.records.tasks import FoldTask
from tuner_app.search.schedule import Schedule


def drained(schedule: Schedule) -> list[FoldTask]:
    return [schedule.next() for _ in range(len(schedule))]


def schedule_of(tasks: list[FoldTask], n_jobs: int = 2) -> Schedule:
    schedule = Schedule(n_jobs)
    for one in tasks:
        schedule.add(one)
    return schedule


def test_with_one_job_tasks_run_as_they_came() -> None:
    tasks = [task(fold, a=a) for a in (2, 1) for fold in (0, 1)]
    schedule = schedule_of(tasks, n_jobs=1)
    assert len(schedule) == 4
    first = schedule.next()
    schedule.learn(first, 1.0)
    assert [first, *drained(schedule)] == tasks


def test_values_never_tried_run_first_then_the_longest() -> None:
    schedule = Schedule(2)
    for a, seconds in ((1, 1.0), (2, 10.0)):
        schedule.learn(task(a=a), seconds)
    for a in (1, 2, 3):
        schedule.add(task(1, a=a))
    assert [one.values["a"] for one in drained(schedule)] == [3, 2, 1]


def test_one_fold_of_a_value_is_tried_before_a_second_one_of_another() -> None:
    schedule = schedule_of([task(fold, a=a) for a in "xyz" for fold in (0, 1)])
    assert [(one.values["a"], one.fold) for one in drained(schedule)] == [
        *(("x", 0), ("y", 0), ("z", 0)),
        *(("x", 1), ("y", 1), ("z", 1)),
    ]


def test_numbers_that_nothing_is_known_of_run_from_the_largest() -> None:
    schedule = schedule_of([task(fold, a=a) for a in (8, 16, 32) for fold in (0, 1)])
    assert [(one.values["a"], one.fold) for one in drained(schedule)[:4]] == [(32, 0), (16, 0), (8, 0), (32, 1)]


def test_of_many_numbers_only_some_are_tried_first() -> None:
    """Each candidate of a continuous space has numbers of its own; all of them first would leave none whole."""
    schedule = schedule_of([task(fold, a=a) for a in range(1, 31) for fold in (0, 1)])
    order = [schedule.next() for _ in range(8)]
    for one in order:
        schedule.learn(one, float(one.values["a"]))
    assert len({one.values["a"] for one in order}) == 8
    rest = drained(schedule)
    assert [one.values["a"] for one in rest] == sorted((one.values["a"] for one in rest), reverse=True)


def test_the_folds_of_who_leads_come_with_what_follows_them() -> None:
    schedule = Schedule(2)
    for a, seconds in (("short", 2.0), ("long", 3.0)):
        schedule.learn(task(a=a), seconds)
    for a in ("short", "long"):
        schedule.add(task(1, a=a))
    schedule.favour(task(a="short").trial_id, 1.5)
    assert schedule.next().values == {"a": "short"}


def test_it_tells_how_long_what_waits_and_what_runs_will_take(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("tuner_app.search.schedule.perf_counter", lambda: now)
    schedule = schedule_of([task(fold, a=a) for a in "xy" for fold in (0, 1)])
    assert schedule.seconds_waiting() == math.inf
    for a, seconds in (("x", 2.0), ("y", 5.0)):
        schedule.learn(task(a=a), seconds)
    assert schedule.seconds_waiting() == pytest.approx(14.0)
    running = schedule.next()
    assert schedule.seconds_waiting() == pytest.approx(9.0)
    now = 3.0
    assert schedule.seconds_running() == [pytest.approx(2.0)]
    now = 30.0
    assert schedule.seconds_running() == [0.0]
    schedule.end(running)
    assert schedule.seconds_running() == []


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e300])
def test_odd_times_do_no_harm(seconds: float) -> None:
    schedule = Schedule(2)
    schedule.learn(task(a=1), seconds)
    schedule.add(task(1, a=1))
    assert math.isfinite(schedule.seconds_waiting())
    assert schedule.next().fold == 1


def test_a_candidate_without_hyperparameters_is_scheduled() -> None:
    schedule = Schedule(2)
    schedule.add(task())
    schedule.learn(task(), 1.0)
    assert schedule.next().values == {}


@given(st.lists(st.tuples(st.sampled_from(["add", "learn", "next"]), st.integers(1, 4)), max_size=60))
def test_no_task_is_lost_or_run_twice(steps: list[tuple[str, int]]) -> None:
    schedule, added, taken = Schedule(2), [], []
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
