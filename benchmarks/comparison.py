"""Medians over the repeats of each contender, their ratios, and how far the scores agree."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

OURS = "tuner_app"
SCORED_LIKE = ("scikeras_n_jobs_1", "scikeras_n_jobs_2")
MEDIANS = ("search_seconds", "process_seconds", "import_seconds", "processor_seconds", "peak_bytes")


def compare(
    runs: Sequence[dict[str, Any]], *, measure: str = "search_seconds", reference: str = OURS
) -> list[dict[str, Any]]:
    """One row per contender: medians over its repeats, and their ratios to one contender's.

    Args:
        runs: What the runs returned, in any order.
        measure: The seconds that are compared.
        reference: The contender whose seconds are 1.

    Returns:
        Rows in the order of first appearance. `ratio` and `memory_ratio` are how many times the reference's seconds
        and bytes a contender needs (None without the reference). `score_difference` is the greatest difference of a
        candidate's mean score to SciKeras's, `score_spread` the greatest between repeats of the contender itself;
        None where there is nothing to compare.
    """
    grouped: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        grouped.setdefault(run["contender"], []).append(run)
    scores = next((mean_scores(grouped[name]) for name in SCORED_LIKE if name in grouped), {})
    rows = [_row(contender, group, scores, measure) for contender, group in grouped.items()]
    base = next((row for row in rows if row["contender"] == reference), None)
    for row in rows:
        row["ratio"] = _ratio(row, base, measure)
        row["memory_ratio"] = _ratio(row, base, "peak_bytes")
    return rows


def _row(
    contender: str, group: Sequence[dict[str, Any]], reference: Mapping[str, float], measure: str
) -> dict[str, Any]:
    seconds = [run[measure] for run in group]
    scores = mean_scores(group)
    return {
        "contender": contender,
        "repeats": len(group),
        **{name: statistics.median(run[name] for run in group) for name in MEDIANS if name in group[0]},
        f"{measure}_range": [min(seconds), max(seconds)],
        "details": {name: statistics.median(run["details"][name] for run in group) for name in group[0]["details"]},
        "scores": scores,
        "score_difference": None if contender in SCORED_LIKE[:1] else score_difference(scores, reference),
        "score_spread": score_spread(group),
    }


def _ratio(row: dict[str, Any], base: dict[str, Any] | None, name: str) -> float | None:
    return float(row[name] / base[name]) if base is not None and base[name] else None


def mean_scores(group: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Each candidate's mean score, averaged over the repeats."""
    return {name: statistics.fmean(run["scores"][name] for run in group) for name in group[0]["scores"]}


def score_difference(scores: Mapping[str, float], reference: Mapping[str, float]) -> float | None:
    """The greatest absolute difference over the candidates; None where one side has no scores."""
    return max((abs(scores[name] - reference[name]) for name in scores if name in reference), default=None)


def score_spread(group: Sequence[dict[str, Any]]) -> float | None:
    """The greatest difference of a candidate's mean score between the repeats of one contender: its own noise."""
    if len(group) < 2 or not group[0]["scores"]:
        return None
    columns: list[list[float]] = [[run["scores"][name] for run in group] for name in group[0]["scores"]]
    return max(max(column) - min(column) for column in columns)
