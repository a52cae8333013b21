"""The zoo: kinds of models, each trained by `model.fit`, as SciKeras calls it, and by each engine of this package.

Owns the kinds and the comparison of ways to train them; the rule that it teaches is `tuner_app.compiled.engine`. Each
way runs in a process of its own, which waits while another one works: so a kind's ways run one after the other, and
TensorFlow is imported once for each way only.

    python benchmarks/zoo.py                          # all kinds, 15 minutes at most
    python benchmarks/zoo.py cnn_2d lstm --repeats 3
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
FOLDS = 2
LEARNING_RATES = (0.001, 0.002)
# The ways to train, in the order of the table.
MODEL_FIT, SCIKERAS, GRAPH, XLA, DEFAULT = WAYS = ("model.fit", "scikeras", "graph", "xla", "default")
# A way that takes so few seconds is run so often: one run of it tells little.
SHORT_SECONDS, SHORT_REPEATS = 5.0, 3
# What the records of our fits tell, summed over all that ran side by side.
PARTS = ("fit_seconds", "score_seconds", "compile_seconds")

Result = dict[str, Any]


def train(way: str, kind: Any, x: Any, y: Any) -> Result:
    """Train a kind's candidates on all folds in one way; what can be said of it beside the time."""
    return _by_loop(way, kind, x, y) if way in (MODEL_FIT, SCIKERAS) else _by_search(way, kind, x, y)


def _by_loop(way: str, kind: Any, x: Any, y: Any) -> Result:
    """As users write it by hand, with validation after each epoch; or as SciKeras does, which predicts in the end."""
    import keras
    from sklearn.model_selection import KFold

    losses = []
    for learning_rate in LEARNING_RATES:
        for train_rows, validation_rows in KFold(FOLDS).split(_first(x)):
            keras.utils.clear_session()  # As Keras Tuner does before each model.
            model = kind.build(learning_rate)
            fold = [_taken(part, rows) for rows in (train_rows, validation_rows) for part in (x, y)]
            if kind.standardizes:
                _adapt(model, fold[0])
            losses.append(_fitted(way, model, kind, *fold))
    return {"loss": statistics.fmean(losses)} if way == MODEL_FIT else {}


def _fitted(way: str, model: Any, kind: Any, x: Any, y: Any, validation_x: Any, validation_y: Any) -> float:
    """Train a model; its last validation loss, or 0 where it only predicts."""
    options: dict[str, Any] = {"epochs": kind.epochs, "batch_size": kind.batch_size, "verbose": 0}
    if way == SCIKERAS:
        model.fit(x, y, **options)
        model.predict(validation_x, batch_size=1_024, verbose=0)
        return 0.0
    history = model.fit(x, y, validation_data=(validation_x, validation_y), **options)
    return float(history.history["val_loss"][-1])


def _by_search(way: str, kind: Any, x: Any, y: Any) -> Result:
    """This package's search over the same candidates and folds."""
    from sklearn.model_selection import KFold

    from tuner_app import GridSearchCV

    with tempfile.TemporaryDirectory() as folder:
        tuner = GridSearchCV(
            _hypermodel(kind),
            objective="val_loss",
            cv=KFold(FOLDS),
            refit=False,
            seed=0,
            directory=folder,
            project_name="zoo",
            verbose=0,
            jit_compile={GRAPH: False, XLA: True, DEFAULT: None}[way],
        )
        tuner.search(x, y, epochs=kind.epochs, batch_size=kind.batch_size)
    folds = [fold for candidate in tuner.candidates() for fold in candidate.folds]
    parts = {name: sum(getattr(fold, name) for fold in folds) for name in PARTS}
    return {"loss": -statistics.fmean(tuner.cv_results_["mean_test_score"]), **parts}


def _adapt(model: Any, x: Any) -> None:
    next(layer for layer in model.layers if hasattr(layer, "adapt")).adapt(x)


def _hypermodel(kind: Any) -> Any:
    import keras_tuner

    class Zoo(keras_tuner.HyperModel):
        def build(self, hp: Any) -> Any:
            return kind.build(hp.Choice("learning_rate", list(LEARNING_RATES)))

    class Standardizing(Zoo):
        def fit(self, hp: Any, model: Any, x: Any, *args: Any, **options: Any) -> Any:
            _adapt(model, x)
            return model.fit(x, *args, **options)

    return Standardizing() if kind.standardizes else Zoo()


def _first(structure: Any) -> Any:
    return next(iter(structure.values())) if isinstance(structure, Mapping) else structure


def _taken(structure: Any, rows: Any) -> Any:
    if isinstance(structure, Mapping):
        return {name: part[rows] for name, part in structure.items()}
    return structure[rows]


