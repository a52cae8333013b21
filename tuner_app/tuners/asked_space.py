"""The search space of an oracle: as it was asked for, and as it has grown.

Keras Tuner (1.4.8) sends each hyperparameter through serialisation at each copy of the space, which costs the more the
more values it has. None changes after it was declared, so here they are shared.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner

from tuner_app.training.hyperparameters import RecordedHyperParameters, recorded


class AskedSpace(keras_tuner.Oracle):
    """The part of an oracle that knows the space.

    Args:
        **options: Those of `keras_tuner.Oracle`.
    """

    hyperparameters: Any

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.hyperparameters = recorded(self.hyperparameters)
        self._declared: list[Any] | None = None

    def forget_growth(self, space: Sequence[Any]) -> None:
        """Go back to the space that was asked for.

        Args:
            space: It, as `HyperParameters.get_config()["space"]` gives it.
        """
        if len(self.hyperparameters.space) != len(space):
            values = self.hyperparameters.values
            names = [entry["config"]["name"] for entry in space]
            chosen = {name: values[name] for name in names if name in values}
            config = {"space": copy.deepcopy(list(space)), "values": chosen}
            self.hyperparameters = RecordedHyperParameters.from_config(config)
        self._declared = list(self.hyperparameters.space)

    @property
    def declared(self) -> list[Any]:
        """The hyperparameters that were known before the first trial."""
        if self._declared is None:
            self._declared = list(self.hyperparameters.space)
        return self._declared

    def get_space(self) -> RecordedHyperParameters:
        """A copy of the search space, which shares the hyperparameters: none changes after it was declared.

        Keras Tuner's own copy sends each through serialisation, which costs the more the more values it has.
        """
        return RecordedHyperParameters(self.hyperparameters.space, self.hyperparameters.values)

    def values_without_late_defaults(self, values: Mapping[str, Any], space: Sequence[Any]) -> dict[str, Any]:
        """A candidate's values less those that say nothing: at the default of what was not known before the search."""
        declared = {hp.name for hp in self.declared}
        late = {hp.name: hp.default for hp in space if hp.name not in declared}
        if not late:
            return dict(values)
        return {name: value for name, value in values.items() if name not in late or value != late[name]}
