"""The global random numbers of NumPy and Python: seeded for a fit that is alone, told where fits share them.

Owns how it is found out that they were drawn. They belong to the whole process, so no seed of a fit reaches them where
fits run side by side. Keras's own random numbers belong to a thread and are seeded with the model, by `training`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

State = tuple[Any, Any]


def state() -> State:
    """The state of both generators."""
    return random.getstate(), np.random.get_state()


def restore(earlier: State) -> None:
    """Go back to a state."""
    random.setstate(earlier[0])
    np.random.set_state(earlier[1])


@contextmanager
def kept() -> Iterator[None]:
    """Leave both generators as they are found."""
    before = state()
    try:
        yield
    finally:
        restore(before)


def seed_for_fit(seed: int) -> State:
    """Seed both, with other numbers than the model's build had from the same seed.

    Returns:
        Their state now.
    """
    # A model whose weights came from the same numbers as its noise would be an odd one.
    random.seed(f"drawn in fit {seed}")
    np.random.seed([seed, 1])
    return state()


def drawn_since(before: State) -> list[str]:
    """The names of the generators that were drawn from since."""
    now = state()
    # NumPy's state also tells a normal number that is kept for the next call (its last two parts).
    names = ["random"] if now[0] != before[0] else []
    same = all(np.array_equal(one, other) for one, other in zip(now[1], before[1], strict=True))
    return names if same else [*names, "numpy.random"]


def told(names: list[str]) -> str:
    """What to say of generators that were drawn from."""
    return (
        f"Numbers of the process's own {' and '.join(names)} were drawn while fits ran. With several jobs no seed "
        "reaches them, so two equal searches differ; with n_jobs=1 each fit seeds them. Draw from "
        "numpy.random.default_rng(seed) or keras.random with a keras.random.SeedGenerator(seed) instead."
    )
