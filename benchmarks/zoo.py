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
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
FOLDS = 3
LEARNING_RATES = (0.001, 0.002)
# The ways to train, in the order of the table.
MODEL_FIT, SCIKERAS, GRAPH, XLA, DEFAULT = WAYS = ("model.fit", "scikeras", "graph", "xla", "default")
# What the default must reach: of the speed of `model.fit` on each kind, in the median, of our better engine's seconds.
BAR_EACH, BAR_MEDIAN, BAR_BEST = 0.97, 2.0, 1.15
# Beyond so many times the seconds of `model.fit`, an engine that is known to be hopeless is not waited for.
HOPELESS = 6.0

Result = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of model with its data.

    Attributes:
        data: Makes `(x, y)`.
        build: Makes the compiled model, given the learning rate.
        epochs: The epochs of each fit.
        batch_size: The rows of a training step.
        standardizes: Whether it learns a scaling before each fit.
    """

    data: Callable[[], tuple[Any, Any]]
    build: Callable[[float], Any]
    epochs: int
    batch_size: int = 64
    standardizes: bool = False


def table(rows: int, inputs: int, classes: int = 10) -> Callable[[], tuple[Any, Any]]:
    """Random rows of numbers, and a class for each that depends on them."""
    return lambda: _classified((rows, inputs), classes)


def _classified(shape: tuple[int, ...], classes: int) -> tuple[Any, Any]:
    import numpy as np

    random = np.random.default_rng(0)
    x = random.standard_normal(shape, dtype=np.float32)
    flat = x.reshape(len(x), -1)
    return x, (flat @ random.standard_normal((flat.shape[1], classes), dtype=np.float32)).argmax(axis=1)


def texts(rows: int, length: int, words: int) -> Callable[[], tuple[Any, Any]]:
    """Random word numbers, and whether the first words are frequent ones."""

    def make() -> tuple[Any, Any]:
        import numpy as np

        x = np.random.default_rng(0).integers(1, words, (rows, length), dtype=np.int32)
        return x, (x[:, :4].mean(axis=1) > words / 2).astype(np.int64)

    return make


def mixed(rows: int) -> tuple[Any, Any]:
    """A category and numbers as two inputs."""
    import numpy as np

    random = np.random.default_rng(0)
    x = {
        "shop": random.integers(0, 500, (rows, 1), dtype=np.int32),
        "numbers": random.standard_normal((rows, 20), dtype=np.float32),
    }
    return x, (x["numbers"][:, 0] + 0.01 * x["shop"][:, 0]).astype(np.float32)


def two_targets(rows: int) -> tuple[Any, Any]:
    """Numbers with a class and an amount to tell."""
    x, y = _classified((rows, 50), 4)
    return x, {"kind": y, "amount": x[:, :1] * 2}


def sequential(
    *layers: Callable[[Any], Any], inputs: tuple[int, ...], dtype: str = "float32", classes: int = 10
) -> Any:
    """A builder of a classifier made of some layers, with Adam."""

    def build(learning_rate: float) -> Any:
        import keras

        made = [layer(keras.layers) for layer in layers]
        model = keras.Sequential([keras.Input(inputs, dtype=dtype), *made, keras.layers.Dense(classes, "softmax")])
        return compiled(model, learning_rate)

    return build


def compiled(model: Any, learning_rate: float) -> Any:
    """The model, compiled as a classifier with Adam."""
    import keras

    model.compile(keras.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def dense(width: int, deep: int = 1, *, norm: bool = False, dropout: float = 0.0, inputs: int = 784, classes: int = 10):
    """Builder of dense layers of one width."""
    block: list[Callable[[Any], Any]] = [lambda layers: layers.Dense(width, "relu")]
    block += [lambda layers: layers.BatchNormalization()] * norm
    block += [lambda layers: layers.Dropout(dropout, seed=1)] * bool(dropout)
    return sequential(*block * deep, inputs=(inputs,), classes=classes)


def residual(learning_rate: float) -> Any:
    """A small residual network."""
    import keras
    from keras import layers

    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    for _ in range(2):
        y = layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same")(x))
        x = layers.Activation("relu")(layers.add([x, layers.Conv2D(16, 3, padding="same")(y)]))
    outputs = layers.Dense(10, "softmax")(layers.GlobalAveragePooling2D()(x))
    return compiled(keras.Model(inputs, outputs), learning_rate)


def attention(learning_rate: float) -> Any:
    """One layer of attention over rows of numbers."""
    import keras
    from keras import layers

    inputs = keras.Input((32, 16))
    x = layers.MultiHeadAttention(4, 16)(inputs, inputs)
    outputs = layers.Dense(10, "softmax")(layers.GlobalAveragePooling1D()(x))
    return compiled(keras.Model(inputs, outputs), learning_rate)


def transformer(learning_rate: float) -> Any:
    """Two blocks of a transformer over words."""
    import keras
    from keras import layers

    inputs = keras.Input((40,), dtype="int32")
    x = layers.Embedding(5_000, 32)(inputs)
    for _ in range(2):
        x = layers.LayerNormalization()(layers.add([x, layers.MultiHeadAttention(2, 16)(x, x)]))
        x = layers.LayerNormalization()(layers.add([x, layers.Dense(32)(layers.Dense(64, "relu")(x))]))
    outputs = layers.Dense(2, "softmax")(layers.GlobalAveragePooling1D()(x))
    return compiled(keras.Model(inputs, outputs), learning_rate)


def several_inputs(learning_rate: float) -> Any:
    """A category beside numbers, for an amount."""
    import keras
    from keras import layers

    shop = keras.Input((1,), dtype="int32", name="shop")
    numbers = keras.Input((20,), name="numbers")
    x = layers.concatenate([layers.Flatten()(layers.Embedding(500, 8)(shop)), numbers])
    outputs = layers.Dense(1)(layers.Dense(64, "relu")(x))
    model = keras.Model({"shop": shop, "numbers": numbers}, outputs)
    model.compile(keras.optimizers.Adam(learning_rate), "mse", metrics=["mae"])
    return model


def several_outputs(learning_rate: float) -> Any:
    """A class and an amount from the same numbers."""
    import keras
    from keras import layers

    inputs = keras.Input((50,))
    x = layers.Dense(64, "relu")(inputs)
    outputs = {"kind": layers.Dense(4, "softmax", name="kind")(x), "amount": layers.Dense(1, name="amount")(x)}
    model = keras.Model(inputs, outputs)
    losses = {"kind": "sparse_categorical_crossentropy", "amount": "mse"}
    model.compile(keras.optimizers.Adam(learning_rate), losses, metrics={"kind": ["accuracy"]})
    return model


def own_train_step(learning_rate: float) -> Any:
    """A model with a training step of its own, as Keras's guide writes it."""
    import keras
    from keras import layers

    inputs = keras.Input((784,))
    outputs = layers.Dense(10, "softmax")(layers.Dense(128, "relu")(inputs))
    return compiled(_own_step_class()(inputs, outputs), learning_rate)


