"""Why `tuner_app.process.devices` gives an operation one thread: the counts that one could choose, side by side.

One search for each number of nodes, of jobs, and of threads that an operation may use (intra-op): 42,000 rows of
MNIST in 3 folds, batches of 64, 5 epochs, no refit; seconds of the search, compiling included. Each count of threads
has a process of its own, since TensorFlow takes it once; they alternate, and the table shows medians over the rounds.

    python benchmarks/threads.py --rounds 3
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time

from workloads import CLASSES, ROOT, WORKLOADS, Workload, load_rows

NODES = (32, 128, 512)
JOBS = (1, 2)
THREADS = (1, 2)
EPOCHS = 5


def measure(threads: int) -> dict[str, float]:
    """The seconds of each search in this process, by nodes and jobs."""
    sys.path.insert(0, str(ROOT))
    from tuner_app.process.loading import import_tensorflow_quietly

    import_tensorflow_quietly().config.threading.set_intra_op_parallelism_threads(threads)
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


def main() -> int:
    """Measure, and print the table; with `--threads`, measure in this process and print JSON."""
    parser = argparse.ArgumentParser(prog="threads.py", description="Compare the thread counts of an operation.")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each count (default: 3)")
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.threads:
        print(json.dumps(measure(arguments.threads)))
        return 0
    runs: dict[int, list[dict[str, float]]] = {threads: [] for threads in THREADS}
    for _ in range(arguments.rounds):
        for threads, rounds in runs.items():
            command = [sys.executable, __file__, "--threads", str(threads)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            rounds.append(json.loads(done.stdout.splitlines()[-1]))
    print("| search | 1 thread, s | 2 threads, s | 2 / 1 |\n| --- | --- | --- | --- |")
    for name in runs[1][0]:
        one, two = (statistics.median(run[name] for run in runs[threads]) for threads in THREADS)
        print(f"| {name} | {one:.1f} | {two:.1f} | {two / one:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
