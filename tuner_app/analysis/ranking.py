"""The finished candidates of a search, best first, in the objective's own units.

Owns what a score is called and which way is up: a loss is positive here, although `cv_results_` negates it. Means,
standard deviations and ranks are those of `records.tables`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from tuner_app.analysis.space import search_space
from tuner_app.records.score import Objective, ScoreRule
from tuner_app.records.tables import cv_results
from tuner_app.storage.journal import SearchRecord


@dataclasses.dataclass(frozen=True)
class Measure:
    """What a score is called and which way is up.

    Attributes:
        objective: The objective with its name for a reader: without `val_`; several are written as their sum, such as
            `accuracy - loss`, of which higher is better.
    """

    objective: Objective

    @property
    def name(self) -> str:
        """The objective's name."""
        return self.objective.name

    @property
    def lower_is_better(self) -> bool:
        """Whether the objective's own number is the negated score."""
        return self.objective.direction == "min"

    @property
    def label(self) -> str:
        """The name with the direction, for an axis."""
        return f"{self.name} ({'lower' if self.lower_is_better else 'higher'} is better)"

    def natural(self, score: float) -> float:
        """A score of `cv_results_`, or a difference of scores, in the objective's own units."""
        return self.objective.natural(score)

    def signed(self, value: float) -> float:
        """A number in the objective's own units so that higher is better."""
        return self.objective.signed(value)


@dataclasses.dataclass(frozen=True)
class RankedCandidate:
    """A finished candidate and its place.

    Attributes:
        trial_id: The candidate's trial.
        values: The hyperparameters' values.
        rank: From 1; ties share the better rank.
        mean: The mean over the folds, NaN where a fit failed.
        std: The population standard deviation over the folds.
        fold_scores: One number per fold (the mean over its executions), NaN for a failed one.
        tied: Whether another candidate has the very same mean.
        failures: How many of its fits failed.
        parts: With several objectives, the mean of each by name; else empty.
        train_mean: The mean over the folds on the rows that they were trained on; None where it was not asked for.
    """

    trial_id: str
    values: dict[str, Any]
    rank: int
    mean: float
    std: float
    fold_scores: tuple[float, ...]
    tied: bool = False
    failures: int = 0
    parts: dict[str, float] = dataclasses.field(default_factory=dict)
    train_mean: float | None = None


@dataclasses.dataclass(frozen=True)
class Ranking:
    """The finished candidates, best first.

    Attributes:
        measure: What is compared.
        rows: The candidates; those without a score come last.
        space: Each hyperparameter's values: numbers in ascending order, others in the order of the grid.
    """

    measure: Measure
    rows: tuple[RankedCandidate, ...]
    space: dict[str, tuple[Any, ...]]

    @functools.cached_property
    def scored(self) -> tuple[RankedCandidate, ...]:
        """The candidates that have a score."""
        return tuple(row for row in self.rows if math.isfinite(row.mean))

    @property
    def best(self) -> RankedCandidate | None:
        """The winner, as `best_index_` names it; None where no candidate has a score."""
        return self.scored[0] if self.scored else None

    @property
    def varying(self) -> list[str]:
        """The hyperparameters with more than one value."""
        return [name for name, values in self.space.items() if len(values) > 1]


def measure_of(rule: ScoreRule) -> Measure:
    """What the scores of a rule are called.

    >>> measure_of(ScoreRule((("val_accuracy", "max"), ("val_loss", "min")))).name
    'accuracy - loss'
    """
    if len(rule.objectives) == 1:
        return Measure(rule.objectives[0]._replace(name=rule.names[0]))
    signs = ["-" if objective.direction == "min" else "+" for objective in rule.objectives]
    terms = " ".join(f"{sign} {name}" for sign, name in zip(signs, rule.names, strict=True))
    return Measure(Objective(terms.removeprefix("+ "), "max"))


def ranking_of(record: SearchRecord) -> Ranking:
    """The finished candidates of a search, best first, with the ranks of `cv_results_`."""
    candidates = record.finished
    # One fit with such scores is enough: failed fits have none, and the table knows what to say of them.
    trained = any(fold.train_scores for candidate in candidates for fold in candidate.folds)
    table = cv_results(candidates, record.rule, n_splits=record.n_splits, return_train_score=trained)
    means, ranks = np.asarray(table["mean_test_score"]), np.asarray(table["rank_test_score"])
    shared = Counter(ranks[np.isfinite(means)].tolist())
    measure = measure_of(record.rule)
    # The last key counts first: no score, then the rank, then the order of asking, as `best_index_` breaks a tie.
    order = np.lexsort((np.arange(len(ranks)), ranks, np.isnan(means)))
    rows = [
        RankedCandidate(
            trial_id=candidates[i].trial_id,
            values=dict(candidates[i].values),
            rank=int(ranks[i]),
            mean=measure.natural(means[i]),
            std=float(table["std_test_score"][i]),
            fold_scores=tuple(measure.natural(table[f"split{k}_test_score"][i]) for k in range(record.n_splits)),
            tied=shared[int(ranks[i])] > 1 and math.isfinite(means[i]),
            failures=len(candidates[i].errors),
            parts=_parts(table, record.rule, i),
            train_mean=measure.natural(table["mean_train_score"][i]) if trained else None,
        )
        for i in order
    ]
    return Ranking(measure, tuple(rows), search_space(record))


def _parts(table: Mapping[str, Any], rule: ScoreRule, row: int) -> dict[str, float]:
    """The mean of each objective by name; empty where there is one."""
    if len(rule.objectives) == 1:
        return {}
    objectives = zip(rule.names, rule.objectives, strict=True)
    return {name: objective.natural(table[f"mean_test_{name}"][row]) for name, objective in objectives}