def subclassed(learning_rate: float) -> Any:
    """A model written as a class with a `call` of its own."""
    return compiled(_subclass()(), learning_rate)


def _own_step_class() -> Any:
    import keras
    import tensorflow as tf

    if "OwnStep" not in globals():

        class OwnStep(keras.Model):
            def train_step(self, data: Any) -> Any:
                x, y = data
                with tf.GradientTape() as tape:
                    loss = self.compute_loss(y=y, y_pred=(prediction := self(x, training=True)))
                gradients = tape.gradient(loss, self.trainable_variables)
                self.optimizer.apply(gradients, self.trainable_variables)
                for metric in self.metrics:
                    metric.update_state(loss) if metric.name == "loss" else metric.update_state(y, prediction)
                return {metric.name: metric.result() for metric in self.metrics}

        globals()["OwnStep"] = OwnStep
    return globals()["OwnStep"]


def _subclass() -> Any:
    import keras

    if "Subclassed" not in globals():

        class Subclassed(keras.Model):
            def __init__(self) -> None:
                super().__init__()
                self.hidden = keras.layers.Dense(128, "relu")
                self.outcome = keras.layers.Dense(10, "softmax")

            def call(self, inputs: Any) -> Any:
                return self.outcome(self.hidden(inputs))

        globals()["Subclassed"] = Subclassed
    return globals()["Subclassed"]


