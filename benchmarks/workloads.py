"""What is searched: the workloads, their sizes that take seconds, their rows, and the candidates' names.

Nothing heavy is imported before rows are asked for, so that a contender's imports can be timed.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import pathlib
from collections.abc import Mapping
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
        folds: The number of folds, as `KFold` makes them.
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


_PICTURES: dict[str, Any] = {"data": "mnist", "rows": 42_000, "inputs": 784, "input_scale": 255.0}

WORKLOADS: dict[str, Workload | OverheadWorkload] = {
    "tutorial": Workload(**_PICTURES, learning_rates=(0.001,)),
    "digits": Workload(data="digits", rows=1_797, inputs=64, input_scale=16.0),
    "overhead": OverheadWorkload(),
    "full": Workload(**_PICTURES, refit=True),
}
# The tutorial as a command, from the CSV file to the model that is saved; the folds are shuffled by seed 0.
COMMAND = Workload(**_PICTURES, learning_rates=(0.001,), refit=True)


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
    else:
        (x, y), _ = mnist()
    x = x[: workload.rows].reshape(-1, workload.inputs)
    return np.ascontiguousarray(x, dtype=np.uint8), y[: workload.rows].astype(np.int64)


def mnist() -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """MNIST as Keras hands it out, from a file beside the checkout where there is one."""
    import numpy as np

    if not MNIST_FILE.exists():
        import keras

        return keras.datasets.mnist.load_data()  # type: ignore[no-any-return]
    with np.load(MNIST_FILE) as arrays:
        return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])


def write_kaggle_csv(path: pathlib.Path, rows: int) -> None:
    """Write MNIST as the train.csv of Kaggle's Digit Recognizer: `label,pixel0,...,pixel783`, in a fixed shuffle.

    Args:
        path: The file.
        rows: How many of its 42,000 rows.
    """
    import numpy as np
    import pandas

    (x_train, y_train), (x_test, y_test) = mnist()
    order = np.random.RandomState(42).permutation(70_000)[:rows]
    x = np.concatenate([x_train, x_test]).reshape(70_000, 784)[order]
    table = pandas.DataFrame(x, columns=[f"pixel{number}" for number in range(784)])
    table.insert(0, "label", np.concatenate([y_train, y_test])[order])
    table.to_csv(path, index=False)


def scaled_rows(workload: Workload) -> tuple[Any, Any]:
    """The rows as the peers get them: divided once beforehand, which is faster than a layer that does it each step."""
    x, y = load_rows(workload)
    return x.astype("float32") / workload.input_scale, y


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
