"""The plots of a report with their words: a title, a caption, what a screen reader says, and the numbers as a table.

Owns which plots a search gets and what stands beside them. `plots` draws them, `analysis` computes what they show.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tuner_app.analysis.advice import imbalance_words
from tuner_app.analysis.confusion import Confusion, confusion_of
from tuner_app.analysis.curves import Band, CandidateCurves, learning_curves
from tuner_app.analysis.effects import Effect, effects_of, heat_map, parallel_coordinates
from tuner_app.records.text import count_text, duration_text, one_line, value_text, values_text
from tuner_app.views.report.findings import Findings
from tuner_app.views.report.parts import Card, Section, Table
from tuner_app.views.report.plots import (
    draw_confusion,
    draw_curves,
    draw_effects,
    draw_heat_map,
    draw_parallel,
    draw_price,
    draw_ranking,
    draw_time,
)
from tuner_app.views.report.results import score_cells, score_head, value_cells
from tuner_app.views.report.svg import Drawing, inline
from tuner_app.views.report.wording import MISSING, number_of_a_metric, sampled

MOST_DRAWN = 20
MOST_POINTS = 100
MOST_CELLS = 1000
MOST_CLASSES = 40


def ranking_section(findings: Findings) -> Section:
    """The candidates, and what their hyperparameters do."""
    cards = [_ranking(findings), *_hyperparameters(findings)]
    return Section("ranking", "Ranking and hyperparameters", cards=cards)


def curves_section(findings: Findings) -> Section:
    """The learning curves of the best candidates; empty where no fit kept a history."""
    candidates = learning_curves(findings.record, findings.ranking)
    # The same limits in each plot: candidates are compared by eye, from card to card.
    limits = _limits(candidates)
    cards = [_curves(findings, curves, limits, f"curve-{place}") for place, curves in enumerate(candidates)]
    return Section("curves", "Learning curves", cards=cards)


def time_section(findings: Findings) -> Section:
    """What the candidates cost; empty where no time was measured."""
    cards = []
    if findings.time.total_seconds > 0:
        cards.append(_time(findings))
        if len(findings.ranking.scored) > 1:
            cards.append(_price(findings))
    return Section("time", "Time spent", cards=cards)


def confusion_section(findings: Findings) -> Section:
    """The confusion of the best candidate; empty where no fit counted its classes."""
    confusion = confusion_of(findings.record, findings.ranking, classes=findings.classes)
    cards = [] if confusion is None else [*_confusion(confusion), *_pairs(confusion)]
    return Section("confusion", "Confusion", cards=cards)


def _card(key: str, title: str, caption: str, alternative: str, drawing: Drawing, table: Table) -> Card:
    """A plot's card; `alternative` says to a screen reader what the eye would take from it."""
    return Card(title, table, key, caption, inline(drawing, key, f"{title}. {alternative}"))


def _ranking(findings: Findings) -> Card:
    rows, n_scored = findings.ranking.scored[:MOST_DRAWN], len(findings.ranking.scored)
    n_without = len(findings.ranking.rows) - n_scored
    caption = "Diamonds: means. Bars: one standard deviation. Dots: folds."
    if math.isfinite(findings.significance.standard_error):
        caption += " Shaded: within one standard error of the best; the candidates there are blue."
    caption += f" The best {len(rows)} of {n_scored:,}." if len(rows) < n_scored else ""
    caption += f" {count_text(n_without, 'candidate')} without a score: see all results." if n_without else ""
    ends = [f"{findings.number(row.mean)} for {values_text(row.values)}" for row in (rows[0], rows[-1])]
    alternative = f"Best first, from {ends[0]} to {ends[1]}." if len(rows) > 1 else f"{ends[0]}."
    table = Table("Ranking", score_head(findings), [score_cells(findings, row) for row in rows])
    title = f"Candidates by {findings.ranking.measure.name}"
    return _card("ranking-plot", title, caption, alternative, draw_ranking(findings, rows), table)


def _hyperparameters(findings: Findings) -> Iterator[Card]:
    varying = findings.ranking.varying
    if len(varying) == 2 and math.prod(len(findings.ranking.space[name]) for name in varying) <= MOST_CELLS:
        yield _heat_map(findings, varying)
    elif varying:
        yield _effects(findings)
    if len(varying) > 2 and len(findings.ranking.scored) > 1:
        yield _parallel(findings)


def _heat_map(findings: Findings, varying: Sequence[str]) -> Card:
    # The page grows downwards: the hyperparameter with more values goes down the side.
    across, down = sorted(varying, key=lambda name: len(findings.ranking.space[name]))
    cells = heat_map(findings.ranking, down, across)
    columns = [value_text(value) for value in cells.column_values]
    rows = [
        [value_text(value), *(findings.with_std(*cell) for cell in zip(means, stds, strict=True))]
        for value, means, stds in zip(cells.row_values, cells.mean.tolist(), cells.std.tolist(), strict=True)
    ]
    best, worst = (findings.number(row.mean) for row in (findings.ranking.scored[0], findings.ranking.scored[-1]))
    caption = f"Mean {findings.ranking.measure.name} ± standard deviation over the folds. "
    caption += f"Brighter is better, from {worst} to {best}; the best is framed."
    where = values_text(findings.best.values)
    alternative = f"{len(rows)} values of {down} by {len(columns)} of {across}. The best, {best}, is at {where}."
    table = Table("Mean ± standard deviation", [f"{down} \\ {across}", *columns], rows)
    drawing = draw_heat_map(findings, cells, columns, rows)
    return _card("heat-map", f"{down} by {across}", caption, alternative, drawing, table)