def standardizing(learning_rate: float) -> Any:
    """The model of the command line for tables of numbers."""
    import keras
    import keras_tuner

    from tuner_app.models.dense import DenseHyperModel

    model = DenseHyperModel((100,), 10, nodes=[128], learning_rates=[0.001]).build(keras_tuner.HyperParameters())
    model.optimizer.learning_rate = learning_rate
    assert isinstance(model, keras.Model)
    return model


PICTURES = lambda: _classified((3_000, 28, 28, 1), 10)  # noqa: E731
SERIES = lambda: _classified((6_000, 40, 8), 10)  # noqa: E731

KINDS: dict[str, Kind] = {
    "dense_32": Kind(data=table(12_000, 784), build=dense(32), epochs=10),
    "dense_512": Kind(data=table(12_000, 784), build=dense(512), epochs=4),
    "dense_2048": Kind(data=table(6_000, 784), build=dense(2_048), epochs=3),
    "dense_6_deep": Kind(data=table(12_000, 784), build=dense(256, 6), epochs=4),
    "dense_norm": Kind(data=table(12_000, 784), build=dense(128, 3, norm=True), epochs=5),
    "dense_dropout": Kind(data=table(12_000, 784), build=dense(256, 2, dropout=0.3), epochs=5),
    "dense_norm_dropout": Kind(data=table(12_000, 784), build=dense(128, 2, norm=True, dropout=0.3), epochs=5),
    "wide_table": Kind(data=table(2_000, 10_000), build=dense(64, inputs=10_000), epochs=6),
    "tiny_data": Kind(data=table(200, 20, 3), build=dense(32, 2, inputs=20, classes=3), epochs=30, batch_size=32),
    "large_data": Kind(data=table(200_000, 20, 3), build=dense(64, 2, inputs=20, classes=3), epochs=1),
    "batch_8": Kind(data=table(6_000, 50, 4), build=dense(64, 2, inputs=50, classes=4), epochs=4, batch_size=8),
    "batch_512": Kind(data=table(30_000, 200, 4), build=dense(256, 2, inputs=200, classes=4), epochs=8, batch_size=512),
    "many_steps": Kind(data=table(2_000, 30, 2), build=dense(16, inputs=30, classes=2), epochs=80, batch_size=16),
    "standardized": Kind(data=table(20_000, 100), build=standardizing, epochs=6, standardizes=True),
    "cnn_2d": Kind(
        data=PICTURES,
        build=sequential(
            lambda layers: layers.Conv2D(16, 3, activation="relu"),
            lambda layers: layers.MaxPooling2D(),
            lambda layers: layers.Conv2D(32, 3, activation="relu"),
            lambda layers: layers.MaxPooling2D(),
            lambda layers: layers.Flatten(),
            inputs=(28, 28, 1),
        ),
        epochs=3,
    ),
    "cnn_1d": Kind(
        data=SERIES,
        build=sequential(
            lambda layers: layers.Conv1D(32, 5, activation="relu"),
            lambda layers: layers.Conv1D(32, 5, activation="relu"),
            lambda layers: layers.GlobalMaxPooling1D(),
            inputs=(40, 8),
        ),
        epochs=5,
    ),
    "cnn_separable": Kind(
        data=PICTURES,
        build=sequential(
            lambda layers: layers.SeparableConv2D(16, 3, activation="relu"),
            lambda layers: layers.MaxPooling2D(),
            lambda layers: layers.SeparableConv2D(32, 3, activation="relu"),
            lambda layers: layers.GlobalAveragePooling2D(),
            inputs=(28, 28, 1),
        ),
        epochs=3,
    ),
    "cnn_strided": Kind(
        data=PICTURES,
        build=sequential(
            lambda layers: layers.Conv2D(16, 3, strides=2, activation="relu"),
            lambda layers: layers.DepthwiseConv2D(3, strides=2, activation="relu"),
            lambda layers: layers.Dropout(0.2, seed=1),
            lambda layers: layers.Flatten(),
            inputs=(28, 28, 1),
        ),
        epochs=4,
    ),
    "cnn_residual": Kind(data=lambda: _classified((2_400, 16, 16, 3), 10), build=residual, epochs=3),
    "lstm": Kind(data=SERIES, build=sequential(lambda layers: layers.LSTM(32), inputs=(40, 8)), epochs=3),
    "lstm_stacked": Kind(
        data=lambda: _classified((3_000, 30, 8), 10),
        build=sequential(
            lambda layers: layers.LSTM(32, return_sequences=True), lambda layers: layers.LSTM(32), inputs=(30, 8)
        ),
        epochs=3,
    ),
    "gru_bidirectional": Kind(
        data=lambda: _classified((3_000, 30, 8), 10),
        build=sequential(lambda layers: layers.Bidirectional(layers.GRU(32)), inputs=(30, 8)),
        epochs=3,
    ),
    "attention": Kind(data=lambda: _classified((6_000, 32, 16), 10), build=attention, epochs=3),
    "transformer": Kind(data=texts(3_000, 40, 5_000), build=transformer, epochs=3),
    "embedding": Kind(
        data=texts(8_000, 60, 20_000),
        build=sequential(
            lambda layers: layers.Embedding(20_000, 32),
            lambda layers: layers.GlobalAveragePooling1D(),
            inputs=(60,),
            dtype="int32",
            classes=2,
        ),
        epochs=3,
    ),
    "several_inputs": Kind(data=lambda: mixed(20_000), build=several_inputs, epochs=4),
    "several_outputs": Kind(data=lambda: two_targets(20_000), build=several_outputs, epochs=4),
    "own_train_step": Kind(data=table(12_000, 784), build=own_train_step, epochs=4),
    "subclassed": Kind(data=table(12_000, 784), build=subclassed, epochs=4),
}


