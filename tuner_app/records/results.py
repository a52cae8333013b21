"""What a search found: the records of the folds, and the table, ranking and summary made from them.

Owns the one rule that turns histories into scores (`ScoreRule`). Everything here is a function of
the records, so a finished search, a resumed one and one read back from disk give the same table.
Reading and writing records belongs to `journal`; this module needs no TensorFlow.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from tuner_app.errors import InputError, SearchError
from tuner_app.records import metric_values

History = dict[str, list[float]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FoldResult:
    """One finished fit of one candidate on one fold: the record that everything else is made from.

    Attributes:
        trial_id: The candidate's Keras Tuner trial.
        fold: The fold's number, from 0.
        execution: Which of `executions_per_trial` repetitions, from 0.
        values: The hyperparameters' values.
        seed: The seed of this fit.
        history: Per metric one number per epoch; validation metrics begin with `val_`. NaN where an epoch was not
            measured (`validation_freq`).
        final_epoch: After how many epochs the weights were taken that the model ended with.
            The number of epochs that were run, or less where `EarlyStopping` restored its best weights.
        measured_epochs: The epochs, from 1, of each metric in the history that not every epoch has.
        stage_epochs: `final_epoch` of each call of `model.fit`, a stage of the fit, in their order; empty in records of
            versions that did not keep it, and where the fit called none.
        scored_stage: Which of them the history is of, from 0.
        stage_rates: The learning rates of each stage's epochs, as its history shows them; empty where none does.
        scores: What a `HyperModel.fit` returned, where that is not a History; else empty.
        train_scores: Metrics on the training rows after the fit, where asked for; else empty.
        confusion: Validation rows counted by true class (row) and predicted class (column),
            where the model is a classifier of few classes; else None.
        started: When the fit began, in seconds since 1970.
        fit_seconds: Building and training, in seconds, without compiling.
        score_seconds: Validation, all epochs, in seconds.
        compile_seconds: Tracing and compiling the programs that fits share, and waiting for another fit that does it,
            in seconds. Whichever fit comes first pays it, so it says nothing of the candidate. 0 where `model.fit`
            trains, which cannot tell it apart: there it is a part of `fit_seconds`.
        error: The traceback of a failed fit; None for a good one.
        declared: What the fit declared beyond the search space, as `space` and `values` of Keras Tuner's
            `HyperParameters.get_config()`; empty for nothing, None where an earlier version did not keep it.
    """

    trial_id: str
    fold: int
    values: dict[str, Any]
    seed: int
    execution: int = 0
    history: History = dataclasses.field(default_factory=dict)
    final_epoch: int = 0
    scores: dict[str, float] = dataclasses.field(default_factory=dict)
    train_scores: dict[str, float] = dataclasses.field(default_factory=dict)
    confusion: list[list[int]] | None = None
    started: float = 0.0
    fit_seconds: float = 0.0
    score_seconds: float = 0.0
    compile_seconds: float = 0.0
    error: str | None = None
    declared: dict[str, Any] | None = None
    measured_epochs: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    stage_epochs: list[int] = dataclasses.field(default_factory=list)
    scored_stage: int = 0
    stage_rates: list[list[float]] = dataclasses.field(default_factory=list)

    @property
    def total_seconds(self) -> float:
        """What the fit took on the clock, compiling included."""
        return self.fit_seconds + self.score_seconds + self.compile_seconds

    def at_epoch(self, epoch: int | None = None) -> dict[str, float]:
        """The metrics after an epoch.

        Args:
            epoch: Counted from 1; None is the epoch whose weights the model ended with. A fit that
                stopped before `epoch` answers with its final epoch, a metric that was not measured after it with
                the last epoch before that was.
        """
        if not self.history:
            return dict(self.scores)
        wanted = self.final_epoch if epoch is None else min(epoch, self.final_epoch)
        return {name: self._value(name, wanted) for name, values in self.history.items() if values}

    def _value(self, name: str, epoch: int) -> float:
        values, measured = self.history[name], self.measured_epochs.get(name)
        if measured is not None:
            epoch = max((one for one in measured if one <= epoch), default=epoch)
        return values[min(epoch, len(values)) - 1]


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One point of the grid with the records of its folds.

    Attributes:
        trial_id: The candidate's Keras Tuner trial.
        values: The hyperparameters' values.
        folds: The finished fits, ordered by fold and execution.
    """

    trial_id: str
    values: dict[str, Any]
    folds: tuple[FoldResult, ...]
    # Its score by rule, computed once: several observers ask for it.
    _scores: dict[ScoreRule, tuple[float, float]] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def errors(self) -> list[str]:
        """The tracebacks of the failed fits."""
        return [fold.error for fold in self.folds if fold.error is not None]

    def mean_curves(self) -> History:
        """Each metric's mean over the fits by epoch, as far as every fit trained."""
        return mean_history([fold.history for fold in self.folds if fold.history])


