"""Keras knows this package's layers as soon as both are imported, whichever comes first.

Owns the moment of their registration, and nothing that is heavy: `import tuner_app` stays quick and imports no Keras.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def register_layers() -> None:
    """Import `layers` now where Keras is imported already, else right after Keras will be."""
    if "keras" in sys.modules:
        importlib.import_module("tuner_app.models.preprocessing")
    elif not any(isinstance(finder, _BesideKeras) for finder in sys.meta_path):
        sys.meta_path.insert(0, _BesideKeras())


class _BesideKeras:
    """Stands first among Python's finders until Keras is imported, finds nothing itself, and then goes.

    Keras has no hook of its own for packages that bring layers, and a saved model names its layers only by their
    registered names (Keras 3.15, `keras.saving`).
    """

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Keras's own place, with one thing more to do once it is loaded; None for every other module."""
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:  # again in the first place: should Keras fail to load, its next import finds us
            sys.meta_path.insert(0, self)
        if spec is not None and spec.loader is not None:
            self._follow(spec.loader)
        return spec

    def _follow(self, loader: Any) -> None:
        """Only this one loading of Keras is followed; afterwards its loader is as Python made it."""
        load = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module
            load(module)
            sys.meta_path.remove(self)
            importlib.import_module("tuner_app.models.preprocessing")

        loader.exec_module = exec_module