def train(way: str, kind: Kind, x: Any, y: Any) -> float:
    """Train a kind's candidates on all folds in one way; the mean of their last validation losses (NaN: not taken)."""
    return _by_loop(way, kind, x, y) if way in (MODEL_FIT, SCIKERAS) else _by_search(way, kind, x, y)


def _by_loop(way: str, kind: Kind, x: Any, y: Any) -> float:
    """As users write it by hand, with validation after each epoch; or as SciKeras does, which predicts in the end."""
    import keras
    from sklearn.model_selection import KFold

    options: dict[str, Any] = {"epochs": kind.epochs, "batch_size": kind.batch_size, "verbose": 0}
    losses = []
    for learning_rate in LEARNING_RATES:
        for train_rows, validation_rows in KFold(FOLDS).split(_first(x)):
            keras.utils.clear_session()
            model = kind.build(learning_rate)
            fit_x, fit_y, held_x, held_y = (
                _taken(part, rows) for rows in (train_rows, validation_rows) for part in (x, y)
            )
            if kind.standardizes:
                next(layer for layer in model.layers if hasattr(layer, "adapt")).adapt(fit_x)
            if way == SCIKERAS:
                model.fit(fit_x, fit_y, **options)
                model.predict(held_x, batch_size=1_024, verbose=0)
                losses.append(float("nan"))
            else:
                history = model.fit(fit_x, fit_y, validation_data=(held_x, held_y), **options)
                losses.append(history.history["val_loss"][-1])
    return statistics.fmean(losses)


def _by_search(way: str, kind: Kind, x: Any, y: Any) -> float:
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
        records = [
            json.loads(file.read_text())["record"] for file in pathlib.Path(folder).glob("zoo/trial_*/fold_*.json")
        ]
    global parts
    parts = {
        name: sum(record[name] for record in records) for name in ("fit_seconds", "score_seconds", "compile_seconds")
    }
    return -statistics.fmean(tuner.cv_results_["mean_test_score"])


