"""The style sheet."""

from __future__ import annotations

import re

from tuner_app.views.report.rendering import style_sheet


def test_contrast_of_the_palette() -> None:
    """WCAG AA: text at 4.5 to 1, marks of plots at 3 to 1, in both modes."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def contrast(one: str, other: str) -> float:
        darker, lighter = sorted((luminance(one), luminance(other)))
        return (lighter + 0.05) / (darker + 0.05)

    modes = re.findall(r":root \{(.*?)\}", style_sheet(), flags=re.DOTALL)
    assert len(modes) == 2
    for mode in modes:
        colour = dict(re.findall(r"--(\w+): (#\w{6})", mode))
        for background in ("paper", "ground", "notice"):
            for text in ("ink", "muted", "accent"):
                assert contrast(colour[text], colour[background]) >= 4.5, (text, background)
        assert contrast(colour["ink"], colour["heat"]) >= 4.5
        for mark in ("warm", "good", "accent", "muted"):
            assert contrast(colour[mark], colour["paper"]) >= 3, mark
