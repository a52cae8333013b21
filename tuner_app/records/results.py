"""The records of a search: one finished fit, and a candidate with its fits, where it stands and its score.

Owns what is known of a fit, whatever became of it. How a history becomes a number is said in `score`, how the numbers
of folds become a mean in `fold_means`; the table is made in `tables`, reading and writing belongs to `storage`.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tuner_app.records import fold_means

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
        # Past the final epoch the history may go on: what `EarlyStopping` ran in vain, whose weights are gone.
        last = self.final_epoch if epoch is None else min(epoch, self.final_epoch)
        return {name: self._value(name, last) for name, values in self.history.items() if values}

    def _value(self, name: str, epoch: int) -> float:
        # Not the last finite value: where every epoch was measured, NaN is what the fit came to.
        values, measured = self.history[name], self.measured_epochs.get(name)
        if measured is not None:
            epoch = max((one for one in measured if one <= epoch), default=epoch)
        return values[min(epoch, len(values)) - 1]


# What a `ScoreRule` is here: one number a fit, higher is better. Not its own type: `score` imports these records.
Rule = Callable[[Sequence[FoldResult]], list[float]]


class Status(enum.Enum):
    """Where a candidate stands.

    Attributes:
        RUNNING: Fits of it are still to come.
        COMPLETE: All its fits are done, and they have given it a score.
        FAILED: All its fits are done, but none was good, or their score is not a number.
        DROPPED: It was ended before its last fit; it does not compete.
    """

    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    DROPPED = "dropped"


@dataclasses.dataclass(frozen=True)
class Score:
    """What the folds of a candidate say of it by the rule of its search; higher is better.

    Attributes:
        mean: The mean over the folds: `mean_test_score` of the table to the last bit. NaN where a fit failed and the
            rule's `error_score` is NaN.
        std: The population standard deviation over the folds: `std_test_score`.
        folds: One number a fold, the mean over its executions: `split*_test_score`.
    """

    mean: float
    std: float
    folds: tuple[float, ...]

    @classmethod
    def of(cls, folds: Sequence[FoldResult], rule: Rule) -> Score:
        """The score of some fits.

        Args:
            folds: The fits of one candidate.
            rule: Gives each fit a number; a `ScoreRule`.

        Raises:
            InputError: An objective is not among the metrics of a fit.
        """
        numbers = fold_means.of_one([fold.fold for fold in folds], rule(folds))
        [mean], [std] = fold_means.means_and_stds(numbers)
        return cls(float(mean), float(std), tuple(numbers[0].tolist()))


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One point of the search space with the records of its folds, where it stands, and its score.

    Whoever has all the records makes it with `Candidate.of`, which scores it once; table, observers, oracle, report and
    selection read that score and make none of their own.

    Attributes:
        trial_id: The candidate's Keras Tuner trial.
        values: The hyperparameters' values.
        folds: The finished fits, ordered by fold and execution.
        status: Where it stands. Defaults to running.
        score: By the rule of its search; None while it is running, and where it has no fits.
    """

    trial_id: str
    values: dict[str, Any]
    folds: tuple[FoldResult, ...]
    status: Status = Status.RUNNING
    score: Score | None = None

    @classmethod
    def of(
        cls,
        trial_id: str,
        values: Mapping[str, Any],
        folds: Iterable[FoldResult],
        rule: Rule,
        *,
        n_fits: int,
        dropped: bool = False,
    ) -> Candidate:
        """A candidate from the records of its fits, scored.

        Args:
            trial_id: Its trial.
            values: The hyperparameters' values, those included that its fits declared.
            folds: The finished fits, in whatever order they came.
            rule: The `ScoreRule` of the search.
            n_fits: How many fits make it whole: folds times executions.
            dropped: Whether no further fits of it will come, though it is not whole. It is scored by those it has.

        Raises:
            InputError: An objective of the rule is not among the metrics of its fits.
        """
        fits = tuple(sorted(folds, key=lambda fit: (fit.fold, fit.execution)))
        is_whole = len(fits) >= n_fits
        score = Score.of(fits, rule) if fits and (is_whole or dropped) else None
        if score is None or not is_whole:
            status = Status.DROPPED if dropped else Status.RUNNING
        else:
            # A number as `error_score` scores a candidate none of whose fits was good; it has failed all the same.
            has_failed = math.isnan(score.mean) or all(fit.error is not None for fit in fits)
            status = Status.FAILED if has_failed else Status.COMPLETE
        return cls(trial_id, dict(values), fits, status, score)

    def scored(self, rule: Rule, *, n_fits: int) -> Candidate:
        """The same with status and score, as `of` makes them.

        Args:
            rule: The `ScoreRule` of the search.
            n_fits: How many fits make it whole.
        """
        return Candidate.of(self.trial_id, self.values, self.folds, rule, n_fits=n_fits)

    @property
    def mean_score(self) -> float:
        """`mean_test_score` of the table to the last bit; NaN where it has no score."""
        return math.nan if self.score is None else self.score.mean

    @property
    def std_score(self) -> float:
        """`std_test_score` of the table to the last bit; NaN where it has no score."""
        return math.nan if self.score is None else self.score.std

    @property
    def is_whole(self) -> bool:
        """Whether all its fits are done, whatever became of them: such candidates make the table."""
        return self.status in (Status.COMPLETE, Status.FAILED)

    @property
    def mean_fit_seconds(self) -> float:
        """`mean_fit_time` of the table to the last bit, in seconds."""
        seconds = [fold.fit_seconds for fold in self.folds]
        return float(fold_means.means(fold_means.of_one([fold.fold for fold in self.folds], seconds))[0])

    @property
    def errors(self) -> list[str]:
        """The tracebacks of the failed fits."""
        return [fold.error for fold in self.folds if fold.error is not None]

    def mean_curves(self) -> History:
        """Each metric's mean over the fits by epoch, as far as every fit trained."""
        return mean_history([fold.history for fold in self.folds if fold.history])


def mean_history(histories: Sequence[History]) -> History:
    """The mean over several histories by epoch, cut to the shortest, for the metrics that all have."""
    if not histories:
        return {}
    # A fold that stopped early ends the mean curve for all: a mean over fewer folds would jump where one leaves.
    shared = [name for name in histories[0] if all(name in history for history in histories)]
    return {
        name: [statistics.fmean(values) for values in zip(*(h[name] for h in histories), strict=False)]
        for name in shared
    }


def values_with_declared(values: Mapping[str, Any], records: Sequence[FoldResult]) -> dict[str, Any]:
    """A candidate's values with those that its fits have declared, in the order of the folds, whichever ended first.

    Args:
        values: What the candidate was proposed with.
        records: Its fits, in order.
    """
    declared: dict[str, Any] = {}
    for record in records:
        for name, value in ((record.declared or {}).get("values") or {}).items():
            declared.setdefault(name, value)
    return {**declared, **values}
