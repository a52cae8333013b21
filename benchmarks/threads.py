"""How many threads `tuner_app.process.devices` gives an operation, and what that is worth.

`counts`: the counts that one could choose where there are as many fits as cores. One search for each number of nodes,
of jobs, and of threads that an operation may use (intra-op): 42,000 rows of MNIST in 3 folds, batches of 64, 5 epochs,
no refit; seconds of the search, compiling included.

`alone`: a single fit (one candidate, one split, no refit) beside plain `model.fit` with TensorFlow's defaults and
beside this package with one thread an operation: a CNN on 12,000 pictures and two layers of 1,024 nodes on 20,000 rows,
3 epochs in batches of 64, validated on 2,000 rows after each. Seconds of `search` and of `fit`, compiling included.

Each measurement has a process of its own, since TensorFlow takes the threads once; they alternate, and the tables show
medians over the rounds.

    python benchmarks/threads.py counts --rounds 3
    python benchmarks/threads.py alone --rounds 5
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from workloads import CLASSES, ROOT, WORKLOADS, Workload, load_rows, mnist

NODES = (32, 128, 512)
JOBS = (1, 2)
THREADS = (1, 2)
EPOCHS = 5

ALONE_ROWS = {"cnn": 12_000, "dense": 20_000}
ALONE_WAYS = ("model.fit", "this package", "one thread")
ALONE_EPOCHS = 3
VALIDATION_ROWS = 2_000
BATCH_SIZE = 64


def measure_counts(threads: int) -> dict[str, float]:
    """The seconds of each search in this process, by nodes and jobs."""
    tf = _tensorflow()
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    from tuner_app import DenseHyperModel, GridSearchCV

    workload = WORKLOADS["tutorial"]
    assert isinstance(workload, Workload)
    x, y = load_rows(workload)
    seconds = {}
    for nodes in NODES:
        for jobs in JOBS:
            with tempfile.TemporaryDirectory() as folder:
                model = DenseHyperModel(
                    (workload.inputs,),
                    CLASSES,
                    nodes=[nodes],
                    learning_rates=[0.001],
                    input_scale=workload.input_scale,
                )
                tuner = GridSearchCV(
                    model, "val_accuracy", n_jobs=jobs, refit=False, seed=0, verbose=0, observers=[], directory=folder
                )
                begun = time.perf_counter()
                tuner.search(x, y, epochs=EPOCHS, batch_size=workload.batch_size)
                seconds[f"{nodes} nodes, n_jobs={jobs}"] = time.perf_counter() - begun
    return seconds


def measure_alone(kind: str, way: str) -> dict[str, float]:
    """The seconds of one fit in this process, and those of all processors meanwhile."""
    tf = _tensorflow()
    import numpy as np

    if way == "one thread":
        tf.config.threading.set_intra_op_parallelism_threads(1)
    rows = ALONE_ROWS[kind]
    (pictures, labels), _ = mnist()
    x = pictures[: rows + VALIDATION_ROWS, ..., np.newaxis].astype("float32") / 255
    y = labels[: rows + VALIDATION_ROWS].astype("int64")
    if way == "model.fit":
        model = _model(kind)
        validation = x[rows:], y[rows:]

        def work() -> None:
            model.fit(
                *(x[:rows], y[:rows]),
                validation_data=validation,
                epochs=ALONE_EPOCHS,
                batch_size=BATCH_SIZE,
                verbose=0,
            )

        return _timed(work)
    from tuner_app import GridSearchCV

    split = [(np.arange(rows), np.arange(rows, len(x)))]
    with tempfile.TemporaryDirectory() as folder:
        tuner = GridSearchCV(
            *(lambda hp: _model(kind), "val_accuracy"),
            **{"cv": split, "refit": False, "seed": 0, "verbose": 0, "observers": [], "directory": folder},
        )
        return _timed(lambda: tuner.search(x, y, epochs=ALONE_EPOCHS, batch_size=BATCH_SIZE))


def _tensorflow() -> Any:
    sys.path.insert(0, str(ROOT))
    from tuner_app.process.loading import import_tensorflow_quietly

    return import_tensorflow_quietly()


def _model(kind: str) -> Any:
    import keras

    layers = keras.layers
    convolutions = [
        *(layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D()),
        *(layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten()),
        layers.Dense(64, activation="relu"),
    ]
    wide = [layers.Flatten(), *(layers.Dense(1_024, activation="relu") for _ in range(2))]
    hidden = convolutions if kind == "cnn" else wide
    model = keras.Sequential([keras.Input((28, 28, 1)), *hidden, layers.Dense(CLASSES, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _timed(work: Callable[[], None]) -> dict[str, float]:
    begun, processor = time.perf_counter(), time.process_time()
    work()
    return {"seconds": time.perf_counter() - begun, "processor": time.process_time() - processor}


def compare_counts(rounds: int) -> None:
    """Print how two threads compare with one."""
    runs: dict[int, list[dict[str, float]]] = {threads: [] for threads in THREADS}
    for _ in range(rounds):
        for threads in THREADS:
            runs[threads].append(_in_a_process("counts", "--threads", str(threads)))
    print("| search | 1 thread, s | 2 threads, s | 2 / 1 |\n| --- | --- | --- | --- |")
    for name in runs[1][0]:
        one, two = (statistics.median(run[name] for run in runs[threads]) for threads in THREADS)
        print(f"| {name} | {one:.1f} | {two:.1f} | {two / one:.2f} |")


def compare_alone(rounds: int) -> dict[str, Any]:
    """Print how fast a fit is that is alone: above 1, faster than `model.fit`.

    Returns:
        A report for JSON: a row for each model and way, with medians in seconds.
    """
    rows = []
    print("| model | way | s | processor s | speed to model.fit | by round |\n| --- | --- | --- | --- | --- | --- |")
    for kind in ALONE_ROWS:
        runs: dict[str, list[dict[str, float]]] = {way: [] for way in ALONE_WAYS}
        for _ in range(rounds):
            for way in ALONE_WAYS:
                runs[way].append(_in_a_process("alone", "--kind", kind, "--way", way))
        for way in ALONE_WAYS:
            pairs = zip(runs["model.fit"], runs[way], strict=True)
            ratios = [keras["seconds"] / ours["seconds"] for keras, ours in pairs]
            seconds, processor = (
                statistics.median(run[name] for run in runs[way]) for name in ("seconds", "processor")
            )
            speed = statistics.median(ratios)
            rows.append({"kind": kind, "way": way, "seconds": seconds, "processor_seconds": processor, "speed": speed})
            each = " ".join(f"{ratio:.2f}" for ratio in ratios)
            print(f"| {kind} | {way} | {seconds:.1f} | {processor:.1f} | {speed:.2f} | {each} |", flush=True)
    return {"table": rows}


def _in_a_process(*options: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, *options], check=True, stdout=subprocess.PIPE, text=True)
    measures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measures


def main() -> int:
    """Measure, and print a table; with the hidden options, measure in this process and print JSON."""
    parser = argparse.ArgumentParser(prog="threads.py", description="Compare the thread counts of an operation.")
    parser.add_argument("case", choices=("counts", "alone"), nargs="?", default="counts", help="default: counts")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (default: 3)")
    parser.add_argument("--json", type=pathlib.Path, help="where the report of `alone` is written")
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--kind", choices=tuple(ALONE_ROWS), help=argparse.SUPPRESS)
    parser.add_argument("--way", choices=ALONE_WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.threads:
        print(json.dumps(measure_counts(arguments.threads)))
    elif arguments.kind:
        print(json.dumps(measure_alone(arguments.kind, arguments.way)))
    elif arguments.case == "counts":
        compare_counts(arguments.rounds)
    else:
        report = compare_alone(arguments.rounds)
        if arguments.json:
            arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
