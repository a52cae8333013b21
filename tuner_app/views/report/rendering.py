"""The report's page as HTML: what stands at its top, the order of its sections, and the templates that write it.

Owns the way from plain text to HTML. Every text goes through `templates/`, which escape it; nothing but the style sheet
and the drawings of `svg` is markup before that.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator
from typing import Any

import jinja2
from markupsafe import Markup

from tuner_app.records.text import count_text, duration_text, values_text, without_controls
from tuner_app.views.report.cards import confusion_section, curves_section, ranking_section, time_section
from tuner_app.views.report.findings import Findings
from tuner_app.views.report.notes import notes_of
from tuner_app.views.report.panels import settings_of_the_report
from tuner_app.views.report.parts import Section, Tile
from tuner_app.views.report.pictures import pictures_section
from tuner_app.views.report.results import repeat_section, results_section


def page_of(findings: Findings) -> str:
    """The whole page of a search, one HTML file that needs no other."""
    with settings_of_the_report():
        sections = [section for section in _sections(findings) if not section.is_empty]
    template = _environment().get_template("page.html")
    return template.render(
        title=_title(findings),
        project=findings.record.project.name,
        headline=_headline(findings),
        tiles=list(_tiles(findings)),
        sections=sections,
        style=Markup(style_sheet()),
    )


def style_sheet() -> str:
    """The page's style sheet, with the colours of its light and its dark mode."""
    return importlib.resources.files(__package__).joinpath("templates", "style.css").read_text(encoding="utf-8")


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        # The folder `templates` beside this module: package data, so it is named in pyproject.toml to be in the wheel.
        loader=jinja2.PackageLoader(str(__package__)),
        autoescape=True,
        # A misspelt name must fail in a test, not leave a hole in somebody's report.
        undefined=jinja2.StrictUndefined,
        finalize=_one_line,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _one_line(value: Any) -> Any:
    """What a template is about to write, without what HTML cannot hold; it is escaped after this."""
    # What macros and `Markup` give is escaped already, and its line breaks are the template's own.
    return value if hasattr(value, "__html__") else without_controls(str(value))


def _sections(findings: Findings) -> Iterator[Section]:
    yield Section("trust", "Can you trust it?", notes=notes_of(findings))
    yield ranking_section(findings)
    yield curves_section(findings)
    yield time_section(findings)
    yield confusion_section(findings)
    yield pictures_section(findings)
    yield results_section(findings)
    yield repeat_section(findings)


def _title(findings: Findings) -> str:
    score = f"{findings.ranking.measure.name} {findings.number(findings.best.mean)}"
    return f"{findings.record.project.name}: {score}{'' if findings.standing.is_whole else ' so far'}"


def _headline(findings: Findings) -> str:
    tie = " (tied)" if findings.best.tied else ""
    score = f"{findings.ranking.measure.name} {findings.number(findings.best.mean)}"
    so_far = "" if findings.standing.is_whole else f" so far ({findings.standing.share})"
    return f"Best{so_far}{tie}: {values_text(findings.best.values)}, with a mean {score}"


def _tiles(findings: Findings) -> Iterator[Tile]:
    best, runner_up = findings.best, findings.significance.runner_up
    folds = count_text(findings.significance.n_folds, "fold")
    spread = f"mean of {folds}, standard deviation {findings.number(best.std)}"
    yield Tile(findings.ranking.measure.label, findings.number(best.mean), spread)
    if runner_up is not None:
        error = f"standard error of the difference {findings.number(runner_up.standard_error)}"
        yield Tile("lead over the second", findings.number(runner_up.behind), error)
    test_score = findings.manifest.get("test_score")
    if isinstance(test_score, int | float):
        remark = "the refit model, on rows that the search never saw"
        yield Tile("on the test part", findings.number(test_score), remark)
    seconds = duration_text(findings.time.total_seconds + findings.time.compile_seconds)
    yield Tile(
        "candidates", f"{len(findings.ranking.rows):,}", f"{count_text(findings.n_fits, 'fit')}, {seconds} in all"
    )
