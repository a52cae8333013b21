"""The floor: only the float32 matrix products of a search, at the rate that NumPy reaches on all cores."""

from __future__ import annotations

import functools
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from workloads import CLASSES, VALIDATION_BATCH, Workload, cores

from contenders.outcome import Clock, Outcome


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
