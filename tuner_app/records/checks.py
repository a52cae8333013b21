"""Whether a number is a whole one, asked in one way and refused in one sentence."""

from __future__ import annotations

import numbers
from typing import Any

from tuner_app.errors import InputError


def is_whole(value: Any, least: int) -> bool:
    """Whether a value is a whole number from `least`, Python's or NumPy's; True and False are none."""
    # True is 1 to Python, and NumPy's whole numbers are no int.
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= least


def check_whole(name: str, value: Any, least: int) -> None:
    """Refuse an argument that is no whole number.

    Args:
        name: The argument.
        value: What was given.
        least: The least that it may be.

    Raises:
        InputError: It is something else, or less.
    """
    if not is_whole(value, least):
        raise InputError(f"{name} must be a whole number from {least}. Received: {value!r}.")
