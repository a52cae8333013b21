"""Values, durations and errors on one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tuner_app.errors import InputError
from tuner_app.records import text
from tuner_app.records.checks import check_whole


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *(
            (1e-5, "0.00001"),
            (np.float32(0.5), "0.5"),
            (1e-9, "1e-09"),
            (0.0, "0"),
            (1e300, "1e+300"),
            (np.int64(3), "3"),
        ),
        *((True, "True"), (None, "None"), (float("nan"), "nan"), ("a\nb\x00 and \ud800more", "a b  and  more")),
    ],
)
def test_a_value_is_shown_in_plain_decimals_on_one_line(value: Any, shown: str) -> None:
    assert text.value_text(value) == shown


def test_what_is_cut_says_so() -> None:
    assert (text.cut("abcdef", 6), text.cut("abcdefg", 6)) == ("abcdef", "abc...")
    assert (text.shortened("abcdef", 6), text.shortened("abcdefg", 6)) == ("abcdef", "abcde…")


def test_values_are_named() -> None:
    assert text.values_text({"nodes": 32, "rate": 0.001}) == "nodes=32, rate=0.001"
    assert text.values_text({}) == "no hyperparameters"
    assert text.values_line({"rate": 1e-5, "a\nb": "\t"}) == r"rate=1e-05, a\nb=\t"


@pytest.mark.parametrize(
    ("seconds", "short", "said"),
    [
        (0.123, "0.1s", "0.12 s"),
        (59.96, "60.0s", "1 min 0 s"),
        (150, "2.5min", "2 min 30 s"),
        (7260, "2.0h", "2 h 1 min"),
    ],
)
def test_durations(seconds: float, short: str, said: str) -> None:
    assert text.seconds_text(seconds) == short
    assert text.duration_text(seconds) == said


def test_an_error_is_one_line() -> None:
    keras_says = "Exception encountered when calling Dense.call().\n\n\x1b[1mBad shape.\x1b[0m\n\nArguments: ..."
    assert text.first_line(ValueError(keras_says)) == "Exception encountered when calling Dense.call(). Bad shape"
    assert text.first_line(ValueError("One.\nTwo.")) == "One"
    assert text.first_line(KeyError()) == "KeyError"
    assert text.first_sentence(ValueError("One thing\nis. Another.")) == "ValueError: One thing is"
    assert text.first_sentence(ValueError()) == "ValueError: no reason given"
    assert text.last_line("Traceback:\n  File\nValueError: no\n") == "ValueError: no"


@pytest.mark.parametrize("value", [0, -1, True, 1.0, "1", None])
def test_what_is_no_whole_number_is_refused(value: Any) -> None:
    check_whole("epochs", np.int64(1), 1)
    with pytest.raises(InputError, match=r"epochs must be a whole number from 1\. Received: "):
        check_whole("epochs", value, 1)
