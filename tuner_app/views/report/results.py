"""The tables of a report that repeat the search: all results, and every setting with which to make it again.

Owns their columns. The numbers are those of `cv_results_`, in the objective's own units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tuner_app.analysis.advice import command_typed
from tuner_app.analysis.ranking import RankedCandidate
from tuner_app.analysis.space import ABSENT, listed_values
from tuner_app.records.text import duration_text, value_text
from tuner_app.views.report.findings import Findings
from tuner_app.views.report.parts import Card, Code, Section, Table, Words
from tuner_app.views.report.wording import precise_number

MOST_LISTED = 500
MOST_FOLDS_LISTED = 20

# What of the refit model's manifest helps to repeat it; the rest describes the file.
_REFIT = ("hyperparameters", "epochs", "seed", "score", "score_std", "test_score", "created")


def results_section(findings: Findings) -> Section:
    """All finished candidates, best first."""
    rows = findings.ranking.rows[:MOST_LISTED]
    seconds = {row.candidate.trial_id: row.seconds_per_fit for row in findings.time.rows}
    head = [*score_head(findings), "Mean time of a fit", "Failed fits", "Trial"]
    cells = [
        [*score_cells(findings, row), duration_text(seconds[row.trial_id]), str(row.failures), row.trial_id]
        for row in rows
    ]
    table = Table("All finished candidates, best first", head, cells)
    return Section("results", "All results", words=_results_words(findings), table=table)


def _results_words(findings: Findings) -> Words:
    project, total = findings.record.project, len(findings.ranking.rows)
    remarks = ""
    if findings.ranking.measure.lower_is_better:
        remarks += ", which holds these scores negated, so that higher is better there"
    if total > MOST_LISTED:
        remarks += f". These are the best {MOST_LISTED} of {total:,}; the file has all"
    return [
        "Standard deviations are of the population, as in ",
        Code(project.results_file.name),
        f"{remarks}. Trial 0000 lies in ",
        Code(str(project.trial_folder("0000"))),
        ", and so on.",
    ]


def score_head(findings: Findings) -> list[str]:
    """The names of the columns of `score_cells`."""
    n_folds, mean = findings.significance.n_folds, f"Mean {findings.ranking.measure.name}"
    folds = [f"Fold {k}" for k in range(n_folds)] if n_folds <= MOST_FOLDS_LISTED else []
    train = [] if findings.best.train_mean is None else [f"{mean} on the training rows"]
    return ["Rank", *findings.ranking.space, mean, "Standard deviation", *train, *findings.best.parts, *folds]


def score_cells(findings: Findings, row: RankedCandidate) -> list[str]:
    """A candidate's rank, values and scores, with those of its folds where there are not too many."""
    rank = f"{row.rank} (tie)" if row.tied else str(row.rank)
    folds = row.fold_scores if len(row.fold_scores) <= MOST_FOLDS_LISTED else ()
    train = () if row.train_mean is None else (row.train_mean,)
    # In the order of `score_head`: change both together.
    numbers = (row.mean, row.std, *train, *row.parts.values(), *folds)
    return [rank, *value_cells(findings, row), *(precise_number(number) for number in numbers)]


def value_cells(findings: Findings, row: RankedCandidate) -> list[str]:
    """A candidate's values, one a hyperparameter of the search."""
    return [value_text(row.values.get(name, ABSENT)) for name in findings.ranking.space]


def repeat_section(findings: Findings) -> Section:
    """The command, and every setting that `search.json` and the refit model's manifest hold."""
    # The command has a place of its own.
    description = {key: value for key, value in findings.record.description.items() if key != "command_line"}
    groups: dict[str, Any] = {"search": {k: v for k, v in description.items() if not isinstance(v, Mapping)}}
    groups |= {key: value for key, value in description.items() if isinstance(value, Mapping)}
    groups["refit model"] = {key: findings.manifest[key] for key in _REFIT if key in findings.manifest}
    cards = [_settings(name, group) for name, group in groups.items() if group]
    return Section("repeat", "To repeat it", command=command_typed(findings.record), cards=cards)


def _settings(name: str, content: Any) -> Card:
    title = name.replace("_", " ").capitalize()
    return Card(title, Table(title, ["Setting", "Value"], list(_flattened(content)), kind="settings"))


def _flattened(content: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every leaf of nested settings as a path and a text."""
    # A hyperparameter's description is nested too, but reads best as the list of its values.
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
