"""The versions that a result depends on."""

from __future__ import annotations

import platform
from importlib import metadata

_PACKAGES = ("tuner_app", "keras", "keras-tuner", "tensorflow", "scikit-learn", "numpy", "pandas", "tensorboard")


def package_versions() -> dict[str, str]:
    """The versions of Python and of the packages that decide a result; a package that is not installed is left out."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