parts: dict[str, float] = {}


def _hypermodel(kind: Kind) -> Any:
    import keras_tuner

    class Zoo(keras_tuner.HyperModel):
        def build(self, hp: Any) -> Any:
            return kind.build(hp.Choice("learning_rate", list(LEARNING_RATES)))

    class Standardizing(Zoo):
        def fit(self, hp: Any, model: Any, x: Any, *args: Any, **options: Any) -> Any:
            next(layer for layer in model.layers if hasattr(layer, "adapt")).adapt(x)
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
    if way not in (MODEL_FIT, SCIKERAS):
        import tuner_app.tuners.grid_search  # noqa: F401
    import keras  # noqa: F401
    import sklearn.model_selection  # noqa: F401

    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        kind = KINDS[line.strip()]
        x, y = kind.data()
        began, processor = time.perf_counter(), time.process_time()
        try:
            loss, error = train(way, kind, x, y), None
        except Exception as problem:
            loss, error = float("nan"), f"{type(problem).__name__}: {str(problem).splitlines()[0]}"
        seconds = time.perf_counter() - began
        answer = {
            "seconds": seconds,
            "processor_seconds": time.process_time() - processor,
            "loss": loss,
            "error": error,
        }
        print(json.dumps(answer | parts), file=answers, flush=True)
    return 0


@contextmanager
def workers(ways: Sequence[str]) -> Iterator[dict[str, Callable[[str], Result]]]:
    """A process for each way, ready; gives what trains a kind in it. They end with the block."""
    path = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": path}
    processes: dict[str, subprocess.Popen[str]] = {}
    try:
        for way in ways:
            processes[way] = subprocess.Popen(
                [sys.executable, __file__, "--work", way],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=environment,
            )
            _answer(processes[way])
        yield {way: lambda kind, process=process: _asked(process, kind) for way, process in processes.items()}  # type: ignore[misc]
    finally:
        for process in processes.values():
            if process.stdin is not None:
                process.stdin.close()
            process.wait()


def _asked(process: subprocess.Popen[str], kind: str) -> Result:
    assert process.stdin is not None
    print(kind, file=process.stdin, flush=True)
    result: Result = json.loads(_answer(process))
    return result


def _answer(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"A worker of the zoo must not end by itself. It ended with {process.wait()}.")
    return line


def measure(kinds: Sequence[str], ways: Sequence[str] = WAYS, *, repeats: int = 1) -> Result:
    """Train each kind in each way, in turn, and compare.

    Returns:
        A report for JSON: `runs` with every run, `table` with medians in seconds.
    """
    runs: list[Result] = []
    with workers(ways) as train_in:
        print(_line(["kind", *ways, "fit / default", "default / best"]), flush=True)
        for kind in kinds:
            for repeat in range(repeats):
                runs += [{"kind": kind, "way": way, "repeat": repeat, **train_in[way](kind)} for way in ways]
            row = table_row(kind, [run for run in runs if run["kind"] == kind])
            print(_line(_cells(row, ways)), flush=True)
            if os.environ.get("ZOO_PARTS"):
                for run in runs[-len(ways) :]:
                    print("   ", {k: round(v, 2) if isinstance(v, float) else v for k, v in run.items()}, flush=True)
    rows = [table_row(kind, [run for run in runs if run["kind"] == kind]) for kind in kinds]
    return {
        "case": "zoo",
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {"system": platform.platform(), "processor": platform.processor(), "cores": os.cpu_count()},
        "table": rows,
        "runs": runs,
    }


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
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)} (default: all)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--json", type=pathlib.Path, help="where the report is written")
    parser.add_argument("--work", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.work:
        return work(arguments.work)
    report = measure(arguments.kinds or list(KINDS), arguments.ways, repeats=arguments.repeats)
    speeds = [row["speed"] for row in report["table"] if row["speed"]]
    if speeds:
        print(f"fit / default: least {min(speeds):.2f}, median {statistics.median(speeds):.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
