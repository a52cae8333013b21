"""What a search holds in memory: copies of its data at the peak, and what each architecture leaves behind.

Owns the two measurements, each in processes of its own: a process's peak cannot be set back, and what an earlier
architecture has left would count for the next. What is measured is the memory of the whole process (resident), less
what the imports hold.

    python benchmarks/memory.py
    python benchmarks/memory.py --quick --json memory.json
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

ROOT = pathlib.Path(__file__).parents[1]
MEGABYTE = 1e6
COLUMNS = 1_000
# Rows of the data: 1.5 GB of float32, or a tenth.
ROWS, QUICK_ROWS = 375_000, 37_500
# An engine each: XLA, a plain graph, and Keras's own `fit`, which a callback with hooks by batch asks for.
ENGINES = ("xla", "graph", "keras")
ARCHITECTURES, QUICK_ARCHITECTURES = 40, 8
# The first ones fill the cache of programs and TensorFlow's own pools, and are not counted.
FIRST = 16
WAYS = ("build", "fit")  # Keras Tuner's own `HyperModel.fit`, and one that a user has written
LIMIT_SECONDS = 280


def measure(*, quick: bool = False) -> dict[str, Any]:
    """Both measurements.

    Args:
        quick: Whether to take a tenth of the data and few architectures.

    Returns:
        `data`: for each way to fit, the bytes of the data, the peak beyond the imports, and their ratio.
        `architectures`: for each engine, megabytes (10^6 bytes) that stay for each further architecture.
    """
    rows = QUICK_ROWS if quick else ROWS
    count = QUICK_ARCHITECTURES if quick else ARCHITECTURES
    return {
        "data": {way: _in_own_process("data", way, str(rows)) for way in WAYS},
        "architectures": {engine: _in_own_process("architectures", engine, str(count)) for engine in ENGINES},
    }


def table(report: dict[str, Any]) -> str:
    """A report of `measure` as lines of text."""
    lines = ["Peak memory of a search, as a multiple of its data (the user's own array is 1 of it):"]
    for way, figures in report["data"].items():
        size, peak = figures["data_bytes"] / MEGABYTE, figures["peak_bytes"] / MEGABYTE
        lines.append(f"  {way:6} {figures['ratio']:5.2f} x   ({peak:,.0f} of {size:,.0f} MB)")
    lines.append("What each further architecture leaves in memory:")
    for engine, figures in report["architectures"].items():
        lines.append(f"  {engine:6} {figures['megabytes_each']:5.2f} MB  (over {figures['count']})")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the data, few architectures")
    parser.add_argument("--json", type=pathlib.Path, help="a file for the figures")
    parser.add_argument("--part", nargs=3, help=argparse.SUPPRESS)  # one measurement, in this process
    arguments = parser.parse_args(argv)
    if arguments.part:
        part, name, size = arguments.part
        print(json.dumps({"data": _data, "architectures": _architectures}[part](name, int(size))))
        return 0
    report = measure(quick=arguments.quick)
    print(table(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def _in_own_process(*part: str) -> dict[str, Any]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, __file__, "--part", *part]
    output = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=LIMIT_SECONDS
    ).stdout
    figures: dict[str, Any] = json.loads(output.splitlines()[-1])
    return figures


def _data(way: str, rows: int) -> dict[str, Any]:
    """The peak of a search over one candidate, three folds and the refit, two fits at a time."""
    from keras_tuner import HyperModel

    from tuner_app import GridSearchCV

    class Own(HyperModel):
        def build(self, hp: Any) -> Any:
            hp.Fixed("nodes", 8)
            return _dense(COLUMNS, 8)

    class WithFit(Own):
        def fit(self, hp: Any, model: Any, x: Any, y: Any, **options: Any) -> Any:
            return model.fit(x, y, **options)

    baseline = _status("VmRSS")
    random = np.random.default_rng(0)
    x = np.empty((rows, COLUMNS), np.float32)
    for begin in range(0, rows, 10_000):  # without a second array of that size
        x[begin : begin + 10_000] = random.random((min(10_000, rows - begin), COLUMNS), np.float32)
    y = random.integers(0, 3, rows)
    with tempfile.TemporaryDirectory() as folder:
        hypermodel = Own() if way == "build" else WithFit()
        own = {"directory": folder, "project_name": "memory", "verbose": 0}
        tuner = GridSearchCV(hypermodel, objective="val_accuracy", cv=3, n_jobs=2, **own)
        tuner.search(x, y, epochs=1, batch_size=512)
    peak = _status("VmHWM") - baseline
    return {"data_bytes": x.nbytes, "peak_bytes": peak, "ratio": peak / x.nbytes}


def _architectures(engine: str, count: int) -> dict[str, Any]:
    """What stays of each architecture, once its program has left the cache."""
    import keras

    from tuner_app.compiled import model_fit
    from tuner_app.compiled.context import FitContext
    from tuner_app.compiled.programs import ProgramCache

    class Batches(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            pass

    random = np.random.default_rng(0)
    x, y, cache = random.random((64, 8), np.float32), random.integers(0, 3, 64), ProgramCache()
    forced = {"xla": True, "graph": False}.get(engine)

    def fit(nodes: int) -> None:
        model = _dense(8, nodes)
        context = FitContext(seed=1, cache=cache, jit_compile=forced)
        model_fit.attach(model, context)
        callbacks = [Batches()] if engine == "keras" else []
        validation = (x[50:], y[50:])
        options = {"epochs": 1, "batch_size": 16, "verbose": 0, "callbacks": callbacks}
        model.fit(x[:50], y[:50], validation_data=validation, **options)
        model_fit.detach(model)

    for nodes in range(FIRST):
        fit(8 + nodes)
    before = _held()
    for nodes in range(FIRST, FIRST + count):
        fit(8 + nodes)
    return {"count": count, "megabytes_each": (_held() - before) / count / MEGABYTE}


def _dense(columns: int, nodes: int) -> Any:
    import keras

    layers = [keras.Input((columns,)), keras.layers.Dense(nodes, "relu"), keras.layers.Dense(3, "softmax")]
    model = keras.Sequential(layers)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _held() -> int:
    """Resident bytes, without what only waits for the garbage collector or lies in malloc's free lists."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    return _status("VmRSS")


def _status(name: str) -> int:
    """A figure of Linux's own about this process, in bytes."""
    match = re.search(rf"^{name}:\s+(\d+) kB", pathlib.Path("/proc/self/status").read_text(encoding="ascii"), re.M)
    assert match is not None
    return int(match[1]) * 1024


if __name__ == "__main__":
    sys.exit(main())
