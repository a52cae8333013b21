"""TensorFlow's threads and GPUs: set once, before TensorFlow starts its own, and recorded.

Results may change, in the last digits, with the number of threads that one operation uses (intra-op). So the number is
part of the recipe of a search: one, whatever `n_jobs` is, since the cores are kept busy by fits that run side by side
(measured by `benchmarks/threads.py`).
"""

from __future__ import annotations

import contextlib
import logging
from typing import Any

logger = logging.getLogger(__name__)

INTRA_OP_THREADS = 1


def configure() -> dict[str, Any]:
    """Set the threads and let GPU memory grow as needed, where TensorFlow has not started yet.

    A count that the user has set (`tf.config.threading`) is left alone.

    Returns:
        What is in force: `intra_op_threads`, `inter_op_threads` (0: TensorFlow's choice) and `gpus`.
    """
    import tensorflow as tf

    # TensorFlow refuses (RuntimeError) once it has started: then the counts in force are recorded as they are.
    with contextlib.suppress(RuntimeError):
        if tf.config.threading.get_intra_op_parallelism_threads() == 0:
            tf.config.threading.set_intra_op_parallelism_threads(INTRA_OP_THREADS)
    # By default TensorFlow takes a GPU's whole memory at once, and a second search beside this one gets none.
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        with contextlib.suppress(RuntimeError, ValueError):
            tf.config.experimental.set_memory_growth(gpu, True)
    return {
        "intra_op_threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "inter_op_threads": tf.config.threading.get_inter_op_parallelism_threads(),
        "gpus": len(gpus),
    }