def work(way: str) -> int:
    """Train, in one way, each kind whose name comes in, and say what it took; ends with the input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What libraries print is no answer.
    from zoo_kinds import KINDS

    import tuner_app.tuners.grid_search  # noqa: F401

    print(json.dumps(list(KINDS)), file=answers, flush=True)
    for line in sys.stdin:
        name, longer = line.split()
        kind = dataclasses.replace(KINDS[name], epochs=KINDS[name].epochs * int(longer))
        print(json.dumps(_worked(way, kind)), file=answers, flush=True)
    return 0


def _worked(way: str, kind: Any) -> Result:
    x, y = kind.data()
    began, processor = time.perf_counter(), time.process_time()
    try:
        result, error = train(way, kind, x, y), None
    except Exception as problem:
        result, error = {}, f"{type(problem).__name__}: {str(problem).splitlines()[0]}"
    seconds, processor_seconds = time.perf_counter() - began, time.process_time() - processor
    return {"seconds": seconds, "processor_seconds": processor_seconds, "error": error, **result}


class Worker:
    """A process that trains kinds in one way, one after the other.

    Args:
        way: Which.

    Attributes:
        kinds: The names of the kinds that there are.
    """

    def __init__(self, way: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--work", way],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(),
        )
        self.kinds: list[str] = self._answer()

    def train(self, kind: str, longer: int) -> Result:
        """Train a kind for so many times its epochs, and return what it took."""
        assert self._process.stdin is not None
        print(kind, longer, file=self._process.stdin, flush=True)
        return dict(self._answer())

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.terminate()  # Whatever it does: this process may have been interrupted.
        self._process.wait()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"A worker of the zoo must not end by itself. It ended with {self._process.wait()}.")
        return json.loads(line)


def environment() -> dict[str, str]:
    """That of the workers: quiet, importable from a checkout."""
    path = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": path}


def measure(
    kinds: Sequence[str], ways: Sequence[str] = WAYS, *, repeats: int = 1, longer: int = 1, parts: bool = False
) -> Result:
    """Train each kind in each way, in turn, and compare.

    Args:
        kinds: Their names; empty for all.
        ways: The ways to train.
        repeats: How often, at least: what is short runs more often.
        longer: So many times the epochs of each kind.
        parts: Whether each run's seconds by parts are printed, too.

    Returns:
        A report for JSON: `runs` with every run, `table` with medians in seconds.
    """
    runs: list[Result] = []
    rows: list[Result] = []
    workers: dict[str, Worker] = {}
    try:
        for way in ways:
            workers[way] = Worker(way)
        print(_line(["kind", *ways, "fit / default", "default / best"]), flush=True)
        for kind in kinds or workers[ways[0]].kinds:
            own: list[Result] = []
            for repeat, way in itertools.product(range(max(repeats, SHORT_REPEATS)), ways):
                if repeat < repeats or _is_short(run["seconds"] for run in own if run["way"] == way):
                    own.append({"kind": kind, "way": way, "repeat": repeat, **workers[way].train(kind, longer)})
            runs += own
            rows.append(table_row(kind, own))
            print(_line(_cells(rows[-1], ways)), *(_parts(run) for run in own if parts), sep="\n", flush=True)
    finally:
        for worker in workers.values():
            worker.end()
    return {"longer": longer, "table": rows, "runs": runs}


def _is_short(seconds: Iterable[float]) -> bool:
    return max(seconds, default=0.0) < SHORT_SECONDS


def _parts(run: Result) -> str:
    parts = [f"{name} {run[name]:.2f}" for name in ("processor_seconds", *PARTS) if name in run]
    return f"    {run['way']}: {run['error'] or ', '.join(parts)}"


def table_row(kind: str, runs: Sequence[Result]) -> Result:
    """A kind's medians in seconds by way, and the ratios that count."""
    seconds = {
        way: statistics.median(run["seconds"] for run in runs if run["way"] == way)
        for way in WAYS
        if any(run["way"] == way and run["error"] is None for run in runs)
    }
    default, ours = seconds.get(DEFAULT), [seconds[way] for way in (GRAPH, XLA) if way in seconds]
    return {
        "kind": kind,
        "seconds": seconds,
        "speed": seconds[MODEL_FIT] / default if default and MODEL_FIT in seconds else None,
        "beyond_best": default / min(ours) if default and ours else None,
        "errors": {run["way"]: run["error"] for run in runs if run["error"]},
    }


def _cells(row: Result, ways: Sequence[str]) -> list[str]:
    seconds = [f"{row['seconds'][way]:.2f}" if way in row["seconds"] else "-" for way in ways]
    return [
        row["kind"],
        *seconds,
        *("-" if row[name] is None else f"{row[name]:.2f}" for name in ("speed", "beyond_best")),
    ]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(f"{cell:<18}" if i == 0 else f"{cell:>9}" for i, cell in enumerate(cells)) + " |"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="of those in zoo_kinds.py (default: all)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--longer", type=int, default=1, metavar="TIMES", help="so many times the epochs of each kind")
    parser.add_argument("--parts", action="store_true", help="print processor seconds and those of compiling, too")
    parser.add_argument("--json", type=pathlib.Path, help="where the report is written")
    parser.add_argument("--work", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.work:
        return work(arguments.work)
    report = measure(
        *(arguments.kinds, arguments.ways), repeats=arguments.repeats, longer=arguments.longer, parts=arguments.parts
    )
    speeds = [row["speed"] for row in report["table"] if row["speed"]]
    if speeds:
        print(f"fit / default: least {min(speeds):.2f}, median {statistics.median(speeds):.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
