"""A figure of matplotlib as SVG for the middle of a page.

Owns the rewriting: ids that are unique on the page, the page's own colours and font, a label for screen readers and a
tooltip on each mark. The SVG is small, needs no script, prints, and follows the reader's light or dark mode, since its
colours are names of the style sheet.
"""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from markupsafe import Markup

from tuner_app.records.text import one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Placeholders that matplotlib takes for colours, since it knows no names of a style sheet; `_restyled` puts those in.
THEME = {
    name: f"#0a0b{number:02x}"
    for number, name in enumerate(("ink", "muted", "line", "paper", "accent", "warm", "heat"), start=1)
}
INK, MUTED, LINE, PAPER, ACCENT, WARM, HEAT = THEME.values()

_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_REFERENCE = re.compile(r"(?:^#|url\(#)([\w-]+)")


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A figure, and what to say at those of its marks that have a gid.

    Attributes:
        figure: The figure.
        tooltips: Words by gid.
    """

    figure: Figure
    tooltips: dict[str, str]


def inline(drawing: Drawing, key: str, label: str) -> Markup:
    """A drawing as SVG that may stand in a page as it is.

    Args:
        drawing: The figure.
        key: Put before each id, so that several drawings can share a page.
        label: What a screen reader says instead.

    Returns:
        Markup: matplotlib and ElementTree have escaped every text in it.
    """
    buffer = io.StringIO()
    drawing.figure.savefig(buffer, format="svg", metadata={"Date": None})
    # XML can hold no control characters, not even escaped; a hyperparameter's name may.
    root = ElementTree.fromstring(one_line(buffer.getvalue()))
    size = root.get("viewBox", "0 0 1 1")
    # A style element would hold for the whole page; the metadata hold addresses, of which a page has none.
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in (f"{_SVG}metadata", f"{_SVG}style")]:
            parent.remove(child)
    values = [value for element in root.iter() for value in element.attrib.values()]
    used = {name for value in values for name in _REFERENCE.findall(value)}
    # The list is made first: `_rewrite` adds elements (titles) that must not be visited.
    for element in list(root.iter()):
        _rewrite(element, key, used, drawing.tooltips)
    root.attrib = {"viewBox": size, "role": "img", "aria-label": one_line(label)}
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _rewrite(element: ElementTree.Element, key: str, used: set[str], tooltips: Mapping[str, str]) -> None:
    """Change one element in place; an id that nothing refers to is dropped."""
    element.tag = element.tag.removeprefix(_SVG)
    name = element.attrib.pop("id", "")
    element.attrib = {k.replace(_LINK, "href"): _restyled(value, key) for k, value in element.attrib.items()}
    if name in used:
        element.set("id", f"{key}-{name}")
    if name in tooltips:
        title = ElementTree.Element("title")
        title.text = one_line(tooltips[name])
        element.insert(0, title)


def _restyled(value: str, key: str) -> str:
    """An attribute with the page's colours, font and ids; numbers with two decimals, which is finer than any screen."""
    if _REFERENCE.match(value):
        return value.replace("#", f"#{key}-")
    for name, placeholder in THEME.items():
        value = value.replace(placeholder, f"var(--{name})")
    value = re.sub(r"'DejaVu Sans'[^;]*", "system-ui, sans-serif", value)
    return re.sub(r"(\d+\.\d{2})\d+", r"\1", value)
