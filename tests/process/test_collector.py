"""When Python's collector pauses."""

from __future__ import annotations

import gc
import subprocess
import sys

from support.processes import ROOT

from tuner_app.process import collector


def test_it_pauses_for_a_block_and_is_as_it_was_afterwards() -> None:
    with collector.paused():
        assert not gc.isenabled()
        with collector.paused():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_only_one_that_was_paused_is_resumed() -> None:
    # In a process of its own: what this one holds would never be collected again.
    code = """
import gc
from tuner_app.process import collector
collector.resume()
assert (gc.isenabled(), gc.get_freeze_count()) == (True, 0)
collector.pause()
assert not gc.isenabled()
collector.resume()
assert gc.isenabled() and gc.get_freeze_count() > 0
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
