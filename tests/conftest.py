"""What all tests share: searches that use a fake fitter, and a small data set."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.fakes import FakeFitter, space_of

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def pytest_collection_finish() -> None:
    """Python's collector leaves TensorFlow's million objects alone: to look at them again and again takes a tenth."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(autouse=True)
def without_registered_classes_of_tests() -> Iterator[None]:
    """Keras knows a class for the rest of the process: one that a test registers would travel with every later fit."""
    yield
    if "keras" not in sys.modules:
        return
    registered = sys.modules["keras"].saving.get_custom_objects()
    for name in [name for name, item in registered.items() if "<locals>" in getattr(item, "__qualname__", "")]:
        del registered[name]


@pytest.fixture(name="make_tuner")
def make_tuner_fixture(tmp_path: Path) -> Callable[..., Any]:
    """Makes a `GridSearchCV` in the test's folder, quiet, with the fake fitter unless told otherwise."""

    def make(space: Any = None, **options: Any) -> Any:
        from tuner_app.tuners.grid_search import GridSearchCV

        cls = options.pop("cls", GridSearchCV)
        hypermodel = space if callable(space) or hasattr(space, "build") else space_of(space or {"a": [1, 2, 3]})
        chosen = {"objective": "val_accuracy", "seed": 0, "directory": tmp_path, "project_name": "search"}
        chosen |= {"observers": [], "verbose": 0, "fold_fitter": FakeFitter()} | options
        return cls(hypermodel, **chosen)

    return make


@pytest.fixture(name="data", scope="session")
def data_fixture() -> tuple[Any, Any]:
    """24 rows of 3 features, of two classes that a straight line can tell apart."""
    random = np.random.default_rng(0)
    x = random.normal(size=(24, 3)).astype(np.float32)
    y = (x[:, 0] + 0.1 * x[:, 1] > 0).astype(np.int64)
    return x, y
