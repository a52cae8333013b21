"""The report of a search: one HTML file that says which candidate wins, by how much, and whether to trust it.

Owns the page, its words and the drawing; every number comes from `analysis`.

The plots are SVG by matplotlib, rewritten a little, rather than plotly's: the whole report weighs less than
a twentieth of plotly's 4.8 MB of JavaScript, needs no script at all (so the page can forbid every load and
still work in a mail attachment), prints, scales on a phone, keeps its text as text, and takes its colours
from the page's style sheet, so that one file follows the reader's light or dark mode. What interaction would
add is there without it: a tooltip on each mark, and the numbers of each plot as a table below it. The price is
half a second for importing matplotlib and about a twentieth of a second a plot. It draws without pyplot, so the
figures and settings of a notebook stay as they are.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import functools
import html
import io
import math
import pathlib
import re
import shlex
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from tuner_app.errors import ProjectError, SearchError
from tuner_app.storage.files import read_json, write_whole
from tuner_app.storage.project import Project

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tuner_app.analysis import comparison, confusion, costs, curves, edges, effects, ranking
    from tuner_app.analysis.advice import Standing
    from tuner_app.analysis.confusion import ConfusedPicture
    from tuner_app.storage.journal import SearchRecord

MOST_DRAWN = 20
MOST_POINTS = 100
MOST_CELLS = 1000
MOST_CLASSES = 40
MOST_ERRORS = 5
MOST_LISTED = 500
MOST_FOLDS_LISTED = 20
MISSING = "n/a"

# Placeholders that matplotlib takes for colours; `_inline` puts the style sheet's names in their place.
_THEME = {
    name: f"#0a0b{number:02x}"
    for number, name in enumerate(("ink", "muted", "line", "paper", "accent", "warm", "heat"), start=1)
}
_INK, _MUTED, _LINE, _PAPER, _ACCENT, _WARM, _HEAT = _THEME.values()
_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"


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
    from tuner_app.storage import journal

    found = _gather(journal.load_search(project), pictures)
    with _matplotlib():
        page = _page(found)
    write_whole(project.report_file, page)
    return project.report_file


# What the report is made from


@dataclasses.dataclass(frozen=True)
class _Findings:
    """Everything that the page says, computed once."""

    record: SearchRecord
    ranked: ranking.Ranking
    best: ranking.RankedCandidate
    doubt: comparison.Significance
    edges: tuple[edges.EdgeWarning, ...]
    time: costs.TimeSpent
    manifest: dict[str, Any]
    manifest_problem: str | None
    pictures: tuple[ConfusedPicture, ...]
    standing: Standing
    options: bool

    @functools.cached_property
    def decimals(self) -> int:
        """As many as the scores' spread makes worth reading."""
        spreads = sorted(row.std for row in self.ranked.scored if row.std > 0)
        usual = 4 if abs(self.best.mean) < 10 else 2 if abs(self.best.mean) < 1000 else 0
        fine = math.ceil(-math.log10(spreads[len(spreads) // 2])) if spreads else 0
        return min(8, max(usual, fine))

    def number(self, value: float) -> str:
        """A score, or a difference of scores."""
        return f"{value:.{self.decimals}f}" if math.isfinite(value) else _number(value)

    @functools.cached_property
    def close(self) -> set[str]:
        """The trials that the folds do not tell from the best, the best included."""
        return {self.best.trial_id, *(contender.candidate.trial_id for contender in self.doubt.contenders)}


def _gather(record: SearchRecord, pictures: Sequence[ConfusedPicture] | None) -> _Findings:
    from tuner_app.analysis import advice, comparison, costs, ranking
    from tuner_app.analysis.edges import edge_warnings
    from tuner_app.prediction.mistakes import kept_pictures

    if not record.finished:
        raise ProjectError(f"{record.project.path} has no finished candidate yet. Call search() again to continue.")
    ranked = ranking.ranking_of(record)
    best, doubt = ranked.best, comparison.significance_of(ranked)
    if best is None or doubt is None:
        raise SearchError(_all_failed(record))
    manifest, problem = _read_manifest(record)
    if pictures is None:
        pictures = kept_pictures(record.project) if manifest else ()
    time = costs.time_spent(record, ranked)
    edges = edge_warnings(ranked)
    standing, options = advice.Standing.of(record), advice.speaks_options(record)
    return _Findings(record, ranked, best, doubt, edges, time, manifest, problem, tuple(pictures), standing, options)


def _all_failed(record: SearchRecord) -> str:

    from tuner_app.records import tables

    common = tables.most_common_error(record.candidates)
    reason = f" Most fits failed with: {_last_line(common[0])}." if common else ""
    return f"No candidate of {record.project.path} has a score, so there is nothing to report.{reason}"


def _read_manifest(record: SearchRecord) -> tuple[dict[str, Any], str | None]:
    """The refit model's manifest, and what is wrong with it; empty where there is none that fits this search."""
    if not record.project.manifest_file.exists():
        return {}, None
    try:
        manifest = read_json(record.project.manifest_file)
    except ProjectError as error:
        return {}, str(error)
    if manifest.get("search_id", record.description["search_id"]) != record.description["search_id"]:
        return {}, "The saved model was made by another search."
    return manifest, None


def _classes(found: _Findings) -> list[Any] | None:
    for place in (found.manifest, found.record.description):
        if isinstance(place.get("classes"), list):
            return list(place["classes"])
    return None


# The page


def _page(found: _Findings) -> str:
    sections = [section for section in _sections(found) if section.body]
    links = "".join(f'<li><a href="#{s.key}">{_text(s.title)}</a></li>' for s in sections)
    bodies = "\n".join(section.html for section in sections)
    name, score = _text(found.record.project.name), found.number(found.best.mean)
    so_far = "" if found.standing.is_whole else " so far"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{name}: {_text(found.ranked.measure.name)} {score}{so_far}</title>
<style>{_STYLE}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the results</a>
<header><div class="inner">
<p class="project">Search <strong>{name}</strong></p>
<h1>{_text(_headline(found))}</h1>
{_tiles(found)}
</div></header>
<nav aria-label="Contents"><div class="inner"><ul>{links}</ul></div></nav>
<main id="main" tabindex="-1"><div class="inner">
{bodies}
</div></main>
<footer><div class="inner"><p>Written by tuner_app. This file needs no network.</p></div></footer>
</body>
</html>
"""


@dataclasses.dataclass(frozen=True)
class _Section:
    key: str
    title: str
    body: str

    @property
    def html(self) -> str:
        heading = f'<h2 id="{self.key}-title">{_text(self.title)}</h2>'
        return f'<section id="{self.key}" aria-labelledby="{self.key}-title">{heading}\n{self.body}</section>'


def _sections(found: _Findings) -> Iterator[_Section]:
    yield _Section("trust", "Can you trust it?", _trust(found))
    yield _Section("ranking", "Ranking and hyperparameters", _grid([_ranking(found), *_hyperparameters(found)]))
    yield _Section("curves", "Learning curves", _grid(_curves(found)))
    yield _Section("time", "Time spent", _grid(_time(found)))
    yield _Section("confusion", "Confusion", _confusion(found))
    yield _Section("pictures", "Most confused test pictures", _pictures(found.pictures))
    yield _Section("results", "All results", _results(found))
    yield _Section("repeat", "To repeat it", _repeat(found))


def _headline(found: _Findings) -> str:
    from tuner_app.records.text import values_text

    tie = " (tied)" if found.best.tied else ""
    score = f"{found.ranked.measure.name} {found.number(found.best.mean)}"
    so_far = "" if found.standing.is_whole else f" so far ({found.standing.share})"
    return f"Best{so_far}{tie}: {values_text(found.best.values)}, with a mean {score}"


def _tiles(found: _Findings) -> str:
    best, doubt, measure = found.best, found.doubt, found.ranked.measure
    folds = _count(doubt.n_folds, "fold")
    seconds = found.time.total_seconds + found.time.compile_seconds
    spent = f"{_count(_n_fits(found.record), 'fit')}, {_duration(seconds)} in all"
    tiles = [
        _tile(measure.label, found.number(best.mean), f"mean of {folds}, standard deviation {found.number(best.std)}"),
        *_lead_tile(found),
        *_test_tile(found),
        _tile("candidates", f"{len(found.ranked.rows):,}", spent),
    ]
    return f"<dl class='tiles'>{''.join(tiles)}</dl>"


def _tile(name: str, value: str, remark: str) -> str:
    said = f"<span class='big'>{_text(value)}</span> <span>{_text(remark)}</span>"
    return f"<div><dt>{_text(name)}</dt><dd>{said}</dd></div>"


def _lead_tile(found: _Findings) -> Iterator[str]:
    second = found.doubt.runner_up
    if second is not None:
        error = f"standard error of the difference {found.number(second.standard_error)}"
        yield _tile("lead over the second", found.number(second.behind), error)


def _test_tile(found: _Findings) -> Iterator[str]:
    score = found.manifest.get("test_score")
    if isinstance(score, int | float):
        yield _tile("on the test part", found.number(score), "the refit model, on rows that the search never saw")


# Can you trust it?


def _trust(found: _Findings) -> str:
    checks = (_unfinished_notes, _edge_notes, _failure_notes, _close_notes, _model_notes)
    return f"<ul class='notes'>{''.join(note for check in checks for note in check(found))}</ul>"


def _note(kind: str, label: str, body: str) -> str:
    return f"<li class='{kind}'><strong>{_text(label)}</strong> {body}</li>"


def _edge_notes(found: _Findings) -> Iterator[str]:
    from tuner_app.analysis.advice import next_values

    for edge in found.edges:
        yield _note("warning", "Edge of the grid.", _edge_words(edge, options=found.options))
    if len(found.edges) > 1:
        together = next_values(found.edges, options=found.options)
        yield _note("warning", "Beyond all these edges at once:", f"<code>{_text(together)}</code>")
    if not found.edges and found.ranked.varying and found.standing.is_whole:
        yield _note(
            "good", "Inside the grid.", "No hyperparameter's best value is at an end that could be moved further."
        )


def _edge_words(edge: edges.EdgeWarning, *, options: bool) -> str:
    from tuner_app.analysis.advice import next_values
    from tuner_app.records.text import value_text

    tried = ", ".join(value_text(value) for value in edge.grid)
    doubt = (
        " Values away from it come within one standard error, so little may be gained." if edge.inside_is_close else ""
    )
    following, in_python = (next_values([edge], options=wanted) for wanted in (options, False))
    python = f", or in Python <code>{_text(in_python)}</code>" if options else ""
    return (
        f"The best {_text(edge.name)}, {value_text(edge.value)}, is the {edge.side} that was tried ({tried}). "
        f"A better one may lie beyond.{doubt} Try next, under a new project name: "
        f"<code>{_text(following)}</code>{python}."
    )


def _failure_notes(found: _Findings) -> Iterator[str]:
    counted = Counter(error for candidate in found.record.candidates for error in candidate.errors)
    if not counted:
        yield _note("good", "No fit failed.", "")
        return
    shown = counted.most_common(MOST_ERRORS)
    details = "".join(_error_details(error, count) for error, count in shown)
    more = f" The first {len(shown)} of {len(counted)} different errors:" if len(counted) > len(shown) else ""
    said = f"{counted.total():,} of {_count(_n_fits(found.record), 'fit')} failed"
    score = f"their score is set to {found.record.rule.error_score}"
    yield _note("warning", "Failed fits.", f"{said}; {score}.{more}{details}")


def _error_details(error: str, count: int) -> str:
    traceback = _scroll("Traceback", f"<pre>{_lines(error)}</pre>")
    return _details(f"{_count(count, 'fit')}: {_last_line(error)}", traceback)


def _unfinished_notes(found: _Findings) -> Iterator[str]:
    from tuner_app.analysis.advice import unfinished_words

    if not found.standing.is_whole:
        yield _note("warning", "Unfinished.", unfinished_words(found.standing, options=found.options))


def _close_notes(found: _Findings) -> Iterator[str]:
    doubt = found.doubt
    if doubt.n_folds < 2:
        yield _note("warning", "One fold.", "It cannot say how far chance moves a score. Search with more folds.")
        return
    error = f"one standard error ({found.number(doubt.standard_error)})"
    if doubt.contenders:
        others = _count(len(doubt.contenders), "other candidate")
        said = f"{others} within {error} of the best: these folds hardly tell them apart."
        label = "A tie." if found.best.tied else "A close call."
        yield _note("warning", label, f"{said}{_cheapest(found)}{_rough(doubt)}{_contender_table(found)}")
    elif doubt.runner_up is not None:
        yield _note("good", "A clear lead.", f"No other candidate is within {error} of the best.{_rough(doubt)}")


def _cheapest(found: _Findings) -> str:
    from tuner_app.records.text import values_text

    close = [row for row in found.time.rows if row.candidate.trial_id in found.close]
    quickest = min(close, key=lambda row: row.seconds_per_fit)
    longest = next(row.seconds_per_fit for row in close if row.candidate.trial_id == found.best.trial_id)
    if quickest.seconds_per_fit >= 0.9 * longest:
        return ""
    share = quickest.seconds_per_fit / longest
    return f" {_text(values_text(quickest.candidate.values))} trains in {share:.0%} of the best one's time."


def _rough(doubt: comparison.Significance) -> str:
    if doubt.n_folds >= 10:
        return ""
    return (
        f" With {doubt.n_folds} folds that error is itself rough (by about {doubt.roughness:.0%}), "
        "and the best of many candidates is always a little lucky."
    )


def _contender_table(found: _Findings) -> str:
    rows = [
        [
            str(contender.candidate.rank),
            *_value_cells(found, contender.candidate),
            *(found.number(value) for value in (contender.behind, contender.standard_error)),
            f"{contender.folds_won} of {found.doubt.n_folds}",
        ]
        for contender in found.doubt.contenders[:MOST_DRAWN]
    ]
    head = ["Rank", *found.ranked.space, "Behind the best", "Standard error of the difference", "Folds won against it"]
    table = _table("Candidates close to the best, compared over the same folds", head, rows)
    return _details("Fold by fold (the one-standard-error rule of Breiman et al., 1984)", table)


def _model_notes(found: _Findings) -> Iterator[str]:
    from tuner_app.records.text import values_text

    if found.manifest_problem is not None:
        yield _note("warning", "The saved model is left out.", _text(found.manifest_problem))
    refit = found.manifest.get("hyperparameters")
    if isinstance(refit, Mapping) and any(refit.get(name) != value for name, value in found.best.values.items()):
        yield _note("warning", "Another model.", f"The saved model has {_text(values_text(refit))}, not the best.")


# The sections with plots


@dataclasses.dataclass(frozen=True)
class _Plot:
    """A drawing with its words: `alternative` says to a screen reader what the eye would take from it."""

    key: str
    title: str
    caption: str
    alternative: str
    drawing: _Drawing
    table: str


def _grid(plots: Iterable[_Plot], *more: str) -> str:
    cards = "".join([*(_card(plot) for plot in plots), *more])
    return f"<div class='cards'>{cards}</div>" if cards else ""


def _card(plot: _Plot) -> str:
    drawing = _inline(plot.drawing, plot.key, f"{plot.title}. {plot.alternative}")
    caption = f"<figcaption><h3>{_text(plot.title)}</h3><p>{_text(plot.caption)}</p></figcaption>"
    return f"<figure class='card'>{caption}\n{drawing}\n{_details('The numbers of this plot', plot.table)}</figure>\n"


def _ranking(found: _Findings) -> _Plot:
    from tuner_app.records.text import values_text

    rows, scored = found.ranked.scored[:MOST_DRAWN], len(found.ranked.scored)
    without = len(found.ranked.rows) - scored
    caption = "Diamonds: means. Bars: one standard deviation. Dots: folds."
    if math.isfinite(found.doubt.standard_error):
        caption += " Shaded: within one standard error of the best; the candidates there are blue."
    caption += f" The best {len(rows)} of {scored:,}." if len(rows) < scored else ""
    caption += f" {_count(without, 'candidate')} without a score: see all results." if without else ""
    ends = [f"{found.number(row.mean)} for {values_text(row.values)}" for row in (rows[0], rows[-1])]
    alternative = f"Best first, from {ends[0]} to {ends[1]}." if len(rows) > 1 else f"{ends[0]}."
    table = _table("Ranking", _score_head(found), [_score_cells(found, row) for row in rows])
    title = f"Candidates by {found.ranked.measure.name}"
    return _Plot("ranking-plot", title, caption, alternative, _draw_ranking(found, rows), table)


def _draw_ranking(found: _Findings, rows: Sequence[ranking.RankedCandidate]) -> _Drawing:
    from tuner_app.records.text import values_text

    labels = [f"{row.rank}. {_values_label(found, row)}" for row in rows]
    figure, axes = _bars(found, labels)
    best, error = found.best.mean, found.doubt.standard_error
    if math.isfinite(error):
        edge = best + (error if found.ranked.measure.lower_is_better else -error)
        axes.axvspan(min(edge, best), max(edge, best), color=_ACCENT, alpha=0.15, linewidth=0)
    placed = list(enumerate(rows))
    for color in (_ACCENT, _MUTED):
        group = [(place, row) for place, row in placed if (row.trial_id in found.close) == (color == _ACCENT)]
        _draw_folds(axes, group, color)
        for place, row in group:
            axes.plot(row.mean, place, "D", color=color, markersize=5.5, gid=f"row-{place}")
    tooltips = {
        f"row-{place}": f"{values_text(row.values)}: {_with_std(found, row.mean, row.std)}" for place, row in placed
    }
    axes.set_xlabel(_short(found.ranked.measure.label, 44), loc="right")
    return _Drawing(figure, tooltips)


def _draw_folds(axes: Axes, group: Sequence[tuple[int, ranking.RankedCandidate]], color: str) -> None:
    dots = [(score, place) for place, row in group for score in row.fold_scores]
    axes.plot([score for score, _ in dots], [place for _, place in dots], "o", color=color, markersize=3, alpha=0.6)
    means, stds = [row.mean for _, row in group], [row.std for _, row in group]
    axes.errorbar(means, [place for place, _ in group], xerr=stds, fmt="none", color=color, linewidth=1.2, capsize=2.5)


def _hyperparameters(found: _Findings) -> Iterator[_Plot]:
    varying = found.ranked.varying
    if len(varying) == 2 and math.prod(len(found.ranked.space[name]) for name in varying) <= MOST_CELLS:
        yield _heat_map(found, varying)
    elif varying:
        yield _effects(found)
    if len(varying) > 2 and len(found.ranked.scored) > 1:
        yield _parallel(found)


def _heat_map(found: _Findings, varying: Sequence[str]) -> _Plot:
    from tuner_app.analysis import effects
    from tuner_app.records import text

    across, down = sorted(varying, key=lambda name: len(found.ranked.space[name]))
    cells = effects.heat_map(found.ranked, down, across)
    columns = [text.value_text(value) for value in cells.column_values]
    rows = [
        [text.value_text(value), *(_with_std(found, *cell) for cell in zip(means, stds, strict=True))]
        for value, means, stds in zip(cells.row_values, cells.mean.tolist(), cells.std.tolist(), strict=True)
    ]
    best, worst = (found.number(row.mean) for row in (found.ranked.scored[0], found.ranked.scored[-1]))
    caption = f"Mean {found.ranked.measure.name} ± standard deviation over the folds. "
    caption += f"Brighter is better, from {worst} to {best}; the best is framed."
    where = text.values_text(found.best.values)
    alternative = f"{len(rows)} values of {down} by {len(columns)} of {across}. The best, {best}, is at {where}."
    table = _table("Mean ± standard deviation", [f"{down} \\ {across}", *columns], rows)
    return _Plot(
        "heat-map", f"{down} by {across}", caption, alternative, _draw_heat_map(found, cells, columns, rows), table
    )


def _draw_heat_map(
    found: _Findings, cells: effects.HeatMap, columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> _Drawing:
    figure, axes = _matrix([row[0] for row in rows], columns, cells.row_name, cells.column_name, per_row=0.36)
    tooltips = {}
    for i, (label, *texts) in enumerate(rows):
        for j, text in enumerate(texts):
            key, mean = f"cell-{i}-{j}", float(cells.mean[i, j])
            shade = _shade(found.ranked, mean)
            _cell(axes, i, j, facecolor=shade, edgecolor=_PAPER, linewidth=1, gid=key)
            tooltips[key] = f"{cells.row_name}={label}, {cells.column_name}={columns[j]}: {text}"
            if len(columns) <= 6:
                color = _MUTED if math.isnan(mean) else _readable_on(shade)
                axes.text(j, i, text.replace(" ", "\n", 1), ha="center", va="center", color=color, fontsize=8)
    _cell(axes, *cells.best, fill=False, edgecolor=_WARM, linewidth=2.5, margin=0.05)
    return _Drawing(figure, tooltips)


def _shade(ranked: ranking.Ranking, mean: float) -> Any:
    """Where a score lies between the worst (dark) and the best (bright), in colours for every kind of eyesight."""
    from matplotlib import colormaps

    best, worst = ranked.scored[0].mean, ranked.scored[-1].mean
    if math.isnan(mean):
        return "none"
    return colormaps["cividis"]((mean - worst) / (best - worst) if best != worst else 1.0)


def _effects(found: _Findings) -> _Plot:
    from tuner_app.analysis.advice import imbalance_words
    from tuner_app.analysis.effects import effects_of
    from tuner_app.records import text

    effects = effects_of(found.ranked)
    rows = [
        [
            text.one_line(effect.name),
            text.value_text(value),
            *(found.number(number) for number in (spread.mean, spread.std, spread.low, spread.high)),
            str(spread.n_candidates),
        ]
        for effect in effects
        for value, spread in zip(effect.values, effect.spreads, strict=True)
    ]
    others = ", averaged over the other hyperparameters" if len(effects) > 1 else ""
    caption = f"Mean {found.ranked.measure.label} at each value{others}. Bars: from the lowest to the highest fold. "
    caption += f"Diamond: the value of the best candidate. {imbalance_words(effects)}".rstrip()
    best = ", ".join(f"{effect.name} {text.value_text(_best_value(found, effect))}" for effect in effects)
    head = ["Hyperparameter", "Value", "Mean", "Standard deviation", "Lowest fold", "Highest fold", "Candidates"]
    title, alternative = "Effect of each hyperparameter", f"Highest place by the mean: {best}."
    return _Plot("effects", title, caption, alternative, _draw_effects(found, effects), _table("Effects", head, rows))


def _best_value(found: _Findings, effect: effects.Effect) -> Any:
    sign = -1 if found.ranked.measure.lower_is_better else 1
    known = [(sign * spread.mean, i) for i, spread in enumerate(effect.spreads) if spread.n_candidates]
    return effect.values[max(known)[1]]


def _draw_effects(found: _Findings, effects: Sequence[effects.Effect]) -> _Drawing:
    from tuner_app.records.text import value_text

    columns = 2 if len(effects) > 1 else 1
    labels = [[_short(value_text(value), 10) for value in effect.values] for effect in effects]
    rooms = [_label_room(texts, width=2.8 / columns) for texts in labels]
    between, bottom = max(rooms) + 0.3, max(rooms[-columns:])
    figure, grid = _canvases(
        -(-len(effects) // columns), columns, per_panel=1.5, between=between, bottom=bottom, top=0.3
    )
    for effect, texts, axes in zip(effects, labels, grid, strict=False):
        _draw_effect(axes, effect)
        _tick_labels(axes, texts, width=2.8 / columns)
    for axes in grid[len(effects) :]:
        axes.set_axis_off()
    for axes in grid[::columns]:
        axes.set_ylabel(_short(found.ranked.measure.name, 22))
    return _Drawing(figure, {})


def _draw_effect(axes: Axes, effect: effects.Effect) -> None:
    known = [(i, spread) for i, spread in enumerate(effect.spreads) if spread.n_candidates]
    places, means = [i for i, _ in known], [spread.mean for _, spread in known]
    axes.vlines(places, [s.low for _, s in known], [s.high for _, s in known], color=_MUTED, linewidth=1.2, alpha=0.7)
    ordered = all(isinstance(value, int | float) and not isinstance(value, bool) for value in effect.values)
    axes.plot(places, means, "o-" if ordered else "o", color=_ACCENT, linewidth=1.5, markersize=4.5)
    chosen = [(i, spread.mean) for i, spread in known if effect.values[i] == effect.best_value]
    axes.plot([i for i, _ in chosen], [mean for _, mean in chosen], "D", color=_WARM, markersize=8)
    axes.set_xlim(-0.5, len(effect.values) - 0.5)
    axes.set_title(_short(effect.name, 24), loc="left", fontsize=10)
    axes.grid(axis="x", visible=False)
    axes.locator_params(axis="y", nbins=5)


def _parallel(found: _Findings) -> _Plot:
    from tuner_app.analysis import effects
    from tuner_app.records import text

    lines = effects.parallel_coordinates(found.ranked, at_most=MOST_POINTS)
    rows = [[str(row.rank), *_value_cells(found, row), found.number(row.mean)] for row in lines.candidates]
    caption = "One line for each candidate. Orange: the best. Blue: within one standard error of it."
    if lines.left_out:
        caption += f" The best {len(rows)}; {lines.left_out:,} more are not drawn."
    over = f"{_count(len(rows), 'candidate')} over {_count(len(lines.axes), 'hyperparameter')}"
    alternative = f"{over}. The best: {text.values_text(found.best.values)}."
    table = _table("Candidates", ["Rank", *found.ranked.space, f"Mean {found.ranked.measure.name}"], rows)
    return _Plot("parallel", "Candidates as lines", caption, alternative, _draw_parallel(found, lines), table)


def _draw_parallel(found: _Findings, lines: effects.ParallelCoordinates) -> _Drawing:
    from tuner_app.records.text import values_text

    names = [*(name for name, _ in lines.axes), found.ranked.measure.name]
    figure, (axes,) = _canvases(1, 1, per_panel=2.7, left=0.4, bottom=0.75)
    tooltips = {}
    for i, row in reversed(list(enumerate(lines.candidates))):
        color, width, alpha = (_ACCENT, 1.6, 0.9) if row.trial_id in found.close else (_MUTED, 1.0, 0.35)
        color, width, alpha = (_WARM, 2.8, 1.0) if i == 0 else (color, width, alpha)
        places = range(len(names))
        axes.plot(places, lines.positions[i], color=color, linewidth=width, alpha=alpha, gid=f"line-{i}")
        tooltips[f"line-{i}"] = f"{row.rank}. {values_text(row.values)}: {found.number(row.mean)}"
    _label_lines(found, axes, lines)
    axes.set_xticks(range(len(names)), [_short(name, 14) for name in names], rotation=25, ha="right")
    axes.set_yticks([])
    axes.set_xlim(-0.4, len(names) - 0.55)
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    return _Drawing(figure, tooltips)


def _label_lines(found: _Findings, axes: Axes, lines: effects.ParallelCoordinates) -> None:
    from tuner_app.records.text import value_text

    for i, (_, values) in enumerate(lines.axes):
        for k in range(0, len(values), max(1, len(values) // 10)):
            _boxed(axes, i, k / (len(values) - 1), _short(value_text(values[k]), 9))
    for height, score in ((1, lines.high), (0, lines.low)):
        _boxed(axes, len(lines.axes), height, found.number(score))
    for i in range(len(lines.axes) + 1):
        axes.axvline(i, color=_LINE, linewidth=1, zorder=0)


def _curves(found: _Findings) -> Iterator[_Plot]:
    from tuner_app.analysis.curves import learning_curves

    shown = learning_curves(found.record, found.ranked)
    limits = _limits(shown)
    for place, curves in enumerate(shown):
        yield _curve_plot(found, curves, limits, f"curve-{place}")


def _curve_plot(
    found: _Findings, shown: curves.CandidateCurves, limits: Mapping[str, tuple[float, float]], key: str
) -> _Plot:
    from tuner_app.records.text import values_text

    caption = f"{values_text(shown.candidate.values)}. Lines: means of {_count(shown.n_fits, 'fit')}; bands: from the "
    caption += "lowest to the highest; a steep start is cut off."
    if shown.chosen_epoch is not None:
        caption += f" Dotted: epoch {shown.chosen_epoch}, where all folds are scored."
    bands = _bands(shown)
    ends = "; ".join(
        f"{name} from {_number(band.mean[band.epochs[0] - 1])} to {_number(band.mean[band.epochs[-1] - 1])}"
        for name, band in bands
    )
    alternative = f"Over {_count(max(len(band.mean) for _, band in bands), 'epoch')}: {ends}."
    title = f"Rank {shown.candidate.rank}: {found.ranked.measure.name} {found.number(shown.candidate.mean)}"
    return _Plot(key, title, caption, alternative, _draw_curves(shown, limits), _curve_table(bands))


def _bands(shown: curves.CandidateCurves) -> list[tuple[str, curves.Band]]:
    kinds = [(f"{kind} {c.metric}", getattr(c, kind)) for c in shown.curves for kind in ("train", "validation")]
    return [(name, band) for name, band in kinds if band is not None]


def _curve_table(bands: Sequence[tuple[str, curves.Band]]) -> str:
    def cell(band: curves.Band, epoch: int) -> str:
        if epoch + 1 not in band.epochs:
            return MISSING
        return f"{_number(band.mean[epoch])} ({_number(band.low[epoch])} to {_number(band.high[epoch])})"

    epochs = _sampled(max(len(band.mean) for _, band in bands))
    rows = [[str(epoch + 1), *(cell(band, epoch) for _, band in bands)] for epoch in epochs]
    return _table("Mean (lowest to highest fit) by epoch", ["Epoch", *(name for name, _ in bands)], rows)


def _draw_curves(shown: curves.CandidateCurves, limits: Mapping[str, tuple[float, float]]) -> _Drawing:
    figure, grid = _canvases(len(shown.curves), 1, per_panel=1.6, between=0.15, bottom=0.5)
    for curve, axes in zip(shown.curves, grid, strict=True):
        for name, band, color, style in (
            ("train", curve.train, _WARM, "--"),
            ("validation", curve.validation, _ACCENT, "-"),
        ):
            if band is not None:
                _draw_band(axes, band, name, color, style)
        if shown.chosen_epoch is not None:
            axes.axvline(shown.chosen_epoch, color=_MUTED, linewidth=1.2, linestyle=":")
        axes.set_ylabel(_short(curve.metric, 20))
        axes.set_ylim(*limits[curve.metric])
        axes.locator_params(axis="y", nbins=5)
    grid[0].legend(frameon=False, fontsize=9)
    grid[-1].locator_params(axis="x", integer=True, nbins=8)
    grid[-1].set_xlabel("epoch")
    return _Drawing(figure, {})


def _draw_band(axes: Axes, band: curves.Band, name: str, color: str, style: str) -> None:
    epochs = band.epochs
    mean, low, high = ([curve[epoch - 1] for epoch in epochs] for curve in (band.mean, band.low, band.high))
    axes.fill_between(epochs, low, high, color=color, alpha=0.2, linewidth=0)
    # Points show where a line joins epochs that are not next to each other.
    marker = "o" if len(epochs) < max(2, epochs[-1] - epochs[0] + 1) else ""
    axes.plot(epochs, mean, style, color=color, linewidth=1.8, marker=marker, label=name)


def _limits(shown: Sequence[curves.CandidateCurves]) -> dict[str, tuple[float, float]]:
    """One vertical range for a metric in all plots; the first fifth of the epochs would flatten the rest."""
    met: dict[str, list[float]] = {}
    for candidate in shown:
        for curve in candidate.curves:
            for band in (curve.train, curve.validation):
                late = [] if band is None else [*band.low[len(band.low) // 5 :], *band.high[len(band.high) // 5 :]]
                met.setdefault(curve.metric, []).extend(value for value in late if math.isfinite(value))
    spans = {metric: (min(values), max(values)) if values else (0.0, 1.0) for metric, values in met.items()}
    margins = {metric: 0.06 * (high - low) or 0.5 for metric, (low, high) in spans.items()}
    return {metric: (low - margins[metric], high + margins[metric]) for metric, (low, high) in spans.items()}


def _time(found: _Findings) -> Iterator[_Plot]:
    if found.time.total_seconds > 0:
        yield _time_plot(found)
        if len(found.ranked.scored) > 1:
            yield _price_plot(found)


def _time_plot(found: _Findings) -> _Plot:
    from tuner_app.records.text import values_text

    rows, most = found.time.rows[:MOST_DRAWN], found.time.rows[0]
    caption = f"{_duration(found.time.total_seconds)} over all fits, counted one by one"
    if found.time.unfinished_seconds:
        caption += f", {_duration(found.time.unfinished_seconds)} of it in unfinished candidates"
    caption += "; fits side by side take less on the clock. Blue: training. Orange: validation."
    if found.time.compile_seconds:
        caption += f" Compiling, {_duration(found.time.compile_seconds)} more, is left out: candidates share it."
    caption += f" The {len(rows)} longest of {len(found.time.rows):,}." if len(rows) < len(found.time.rows) else ""
    cells = [
        [
            values_text(row.candidate.values),
            *(_duration(seconds) for seconds in (row.fit_seconds, row.score_seconds, row.seconds_per_fit)),
            f"{row.share:.1%}",
        ]
        for row in rows
    ]
    table = _table("Time spent", ["Candidate", "Training", "Validation", "Per fit", "Share"], cells)
    alternative = f"The longest, {values_text(most.candidate.values)}, took {most.share:.0%} of all."
    return _Plot("time-plot", "Time of each candidate", caption, alternative, _draw_time(found, rows), table)


def _draw_time(found: _Findings, rows: Sequence[costs.CandidateTime]) -> _Drawing:
    from tuner_app.records.text import values_text

    figure, axes = _bars(found, [_values_label(found, row.candidate) for row in rows])
    places, training = range(len(rows)), [row.fit_seconds for row in rows]
    bars = axes.barh(places, training, 0.65, color=_ACCENT)
    scored = axes.barh(places, [row.score_seconds for row in rows], 0.65, training, color=_WARM)
    tooltips = {}
    for place, row in enumerate(rows):
        spent = (
            f"{values_text(row.candidate.values)}: {_duration(row.fit_seconds + row.score_seconds)}, {row.share:.1%}"
        )
        for kind, patch in (("training", bars[place]), ("validation", scored[place])):
            patch.set_gid(f"{kind}-{place}")
            tooltips[f"{kind}-{place}"] = spent
    axes.set_xlabel("seconds, all fits", loc="right")
    return _Drawing(figure, tooltips)


def _price_plot(found: _Findings) -> _Plot:
    from tuner_app.records.text import values_text

    scored = [row for row in found.time.rows if math.isfinite(row.candidate.mean)]
    rows = sorted(scored, key=lambda row: row.candidate.rank)[:MOST_POINTS]
    cells = [
        [values_text(row.candidate.values), _duration(row.seconds_per_fit), found.number(row.candidate.mean)]
        for row in rows
    ]
    said = [
        f"{values_text(row.candidate.values)}, {_duration(row.seconds_per_fit)}: {found.number(row.candidate.mean)}"
        for row in (rows[0], min(rows, key=lambda row: row.seconds_per_fit))
    ]
    caption = "What a better score costs. Orange: the best. Blue: within one standard error of it."
    caption += f" The best {len(rows)} of {len(scored):,}." if len(rows) < len(scored) else ""
    alternative = f"A fit of the best, {said[0]}. One of the quickest, {said[1]}."
    table = _table("Score and time", ["Candidate", "Per fit", f"Mean {found.ranked.measure.name}"], cells)
    return _Plot("price-plot", "Score against time", caption, alternative, _draw_price(found, rows), table)


def _draw_price(found: _Findings, rows: Sequence[costs.CandidateTime]) -> _Drawing:
    from tuner_app.records.text import values_text

    figure, (axes,) = _canvases(1, 1, per_panel=2.4, bottom=0.5)
    tooltips = {}
    for i, row in reversed(list(enumerate(rows))):
        color = _WARM if i == 0 else _ACCENT if row.candidate.trial_id in found.close else _MUTED
        x, y, marker = row.seconds_per_fit, row.candidate.mean, "D" if i == 0 else "o"
        axes.plot(x, y, marker, color=color, markersize=7, alpha=0.9, gid=f"price-{i}")
        tooltips[f"price-{i}"] = f"{values_text(row.candidate.values)}: {found.number(y)} in {_duration(x)} a fit"
    axes.set_xlabel("seconds per fit")
    axes.set_ylabel(_short(found.ranked.measure.name, 30))
    axes.set_xlim(0, 1.05 * max(row.seconds_per_fit for row in rows) or 1.0)  # room for the whole of the last dot
    if found.ranked.measure.lower_is_better:
        axes.invert_yaxis()
    axes.locator_params(nbins=6)
    return _Drawing(figure, tooltips)


def _confusion(found: _Findings) -> str:
    from tuner_app.analysis import confusion

    matrix = confusion.confusion_of(found.record, found.ranked, classes=_classes(found))
    if matrix is None:
        return ""
    if len(matrix.labels) > MOST_CLASSES:
        return _grid([], _pairs(matrix))
    right, total = int(matrix.counts.trace()), int(matrix.counts.sum())
    caption = f"The best candidate on its validation rows, summed over {_count(matrix.n_fits, 'fit')}: {right:,} of "
    caption += (
        f"{total:,} right. Orange: taken for another class; the stronger, the larger the share of the true class."
    )
    said = [f"{pair.true} is taken for {pair.predicted} {pair.count:,} times" for pair in matrix.pairs[:3]]
    alternative = f"Most often, {', '.join(said)}." if said else "No row was taken for another class."
    rows = [
        [label, *(f"{count:,}" for count in counts), f"{share:.1%}"]
        for label, counts, share in zip(matrix.labels, matrix.counts.tolist(), matrix.shares.diagonal(), strict=True)
    ]
    table = _table("Rows by true class (down) and predicted class (across)", ["Class", *matrix.labels, "Right"], rows)
    title = "True class against predicted class"
    plots = [_Plot("confusion-plot", title, caption, alternative, _draw_confusion(matrix), table)]
    return _grid(plots, _pairs(matrix))


def _pairs(matrix: confusion.Confusion) -> str:
    if not matrix.pairs:
        return ""
    rows = [[pair.true, pair.predicted, f"{pair.count:,}", f"{pair.share:.1%}"] for pair in matrix.pairs]
    table = _table("Most confused pairs", ["True class", "Taken for", "Rows", "Of the true class"], rows)
    return f"<div class='card'><h3>Most confused pairs</h3>{table}</div>"


def _draw_confusion(matrix: confusion.Confusion) -> _Drawing:
    n = len(matrix.labels)
    figure, axes = _matrix(matrix.labels, matrix.labels, "true class", "predicted class", per_row=3.2 / n)
    most = max((pair.share for pair in matrix.pairs), default=1.0)
    tooltips = {}
    for i, j in ((i, j) for i in range(n) for j in range(n) if matrix.counts[i, j]):
        key, count, share = f"pair-{i}-{j}", int(matrix.counts[i, j]), float(matrix.shares[i, j])
        color, alpha = (_LINE, 0.5) if i == j else (_HEAT, min(1.0, 0.1 + 0.9 * share / most))
        _cell(axes, i, j, facecolor=color, alpha=alpha, linewidth=0, gid=key)
        said = "right" if i == j else f"taken for {matrix.labels[j]}"
        tooltips[key] = f"{matrix.labels[i]} {said}: {count:,} ({share:.1%})"
        if n <= 20:
            axes.text(j, i, str(count), ha="center", va="center", fontsize=8 if n <= 10 else 5.5)
    return _Drawing(figure, tooltips)


def _pictures(pictures: Sequence[ConfusedPicture]) -> str:
    items = "".join(f"<li>{_picture(picture)}</li>" for picture in pictures)
    return f"<p>{_PICTURES_WORDS}</p><ul class='pictures'>{items}</ul>" if items else ""


_PICTURES_WORDS = (
    "The refit model's surest mistakes on the test part. That part had no say in the search: it was looked at only "
    "after the best candidate was chosen and trained. To choose by these pictures would spend it."
)


def _picture(picture: ConfusedPicture) -> str:
    from tuner_app.records.text import value_text

    true, predicted = _text(value_text(picture.true_label)), _text(value_text(picture.predicted_label))
    source = f"data:image/png;base64,{base64.b64encode(_png(picture.image)).decode()}"
    image = f'<img src="{source}" alt="A picture of class {true}" width="96" height="96">'
    return (
        f"<figure>{image}<figcaption>{true} taken for {predicted}, {picture.probability:.0%} sure</figcaption></figure>"
    )


def _png(image: Any) -> bytes:
    """A picture as PNG, its brightest point white: three chunks with checksums need no picture library."""
    import numpy as np

    levels = np.nan_to_num(np.asarray(image, dtype=np.float64))
    scaled = np.clip(levels * (255.0 / max(float(levels.max()), 1e-12)), 0, 255).astype(np.uint8)
    height, width = scaled.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if scaled.ndim == 3 else 0, 0, 0, 0)
    lines = zlib.compress(b"".join(b"\x00" + line.tobytes() for line in scaled))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", lines) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# Results and settings


def _results(found: _Findings) -> str:
    rows = found.ranked.rows[:MOST_LISTED]
    seconds = {row.candidate.trial_id: row.seconds_per_fit for row in found.time.rows}
    head = [*_score_head(found), "Mean time of a fit", "Failed fits", "Trial"]
    cells = [
        [*_score_cells(found, row), _duration(seconds[row.trial_id]), str(row.failures), row.trial_id] for row in rows
    ]
    return f"<p>{_results_words(found)}</p>" + _table("All finished candidates, best first", head, cells)


def _results_words(found: _Findings) -> str:
    project, total = found.record.project, len(found.ranked.rows)
    said = f"Standard deviations are of the population, as in <code>{_text(project.results_file.name)}</code>"
    if found.ranked.measure.lower_is_better:
        said += ", which holds these scores negated, so that higher is better there"
    if total > MOST_LISTED:
        said += f". These are the best {MOST_LISTED} of {total:,}; the file has all"
    return f"{said}. Trial 0000 lies in <code>{_text(str(project.trial_folder('0000')))}</code>, and so on."


def _score_head(found: _Findings) -> list[str]:
    n_folds, mean = found.doubt.n_folds, f"Mean {found.ranked.measure.name}"
    folds = [f"Fold {k}" for k in range(n_folds)] if n_folds <= MOST_FOLDS_LISTED else []
    train = [] if found.best.train_mean is None else [f"{mean} on the training rows"]
    return ["Rank", *found.ranked.space, mean, "Standard deviation", *train, *found.best.parts, *folds]


def _score_cells(found: _Findings, row: ranking.RankedCandidate) -> list[str]:
    rank = f"{row.rank} (tie)" if row.tied else str(row.rank)
    folds = row.fold_scores if len(row.fold_scores) <= MOST_FOLDS_LISTED else ()
    train = () if row.train_mean is None else (row.train_mean,)
    numbers = (row.mean, row.std, *train, *row.parts.values(), *folds)
    return [rank, *_value_cells(found, row), *(_precise(number) for number in numbers)]


def _value_cells(found: _Findings, row: ranking.RankedCandidate) -> list[str]:
    from tuner_app.analysis.space import ABSENT
    from tuner_app.records.text import value_text

    return [value_text(row.values.get(name, ABSENT)) for name in found.ranked.space]


def _repeat(found: _Findings) -> str:
    description = dict(found.record.description)
    command = description.pop("command_line", None)
    groups: dict[str, Any] = {"search": {k: v for k, v in description.items() if not isinstance(v, Mapping)}}
    groups |= {key: value for key, value in description.items() if isinstance(value, Mapping)}
    groups["refit model"] = {key: found.manifest[key] for key in _REFIT if key in found.manifest}
    return _command(command) + _grid([], *(_settings(name, group) for name, group in groups.items() if group))


_REFIT = ("hyperparameters", "epochs", "seed", "score", "score_std", "test_score", "created")


def _command(words: Any) -> str:
    if not isinstance(words, list) or not words:
        return ""
    start = ["python", "-m", "tuner_app.tune"] if words[0] == "tune.py" else words[:1]
    line = shlex.join(str(word) for word in [*start, *words[1:]])
    return _scroll("Command", f"<pre><code>{_text(line)}</code></pre>")


def _settings(name: str, content: Any) -> str:
    title = name.replace("_", " ").capitalize()
    table = _table(title, ["Setting", "Value"], _flattened(content), kind="settings")
    return f"<div class='card'><h3>{_text(title)}</h3>{table}</div>"


def _flattened(content: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every leaf of nested settings as a path and a text."""
    from tuner_app.analysis.space import listed_values
    from tuner_app.records.text import value_text

    if isinstance(content, Mapping) and (values := listed_values(content)):
        yield path, ", ".join(value_text(value) for value in values)
    elif isinstance(content, Mapping) and content:
        for key, value in content.items():
            yield from _flattened(value, f"{path}.{key}" if path else str(key))
    elif isinstance(content, list) and any(isinstance(item, Mapping | list) for item in content):
        for i, item in enumerate(content):
            yield from _flattened(item, f"{path}[{i}]")
    elif isinstance(content, list):
        yield path, ", ".join(value_text(item) for item in content) or "none"
    else:
        yield path, "none" if content is None or content == {} else value_text(content)


# HTML


def _text(text: str) -> str:
    """Text made safe for HTML, on one line."""
    from tuner_app.records.text import one_line

    return html.escape(one_line(text))


def _lines(text: str) -> str:
    """Text made safe for HTML with its line breaks and indents."""
    lines = text.rstrip().splitlines()
    return "\n".join(" " * (len(line) - len(line.lstrip(" "))) + _text(line) for line in lines)


def _table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, kind: str = "numbers") -> str:
    columns = "".join(f'<th scope="col">{_text(name)}</th>' for name in head)
    body = "".join(_row(*row) for row in rows)
    if kind == "settings":
        body = _PATH.sub(lambda path: path[0].replace(".", ".<wbr>"), body)
    parts = f"<caption>{_text(caption)}</caption><thead><tr>{columns}</tr></thead><tbody>\n{body}</tbody>"
    return _scroll(caption, f"<table class='{kind}'>{parts}</table>")


_PATH = re.compile(r'(?<=<th scope="row">)[^<]+')


def _row(first: str, *rest: str) -> str:
    cells = "".join(f"<td>{_text(cell)}</td>" for cell in rest)
    return f'<tr><th scope="row">{_text(first)}</th>{cells}</tr>\n'


def _scroll(label: str, content: str) -> str:
    """A box that scrolls sideways on its own, by keyboard too, so that the page never does."""
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{_text(label)}">{content}</div>'


def _details(summary: str, content: str) -> str:
    return f"<details><summary>{_text(summary)}</summary>{content}</details>"


# Words for numbers


def _number(value: float) -> str:
    if not math.isfinite(value):
        return MISSING if math.isnan(value) else str(value)
    return f"{value:.4f}" if value == 0 or 0.01 <= abs(value) < 1000 else f"{value:.3g}"


def _precise(value: float) -> str:
    if not math.isfinite(value):
        return _number(value)
    return f"{value:.6f}" if value == 0 or 0.0001 <= abs(value) < 1e6 else f"{value:.6g}"


def _with_std(found: _Findings, mean: float, std: float) -> str:
    return MISSING if math.isnan(mean) else f"{found.number(mean)} ±{found.number(std)}"


def _duration(seconds: float) -> str:
    if seconds < 59.95:
        return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _n_fits(record: SearchRecord) -> int:
    return sum(len(candidate.folds) for candidate in record.candidates)


def _last_line(error: str) -> str:
    from tuner_app.records.text import one_line

    lines = error.strip().splitlines()
    return _short(one_line(lines[-1]), 160) if lines else "an error without a message"


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _sampled(count: int, *, at_most: int = 100) -> list[int]:
    """Places in a list of `count`: all, or evenly chosen ones with the first and the last."""
    if count <= at_most:
        return list(range(count))
    return sorted({round(i * (count - 1) / (at_most - 1)) for i in range(at_most)})


def _drawn_names(found: _Findings) -> list[str]:
    return found.ranked.varying or list(found.ranked.space)


def _values_label(found: _Findings, row: ranking.RankedCandidate) -> str:
    from tuner_app.analysis.space import ABSENT
    from tuner_app.records.text import value_text

    return _short(", ".join(value_text(row.values.get(name, ABSENT)) for name in _drawn_names(found)), 20)


# Drawing


@dataclasses.dataclass(frozen=True)
class _Drawing:
    """A figure, and what to say at those of its marks that have a gid."""

    figure: Figure
    tooltips: dict[str, str]


@contextlib.contextmanager
def _matplotlib() -> Iterator[None]:
    """Our settings and none of the user's; a label in a script that matplotlib cannot measure is no reason to warn."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matplotlib.rcdefaults()
        for name, value in _SETTINGS.items():
            matplotlib.rcParams[name] = value  # type: ignore[index, literal-required, unused-ignore]
        yield


_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tuner_app",
    "text.parse_math": False,
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _INK,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-4, 5),
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.labelcolor": _INK,
}

_WIDTH = 3.7  # inches: about a phone's page, so that text keeps its size there
_CHARACTER = 0.075  # inches, one character of a tick label


def _canvases(
    rows: int,
    columns: int,
    *,
    per_panel: float,
    left: float = 0.72,
    bottom: float = 0.25,
    top: float = 0.12,
    between: float = 0.0,
) -> tuple[Figure, list[Axes]]:
    """Panels with margins in inches; known margins spare matplotlib a second drawing to measure them."""
    from matplotlib.figure import Figure

    height = top + bottom + rows * per_panel + (rows - 1) * between
    figure = Figure(figsize=(_WIDTH, height))
    figure.patch.set_visible(False)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=columns == 1, sharey="row" if columns > 1 else False)
    figure.subplots_adjust(
        left=left / _WIDTH,
        right=1 - 0.15 / _WIDTH,
        bottom=bottom / height,
        top=1 - top / height,
        wspace=0.1,
        hspace=between / per_panel,
    )
    panel = (_WIDTH - left - 0.15) / columns
    for axes in grid.flat:
        axes.yaxis.set_label_coords(-(left - 0.18) / panel, 0.5)
        axes.xaxis.set_label_coords(0.5, -(bottom - 0.22) / per_panel)
    return figure, list(grid.flat)


def _bars(found: _Findings, labels: Sequence[str]) -> tuple[Figure, Axes]:
    """One line for each candidate, named at its left; what the names consist of stands above them."""
    left = max(0.5, 0.15 + _CHARACTER * max(len(label) for label in labels))
    figure, (axes,) = _canvases(1, 1, per_panel=0.25 * len(labels) + 0.1, left=left, bottom=0.5, top=0.3)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    names = _short(", ".join(_drawn_names(found)), 54)
    axes.set_title(names, loc="left", x=0.15 / _WIDTH - left / (_WIDTH - left), fontsize=9, color=_MUTED)
    axes.locator_params(axis="x", nbins=5)
    return figure, axes


def _matrix(
    rows: Sequence[str], columns: Sequence[str], row_name: str, column_name: str, *, per_row: float
) -> tuple[Figure, Axes]:
    """An empty matrix with its labels, the first row on top."""
    down, across = [_short(label, 10) for label in rows], [_short(label, 10) for label in columns]
    left = 0.45 + _CHARACTER * max(len(label) for label in down)
    room = _label_room(across, width=_WIDTH - left - 0.15)
    per_panel = min(8.0, max(0.8, per_row * len(rows)))
    figure, (axes,) = _canvases(1, 1, per_panel=per_panel, left=left, bottom=room + 0.25)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    _tick_labels(axes, across, width=_WIDTH - left - 0.15)
    step = max(1, len(rows) // 25)
    axes.set_yticks(range(0, len(rows), step), down[::step])
    axes.set_xlabel(_short(column_name, 40))
    axes.set_ylabel(_short(row_name, max(6, int(per_panel / _CHARACTER))))
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return figure, axes


def _cell(axes: Axes, row: int, column: int, *, margin: float = 0.0, **style: Any) -> None:
    from matplotlib.patches import Rectangle

    side = 1 - 2 * margin
    axes.add_patch(Rectangle((column - 0.5 + margin, row - 0.5 + margin), side, side, **style))


def _tick_labels(axes: Axes, labels: Sequence[str], *, width: float) -> None:
    """As many labels below an axis as are readable, upright where they are too long for its width in inches."""
    step = max(1, len(labels) // 20)
    rotation = 90 if _crowded(labels, width) else 0
    axes.set_xticks(range(0, len(labels), step), labels[::step], rotation=rotation)


def _label_room(labels: Sequence[str], *, width: float) -> float:
    return 0.2 + _CHARACTER * max(len(label) for label in labels) if _crowded(labels, width) else 0.28


def _crowded(labels: Sequence[str], width: float) -> bool:
    return len(labels) * (max(len(label) for label in labels) + 0.5) * _CHARACTER > width


def _boxed(axes: Axes, x: float, y: float, text: str) -> None:
    box = {"boxstyle": "round,pad=0.15", "facecolor": _PAPER, "edgecolor": "none", "alpha": 0.85}
    axes.text(x, y, text, ha="center", va="center", fontsize=8.5, bbox=box, zorder=5)


def _readable_on(color: Sequence[float]) -> str:
    """Black or white, whichever contrasts more (WCAG 2, relative luminance)."""
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color[:3])
    return "#000000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "#ffffff"


def _inline(drawing: _Drawing, key: str, label: str) -> str:
    """A figure as SVG for the middle of a page: ids that are unique there, the page's colours, a label, tooltips."""
    from tuner_app.records.text import one_line

    buffer = io.StringIO()
    drawing.figure.savefig(buffer, format="svg", metadata={"Date": None})
    root = ElementTree.fromstring(buffer.getvalue())
    size = root.get("viewBox", "0 0 1 1")
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in (f"{_SVG}metadata", f"{_SVG}style")]:
            parent.remove(child)
    values = [value for element in root.iter() for value in element.attrib.values()]
    used = {name for value in values for name in _REFERENCE.findall(value)}
    for element in list(root.iter()):
        _rewrite(element, key, used, drawing.tooltips)
    root.attrib = {"viewBox": size, "role": "img", "aria-label": one_line(label)}
    return ElementTree.tostring(root, encoding="unicode")


_REFERENCE = re.compile(r"(?:^#|url\(#)([\w-]+)")


def _rewrite(element: ElementTree.Element, key: str, used: set[str], tooltips: Mapping[str, str]) -> None:
    element.tag = element.tag.removeprefix(_SVG)
    name = element.attrib.pop("id", "")
    element.attrib = {k.replace(_LINK, "href"): _restyled(value, key) for k, value in element.attrib.items()}
    if name in used:
        element.set("id", f"{key}-{name}")
    if name in tooltips:
        title = ElementTree.Element("title")
        title.text = tooltips[name]
        element.insert(0, title)


def _restyled(value: str, key: str) -> str:
    if _REFERENCE.match(value):
        return value.replace("#", f"#{key}-")
    for name, placeholder in _THEME.items():
        value = value.replace(placeholder, f"var(--{name})")
    value = re.sub(r"'DejaVu Sans'[^;]*", "system-ui, sans-serif", value)
    return re.sub(r"(\d+\.\d{2})\d+", r"\1", value)


_STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1b1f24; --muted: #57606a; --line: #d0d7de; --paper: #ffffff; --ground: #f3f5f8;
  --accent: #0b62a8; --warm: #b8500a; --heat: #f0a030; --good: #116b4f; --notice: #fdf3e3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6e9ed; --muted: #a3adb8; --line: #3a434d; --paper: #171c22; --ground: #0e1216;
    --accent: #6cb6ff; --warm: #f2a65a; --heat: #8f4d08; --good: #5fd0a8; --notice: #2a2115;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: anywhere;
}
.inner { max-width: 78rem; margin: 0 auto; padding: 0 1rem; }
header { background: var(--paper); border-bottom: 1px solid var(--line); padding: 1.5rem 0 1rem; }
h1 { font-size: clamp(1.3rem, 4.5vw, 2rem); line-height: 1.25; margin: .2rem 0 1rem; text-wrap: balance; }
h2 { font-size: 1.35rem; margin: 2.2rem 0 .8rem; }
h3 { font-size: 1.05rem; margin: 0 0 .3rem; }
p { margin: .3rem 0; }
.project, figcaption p, .tiles dt, .tiles span, footer { color: var(--muted); }
.project strong { color: var(--ink); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 13rem), 1fr)); gap: .8rem; margin: 0; }
.tiles div { border-left: 4px solid var(--accent); padding: .1rem 0 .1rem .8rem; }
.tiles dt, .tiles span { font-size: .9rem; }
.tiles dd { margin: 0; }
.tiles .big { display: block; font-size: 1.6rem; font-weight: 650; line-height: 1.3; color: var(--ink); }
nav { background: var(--paper); border-bottom: 1px solid var(--line); }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; list-style: none; margin: 0; padding: .5rem 0; }
nav a { display: inline-block; padding: .25rem 0; }
a, summary { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
main:focus { outline: none; }
.skip { position: absolute; left: .5rem; top: -4rem; background: var(--paper); padding: .6rem 1rem; z-index: 1; }
.skip:focus { top: .5rem; }
.notes { list-style: none; margin: 0; padding: 0; display: grid; gap: .6rem; }
.notes > li {
  min-width: 0; background: var(--paper); border: 1px solid var(--line); border-left: 4px solid var(--good);
  border-radius: 6px; padding: .6rem .9rem;
}
.notes > .warning { border-left-color: var(--warm); background: var(--notice); }
.warning > strong::before { content: "! "; color: var(--warm); }
.good > strong::before { content: "\\2713  "; color: var(--good); }
.cards {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem; align-items: start;
}
#curves .cards, #repeat .cards { grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); }
#ranking .card:first-child:nth-last-child(3) { grid-row: span 2; }
.card {
  margin: 0; min-width: 0; max-width: 40rem; background: var(--paper); border: 1px solid var(--line);
  border-radius: 8px; padding: .9rem;
}
.card svg { display: block; width: 100%; max-width: 34rem; height: auto; margin: .4rem auto; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
svg text { white-space: pre; }
details { margin-top: .4rem; }
summary { cursor: pointer; padding: .2rem 0; }
.scroll { overflow-x: auto; max-width: 100%; }
section > .scroll { border: 1px solid var(--line); border-radius: 8px; background: var(--paper); margin-bottom: 1rem; }
table {
  border-collapse: collapse; min-width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums;
  overflow-wrap: normal;
}
caption { text-align: left; color: var(--muted); padding: .4rem .6rem; }
h3 + .scroll { position: relative; }
h3 + .scroll caption { position: absolute; width: 1px; height: 1px; padding: 0; overflow: hidden; opacity: 0; }
th, td { padding: .3rem .6rem; border-top: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { border-top: 0; vertical-align: bottom; }
.numbers td { text-align: right; white-space: nowrap; }
.numbers thead th:not(:first-child) { text-align: right; }
.settings th { font-weight: 500; color: var(--muted); }
.settings th { overflow-wrap: break-word; }
.settings td { overflow-wrap: anywhere; min-width: 8rem; }
code, pre { font: .92em/1.5 ui-monospace, monospace; background: var(--ground); border-radius: 4px; }
code { padding: .1em .35em; }
pre { margin: 0; padding: .6rem .8rem; width: max-content; min-width: 100%; }
pre code { padding: 0; }
.pictures {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: .8rem;
  list-style: none; margin: 0; padding: 0;
}
.pictures figure { margin: 0; }
.pictures img { image-rendering: pixelated; object-fit: contain; background: #000000; border-radius: 4px; }
.pictures figcaption { font-size: .9rem; }
footer { padding: 1.5rem 0; font-size: .9rem; }
@media print { .skip, nav { display: none; } .card { break-inside: avoid; } body { background: none; } }
"""
