"""The end of a command's process: nothing is lost, nothing is torn down."""

from __future__ import annotations

import subprocess
import sys

from support.processes import ROOT

_CODE = """
import atexit, sys, threading, time
from tuner_app.process import teardown

class Torn:
    def __del__(self):
        print("torn down", flush=True)

torn = Torn()
torn.itself = torn
leave_with = teardown.skipped()
atexit.register(print, "registered later", end="; ")
threading.Thread(target=lambda: (time.sleep(0.2), print("another thread", end="; "))).start()
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
print("printed", end="; ")
"""


def _run(end: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _CODE + end]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=30)


def test_whatever_ends_by_itself_has_ended_and_the_rest_is_left() -> None:
    done = _run("leave_with(3); sys.exit(3)")
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout == "printed; another thread; registered later; "


def test_a_bug_ends_as_python_ends() -> None:
    done = _run("raise ZeroDivisionError('a bug')")
    assert done.returncode == 1
    assert done.stderr.endswith("ZeroDivisionError: a bug\n")
    assert done.stdout.endswith("torn down\n")
