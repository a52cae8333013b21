"""What is passed on of standard error while TensorFlow is imported, and when."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from tuner_app.process import noise

NOISE = b"E0000 00:00:1700000000.123456    6252 cuda.cc:1] no driver\n"


def test_other_lines_are_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with noise.stderr_without_noise():
        os.write(2, b"I0000 00:00:1700000000.123456    6252 port.cc:153] oneDNN custom operations are on.\n")
        os.write(2, b"2025-01-01 00:00:00.123456: W tensorflow/core/x.cc:20] something\n")
        os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n")
        print("a warning of NumPy", file=sys.stderr)
    assert capfd.readouterr().err == "a warning of NumPy\n"


def test_everything_is_shown_when_the_import_fails(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        os.write(2, NOISE)
        raise ImportError("no library")

    with pytest.raises(ImportError, match="no library"), noise.stderr_without_noise():
        fail()
    assert capfd.readouterr().err == NOISE.decode()


def test_lines_of_another_thread_are_neither_lost_nor_doubled(capfd: pytest.CaptureFixture[str]) -> None:
    said, passed_on = threading.Event(), threading.Event()

    def import_slowly() -> None:
        with noise.stderr_without_noise():
            os.write(2, NOISE)
            said.set()
            passed_on.wait(30)
            os.write(2, b"later\n" + NOISE)

    thread = threading.Thread(target=import_slowly)
    thread.start()
    assert said.wait(30)
    os.write(2, b"first\nsecond\n")
    assert capfd.readouterr().err == ""
    noise.pass_on_held()
    assert capfd.readouterr().err == "first\nsecond\n"
    passed_on.set()
    thread.join()
    assert capfd.readouterr().err == "later\n"
    noise.pass_on_held()  # when nothing is held back
    assert capfd.readouterr().err == ""
