"""What the fits of one process share.

Owns what must not travel: the programs, the data on the device, what was said already, and the state in which the
process's random numbers were at the beginning.
"""

from __future__ import annotations

import logging

from tuner_app.compiled.building import build_lock
from tuner_app.compiled.programs import ProgramCache
from tuner_app.folds.rows import arrays_in
from tuner_app.training import global_random
from tuner_app.training.spec import FitSpec

logger = logging.getLogger(__name__)


class SharedByFits:
    """Programs and tensors, made once per process by the first fit.

    Args:
        spec: What the fits have in common.

    Attributes:
        cache: The programs that the fits share.
    """

    def __init__(self, spec: FitSpec) -> None:
        self.cache = ProgramCache()
        # One copy for all fits: a fold is a list of row numbers.
        for array in arrays_in([spec.x, spec.y, spec.sample_weight]):
            self.cache.keep(array)
        with build_lock:  # Else a build has seeded them meanwhile.
            self._random_state = global_random.state()

    def tell_once(self, subject: str, line: str) -> None:
        """A warning once per search, not once per fit."""
        if self.cache.is_news("told", subject):
            logger.warning("%s", line)

    def tell_of_draws(self, names: list[str]) -> None:
        """Say, once per search, which of the process's random numbers were drawn; nothing where none were."""
        if names:
            self.tell_once("random numbers", global_random.told(names))

    def tell_of_all_draws(self) -> None:
        """Say which were drawn since the beginning; for the end, when nothing builds any more."""
        with build_lock:
            self.tell_of_draws(global_random.drawn_since(self._random_state))
