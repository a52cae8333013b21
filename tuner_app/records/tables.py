"""The table, the ranking and the summary of a search, made from its candidates.

Everything here is a function of the records, so a finished search, a resumed one and one read back from disk give the
same table.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner_app.errors import SearchError
from tuner_app.records import fold_means
from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.score import ScoreRule


def cv_results(
    candidates: Sequence[Candidate],
    rule: ScoreRule,
    *,
    n_splits: int,
    return_train_score: bool = False,
) -> dict[str, Any]:
    """scikit-learn's `cv_results_`: the same columns, types and order.

    Args:
        candidates: The finished candidates, in the order of the grid.
        rule: How histories become scores.
        n_splits: The number of folds.
        return_train_score: Whether to add the columns of the scores on the training rows.

    Returns:
        Column names to arrays of shape `(n_candidates,)` (`params`: a list of dicts; `param_*`: masked arrays,
        masked where a candidate does not have the hyperparameter). Times in seconds; scores so that higher is
        better; standard deviations of the population. With one objective the score's columns end in `_score`,
        with several in `_<metric>`, and `_score` is their sum.
    """
    table: dict[str, Any] = {}
    for label, seconds in (("fit_time", _fit_seconds), ("score_time", _score_seconds)):
        _add_statistics(table, label, _by_fold(candidates, n_splits, seconds))
    # By their first appearance, which is the order of the grid: the union over candidates of a conditional space.
    names = list(dict.fromkeys(name for candidate in candidates for name in candidate.values))
    for name in names:
        table[f"param_{name}"] = _masked([candidate.values.get(name, _ABSENT) for candidate in candidates])
    table["params"] = [dict(candidate.values) for candidate in candidates]
    labels: list[tuple[str, int | None]] = [("score", None)]
    if len(rule.objectives) > 1:
        labels = [*((name, i) for i, name in enumerate(rule.names)), ("score", None)]
    for label, index in labels:
        _add_scores(table, f"test_{label}", _test_scores(candidates, rule, n_splits, index))
        table[f"rank_test_{label}"] = ranks(table[f"mean_test_{label}"])
        if return_train_score:
            _add_scores(table, f"train_{label}", _train_scores(candidates, rule, n_splits, index))
    return table


def best_of(candidates: Iterable[Candidate]) -> Candidate | None:
    """The candidate with the highest mean score, of equals the first one asked for; None where none has a score.

    Args:
        candidates: Scored candidates, in any order (that in which they ended, say).
    """
    # NaN compares with nothing: left in, it would win or lose by its place in the list.
    scored = [candidate for candidate in candidates if not math.isnan(candidate.mean_score)]
    return min(scored, key=lambda one: (-one.mean_score, trial_order(one.trial_id)), default=None)


def trial_order(trial_id: str) -> tuple[int, str]:
    """A key that sorts trials in the order in which they were asked for."""
    return len(trial_id), trial_id


def ranks(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """Rank 1 for the highest score, ties share the better rank, NaN comes last (as scikit-learn ranks)."""
    if scores.size == 0 or np.isnan(scores).all():
        return np.ones(scores.size, dtype=np.int32)
    # scikit-learn's way: NaN is put below all others, which must not be moved by it; infinities keep their place.
    worst = np.nanmin(scores) - 1
    numbers = -np.nan_to_num(scores, nan=worst, posinf=np.inf, neginf=-np.inf)
    # scipy's `rankdata(numbers, method="min")`, whose import takes longer than the whole report.
    return (1 + np.searchsorted(np.sort(numbers), numbers, side="left")).astype(np.int32)


def best_index(table: Mapping[str, Any], label: str = "score") -> int:
    """The row of the best candidate: rank 1, the first of several.

    Args:
        table: What `cv_results` gives.
        label: How the columns that decide end: `rank_test_<label>`.

    Raises:
        SearchError: No candidate has a score.
    """
    scores = np.asarray(table[f"mean_test_{label}"])
    if scores.size == 0 or np.isnan(scores).all():
        raise SearchError("No candidate has a score, so none is the best. Look at the errors of the folds.")
    # Ranks tie, `argmin` takes the first: where all are equal, the first of the grid wins, on every machine.
    return int(np.argmin(np.where(np.isnan(scores), np.iinfo(np.int32).max, table[f"rank_test_{label}"])))


def most_common_error(candidates: Sequence[Candidate]) -> tuple[str, int] | None:
    """The traceback that most failed fits share, and how many do; None where nothing failed."""
    counted = Counter(error for candidate in candidates for error in candidate.errors)
    return counted.most_common(1)[0] if counted else None


def failure_warning(candidates: Sequence[Candidate], error_score: float) -> str | None:
    """What to say about failed fits: how many, and each distinct traceback once with its count."""
    counted = Counter(error for candidate in candidates for error in candidate.errors)
    if not counted:
        return None
    total = sum(len(candidate.folds) for candidate in candidates)
    parts = [f"{count} fits failed with:\n{error.rstrip()}" for error, count in counted.most_common()]
    return (
        f"{counted.total()} fits failed out of a total of {total}. "
        f"Their scores are set to {error_score}. Below are their tracebacks.\n" + "\n\n".join(parts)
    )


def summary_lines(table: Mapping[str, Any]) -> list[str]:
    """The tutorial's summary: the best candidate, then `mean (std) with: {...}`, best first, ties marked."""
    best = best_index(table)
    means, stds, ranked = (np.asarray(table[f"{column}_test_score"]) for column in ("mean", "std", "rank"))
    params = table["params"]
    lines = [f"Best: {means[best]:f} using {params[best]}"]
    shared = Counter(ranked.tolist())
    for i in np.argsort(ranked, kind="stable"):
        tie = f"  (tie, rank {ranked[i]})" if shared[ranked[i]] > 1 and not np.isnan(means[i]) else ""
        lines.append(f"{means[i]:f} ({stds[i]:f}) with: {params[i]}{tie}")
    return lines


