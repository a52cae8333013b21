"""The threads of an operation: how many a search is given, and whose count is in force."""

from __future__ import annotations

import pytest

from tuner_app.process import devices


@pytest.mark.parametrize(
    ("cores", "by_fits"),
    [
        (1, {1: 1, 3: 1}),
        (2, {1: 2, 3: 1, 4: 1, 15: 1}),
        (16, {1: 16, 3: 15, 4: 16, 8: 16, 9: 1, 15: 1}),
        (64, {1: 64, 3: 63, 4: 64, 15: 60, 45: 1}),
    ],
)
def test_too_few_fits_share_the_cores_and_enough_take_one_thread_each(cores: int, by_fits: dict[int, int]) -> None:
    assert {fits: devices.threads_of_an_operation(fits, cores) for fits in by_fits} == by_fits
    assert devices.threads_of_an_operation(None, cores) == 1


@pytest.mark.parametrize(("value", "threads"), [("3", 3), ("0", 0), ("many", 0), ("-1", 0), ("", 0)])
def test_a_count_in_the_environment_is_in_force_where_no_other_was_set(
    monkeypatch: pytest.MonkeyPatch, value: str, threads: int
) -> None:
    tf = pytest.importorskip("tensorflow")
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 0)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", value)
    assert devices.intra_op_threads() == threads
