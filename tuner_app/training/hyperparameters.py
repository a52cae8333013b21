"""Keras Tuner's `HyperParameters`, which also remember what was asked for.

Owns what a hyperparameter may be (finite numbers, text that can be written; NumPy's numbers become Python's) and which
of them a model has: those that its `build` and `fit` ask for. Which values are tried, in which order, is `grid`'s.
"""

from __future__ import annotations

import contextlib
import math
import numbers
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras_tuner
import numpy as np

from tuner_app.errors import InputError


class RecordedHyperParameters(keras_tuner.HyperParameters):
    """Hyperparameters that get their default value when they are asked for, and no value before.

    Keras Tuner gives each known hyperparameter a value, also those that only other models ask for (`units_2` of a model
    of one layer): two candidates could then differ in nothing that a model sees.

    Args:
        space: The known hyperparameters. They are shared: none changes after it was declared.
        values: The values that are chosen already.

    Attributes:
        asked: The hyperparameters that were asked for, by name, in the order of asking.
    """

    # Keras Tuner 1.4.8 has no public names for these: by name, in the order of declaring, and the open scopes.
    _hps: Any
    _space: list[Any]
    _conditions: list[Any]

    def __init__(self, space: Iterable[Any] = (), values: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.asked: dict[str, Any] = {}
        self._shown: frozenset[int] | None = None
        for hp in space:
            self._hps[hp.name].append(hp)
            self._space.append(hp)
        self.values = values or {}

    @property
    def values(self) -> dict[str, Any]:
        """The values that are chosen; to read one that is not yet is to ask for it."""
        return self._values

    @values.setter
    def values(self, values: Mapping[str, Any]) -> None:
        self._values = _Values(values)
        self._values.owner = self

    @property
    def asked_values(self) -> dict[str, Any]:
        """The values of what was asked for, in the order of asking."""
        return {name: dict.get(self._values, name, hp.default) for name, hp in self.asked.items()}

    def copy(self) -> RecordedHyperParameters:
        """A copy that remembers together with this one; what is declared on the copy alone is no one else's.

        Keras Tuner hands such a copy to a `HyperModel(tunable=False)`, which must not extend the space.
        """
        twin = RecordedHyperParameters(self._space, self._values)
        # The very dict: what is asked of the copy is asked of this one.
        twin.asked, twin._shown = self.asked, frozenset(map(id, self._space))
        twin._name_scopes, twin._conditions = list(self._name_scopes), list(self._conditions)
        return twin

    def ask_all(self) -> None:
        """Ask for every known hyperparameter whose conditions hold."""
        for hp in self._space:
            if self.is_active(hp):
                self._ask_for(hp)

    def ensure_active_values(self) -> None:
        """Give what is active and has no value its default; Keras Tuner draws one, by no seed."""
        for hp in self._space:
            if self.is_active(hp):
                self._values.setdefault(hp.name, hp.default)
            else:
                self._values.pop(hp.name, None)

    def get(self, name: str) -> Any:
        """The value of a hyperparameter; asks for it."""
        self._ask(self._get_name(name))
        return super().get(name)

    @contextlib.contextmanager
    def conditional_scope(self, parent_name: str, parent_values: Any) -> Iterator[None]:
        """As in Keras Tuner; the parent decides, so it is asked for."""
        self._ask(self._get_name(parent_name))
        with super().conditional_scope(parent_name, _plain(parent_values)):
            yield

    # Keras Tuner's names and arguments, with Python's numbers for NumPy's.

    def Choice(self, name: str, *arguments: Any, **options: Any) -> Any:  # noqa: N802
        """As in Keras Tuner."""
        return super().Choice(name, *map(_plain, arguments), **_plain(options))

    def Int(self, name: str, *arguments: Any, **options: Any) -> Any:  # noqa: N802
        """As in Keras Tuner."""
        return super().Int(name, *map(_plain, arguments), **_plain(options))

    def Float(self, name: str, *arguments: Any, **options: Any) -> Any:  # noqa: N802
        """As in Keras Tuner."""
        return super().Float(name, *map(_plain, arguments), **_plain(options))

    def Boolean(self, name: str, *arguments: Any, **options: Any) -> Any:  # noqa: N802
        """As in Keras Tuner."""
        return super().Boolean(name, *map(_plain, arguments), **_plain(options))

    def Fixed(self, name: str, *arguments: Any, **options: Any) -> Any:  # noqa: N802
        """As in Keras Tuner."""
        return super().Fixed(name, *map(_plain, arguments), **_plain(options))

    def _register(self, hyperparameter: Any, overwrite: bool = False) -> Any:
        check_hyperparameter(hyperparameter)
        return super()._register(hyperparameter, overwrite)

    def _retrieve(self, hp: Any) -> Any:
        # Under other conditions the same name may stand for another hyperparameter.
        entry = next((one for one in self._hps.get(hp.name, ()) if one.conditions == hp.conditions), None)
        if entry is None:
            check_hyperparameter(hp)
            self._validate_name(hp.name)
            entry = type(hp).from_config(hp.get_config())
            self._hps[hp.name].append(entry)
            self._space.append(entry)
        return self._ask_for(entry) if self.is_active(entry) else None

    def _ask(self, name: str) -> None:
        active = next((hp for hp in self._hps.get(name, ()) if self.is_active(hp)), None)
        if active is not None:
            self._ask_for(active)

    def _ask_for(self, hp: Any) -> Any:
        if hp.name not in self._values:
            self._values[hp.name] = hp.default
        if hp.name not in self.asked and (self._shown is None or id(hp) in self._shown):
            self.asked[hp.name] = hp
        return self._values.chosen(hp.name)


class _Values(dict[str, Any]):
    """A dict of values in which to look one up is to ask for it, as users do with `hp.values["units"]`."""

    owner: RecordedHyperParameters

    def chosen(self, name: str) -> Any:
        """A value without asking for it."""
        return dict.get(self, name)

    def __getitem__(self, name: str) -> Any:
        self.owner._ask(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.owner._ask(name)
        return super().get(name, default)


def recorded(hyperparameters: keras_tuner.HyperParameters | None) -> RecordedHyperParameters | None:
    """The space that a user gives a tuner, checked, with Python's numbers.

    Raises:
        InputError: A hyperparameter cannot be used.
    """
    if hyperparameters is None:
        return None
    space = [type(hp).from_config(_plain(hp.get_config())) for hp in hyperparameters.space]
    for hp in space:
        check_hyperparameter(hp)
    values = {name: _plain(value) for name, value in dict(hyperparameters.values).items()}
    return RecordedHyperParameters(space, values)


def check_hyperparameter(hp: Any) -> None:
    """Refuse what no journal could hold, or no fit could use.

    Raises:
        InputError: A name or a value is not text that can be written, or a number is not finite.
    """
    config = hp.get_config()
    listed = [*config.get("values", ()), *(config.get(name) for name in ("min_value", "max_value", "step", "value"))]
    for value in (hp.name, config.get("default"), *listed):
        if isinstance(value, numbers.Real) and not math.isfinite(value):
            raise InputError(f"The values of the hyperparameter {hp.name!r} must be finite. Received: {value!r}.")
        if isinstance(value, str) and not _can_be_written(value):
            raise InputError(
                f"The name and the values of the hyperparameter {hp.name!r} must be text without lone surrogates, "
                f"which no file can hold. Received: {value!r}."
            )


def _can_be_written(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _plain(value: Any) -> Any:
    """Python's own numbers, lists and dicts for NumPy's."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value