def _effects(findings: Findings) -> Card:
    effects = effects_of(findings.ranking)
    rows = [
        [
            one_line(effect.name),
            value_text(value),
            *(findings.number(number) for number in (spread.mean, spread.std, spread.low, spread.high)),
            str(spread.n_candidates),
        ]
        for effect in effects
        for value, spread in zip(effect.values, effect.spreads, strict=True)
    ]
    others = ", averaged over the other hyperparameters" if len(effects) > 1 else ""
    caption = f"Mean {findings.ranking.measure.label} at each value{others}. "
    caption += "Bars: from the lowest to the highest fold. "
    caption += f"Diamond: the value of the best candidate. {imbalance_words(effects)}".rstrip()
    best = ", ".join(f"{effect.name} {value_text(_best_value(findings, effect))}" for effect in effects)
    head = ["Hyperparameter", "Value", "Mean", "Standard deviation", "Lowest fold", "Highest fold", "Candidates"]
    title, alternative = "Effect of each hyperparameter", f"Highest place by the mean: {best}."
    table = Table("Effects", head, rows)
    return _card("effects", title, caption, alternative, draw_effects(findings, effects), table)


def _best_value(findings: Findings, effect: Effect) -> Any:
    """The value with the best mean, which need not be that of the best candidate."""
    signed = findings.ranking.measure.signed
    means = [(signed(spread.mean), place) for place, spread in enumerate(effect.spreads) if spread.n_candidates]
    return effect.values[max(means)[1]]


def _parallel(findings: Findings) -> Card:
    lines = parallel_coordinates(findings.ranking, at_most=MOST_POINTS)
    rows = [[str(row.rank), *value_cells(findings, row), findings.number(row.mean)] for row in lines.candidates]
    caption = "One line for each candidate. Orange: the best. Blue: within one standard error of it."
    if lines.left_out:
        caption += f" The best {len(rows)}; {lines.left_out:,} more are not drawn."
    over = f"{count_text(len(rows), 'candidate')} over {count_text(len(lines.axes), 'hyperparameter')}"
    alternative = f"{over}. The best: {values_text(findings.best.values)}."
    table = Table("Candidates", ["Rank", *findings.ranking.space, f"Mean {findings.ranking.measure.name}"], rows)
    return _card("parallel", "Candidates as lines", caption, alternative, draw_parallel(findings, lines), table)


def _curves(findings: Findings, curves: CandidateCurves, limits: Mapping[str, tuple[float, float]], key: str) -> Card:
    caption = f"{values_text(curves.candidate.values)}. Lines: means of {count_text(curves.n_fits, 'fit')}; bands: "
    caption += "from the lowest to the highest; a steep start is cut off."
    if curves.chosen_epoch is not None:
        caption += f" Dotted: epoch {curves.chosen_epoch}, where all folds are scored."
    bands = _bands(curves)
    ends = "; ".join(f"{name} from {_at(band, band.epochs[0])} to {_at(band, band.epochs[-1])}" for name, band in bands)
    alternative = f"Over {count_text(max(len(band.mean) for _, band in bands), 'epoch')}: {ends}."
    title = f"Rank {curves.candidate.rank}: {findings.ranking.measure.name} {findings.number(curves.candidate.mean)}"
    return _card(key, title, caption, alternative, draw_curves(curves, limits), _curve_table(bands))


def _bands(curves: CandidateCurves) -> list[tuple[str, Band]]:
    """The bands that there are, by name: `train accuracy`, `validation accuracy`, ..."""
    kinds = [(f"{kind} {c.metric}", getattr(c, kind)) for c in curves.curves for kind in ("train", "validation")]
    return [(name, band) for name, band in kinds if band is not None]


def _at(band: Band, epoch: int) -> str:
    return number_of_a_metric(band.mean[epoch - 1])


def _curve_table(bands: Sequence[tuple[str, Band]]) -> Table:
    def cell(band: Band, epoch: int) -> str:
        if epoch not in band.epochs:
            return MISSING
        low, high = (number_of_a_metric(curve[epoch - 1]) for curve in (band.low, band.high))
        return f"{_at(band, epoch)} ({low} to {high})"

    epochs = [place + 1 for place in sampled(max(len(band.mean) for _, band in bands))]
    rows = [[str(epoch), *(cell(band, epoch) for _, band in bands)] for epoch in epochs]
    return Table("Mean (lowest to highest fit) by epoch", ["Epoch", *(name for name, _ in bands)], rows)


