"""Pictures that the refit model got wrong, as they stand in the page itself."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from tuner_app.analysis.confusion import ConfusedPicture
from tuner_app.records.text import value_text
from tuner_app.views.report.findings import Findings
from tuner_app.views.report.parts import Picture, Section

_WORDS = (
    "The refit model's surest mistakes on the test part. That part had no say in the search: it was looked at only "
    "after the best candidate was chosen and trained. To choose by these pictures would spend it."
)


def pictures_section(findings: Findings) -> Section:
    """The pictures, the surest mistakes first; empty where there are none."""
    pictures = [_picture(picture) for picture in findings.pictures]
    words = [_WORDS] if pictures else []
    return Section("pictures", "Most confused test pictures", words=words, pictures=pictures)


def _picture(picture: ConfusedPicture) -> Picture:
    true, predicted = value_text(picture.true_label), value_text(picture.predicted_label)
    # Inside the page, since it must need no other file; the page's policy lets nothing but `data:` through.
    source = f"data:image/png;base64,{base64.b64encode(png(picture.image)).decode()}"
    return Picture(source, true, f"{true} taken for {predicted}, {picture.probability:.0%} sure")


def png(image: npt.ArrayLike) -> bytes:
    """A picture as PNG.

    Args:
        image: Grey levels `(height, width)` or colours `(height, width, 3)`, from 0 up; the brightest becomes white.
    """
    levels = np.nan_to_num(np.asarray(image, dtype=np.float64))
    scaled = np.clip(levels * (255.0 / max(float(levels.max()), 1e-12)), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(scaled).save(buffer, format="PNG")
    return buffer.getvalue()
