"""What the tests of the report share."""

from __future__ import annotations

import pytest
from markupsafe import Markup

from tuner_app.views.report import cards


@pytest.fixture
def words_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the drawing where a test is about the words."""
    for name in [name for name in vars(cards) if name.startswith("draw_")]:
        monkeypatch.setattr(cards, name, lambda *arguments: None)
    blank = Markup('<svg role="img" aria-label="{}"></svg>')
    monkeypatch.setattr(cards, "inline", lambda drawing, key, label: blank.format(label))
