"""The table, the ranking and the summary of a search, made from its candidates.

Everything here is a function of the records, so a finished search, a resumed one and one read back from disk give the
same table.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from tuner_app.errors import SearchError
from tuner_app.records.results import Candidate
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
    _add_statistics(table, "fit_time", _by_fold(candidates, n_splits, lambda c: [f.fit_seconds for f in c.folds]))
    _add_statistics(table, "score_time", _by_fold(candidates, n_splits, lambda c: [f.score_seconds for f in c.folds]))
    names = list(dict.fromkeys(name for candidate in candidates for name in candidate.values))
    for name in names:
        table[f"param_{name}"] = _masked([candidate.values.get(name, _ABSENT) for candidate in candidates])
    table["params"] = [dict(candidate.values) for candidate in candidates]
    several = len(rule.objectives) > 1
    wanted: list[tuple[str, int | None]] = [("score", None)]
    if several:
        wanted = [*((name, i) for i, name in enumerate(rule.names)), ("score", None)]
    for label, index in wanted:
        scores = _by_fold(candidates, n_splits, lambda c, index=index: rule(c.folds, index))
        _add_scores(table, f"test_{label}", scores)
        table[f"rank_test_{label}"] = ranks(table[f"mean_test_{label}"])
        if return_train_score:
            train = _by_fold(candidates, n_splits, lambda c, index=index: _train_scores(c, rule, index))
            _add_scores(table, f"train_{label}", train)
    return table


def mean_and_std(candidate: Candidate, rule: ScoreRule) -> tuple[float, float]:
    """`mean_test_score` and `std_test_score` of one whole candidate, without making the table.

    They are those of the table to the last bit: ties are decided by it.

    Args:
        candidate: A candidate with all its folds.
        rule: How histories become scores.
    """
    if rule not in candidate._scores:
        means, stds = _statistics(_row(candidate, rule(candidate.folds)))
        candidate._scores[rule] = float(means[0]), float(stds[0])
    return candidate._scores[rule]


def mean_fit_time(candidate: Candidate) -> float:
    """`mean_fit_time` of one whole candidate, in seconds, without making the table."""
    return float(_means(_row(candidate, [fold.fit_seconds for fold in candidate.folds]))[0])


def best_of(candidates: Iterable[Candidate], rule: ScoreRule) -> Candidate | None:
    """The candidate with the highest mean score, of equals the first one asked for; None where none has a score.

    Args:
        candidates: Whole candidates, in any order (that in which they ended, say).
        rule: How histories become scores.
    """
    scored = [(mean_and_std(candidate, rule)[0], candidate) for candidate in candidates]
    present = [(score, candidate) for score, candidate in scored if not math.isnan(score)]
    return min(present, key=lambda pair: (-pair[0], trial_order(pair[1].trial_id)), default=(0.0, None))[1]


def trial_order(trial_id: str) -> tuple[int, str]:
    """A key that sorts trials in the order in which they were asked for."""
    return len(trial_id), trial_id


def ranks(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """Rank 1 for the highest score, ties share the better rank, NaN comes last (as scikit-learn ranks)."""
    if scores.size == 0 or np.isnan(scores).all():
        return np.ones(scores.size, dtype=np.int32)
    worst = np.nanmin(scores) - 1
    ranked = rankdata(-np.nan_to_num(scores, nan=worst, posinf=np.inf, neginf=-np.inf), method="min")
    return np.asarray(ranked).astype(np.int32, copy=False)


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
    return int(np.argmin(np.where(np.isnan(scores), np.iinfo(np.int32).max, table[f"rank_test_{label}"])))


def results_frame(table: Mapping[str, Any]) -> pd.DataFrame:
    """`cv_results_` as a table for a CSV file."""
    return pd.DataFrame({name: _plain(column) for name, column in table.items()})


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


def _by_fold(candidates: Sequence[Candidate], n_splits: int, read: Any) -> npt.NDArray[np.float64]:
    """Numbers of shape (n_candidates, n_splits): the mean over the executions of each fold."""
    sums, counts = np.zeros((len(candidates), n_splits)), np.zeros((len(candidates), n_splits))
    rows = np.repeat(np.arange(len(candidates)), [len(candidate.folds) for candidate in candidates])
    cells = (rows, np.array([fold.fold for candidate in candidates for fold in candidate.folds], dtype=np.intp))
    np.add.at(sums, cells, [value for candidate in candidates for value in read(candidate)])
    np.add.at(counts, cells, 1)
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def _train_scores(candidate: Candidate, rule: ScoreRule, index: int | None) -> list[float]:
    scores = []
    for fold in candidate.folds:
        metrics = {f"val_{name}": value for name, value in fold.train_scores.items()} | fold.train_scores
        if fold.error is not None or any(name not in metrics for name, _ in rule.objectives):
            scores.append(rule.error_score)
        else:
            scores.append(rule.value(metrics) if index is None else rule.signed(metrics, *rule.objectives[index]))
    return scores


def _row(candidate: Candidate, numbers: Sequence[float]) -> npt.NDArray[np.float64]:
    """One number a fit of one candidate as `_by_fold` gives them, of shape (1, n_splits)."""
    folds = [fold.fold for fold in candidate.folds]
    if folds == list(range(len(folds))):  # One fit a fold: there is nothing to average.
        return np.array([numbers], dtype=np.float64)
    return _by_fold([candidate], 1 + max(folds), lambda _: numbers)


def _means(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mean of each row, in scikit-learn's arithmetic: the only place for it.

    An exact sum (`math.fsum`) may differ in the last bit, and so name another winner of a tie.
    """
    return np.mean(numbers, axis=1)  # type: ignore[no-any-return]


def _statistics(numbers: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and population standard deviation of each row."""
    return _means(numbers), np.std(numbers, axis=1)


def _add_statistics(table: dict[str, Any], label: str, numbers: npt.NDArray[np.float64]) -> None:
    table[f"mean_{label}"], table[f"std_{label}"] = _statistics(numbers)


def _add_scores(table: dict[str, Any], label: str, scores: npt.NDArray[np.float64]) -> None:
    for fold in range(scores.shape[1]):
        table[f"split{fold}_{label}"] = scores[:, fold].copy()
    _add_statistics(table, label, scores)


def _masked(values: Sequence[Any]) -> np.ma.MaskedArray[Any, Any]:
    """A `param_*` column, of the type that NumPy gives the present values, object where they do not go together."""
    present = [value for value in values if value is not _ABSENT]
    dtype: Any = object
    kinds = {type(value) for value in present}
    if kinds and kinds <= {int, float, bool} and (bool not in kinds or kinds == {bool}):
        dtype = np.array(present).dtype
    data, mask = np.empty(len(values), dtype=dtype), np.array([value is _ABSENT for value in values], dtype=bool)
    for i, value in enumerate(values):
        if value is not _ABSENT:
            data[i] = value
    return np.ma.MaskedArray(data, mask=mask)


def _plain(column: Any) -> Any:
    if isinstance(column, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(column)
        return [None if mask[i] else column.data[i] for i in range(len(column))]
    return column
