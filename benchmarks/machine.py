"""What the numbers were measured on and with, and where a report is kept."""

from __future__ import annotations

import importlib.metadata
import json
import pathlib
import platform
from typing import Any

from workloads import cores

RESULTS = pathlib.Path(__file__).resolve().parent / "results"
PACKAGES = ("tuner_app", "keras", "tensorflow", "keras-tuner", "scikit-learn", "scikeras", "numpy", "scipy", "joblib")


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    return {"processor": _processor(), "cores": cores(), "system": f"{platform.system()} {platform.machine()}"}


def _processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def versions() -> dict[str, str | None]:
    """The version of Python and of each package; None for one that is not installed."""
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return versions


def save(report: dict[str, Any], folder: pathlib.Path) -> pathlib.Path:
    """Write a report as JSON; a quick one never takes the place of a real one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report['case']}{'_quick' if report['quick'] else ''}.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return path
