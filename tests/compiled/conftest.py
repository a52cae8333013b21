"""What the tests of compiled fits share."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from tuner_app.compiled import LOGGER


@pytest.fixture(name="said")
def said_fixture(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Why fits did not run as programs, as the log says it."""
    caplog.set_level(logging.INFO, LOGGER)
    return lambda: [record.getMessage() for record in caplog.records if record.name == LOGGER]