@dataclasses.dataclass(frozen=True)
class ScoreRule:
    """How histories become scores: the objective, and the epoch at which it is read.

    Averaging each fold's *own* best epoch, as Keras Tuner does, promises more than a refit can keep.
    Both rules here name one epoch for all folds, and the refit trains for as long.

    Attributes:
        objectives: Pairs of a metric's name and its direction, `"max"` or `"min"`.
        epoch: `"last"` reads what the model ended with; `"best"` reads the epoch at which the
            mean curve over the folds is best.
        error_score: The score of a failed fit (NaN by default).
    """

    objectives: tuple[tuple[str, str], ...]
    epoch: str = "last"
    error_score: float = float("nan")

    def __post_init__(self) -> None:
        if self.epoch not in ("last", "best"):
            raise InputError(f"score_epoch must be 'last' or 'best'. Received: {self.epoch!r}.")

    @property
    def names(self) -> list[str]:
        """The objectives' names for column names: without Keras's `val_`, but where that would make two of one name."""
        short = [name.removeprefix("val_") for name, _ in self.objectives]
        # With several objectives a column of the name "score" is their sum.
        taken = Counter([*short, "score"] if len(short) > 1 else short)
        return [name if taken[bare] > 1 else bare for (name, _), bare in zip(self.objectives, short, strict=True)]

    def label(self, name: str) -> str:
        """How the columns of one objective end in `cv_results_`: `score` where it is the only one.

        Args:
            name: The objective's name, with or without Keras's `val_`.

        Raises:
            InputError: No objective has this name.
        """
        full = [full for full, _ in self.objectives]
        if not isinstance(name, str) or name not in {*full, *self.names}:
            raise InputError(f"refit must be True, False, a function or one of {full}. Received: {name!r}.")
        position = full.index(name) if name in full else self.names.index(name)
        return "score" if len(full) == 1 else self.names[position]

    def value(self, metrics: Mapping[str, float]) -> float:
        """The objective in the direction "higher is better"; several objectives are summed, as in Keras Tuner.

        Raises:
            InputError: A metric is missing.
        """
        total = 0.0
        for name, direction in self.objectives:
            total += self.signed(metrics, name, direction)
        return total

    def signed(self, metrics: Mapping[str, float], name: str, direction: str) -> float:
        """One metric in the direction "higher is better"."""
        if name not in metrics:
            self.check_names(metrics)
        return -float(metrics[name]) if direction == "min" else float(metrics[name])

    def check_names(self, metrics: Iterable[str]) -> None:
        """Refuse objectives that are not among the metrics of the fits.

        Raises:
            InputError: One of them is not.
        """
        present = sorted(metrics)
        for name, _ in self.objectives:
            if name in present:
                continue
            if parts := metric_values.parts_of(name, present):
                raise InputError(
                    f"The objective must be one number. Received: {name!r}, which has {len(parts)}. Give the metric an "
                    f"average (average='macro', say), or name one of {parts}."
                )
            raise InputError(
                f"The objective must be one of the metrics of the fits, {present}. Received: {name!r}. "
                "Name one of these, or compile the model with the metric that you want."
            )

    def chosen_epoch(self, folds: Sequence[FoldResult]) -> int | None:
        """The epoch, from 1, at which all folds are scored; None means each fold's final epoch."""
        histories = [fold.history for fold in folds if fold.error is None and fold.history]
        if self.epoch == "last" or not histories:
            return None
        mean = mean_history(histories)
        epochs = min((len(values) for values in mean.values()), default=0)
        curve = [self.value({name: values[i] for name, values in mean.items()}) for i in range(epochs)]
        finite = [value if np.isfinite(value) else -np.inf for value in curve]
        return int(np.argmax(finite)) + 1 if curve else None

    def refit_epochs(self, folds: Sequence[FoldResult]) -> int | None:
        """For how many epochs the refit trains; None where the folds kept no history."""
        chosen = self.chosen_epoch(folds)
        if chosen is not None:
            return chosen
        finals = [fold.final_epoch for fold in folds if fold.error is None and fold.history]
        return max(1, round(statistics.mean(finals))) if finals else None

    def fold_metrics(self, folds: Sequence[FoldResult]) -> list[dict[str, float] | None]:
        """The metrics of each fit at the epoch of the rule; None for a failed fit."""
        epoch = self.chosen_epoch(folds)
        return [None if fold.error is not None else fold.at_epoch(epoch) for fold in folds]

    def __call__(self, folds: Sequence[FoldResult], objective: int | None = None) -> list[float]:
        """The score of each fit, higher is better, `error_score` for a failed one.

        Args:
            folds: The fits of one candidate.
            objective: Which objective; None for their sum.
        """
        scores = []
        for metrics in self.fold_metrics(folds):
            if metrics is None:
                scores.append(self.error_score)
            elif objective is None:
                scores.append(self.value(metrics))
            else:
                scores.append(self.signed(metrics, *self.objectives[objective]))
        return [score if math.isfinite(score) else self.error_score for score in scores]


def mean_history(histories: Sequence[History]) -> History:
    """The mean over several histories by epoch, cut to the shortest, for the metrics that all have."""
    if not histories:
        return {}
    shared = [name for name in histories[0] if all(name in history for history in histories)]
    return {
        name: [statistics.fmean(values) for values in zip(*(h[name] for h in histories), strict=False)]
        for name in shared
    }


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
