"""300 candidates in one process: memory, file handles and threads stay where they were after the thirtieth."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]

_SEARCH = """
import gc, json, os, sys
from tuner_app.process.loading import import_tensorflow_quietly
import_tensorflow_quietly()
import keras, numpy as np, psutil
from tuner_app.search.observers import SearchObserver
from tuner_app.tuners.grid_search import GridSearchCV

ARCHITECTURES, RATES = map(int, sys.argv[2:])

def build(hp):
    keras_layers = [keras.layers.Dense(hp.Choice("nodes", list(range(2, 2 + ARCHITECTURES))), activation="relu")]
    model = keras.Sequential([keras.Input((4,)), *keras_layers, keras.layers.Dense(2, activation="softmax")])
    rate = hp.Choice("rate", [0.001 * (i + 1) for i in range(RATES)])
    model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model

class Measure(SearchObserver):
    measures, process, ended = [], psutil.Process(), 0

    def candidate_ended(self, candidate):
        Measure.ended += 1
        if self.ended % 10:
            return
        gc.collect()
        counts = self.process.num_fds(), self.process.num_threads()
        self.measures.append((self.process.memory_info().rss, *counts))

x = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
y = (x[:, 0] > 0).astype("int64")
tuner = GridSearchCV(build, "val_accuracy", cv=2, n_jobs=2, refit=False, observers=[Measure()], seed=0,
                     directory=sys.argv[1], project_name="search", jit_compile=False)
tuner.search(x, y, epochs=1, batch_size=16)
print(json.dumps(Measure.measures))
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("architectures", "rates"), [(6, 50), (100, 3)], ids=["few", "many"])
def test_300_candidates_leak_nothing(tmp_path: pathlib.Path, architectures: int, rates: int) -> None:
    """Few architectures share their programs; of many, each needs new ones, and the old ones must go."""
    command = [sys.executable, "-c", _SEARCH, str(tmp_path), str(architectures), str(rates)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    measures = json.loads(done.stdout.splitlines()[-1])
    assert len(measures) == 30
    memory, handles, threads = zip(*measures, strict=True)
    assert memory[-1] < 1.1 * memory[2], [size >> 20 for size in memory]
    assert max(handles[-3:]) <= max(handles[1:5]) + 2  # a record that is just being written
    assert max(threads[-3:]) <= max(threads[1:5])
