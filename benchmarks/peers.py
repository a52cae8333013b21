"""The contenders of `bench.py`: each does the same work in its own way, in a process of its own.

Owns the workloads, the data and how each peer is driven, with what its own documentation advises. Repeats, memory
of child processes, medians, ratios and printing belong to `bench`. Nothing heavy is imported before a contender
runs, so that its imports can be timed and the command line answers at once.

    python benchmarks/peers.py scikeras_n_jobs_1 digits --json outcome.json
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import itertools
import json
import os
import pathlib
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
MNIST_FILE = ROOT.parent / "shared" / "data" / "mnist.npz"
CLASSES = 10
VALIDATION_BATCH = 1_000
MARKS = (200, 400, 800, 1_600)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workload:
    """A grid search over one hidden layer.

    Attributes:
        data: `mnist` or `digits`.
        rows: How many rows are searched on, from the first.
        inputs: The number of features.
        input_scale: What the features are divided by.
        nodes: The candidates' hidden nodes.
        learning_rates: The candidates' learning rates.
        epochs: The epochs of each fit.
        folds: The number of contiguous folds, as `KFold` makes them.
        batch_size: The rows of a training step.
        refit: Whether the best candidate is trained on all rows at the end.
    """

    data: str
    rows: int
    inputs: int
    input_scale: float
    nodes: tuple[int, ...] = (32, 64, 128, 256, 512)
    learning_rates: tuple[float, ...] = (0.001, 0.002, 0.003)
    epochs: int = 15
    folds: int = 3
    batch_size: int = 64
    refit: bool = False

    def quick(self) -> Workload:
        """The same search at a size that takes seconds."""
        rates = self.learning_rates[:1]
        return dataclasses.replace(self, rows=min(self.rows, 600), nodes=self.nodes[:2], learning_rates=rates, epochs=2)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OverheadWorkload:
    """A square grid with a fit that costs nothing.

    Attributes:
        side: The values of each of the two hyperparameters.
        oracle_trials: How many candidates Keras Tuner's oracle is asked for.
    """

    side: int = 100
    oracle_trials: int = 1_600

    def quick(self) -> OverheadWorkload:
        """The same at a size that takes seconds."""
        return dataclasses.replace(self, side=10, oracle_trials=50)


WORKLOADS: dict[str, Workload | OverheadWorkload] = {
    "tutorial": Workload(data="mnist", rows=42_000, inputs=784, input_scale=255.0, learning_rates=(0.001,)),
    "digits": Workload(data="digits", rows=1_797, inputs=64, input_scale=16.0),
    "overhead": OverheadWorkload(),
    "full": Workload(data="mnist", rows=42_000, inputs=784, input_scale=255.0, refit=True),
}


@dataclasses.dataclass(frozen=True)
class Clock:
    """Seconds spent in the phases of a contender, by name."""

    seconds: dict[str, float] = dataclasses.field(default_factory=dict)

    @contextlib.contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Time a block and add it to its phase."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - begun


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a contender found.

    Attributes:
        scores: Each candidate's mean accuracy over the folds, by `candidate_name`.
        details: Numbers that only this contender or case has.
        seconds: The search's seconds where they are computed; None where the clock has them.
    """

    scores: dict[str, float] = dataclasses.field(default_factory=dict)
    details: dict[str, float] = dataclasses.field(default_factory=dict)
    seconds: float | None = None


def candidate_name(params: Mapping[str, Any]) -> str:
    """The same name for the same candidate, whoever made it."""
    return f"nodes={int(params['nodes'])} learning_rate={float(params['learning_rate']):g}"


def candidate_names(workload: Workload | OverheadWorkload) -> set[str]:
    """The names of all candidates that have scores in a workload."""
    if isinstance(workload, OverheadWorkload):
        return set()
    pairs = itertools.product(workload.nodes, workload.learning_rates)
    return {candidate_name({"nodes": nodes, "learning_rate": rate}) for nodes, rate in pairs}


def load_rows(workload: Workload) -> tuple[Any, Any]:
    """The rows of a workload.

    Args:
        workload: Which data, and how many rows.

    Returns:
        x, uint8 of shape `(rows, inputs)`, and y, int64 of shape `(rows,)`.
    """
    import numpy as np

    if workload.data == "digits":
        from sklearn.datasets import load_digits

        x, y = load_digits(return_X_y=True)
    elif MNIST_FILE.exists():
        with np.load(MNIST_FILE) as arrays:
            x, y = arrays["x_train"], arrays["y_train"]
    else:
        import keras

        (x, y), _ = keras.datasets.mnist.load_data()
    x = x[: workload.rows].reshape(-1, workload.inputs)
    return np.ascontiguousarray(x, dtype=np.uint8), y[: workload.rows].astype(np.int64)


