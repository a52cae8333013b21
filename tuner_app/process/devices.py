"""TensorFlow's threads and GPUs: set once, before TensorFlow starts its own, and recorded.

Results may change, in the last digits, with the number of threads that one operation uses (intra-op). So the number is
part of the recipe of a search. It follows from the machine and from what is searched, never from `n_jobs`.
"""

from __future__ import annotations

import contextlib
import logging
import os
from typing import Any

logger = logging.getLogger(__name__)


def threads_of_an_operation(fits: int | None, cores: int) -> int:
    """The threads for the operations of a search: one, unless it has too few fits to keep the cores busy.

    With as many fits as cores, one is best: each core has a fit of its own (measured by `benchmarks/threads.py` on two
    cores, two fits side by side: with two threads an operation, 1.45 times the processor seconds at 32 nodes, and at
    512 neither better nor worse). A fit that is alone uses one core then: with two threads it takes about half to two
    thirds of the time.

    Args:
        fits: How many fits the search has at least; None where they are many, or not known.
        cores: The cores of this process.
    """
    if fits is None:
        return 1
    # TensorFlow has one pool of threads for the process, not one for each fit: fits that run side by side share it, so
    # that it must be as large as all of their shares together. (Two fits, two threads: one thread more than with one.)
    share = cores // fits
    return share * fits if share > 1 else 1


def configure(threads: int) -> dict[str, Any]:
    """Set the threads and let GPU memory grow as needed, where TensorFlow has not started yet.

    A count that the user has set (`tf.config.threading`, `TF_NUM_INTRAOP_THREADS`) is left alone.

    Args:
        threads: The threads that an operation may use; 0 leaves them to TensorFlow (all cores).

    Returns:
        What is in force: `intra_op_threads`, `inter_op_threads` (0: TensorFlow's choice) and `gpus`.
    """
    import tensorflow as tf

    # TensorFlow refuses (RuntimeError) once it has started: then the counts in force are recorded as they are.
    with contextlib.suppress(RuntimeError):
        if intra_op_threads() == 0:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
    # By default TensorFlow takes a GPU's whole memory at once, and a second search beside this one gets none.
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        with contextlib.suppress(RuntimeError, ValueError):
            tf.config.experimental.set_memory_growth(gpu, True)
    return {
        "intra_op_threads": intra_op_threads(),
        "inter_op_threads": tf.config.threading.get_inter_op_parallelism_threads(),
        "gpus": len(gpus),
    }


def intra_op_threads() -> int:
    """The threads that an operation may use in this process; 0 where that was left to TensorFlow (all cores)."""
    import tensorflow as tf

    return tf.config.threading.get_intra_op_parallelism_threads() or _threads_of_the_environment()


def _threads_of_the_environment() -> int:
    """What `TF_NUM_INTRAOP_THREADS` says, which TensorFlow reads where nothing else was set; 0 for nothing."""
    value = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    return int(value) if value.isascii() and value.isdecimal() else 0