def _limits(candidates: Sequence[CandidateCurves]) -> dict[str, tuple[float, float]]:
    """One vertical range for a metric in all plots; the first fifth of the epochs would flatten the rest."""
    late_values: dict[str, list[float]] = {}
    for candidate in candidates:
        for curve in candidate.curves:
            for band in (curve.train, curve.validation):
                late = [] if band is None else [*band.low[len(band.low) // 5 :], *band.high[len(band.high) // 5 :]]
                # A loss that diverged is infinite, which is no end of an axis.
                late_values.setdefault(curve.metric, []).extend(value for value in late if math.isfinite(value))
    spans = {metric: (min(values), max(values)) if values else (0.0, 1.0) for metric, values in late_values.items()}
    margins = {metric: 0.06 * (high - low) or 0.5 for metric, (low, high) in spans.items()}
    return {metric: (low - margins[metric], high + margins[metric]) for metric, (low, high) in spans.items()}


def _time(findings: Findings) -> Card:
    time = findings.time
    rows, longest = time.rows[:MOST_DRAWN], time.rows[0]
    caption = f"{duration_text(time.total_seconds)} over all fits, counted one by one"
    if time.unfinished_seconds:
        caption += f", {duration_text(time.unfinished_seconds)} of it in unfinished candidates"
    caption += "; fits side by side take less on the clock. Blue: training. Orange: validation."
    if time.compile_seconds:
        caption += f" Compiling, {duration_text(time.compile_seconds)} more, is left out: candidates share it."
    caption += f" The {len(rows)} longest of {len(time.rows):,}." if len(rows) < len(time.rows) else ""
    cells = [
        [
            values_text(row.candidate.values),
            *(duration_text(seconds) for seconds in (row.fit_seconds, row.score_seconds, row.seconds_per_fit)),
            f"{row.share:.1%}",
        ]
        for row in rows
    ]
    table = Table("Time spent", ["Candidate", "Training", "Validation", "Per fit", "Share"], cells)
    alternative = f"The longest, {values_text(longest.candidate.values)}, took {longest.share:.0%} of all."
    return _card("time-plot", "Time of each candidate", caption, alternative, draw_time(findings, rows), table)


def _price(findings: Findings) -> Card:
    # Sorted by rank, since the rows of `time` come by cost; the first one is drawn as the best.
    scored = [row for row in findings.time.rows if math.isfinite(row.candidate.mean)]
    rows = sorted(scored, key=lambda row: row.candidate.rank)[:MOST_POINTS]
    cells = [
        [values_text(row.candidate.values), duration_text(row.seconds_per_fit), findings.number(row.candidate.mean)]
        for row in rows
    ]
    best, quickest = (
        f"{values_text(row.candidate.values)}, {duration_text(row.seconds_per_fit)}: "
        f"{findings.number(row.candidate.mean)}"
        for row in (rows[0], min(rows, key=lambda row: row.seconds_per_fit))
    )
    caption = "What a better score costs. Orange: the best. Blue: within one standard error of it."
    caption += f" The best {len(rows)} of {len(scored):,}." if len(rows) < len(scored) else ""
    alternative = f"A fit of the best, {best}. One of the quickest, {quickest}."
    table = Table("Score and time", ["Candidate", "Per fit", f"Mean {findings.ranking.measure.name}"], cells)
    return _card("price-plot", "Score against time", caption, alternative, draw_price(findings, rows), table)


def _confusion(confusion: Confusion) -> Iterator[Card]:
    # Beyond so many classes a cell is smaller than a finger, and the list of pairs says more.
    if len(confusion.labels) > MOST_CLASSES:
        return
    right, total = int(confusion.counts.trace()), int(confusion.counts.sum())
    fits = count_text(confusion.n_fits, "fit")
    caption = f"The best candidate on its validation rows, summed over {fits}: {right:,} of {total:,} right. "
    caption += "Orange: taken for another class; the stronger, the larger the share of the true class."
    pairs = [f"{pair.true} is taken for {pair.predicted} {pair.count:,} times" for pair in confusion.pairs[:3]]
    alternative = f"Most often, {', '.join(pairs)}." if pairs else "No row was taken for another class."
    shares = confusion.shares.diagonal()
    rows = [
        [label, *(f"{count:,}" for count in counts), f"{share:.1%}"]
        for label, counts, share in zip(confusion.labels, confusion.counts.tolist(), shares, strict=True)
    ]
    head = ["Class", *confusion.labels, "Right"]
    table = Table("Rows by true class (down) and predicted class (across)", head, rows)
    title = "True class against predicted class"
    yield _card("confusion-plot", title, caption, alternative, draw_confusion(confusion), table)


def _pairs(confusion: Confusion) -> Iterator[Card]:
    if confusion.pairs:
        rows = [[pair.true, pair.predicted, f"{pair.count:,}", f"{pair.share:.1%}"] for pair in confusion.pairs]
        head = ["True class", "Taken for", "Rows", "Of the true class"]
        yield Card("Most confused pairs", Table("Most confused pairs", head, rows))
