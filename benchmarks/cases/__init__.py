"""What `bench.py` compares: who takes part, how one of them is run, and how the result is shown; a module per kind.

Owns the cases and their defaults. Rounds belong to `rounds`, processes to `processes`, arithmetic to `comparison`.
"""

from __future__ import annotations

from cases.case import Case
from cases.command import COMMAND
from cases.scripts import ALONE, MEMORY, ZOO, Script
from cases.side_by_side import DIGITS, FULL, OVERHEAD, TUTORIAL
from cases.start import START

_CASES = (COMMAND, START, ZOO, ALONE, DIGITS, TUTORIAL, OVERHEAD, MEMORY, FULL)
CASES: dict[str, Case | Script] = {case.name: case for case in _CASES}
