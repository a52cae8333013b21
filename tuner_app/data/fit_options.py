"""The options of `fit` that a search was given: those that cannot go with folds, and how two runs compare them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tuner_app.errors import InputError
from tuner_app.folds.rows import data_fingerprint
from tuner_app.records.checks import check_whole


def check_fit_options(options: Mapping[str, Any]) -> None:
    """Refuse options of `fit` that cannot go with folds.

    Raises:
        InputError: Validation data are given, or epochs or the batch size are no positive whole numbers.
    """
    for name in ("validation_data", "validation_split"):
        if options.get(name):
            raise InputError(f"{name} must not be given: the folds are the validation data. Leave it out.")
    for name in ("epochs", "batch_size"):
        if options.get(name) is not None:
            check_whole(name, options[name], 1)


def plain_option(value: Any) -> Any:
    """A fit option as something that is the same in every run: JSON, or an object's name and plain settings."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain_option(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_option(item) for item in value]
    if isinstance(value, np.ndarray):  # such as weights in an option; JSON would hold them whole
        return data_fingerprint(value)
    if isinstance(value, np.generic):
        return value.item()
    # Never repr(): it may hold an address in memory, which would make each run another search.
    attributes = getattr(value, "__dict__", {})
    settings = {name: item for name, item in attributes.items() if isinstance(item, str | int | float | bool)}
    return {type(value).__qualname__: settings}
