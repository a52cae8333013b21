"""What one fit needs beyond the arguments of `Model.fit`, and what it counts on its way.

Owns the state of a fit: its order of rows, the origin of its arrays, its seconds, its last program. How it is used is
the business of `model_fit`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tuner_app.compiled.arrays import as_keras_array
from tuner_app.compiled.bound import BoundProgram
from tuner_app.compiled.building import build_lock
from tuner_app.compiled.callback_paths import OwnPaths
from tuner_app.compiled.origins import Origins
from tuner_app.compiled.programs import ProgramCache
from tuner_app.compiled.stages import Stages
from tuner_app.folds.rows import Rows, arrays_in, map_arrays

ENGINE_RULE = 3
"""The number of the rule by which `engine` chooses XLA or a plain graph.

A search keeps the rule that it was begun with, since another engine gives other last digits. 1: by the amount of work
alone. 2: convolutions never by XLA on a CPU. 3: by the amount of work that pays for the kind of model; models that
adapt (`Standardization`) like all others that share their programs; plain graphs by TensorFlow's own executor, where
an operation may use several threads; steps of a model's own that return dicts in dicts run as programs, too.
"""


@dataclasses.dataclass(frozen=True)
class FinishedFit:
    """A fit that ran as programs, for who evaluates its model afterwards.

    Attributes:
        architecture: The model's signature; None where its program is its own.
        compiling: What told the model's `compile` from the next one.
        bound: The program on the model's variables.
    """

    architecture: str | None
    compiling: Any
    bound: BoundProgram


@dataclasses.dataclass(kw_only=True)
class FitContext:
    """What one fit needs beyond the arguments of `Model.fit`. Belongs to the thread of its fit.

    Attributes:
        seed: Decides the order of rows.
        cache: The programs to share; the one thing here that other threads use at the same time.
        compile_epochs: False sends everything through Keras's own `fit`.
        jit_compile: True or False forces or forbids XLA for the training loop; None leaves it to `engine`.
        engine_rule: The number of the rule by which the amount of work and the kind of model decide; see `engine`.
        planned_fits: How many fits of the same architecture the search will do at least; part of the amount of work.
        check: Called after each epoch; an exception from it ends the fit.
        origins: Which arrays are copies of rows that lie in memory anyway.
        stages: The calls of `model.fit`, and what a refit is to make of them.
        paths: Where the callbacks of this fit write.
        score_seconds: Counts the time spent on validation, in seconds.
        compile_seconds: Counts the time spent on tracing, on compiling and on waiting for another fit that does, in
            seconds. Keras's own fit cannot tell it from training: there it counts as training.
        random: The order of rows comes from here; a second `fit` of the same model goes on where the first ended.
        program_options: How the last fit asked for its program; None before.
        last: The last fit, where it ran as programs; else None.
    """

    # What the fitter says ...
    seed: int
    cache: ProgramCache
    compile_epochs: bool = True
    jit_compile: bool | None = None
    engine_rule: int = ENGINE_RULE
    planned_fits: int = 1
    check: Callable[[], None] = lambda: None
    origins: Origins = dataclasses.field(default_factory=Origins)
    stages: Stages = dataclasses.field(default_factory=Stages)
    paths: OwnPaths = dataclasses.field(default_factory=OwnPaths)
    # ... and what the fit leaves behind for its record.
    score_seconds: float = 0.0
    compile_seconds: float = 0.0
    random: np.random.Generator = dataclasses.field(init=False)
    program_options: dict[str, Any] | None = dataclasses.field(init=False, default=None)
    last: FinishedFit | None = dataclasses.field(init=False, default=None)

    def __post_init__(self) -> None:
        # Of its own: whatever other threads draw, the order of this fit's rows is the same.
        self.random = np.random.default_rng(self.seed)

    def rows(self, structure: Any) -> Rows | None:
        """The rows behind arrays that a fit was given: those that they are copies of, or all of their own."""
        if structure is None or isinstance(structure, Rows):
            return structure
        origin = self.origins.rows_behind(structure)
        if origin is not None:
            return origin
        arrays = map_arrays(as_keras_array, structure)
        lengths = {len(array) for array in arrays_in(arrays)}
        if len(lengths) != 1:
            raise ValueError(f"All arrays must have the same number of rows. Received: {sorted(lengths)}.")
        return Rows(arrays, np.arange(lengths.pop()))

    @contextlib.contextmanager
    def compiling(self) -> Iterator[None]:
        """Count what is done within as compiling."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.compile_seconds += time.perf_counter() - began

    @contextlib.contextmanager
    def building(self) -> Iterator[None]:
        """Hold the build lock. Another fit that holds it compiles what this one will use, so waiting is compiling."""
        with self.compiling():  # The waiting alone; the caller says whether what it builds counts as compiling.
            build_lock.acquire()
        try:
            yield
        finally:
            build_lock.release()

    def order(self, rows: Any, *, shuffle: bool) -> Any:
        """The rows of one epoch in the order in which they are used."""
        # One draw an epoch, by programs and by Keras's own fit alike: so both take the same rows in the same order.
        return self.random.permutation(rows) if shuffle else rows
