"""The programs of a search, and the tensors that its fits share.

Owns who gets which program: one is made per architecture and shape of data, and shared by folds, candidates that differ
only in the learning rate, and threads, with one trace and one XLA executable. What makes two models one architecture is
decided in `signature`, strictly: when in doubt, compile anew.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from typing import Any

from tuner_app.compiled.arrays import as_tensor
from tuner_app.compiled.program import Program


class ProgramCache:
    """The programs of a search, the least recently used dropped first; its methods may be called from any thread.

    Args:
        limit: How many programs are kept. Bounds the memory, however many candidates there are, but for what TensorFlow
            2.21 itself never gives back of an XLA function: its body with a stack trace for each operation
            (`GetBodyAndConstantsAndResources` instantiates and does not release it) and its executable (a device's
            cache of them has no end), 7 MB for a small model; of a plain graph half a megabyte.

    Attributes:
        compiled: How many programs were made.
    """

    def __init__(self, limit: int = 12) -> None:
        self.compiled = 0
        self._limit = limit
        self._programs: OrderedDict[str, Program] = OrderedDict()
        # By identity, with the array itself: while it is held, no other array can have its identity.
        self._tensors: dict[int, tuple[Any, Any]] = {}
        self._news: set[tuple[str, ...]] = set()
        # Not the build lock: who waits here must not wait for another fit's trace. It guards the dictionary alone.
        self._lock = threading.Lock()

    def program(self, architecture: str | None, specs: Any, **options: Any) -> Program:
        """The program for a model: a known one where the model is fully described by its configuration.

        Args:
            architecture: The model's `signature`.
            specs: As in `Program`.
            **options: The further arguments of `Program`.
        """
        if architecture is None:
            return self.own_program(specs, **options)
        # A `TensorSpec` says in its repr what it is equal by: shape and type.
        key = json.dumps([architecture, repr(specs), sorted(options.items())])
        with self._lock:
            if key not in self._programs:
                self.compiled += 1
                self._programs[key] = Program(specs=specs, **options, architecture=architecture)
                # A fit that uses a dropped program holds it until it ends; the next one makes it anew.
                while len(self._programs) > self._limit:
                    self._programs.popitem(last=False)
            self._programs.move_to_end(key)
            return self._programs[key]

    def own_program(self, specs: Any, **options: Any) -> Program:
        """A program that no other fit will get."""
        with self._lock:
            self.compiled += 1
        return Program(specs=specs, **options)

    def keep(self, array: Any) -> None:
        """Hold an array on the device for the whole search."""
        # While the cache is made, before it is shared: afterwards the dictionary is only read.
        self._tensors.setdefault(id(array), (array, as_tensor(array)))

    def tensor(self, array: Any) -> Any:
        """An array as a tensor, as Keras would feed it; a kept one is not copied again.

        Raises:
            NotCompilableError: TensorFlow has no tensor for such an array.
        """
        kept = self._tensors.get(id(array))
        return kept[1] if kept is not None and kept[0] is array else as_tensor(array)

    def is_news(self, *words: str) -> bool:
        """Whether this was not said before: a search says each thing once, not once per fit."""
        with self._lock:
            is_new = words not in self._news
            self._news.add(words)
            return is_new
