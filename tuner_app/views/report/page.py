"""The report's file: which search it is made of, and where it is written.

The plots are SVG by matplotlib, rewritten a little, rather than plotly's: the whole report weighs less than
a twentieth of plotly's 4.8 MB of JavaScript, needs no script at all (so the page can forbid every load and
still work in a mail attachment), prints, scales on a phone, keeps its text as text, and takes its colours
from the page's style sheet, so that one file follows the reader's light or dark mode. What interaction would
add is there without it: a tooltip on each mark, and the numbers of each plot as a table below it. The price is
half a second for importing matplotlib and about a twentieth of a second a plot.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tuner_app.process import collector
from tuner_app.storage.files import write_whole
from tuner_app.storage.project import Project

if TYPE_CHECKING:
    from tuner_app.analysis.confusion import ConfusedPicture


def write_report(project: Project, *, pictures: Sequence[ConfusedPicture] | None = None) -> pathlib.Path:
    """Write the report of a search into its folder, over an older one.

    Args:
        project: The search. What is finished of an interrupted one is reported as such.
        pictures: Test pictures that the refit model got wrong, the surest mistakes first; None takes those that are
            kept in the folder.

    Returns:
        Where the report is: `project.report_file`.

    Raises:
        ProjectError: There is no search, it is damaged, no candidate is finished, or the disk is full.
        SearchError: Every candidate failed.
    """
    # Imported here: who asks the command for its --help waits for neither NumPy nor matplotlib. And one after the
    # other: who has no search to report on waits for no drawing.
    from tuner_app.storage.journal import load_search
    from tuner_app.views.report.findings import gather

    findings = gather(load_search(project), pictures)
    from tuner_app.views.report.rendering import page_of

    # Matplotlib makes so many objects in so little time that going through them would take a quarter of the whole.
    with collector.paused():
        page = page_of(findings)
    write_whole(project.report_file, page)
    return project.report_file
