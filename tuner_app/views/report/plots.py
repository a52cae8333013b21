"""The plots of a report, drawn by matplotlib: one function each, from the records of `analysis` to a figure.

Owns marks, colours and tooltips. Captions and tables are in `cards`, empty panels in `panels`; `svg` makes the figures
part of the page. A mark's gid is the key of its tooltip.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes

from tuner_app.analysis.confusion import Confusion
from tuner_app.analysis.costs import CandidateTime
from tuner_app.analysis.curves import Band, CandidateCurves
from tuner_app.analysis.effects import Effect, HeatMap, ParallelCoordinates
from tuner_app.analysis.ranking import RankedCandidate, Ranking
from tuner_app.records.text import duration_text, shortened, value_text, values_text
from tuner_app.views.report.findings import Findings
from tuner_app.views.report.panels import (
    bars,
    boxed,
    cell,
    label_room,
    matrix,
    panels,
    readable_on,
    tick_labels,
)
from tuner_app.views.report.svg import ACCENT, HEAT, LINE, MUTED, PAPER, WARM, Drawing
from tuner_app.views.report.wording import short_name


def draw_ranking(findings: Findings, rows: Sequence[RankedCandidate]) -> Drawing:
    """Means, deviations and folds of some candidates, with the reach of one standard error."""
    labels = [f"{row.rank}. {short_name(findings.ranking, row)}" for row in rows]
    figure, axes = bars(findings.ranking, labels)
    best, error = findings.best.mean, findings.significance.standard_error
    if math.isfinite(error):
        edge = best + (error if findings.ranking.measure.lower_is_better else -error)
        axes.axvspan(min(edge, best), max(edge, best), color=ACCENT, alpha=0.15, linewidth=0)
    places = list(enumerate(rows))
    for color in (ACCENT, MUTED):
        group = [(place, row) for place, row in places if (row.trial_id in findings.close_trials) == (color == ACCENT)]
        _draw_folds(axes, group, color)
        for place, row in group:
            axes.plot(row.mean, place, "D", color=color, markersize=5.5, gid=f"row-{place}")
    tooltips = {
        f"row-{place}": f"{values_text(row.values)}: {findings.with_std(row.mean, row.std)}" for place, row in places
    }
    axes.set_xlabel(shortened(findings.ranking.measure.label, 44), loc="right")
    return Drawing(figure, tooltips)


def _draw_folds(axes: Axes, group: Sequence[tuple[int, RankedCandidate]], color: str) -> None:
    # One call for all dots and one for all bars: a call for each candidate would take most of the report's time.
    dots = [(score, place) for place, row in group for score in row.fold_scores]
    axes.plot([score for score, _ in dots], [place for _, place in dots], "o", color=color, markersize=3, alpha=0.6)
    means, stds = [row.mean for _, row in group], [row.std for _, row in group]
    axes.errorbar(means, [place for place, _ in group], xerr=stds, fmt="none", color=color, linewidth=1.2, capsize=2.5)


def draw_heat_map(
    findings: Findings, heat_map: HeatMap, columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> Drawing:
    """A score in each cell; `rows` are the cells' texts, each row after its label."""
    figure, axes = matrix([row[0] for row in rows], columns, heat_map.row_name, heat_map.column_name, per_row=0.36)
    tooltips = {}
    for i, (label, *texts) in enumerate(rows):
        for j, text in enumerate(texts):
            key, mean = f"cell-{i}-{j}", float(heat_map.mean[i, j])
            shade = _shade(findings.ranking, mean)
            cell(axes, i, j, facecolor=shade, edgecolor=PAPER, linewidth=1, gid=key)
            tooltips[key] = f"{heat_map.row_name}={label}, {heat_map.column_name}={columns[j]}: {text}"
            if len(columns) <= 6:
                color = MUTED if math.isnan(mean) else readable_on(shade)
                axes.text(j, i, text.replace(" ", "\n", 1), ha="center", va="center", color=color, fontsize=8)
    cell(axes, *heat_map.best, fill=False, edgecolor=WARM, linewidth=2.5, margin=0.05)
    return Drawing(figure, tooltips)


def _shade(ranking: Ranking, mean: float) -> Any:
    """Where a score lies between the worst (dark) and the best (bright), in colours for every kind of eyesight."""
    best, worst = ranking.scored[0].mean, ranking.scored[-1].mean
    if math.isnan(mean):
        return "none"
    return colormaps["cividis"]((mean - worst) / (best - worst) if best != worst else 1.0)


