"""Values, durations, numbers and errors as text on one line, for whatever shows them to a reader.

Owns which characters a line may hold and how a number is spelled. Escaping for HTML belongs to the report's templates,
shortening a whole message to `errors`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

# What would break a line, and what neither HTML nor SVG can hold.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+")
# Keras writes some of its errors in bold type.
_TERMINAL_COLOUR = re.compile("\x1b\\[[0-9;]*m")


def value_text(value: Any) -> str:
    """A hyperparameter's value or a class label on one line: 0.001 and not 1e-3, without control characters."""
    # NumPy's float32 is no float to Python, and would be printed as 1e-05.
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and math.isfinite(value) and (value == 0 or 1e-7 <= abs(value) < 1e15):
        return str(np.format_float_positional(value, trim="-"))
    return one_line(str(value))


def values_text(values: Mapping[str, Any]) -> str:
    """Hyperparameters on one line, such as `nodes=512, learning_rate=0.001`."""
    pairs = [f"{one_line(str(name))}={value_text(value)}" for name, value in values.items()]
    return ", ".join(pairs) or "no hyperparameters"


def values_line(values: Mapping[str, Any]) -> str:
    """Hyperparameters on one line of a terminal, each as Python prints it: `learning_rate=1e-05, nodes=32`."""
    text = ", ".join([f"{name}={value}" for name, value in values.items()])
    if text.isprintable():
        return text
    return ", ".join(f"{printable(name)}={printable(str(value))}" for name, value in values.items())


def one_line(text: str) -> str:
    """Text without line breaks and without what neither HTML nor SVG can hold, blanks at its ends left out."""
    return without_controls(text).strip()


def without_controls(text: str) -> str:
    """The same with the blanks at its ends, for a part of a sentence."""
    return _CONTROL.sub(" ", text)


def printable(text: str) -> str:
    r"""Text that a terminal shows as it is, anything else escaped.

    >>> printable("a\nb")
    'a\\nb'
    """
    return text if text.isprintable() else repr(text)[1:-1]


def shortened(text: str, length: int) -> str:
    """Text of at most `length` characters, the last of them an ellipsis where something is left out."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def cut(text: str, length: int) -> str:
    """Text of at most `length` characters, the last of them three dots where something is left out: for messages."""
    return text if len(text) <= length else f"{text[: length - 3]}..."


def first_line(error: BaseException) -> str:
    """What an error says, on one line of at most 200 characters.

    Keras puts the layer in the first line and the error, in bold type, in the second: then it is both.
    """
    lines = [line.strip() for line in _TERMINAL_COLOUR.sub("", str(error)).splitlines() if line.strip()]
    wrapped = bool(lines) and lines[0].startswith("Exception encountered")
    return " ".join(lines[: 2 if wrapped else 1])[:200].rstrip(".") or type(error).__name__


def first_sentence(error: BaseException) -> str:
    """An error's type and its first sentence, on one line of at most 200 characters."""
    text = " ".join(_TERMINAL_COLOUR.sub("", str(error)).split()) or "no reason given"
    return f"{type(error).__name__}: {text.split('. ')[0][:200].rstrip('.')}"


def last_line(traceback: str) -> str:
    """The last line of a traceback, which names the error; empty where there is none."""
    return traceback.rstrip().rpartition("\n")[2].strip()


def seconds_text(seconds: float) -> str:
    """A duration in one number: `11.2s`, `2.5min` or `1.2h`."""
    if seconds < 100:
        return f"{seconds:.1f}s"
    return f"{seconds / 60:.1f}min" if seconds < 6000 else f"{seconds / 3600:.1f}h"


def duration_text(seconds: float) -> str:
    """A duration as one says it: `11.2 s`, `2 min 30 s` or `1 h 12 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def count_text(number: int, noun: str) -> str:
    """A number with its noun: `1 fit`, `1,200 fits`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def number_text(number: float, digits: int = 3) -> str:
    """A number of a metric with so many decimals; a small one with so many digits that count."""
    return f"{number:.{digits}g}" if 0 < abs(number) < 10**-digits else f"{number:.{digits}f}"