def scaled_rows(workload: Workload) -> tuple[Any, Any]:
    """The rows as the peers get them: divided once beforehand, which is faster than a layer that does it each step."""
    x, y = load_rows(workload)
    return x.astype("float32") / workload.input_scale, y


def build_classifier(inputs: int, nodes: int, learning_rate: float) -> Any:
    """The tutorial's model, compiled, for `x` that is scaled already."""
    import keras

    model = keras.Sequential(
        [
            keras.Input((inputs,)),
            keras.layers.Dense(nodes, activation="relu", kernel_initializer="uniform"),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    optimizer = keras.optimizers.RMSprop(learning_rate)
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def run_tuner_app(workload: Workload, clock: Clock, *, n_jobs: int) -> Outcome:
    """This package's search."""
    with clock("import"):
        from tuner_app import DenseHyperModel, GridSearchCV  # isort: skip  (it may set what TensorFlow reads on loading)

        import keras  # noqa: F401  (what the package imports late counts as an import too)
        from sklearn.model_selection import KFold
    x, y = load_rows(workload)
    with tempfile.TemporaryDirectory() as folder, clock("search"):
        hypermodel = DenseHyperModel(
            input_shape=(workload.inputs,),
            n_classes=CLASSES,
            nodes=list(workload.nodes),
            learning_rates=list(workload.learning_rates),
            input_scale=workload.input_scale,
        )
        tuner = GridSearchCV(
            hypermodel,
            objective="val_accuracy",
            cv=KFold(workload.folds),
            n_jobs=n_jobs,
            refit=workload.refit,
            seed=0,
            directory=folder,
            project_name="bench",
            overwrite=True,
        )
        tuner.search(x, y, epochs=workload.epochs, batch_size=workload.batch_size)
    return Outcome(scores=_means(tuner.cv_results_))


def run_scikeras(workload: Workload, clock: Clock, *, n_jobs: int) -> Outcome:
    """scikit-learn's `GridSearchCV` with a SciKeras classifier."""
    if n_jobs > 1:
        # joblib shares out the cores among its workers for BLAS and OpenMP, but does not know TensorFlow.
        os.environ["TF_NUM_INTRAOP_THREADS"] = str(max(1, cores() // n_jobs))
    with clock("import"):
        import keras  # noqa: F401  (SciKeras imports it anyway; here it is counted as an import)
        from scikeras.wrappers import KerasClassifier
        from sklearn.model_selection import GridSearchCV, KFold
    x, y = scaled_rows(workload)
    with clock("search"):
        classifier = KerasClassifier(
            model=functools.partial(build_classifier, workload.inputs),
            nodes=workload.nodes[0],
            learning_rate=workload.learning_rates[0],
            epochs=workload.epochs,
            batch_size=workload.batch_size,
            predict__batch_size=VALIDATION_BATCH,
            verbose=0,
        )
        search = GridSearchCV(
            classifier,
            {"nodes": list(workload.nodes), "learning_rate": list(workload.learning_rates)},
            scoring="accuracy",
            cv=KFold(workload.folds),
            n_jobs=n_jobs,
            refit=workload.refit,
            error_score="raise",
        )
        search.fit(x, y)
    return Outcome(scores=_means(search.cv_results_))


def run_keras_tuner_loop(workload: Workload, clock: Clock) -> Outcome:
    """Keras Tuner's `GridSearch` with a `run_trial` that loops over the folds, as its users write it today."""
    with clock("import"):
        import keras
        import keras_tuner
        from sklearn.model_selection import KFold
    x, y = scaled_rows(workload)
    fit_options = {"epochs": workload.epochs, "batch_size": workload.batch_size, "verbose": 0}

    def build(hp: Any) -> Any:
        nodes = hp.Choice("nodes", list(workload.nodes))
        return build_classifier(workload.inputs, nodes, hp.Choice("learning_rate", list(workload.learning_rates)))

    class FoldLoop(keras_tuner.GridSearch):  # type: ignore[misc]
        def run_trial(self, trial: Any, *args: Any, **options: Any) -> dict[str, float]:
            scores = []
            for train, validation in KFold(workload.folds).split(x):
                keras.utils.clear_session()
                model = self.hypermodel.build(trial.hyperparameters)
                history = model.fit(
                    x[train],
                    y[train],
                    validation_data=(x[validation], y[validation]),
                    validation_batch_size=VALIDATION_BATCH,
                    **fit_options,
                )
                scores.append(history.history["val_accuracy"][-1])
            return {"val_accuracy": statistics.fmean(scores)}

    with tempfile.TemporaryDirectory() as folder, clock("search"):
        tuner = FoldLoop(build, objective="val_accuracy", directory=folder, project_name="bench", overwrite=True)
        tuner.search(verbose=0)
        if workload.refit:
            build(tuner.get_best_hyperparameters()[0]).fit(x, y, **fit_options)
    trials = tuner.oracle.trials.values()
    return Outcome(scores={candidate_name(trial.hyperparameters.values): float(trial.score) for trial in trials})


def run_gemm_floor(workload: Workload, clock: Clock) -> Outcome:
    """How long the matrix products of the search take at NumPy's rate, from a sample of them."""
    with clock("import"):
        import numpy as np
    x = np.random.default_rng(0).random((workload.rows, workload.inputs), dtype=np.float32)
    seconds = {"training": 0.0, "validation": 0.0, "refit": 0.0}
    flops = floor_flops(workload)
    for nodes in workload.nodes:
        training = product_rate(x, nodes, workload.batch_size, training=True)
        validation = product_rate(x, nodes, VALIDATION_BATCH, training=False)
        seconds["training"] += flops["training", nodes] / training
        seconds["validation"] += flops["validation", nodes] / validation
        seconds["refit"] += flops["refit", nodes] / training
    details = {f"{part}_seconds": value for part, value in seconds.items()}
    return Outcome(details=details | {"flops": float(sum(flops.values()))}, seconds=sum(seconds.values()))


def step_flops(rows: int, *, inputs: int, nodes: int, training: bool, classes: int = CLASSES) -> int:
    """Floating-point operations of the matrix products of one step, a multiplication and an addition being two.

    Forward they are `x @ W1` and `h @ W2`, backward `dW2`, `dh` and `dW1`; nobody asks for `dx`.

    Args:
        rows: The rows of the step.
        inputs: The features.
        nodes: The hidden nodes.
        training: Whether there is a way back.
        classes: The outputs.
    """
    first, second = 2 * rows * inputs * nodes, 2 * rows * nodes * classes
    return 2 * first + 3 * second if training else first + second


def floor_flops(workload: Workload) -> dict[tuple[str, int], int]:
    """The operations of a whole search by part (`training`, `validation`, `refit`) and hidden nodes.

    Over all folds each row is trained on `folds - 1` times and validated once, every epoch. The refit is counted
    for the most nodes, which is what the tutorial's search chooses.
    """
    flops = {}
    for nodes in workload.nodes:
        count = functools.partial(step_flops, inputs=workload.inputs, nodes=nodes)
        fits = workload.epochs * len(workload.learning_rates)
        flops["training", nodes] = fits * count(workload.rows * (workload.folds - 1), training=True)
        flops["validation", nodes] = fits * count(workload.rows, training=False)
        refits = workload.epochs if workload.refit and nodes == max(workload.nodes) else 0
        flops["refit", nodes] = refits * count(workload.rows, training=True)
    return flops


def product_rate(x: Any, nodes: int, rows: int, *, training: bool, samples: int = 5) -> float:
    """Operations per second of a step's products on all cores.

    Either BLAS spreads each product over the cores, or each core has products of its own: whichever is faster here.

    Args:
        x: Data of shape `(n_samples, inputs)`, float32; the steps walk over it.
        nodes: The hidden nodes.
        rows: The rows of a step.
        training: Whether the backward products are among them.
        samples: How many samples the median is taken of.
    """
    from threadpoolctl import threadpool_limits

    rows = min(rows, len(x))
    flops = step_flops(rows, inputs=x.shape[1], nodes=nodes, training=training)
    steps = min(400, max(4, round(2e9 / flops)))

    def rate(workers: int) -> float:
        walks = [_products(x, nodes, rows, training=training) for _ in range(workers)]
        seconds = statistics.median(_side_by_side(walks, steps) for _ in range(samples))
        return flops * steps * workers / seconds

    with threadpool_limits(limits=1, user_api="blas"):
        apart = rate(cores())
    return max(apart, rate(1))


def _products(x: Any, nodes: int, rows: int, *, training: bool) -> Callable[[int], None]:
    """A function that does the products of that many steps, in memory that is allocated once."""
    import numpy as np

    random = np.random.default_rng(0)
    inputs = x.shape[1]
    w1, w2 = random.random((inputs, nodes), dtype=np.float32), random.random((nodes, CLASSES), dtype=np.float32)
    h, out = np.empty((rows, nodes), np.float32), random.random((rows, CLASSES), dtype=np.float32)
    error = random.random((rows, CLASSES), dtype=np.float32)
    dw1, dw2, dh = np.empty_like(w1), np.empty_like(w2), np.empty_like(h)

    def walk(steps: int) -> None:
        for step in range(steps):
            start = step * rows % (len(x) - rows + 1)
            batch = x[start : start + rows]
            np.matmul(batch, w1, out=h)
            np.matmul(h, w2, out=out)
            if training:
                np.matmul(h.T, error, out=dw2)
                np.matmul(error, w2.T, out=dh)
                np.matmul(batch.T, dh, out=dw1)

    walk(2)
    return walk


def _side_by_side(walks: Sequence[Callable[[int], None]], steps: int) -> float:
    """Seconds until all walks, a thread each, have made their steps."""
    threads = [threading.Thread(target=walk, args=(steps,)) for walk in walks]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begun


def fake_score(values: Mapping[str, Any]) -> float:
    """A known score between 0 and 1."""
    return float((values["a"] * 31 + values["b"] * 17) % 101 / 101)


def run_tuner_app_overhead(workload: OverheadWorkload, clock: Clock, *, folds: int) -> Outcome:
    """This package's whole search, journal and tables included, with a fit that costs nothing."""
    with clock("import"):
        import keras
        import numpy as np
        from sklearn.model_selection import KFold

        from tuner_app import GridSearchCV
        from tuner_app.records.results import FoldResult

    def build(hp: Any) -> Any:
        hp.Choice("a", list(range(workload.side)))
        hp.Choice("b", list(range(workload.side)))
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2, activation="softmax")])
        model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(task: Any) -> Any:
        return FoldResult(
            trial_id=task.trial_id,
            fold=task.fold,
            execution=task.execution,
            values=dict(task.values),
            seed=task.seed,
            scores={"val_accuracy": fake_score(task.values)},
        )

    x, y = np.zeros((40, 1), np.float32), np.arange(40) % 2
    folder = tempfile.mkdtemp()  # `bench` deletes it when all is measured: deleting slows down what comes next
    begun = time.time()
    with clock("search"):
        tuner = GridSearchCV(
            build,
            objective="val_accuracy",
            cv=KFold(folds),
            n_jobs=1,
            refit=False,
            seed=0,
            directory=folder,
            project_name="bench",
            overwrite=True,
            fold_fitter=fit,
        )
        tuner.search(x, y, epochs=1, batch_size=32)
    ended = journal_times(pathlib.Path(folder) / "bench", begun)
    return Outcome(details=growth(ended, clock.seconds["search"]))


def run_keras_tuner_oracle(workload: OverheadWorkload, clock: Clock) -> Outcome:
    """Keras Tuner's grid oracle alone, without the tuner around it: the least that a search with it can cost."""
    with clock("import"):
        import keras_tuner
    space = keras_tuner.HyperParameters()
    space.Choice("a", list(range(workload.side)))
    space.Choice("b", list(range(workload.side)))
    ended, folder = [], tempfile.mkdtemp()
    with clock("search"):
        begun = time.perf_counter()
        oracle = keras_tuner.oracles.GridSearchOracle(
            objective=keras_tuner.Objective("val_accuracy", "max"),
            max_trials=workload.oracle_trials,
            hyperparameters=space,
        )
        oracle.verbose = 0
        # Private, but it is how Keras Tuner's own tuners tell an oracle where its files go.
        oracle._set_project_dir(folder, "bench")
        while (trial := oracle.create_trial("tuner0")).status == "RUNNING":
            oracle.update_trial(trial.trial_id, {"val_accuracy": fake_score(trial.hyperparameters.values)})
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
            ended.append(time.perf_counter() - begun)
    return Outcome(details=growth(ended, clock.seconds["search"]))


def journal_times(project: pathlib.Path, begun: float) -> list[float]:
    """When each candidate's last fold was on disk.

    Args:
        project: The folder of a finished search.
        begun: When the search began, in seconds since 1970.

    Returns:
        Seconds since the search began, ascending.
    """
    folders: dict[str, float] = {}
    for file in project.glob("trial_*/fold_*.json"):
        folders[file.parent.name] = max(folders.get(file.parent.name, 0.0), file.stat().st_mtime - begun)
    return sorted(folders.values())


def growth(ended: Sequence[float], total: float) -> dict[str, float]:
    """What a candidate costs, and whether a late one costs more than an early one.

    Args:
        ended: When each candidate ended, in seconds since the search began, ascending.
        total: The seconds of the whole search.

    Returns:
        Milliseconds per candidate: over all of the search, in its first and its last tenth, the ratio of the last
        to the first, and the average up to each of `MARKS`.

    Raises:
        ValueError: Fewer than two candidates ended.
    """
    if len(ended) < 2:
        raise ValueError(f"The search must end at least two candidates. It ended {len(ended)}; look at its output.")
    few = max(1, len(ended) // 10)
    # Counted from the first candidate's end: what a search costs to begin must not hide that it slows down later.
    first = 1e3 * (ended[few] - ended[0]) / few
    last = 1e3 * (ended[-1] - ended[-few - 1]) / few
    averages = {f"first_{mark}_ms": 1e3 * ended[mark - 1] / mark for mark in MARKS if mark <= len(ended)}
    return {
        "candidates": len(ended),
        "candidate_ms": 1e3 * total / len(ended),
        "early_ms": first,
        "late_ms": last,
        "growth": last / first if first > 0 else float("inf"),
        **averages,
    }


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_bytes() -> int:
    """The most memory that this process alone has held, in bytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _means(table: Mapping[str, Any]) -> dict[str, float]:
    scores = zip(table["params"], table["mean_test_score"], strict=True)
    return {candidate_name(params): float(score) for params, score in scores}


SEARCH_CONTENDERS: dict[str, Callable[[Workload, Clock], Outcome]] = {
    "tuner_app": functools.partial(run_tuner_app, n_jobs=2),
    "tuner_app_n_jobs_1": functools.partial(run_tuner_app, n_jobs=1),
    "scikeras_n_jobs_1": functools.partial(run_scikeras, n_jobs=1),
    "scikeras_n_jobs_2": functools.partial(run_scikeras, n_jobs=2),
    "keras_tuner_loop": run_keras_tuner_loop,
    "gemm_floor": run_gemm_floor,
}
OVERHEAD_CONTENDERS: dict[str, Callable[[OverheadWorkload, Clock], Outcome]] = {
    "tuner_app": functools.partial(run_tuner_app_overhead, folds=2),
    # Half of what the two more folds cost is a fold's part: its thread, its record, its line on the screen.
    "tuner_app_4_folds": functools.partial(run_tuner_app_overhead, folds=4),
    "keras_tuner_oracle": run_keras_tuner_oracle,
}


def contenders_of(case: str) -> tuple[str, ...]:
    """Who can run a case, in the order of the table."""
    return tuple(OVERHEAD_CONTENDERS if case == "overhead" else SEARCH_CONTENDERS)


def run(contender: str, case: str, *, quick: bool = False) -> dict[str, Any]:
    """Run a contender here and now.

    Args:
        contender: One of `contenders_of(case)`.
        case: One of `WORKLOADS`.
        quick: Whether to run a size that takes seconds.

    Returns:
        Seconds of the imports and of the search, the peak memory of this process in bytes, scores and details.
    """
    workload = WORKLOADS[case].quick() if quick else WORKLOADS[case]
    clock = Clock()
    if isinstance(workload, OverheadWorkload):
        outcome = OVERHEAD_CONTENDERS[contender](workload, clock)
    else:
        outcome = SEARCH_CONTENDERS[contender](workload, clock)
    return {
        "search_seconds": clock.seconds["search"] if outcome.seconds is None else outcome.seconds,
        "import_seconds": clock.seconds["import"],
        "peak_bytes": peak_bytes(),
        "scores": outcome.scores,
        "details": outcome.details,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run one contender and write what it took as JSON."""
    parser = argparse.ArgumentParser(description=run.__doc__.splitlines()[0] if run.__doc__ else None)
    parser.add_argument("contender", choices=sorted({*SEARCH_CONTENDERS, *OVERHEAD_CONTENDERS}))
    parser.add_argument("case", choices=list(WORKLOADS))
    parser.add_argument("--json", type=pathlib.Path, required=True, help="the file to write")
    parser.add_argument("--quick", action="store_true", help="a size that takes seconds")
    arguments = parser.parse_args(argv)
    if arguments.contender not in contenders_of(arguments.case):
        parser.error(f"{arguments.case} is run by {', '.join(contenders_of(arguments.case))}.")
    outcome = run(arguments.contender, arguments.case, quick=arguments.quick)
    arguments.json.write_text(json.dumps(outcome, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
