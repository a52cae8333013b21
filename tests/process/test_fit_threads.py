"""Threads at a fit are marked for as long as the fit lasts."""

from __future__ import annotations

import contextlib
import threading

from tuner_app.process.fit_threads import at_a_fit, is_training, threads_at_a_fit


def test_a_thread_is_marked_and_named_while_it_is_at_a_fit() -> None:
    this, name = threading.current_thread(), threading.current_thread().name
    assert not is_training()
    with contextlib.suppress(ZeroDivisionError), at_a_fit("trial 0 fold 0"):
        assert (threads_at_a_fit(), this.name) == ({this}, "trial 0 fold 0")
        raise ZeroDivisionError
    assert (threads_at_a_fit(), this.name) == (set(), name)


def test_a_fit_that_is_just_ending_does_not_count() -> None:
    ending = threading.Event()

    def fit() -> None:
        with at_a_fit("trial 0 fold 0"):
            ending.set()

    thread = threading.Thread(target=fit)
    thread.start()
    ending.wait(10)
    assert not is_training()
    thread.join()
