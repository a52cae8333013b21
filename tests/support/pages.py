"""Reading a report's page in tests."""

from __future__ import annotations

import html
import html.parser
import itertools
import re
from collections.abc import Sequence

from tuner_app.analysis.confusion import ConfusedPicture
from tuner_app.storage.project import Project
from tuner_app.views.report import write_report

VOID = {"meta", "img", "br"}


class Page(html.parser.HTMLParser):
    """A page taken apart: open and close tags must pair up, ids be unique, links lead somewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text.replace("<wbr>", ""))  # allows a line break and is no part of a name
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(project: Project, pictures: Sequence[ConfusedPicture] = ()) -> Page:
    path = write_report(project, pictures=pictures)
    assert path == project.report_file
    page = Page(path.read_text(encoding="utf-8"))
    check(page, path.read_text(encoding="utf-8"))
    return page


def check(page: Page, text: str) -> None:
    """What must hold for every report."""
    ids = [str(attributes["id"]) for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = re.findall(r'(?:href="|url\()#([^")]+)', text)
    assert set(wanted) <= set(ids)
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "xlink:href", "data", "action"):
            assert str(attributes.get(name, "#")).startswith(("#", "data:image/png;base64,"))
    assert not re.search(r"https?://|@import|url\((?!#)|#0a0b0", text)
    assert {"script", "link", "iframe", "object"}.isdisjoint(tag for tag, _ in page.tags)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))
    assert {"header", "nav", "main", "footer"} <= {tag for tag, _ in page.tags}
    assert all(svg.get("role") == "img" and svg.get("aria-label") for svg in page.all("svg"))
    assert len(page.all("svg")) == sum("card" in str(figure.get("class")) for figure in page.all("figure"))
    tables = [region for region in page.all("div") if region.get("class") == "scroll"]
    assert all(region["tabindex"] == "0" and region["role"] == "region" and region["aria-label"] for region in tables)
    assert len(page.all("table")) == len(page.all("caption")) <= len(tables)
    assert "nan" not in re.findall(r"[a-z]+", " ".join(str(path.get("d")) for path in page.all("path")))
