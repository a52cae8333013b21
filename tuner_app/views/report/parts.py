"""What a page is made of: sections of notes, cards, pictures and tables, as plain records.

Owns their shape alone. Everything here is plain text, never HTML: the templates escape it and put it into tags, so that
no name that a user chose can become part of the page's markup. The one exception is a card's drawing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from markupsafe import Markup


@dataclasses.dataclass(frozen=True)
class Code:
    """Words to type, shown as such inside a sentence.

    Attributes:
        code: The words.
    """

    code: str


Words = Sequence[str | Code]


@dataclasses.dataclass(frozen=True)
class Table:
    """A table with its heading row.

    Attributes:
        caption: What it shows.
        head: The names of the columns.
        rows: The cells; the first of each row is its heading.
        kind: `"numbers"` (flush right) or `"settings"` (paths that may break at their dots).
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    kind: str = "numbers"


@dataclasses.dataclass(frozen=True)
class Details:
    """What stands behind a line that the reader may open.

    Attributes:
        summary: The line.
        table: A table, or None.
        traceback: A Python traceback, whose lines and indents are kept, or None.
    """

    summary: str
    table: Table | None = None
    traceback: str | None = None


@dataclasses.dataclass(frozen=True)
class Note:
    """One answer to "can you trust it?".

    Attributes:
        kind: `"warning"` or `"good"`.
        label: The first words, in bold.
        words: What follows them.
        details: What the reader may open below.
    """

    kind: str
    label: str
    words: Words = ()
    details: Sequence[Details] = ()


@dataclasses.dataclass(frozen=True)
class Card:
    """A plot with its words and its numbers, or a small table alone.

    Attributes:
        title: Its heading.
        table: The numbers of the plot; without a drawing, all there is.
        key: The drawing's id on the page, unique there.
        caption: How to read the drawing.
        drawing: SVG that `svg.inline` has made safe; None for a table alone.
    """

    title: str
    table: Table
    key: str = ""
    caption: str = ""
    drawing: Markup | None = None


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture that a model took for another class.

    Attributes:
        source: The picture as a `data:` address.
        true: What it is.
        caption: What stands below it.
    """

    source: str
    true: str
    caption: str


@dataclasses.dataclass(frozen=True)
class Tile:
    """One of the large numbers at the top.

    Attributes:
        name: What it is.
        value: The number.
        remark: What to know about it.
    """

    name: str
    value: str
    remark: str


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page with a heading, in the order in which its pieces stand.

    Attributes:
        key: Its id on the page, for the links at the top.
        title: Its heading.
        notes: Answers about trust.
        words: A paragraph.
        command: A command to copy; empty for none.
        cards: Plots and small tables side by side.
        pictures: Pictures side by side.
        table: A table over the whole width.
    """

    key: str
    title: str
    notes: Sequence[Note] = ()
    words: Words = ()
    command: str = ""
    cards: Sequence[Card] = ()
    pictures: Sequence[Picture] = ()
    table: Table | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show, so that the section is left out."""
        return not (self.notes or self.words or self.command or self.cards or self.pictures or self.table)