class _Absent:
    """Marks a hyperparameter that a candidate does not have (None is a value)."""


_ABSENT = _Absent()


def _by_fold(
    candidates: Sequence[Candidate], n_splits: int, read: Callable[[Candidate], Sequence[float]]
) -> fold_means.Numbers:
    """Numbers of shape (n_candidates, n_splits) from one a fit."""
    folds = [[fold.fold for fold in candidate.folds] for candidate in candidates]
    return fold_means.by_fold(folds, [read(candidate) for candidate in candidates], n_splits)


def _fit_seconds(candidate: Candidate) -> list[float]:
    return [fold.fit_seconds for fold in candidate.folds]


def _score_seconds(candidate: Candidate) -> list[float]:
    return [fold.score_seconds for fold in candidate.folds]


def _test_scores(
    candidates: Sequence[Candidate], rule: ScoreRule, n_splits: int, index: int | None
) -> fold_means.Numbers:
    """Each candidate's score by fold; the one that it carries is not made again."""
    scores = [candidate.score for candidate in candidates]
    if index is None and candidates and all(score is not None and len(score.folds) == n_splits for score in scores):
        return np.array([score.folds for score in scores if score is not None], dtype=np.float64)
    return _by_fold(candidates, n_splits, lambda candidate: rule(candidate.folds, index))


def _train_scores(
    candidates: Sequence[Candidate], rule: ScoreRule, n_splits: int, index: int | None
) -> fold_means.Numbers:
    return _by_fold(candidates, n_splits, lambda candidate: [_train_score(fit, rule, index) for fit in candidate.folds])


def _train_score(fit: FoldResult, rule: ScoreRule, index: int | None) -> float:
    # The objective has Keras's `val_`; on the training rows the metric has none.
    metrics = {f"val_{name}": value for name, value in fit.train_scores.items()} | fit.train_scores
    if fit.error is not None or any(name not in metrics for name, _ in rule.objectives):
        return rule.error_score
    return rule.value(metrics) if index is None else rule.signed(metrics, rule.objectives[index])


def _add_statistics(table: dict[str, Any], label: str, numbers: fold_means.Numbers) -> None:
    table[f"mean_{label}"], table[f"std_{label}"] = fold_means.means_and_stds(numbers)


def _add_scores(table: dict[str, Any], label: str, scores: fold_means.Numbers) -> None:
    for fold in range(scores.shape[1]):
        table[f"split{fold}_{label}"] = scores[:, fold].copy()
    _add_statistics(table, label, scores)


def _masked(values: Sequence[Any]) -> np.ma.MaskedArray[Any, Any]:
    """A `param_*` column, of the type that NumPy gives the present values, object where they do not go together."""
    present = [value for value in values if value is not _ABSENT]
    dtype: Any = object
    # True and 1 in one column would become the number 1 for both, so truth values stand alone or as objects.
    kinds = {type(value) for value in present}
    if kinds and kinds <= {int, float, bool} and (bool not in kinds or kinds == {bool}):
        dtype = np.array(present).dtype
    data, mask = np.empty(len(values), dtype=dtype), np.array([value is _ABSENT for value in values], dtype=bool)
    for i, value in enumerate(values):
        if value is not _ABSENT:
            data[i] = value
    return np.ma.MaskedArray(data, mask=mask)