def draw_effects(findings: Findings, effects: Sequence[Effect]) -> Drawing:
    """A small plot a hyperparameter, two side by side, all of a row on the same scale."""
    columns = 2 if len(effects) > 1 else 1
    labels = [[shortened(value_text(value), 10) for value in effect.values] for effect in effects]
    rooms = [label_room(texts, width=2.8 / columns) for texts in labels]
    between, bottom = max(rooms) + 0.3, max(rooms[-columns:])
    n_rows = -(-len(effects) // columns)
    figure, grid = panels(n_rows, columns, per_panel=1.5, between=between, bottom=bottom, top=0.3)
    # An odd number of effects leaves the last panel over.
    for effect, texts, axes in zip(effects, labels, grid, strict=False):
        _draw_effect(axes, effect)
        tick_labels(axes, texts, width=2.8 / columns)
    for axes in grid[len(effects) :]:
        axes.set_axis_off()
    for axes in grid[::columns]:
        axes.set_ylabel(shortened(findings.ranking.measure.name, 22))
    return Drawing(figure, {})


def _draw_effect(axes: Axes, effect: Effect) -> None:
    spreads = [(place, spread) for place, spread in enumerate(effect.spreads) if spread.n_candidates]
    places, means = [place for place, _ in spreads], [spread.mean for _, spread in spreads]
    axes.vlines(
        places, [s.low for _, s in spreads], [s.high for _, s in spreads], color=MUTED, linewidth=1.2, alpha=0.7
    )
    # A line would say that there is something between "relu" and "tanh", or between False and True.
    ordered = all(isinstance(value, int | float) and not isinstance(value, bool) for value in effect.values)
    axes.plot(places, means, "o-" if ordered else "o", color=ACCENT, linewidth=1.5, markersize=4.5)
    best = [(place, spread.mean) for place, spread in spreads if effect.values[place] == effect.best_value]
    axes.plot([place for place, _ in best], [mean for _, mean in best], "D", color=WARM, markersize=8)
    axes.set_xlim(-0.5, len(effect.values) - 0.5)
    axes.set_title(shortened(effect.name, 24), loc="left", fontsize=10)
    axes.grid(axis="x", visible=False)
    axes.locator_params(axis="y", nbins=5)


def draw_parallel(findings: Findings, lines: ParallelCoordinates) -> Drawing:
    """Each candidate as a line over the hyperparameters, the best on top of the others."""
    names = [*(name for name, _ in lines.axes), findings.ranking.measure.name]
    figure, (axes,) = panels(1, 1, per_panel=2.7, left=0.4, bottom=0.75)
    tooltips = {}
    for i, row in reversed(list(enumerate(lines.candidates))):  # What is drawn last lies on top.
        color, width, alpha = (ACCENT, 1.6, 0.9) if row.trial_id in findings.close_trials else (MUTED, 1.0, 0.35)
        color, width, alpha = (WARM, 2.8, 1.0) if i == 0 else (color, width, alpha)
        places = range(len(names))
        axes.plot(places, lines.positions[i], color=color, linewidth=width, alpha=alpha, gid=f"line-{i}")
        tooltips[f"line-{i}"] = f"{row.rank}. {values_text(row.values)}: {findings.number(row.mean)}"
    _label_lines(findings, axes, lines)
    axes.set_xticks(range(len(names)), [shortened(name, 14) for name in names], rotation=25, ha="right")
    axes.set_yticks([])
    axes.set_xlim(-0.4, len(names) - 0.55)
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    return Drawing(figure, tooltips)


def _label_lines(findings: Findings, axes: Axes, lines: ParallelCoordinates) -> None:
    for i, (_, values) in enumerate(lines.axes):
        for k in range(0, len(values), max(1, len(values) // 10)):
            boxed(axes, i, k / (len(values) - 1), shortened(value_text(values[k]), 9))
    for height, score in ((1, lines.high), (0, lines.low)):
        boxed(axes, len(lines.axes), height, findings.number(score))
    for i in range(len(lines.axes) + 1):
        axes.axvline(i, color=LINE, linewidth=1, zorder=0)


def draw_curves(curves: CandidateCurves, limits: Mapping[str, tuple[float, float]]) -> Drawing:
    """A panel a metric, below each other, over the same epochs; `limits` are the vertical range of each metric."""
    figure, grid = panels(len(curves.curves), 1, per_panel=1.6, between=0.15, bottom=0.5)
    for curve, axes in zip(curves.curves, grid, strict=True):
        for name, band, color, style in (
            ("train", curve.train, WARM, "--"),
            ("validation", curve.validation, ACCENT, "-"),
        ):
            if band is not None:
                _draw_band(axes, band, name, color, style)
        if curves.chosen_epoch is not None:
            axes.axvline(curves.chosen_epoch, color=MUTED, linewidth=1.2, linestyle=":")
        axes.set_ylabel(shortened(curve.metric, 20))
        axes.set_ylim(*limits[curve.metric])
        axes.locator_params(axis="y", nbins=5)
    grid[0].legend(frameon=False, fontsize=9)
    grid[-1].locator_params(axis="x", integer=True, nbins=8)
    grid[-1].set_xlabel("epoch")
    return Drawing(figure, {})


def _draw_band(axes: Axes, band: Band, name: str, color: str, style: str) -> None:
    epochs = band.epochs
    mean, low, high = ([curve[epoch - 1] for epoch in epochs] for curve in (band.mean, band.low, band.high))
    axes.fill_between(epochs, low, high, color=color, alpha=0.2, linewidth=0)
    # Points show where a line joins epochs that are not next to each other.
    marker = "o" if len(epochs) < max(2, epochs[-1] - epochs[0] + 1) else ""
    axes.plot(epochs, mean, style, color=color, linewidth=1.8, marker=marker, label=name)


def draw_time(findings: Findings, rows: Sequence[CandidateTime]) -> Drawing:
    """A bar a candidate: training, then validation."""
    figure, axes = bars(findings.ranking, [short_name(findings.ranking, row.candidate) for row in rows])
    places, training = range(len(rows)), [row.fit_seconds for row in rows]
    fits = axes.barh(places, training, 0.65, color=ACCENT)
    scores = axes.barh(places, [row.score_seconds for row in rows], 0.65, training, color=WARM)
    tooltips = {}
    for place, row in enumerate(rows):
        seconds = duration_text(row.fit_seconds + row.score_seconds)
        for kind, patch in (("training", fits[place]), ("validation", scores[place])):
            patch.set_gid(f"{kind}-{place}")
            tooltips[f"{kind}-{place}"] = f"{values_text(row.candidate.values)}: {seconds}, {row.share:.1%}"
    axes.set_xlabel("seconds, all fits", loc="right")
    return Drawing(figure, tooltips)


def draw_price(findings: Findings, rows: Sequence[CandidateTime]) -> Drawing:
    """A dot a candidate: the score against the seconds of a fit, better always further up; the best row first."""
    figure, (axes,) = panels(1, 1, per_panel=2.4, bottom=0.5)
    tooltips = {}
    for i, row in reversed(list(enumerate(rows))):
        color = WARM if i == 0 else ACCENT if row.candidate.trial_id in findings.close_trials else MUTED
        x, y, marker = row.seconds_per_fit, row.candidate.mean, "D" if i == 0 else "o"
        axes.plot(x, y, marker, color=color, markersize=7, alpha=0.9, gid=f"price-{i}")
        tooltips[f"price-{i}"] = (
            f"{values_text(row.candidate.values)}: {findings.number(y)} in {duration_text(x)} a fit"
        )
    axes.set_xlabel("seconds per fit")
    axes.set_ylabel(shortened(findings.ranking.measure.name, 30))
    axes.set_xlim(0, 1.05 * max(row.seconds_per_fit for row in rows) or 1.0)  # room for the whole of the last dot
    if findings.ranking.measure.lower_is_better:
        axes.invert_yaxis()
    axes.locator_params(nbins=6)
    return Drawing(figure, tooltips)


def draw_confusion(confusion: Confusion) -> Drawing:
    """Rows of each true class by predicted class; wrong ones are coloured by their share, right ones are grey."""
    n = len(confusion.labels)
    figure, axes = matrix(confusion.labels, confusion.labels, "true class", "predicted class", per_row=3.2 / n)
    # The worst pair gets the full colour, or else the mistakes of a good model would be white.
    most = max((pair.share for pair in confusion.pairs), default=1.0)
    tooltips = {}
    # Empty pairs get no rectangle: of 40 classes most are, and the page stays light.
    for i, j in ((i, j) for i in range(n) for j in range(n) if confusion.counts[i, j]):
        key, count, share = f"pair-{i}-{j}", int(confusion.counts[i, j]), float(confusion.shares[i, j])
        color, alpha = (LINE, 0.5) if i == j else (HEAT, min(1.0, 0.1 + 0.9 * share / most))
        cell(axes, i, j, facecolor=color, alpha=alpha, linewidth=0, gid=key)
        answer = "right" if i == j else f"taken for {confusion.labels[j]}"
        tooltips[key] = f"{confusion.labels[i]} {answer}: {count:,} ({share:.1%})"
        if n <= 20:
            axes.text(j, i, str(count), ha="center", va="center", fontsize=8 if n <= 10 else 5.5)
    return Drawing(figure, tooltips)
