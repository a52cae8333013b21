"""Searches in processes of their own, which tests kill and compare."""

from __future__ import annotations

import importlib.util
import pathlib
import sys
from typing import Any

ROOT = pathlib.Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("kill", ROOT / "benchmarks" / "kill.py")
assert _spec is not None
assert _spec.loader is not None
kill = sys.modules["kill"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(kill)


def numbers(tuner: Any) -> str:
    return repr({name: column for name, column in tuner.cv_results_.items() if "time" not in name})
