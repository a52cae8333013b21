"""The data of every plot in the report, as frozen records computed from a search on disk.

Owns what the plots say: the ranking, the effects of the hyperparameters, the learning curves, the
time, the confusion, and the two questions that a search leaves open: does the grid end too early,
and is the winner's lead real? Numbers are in the objective's own units (a loss is positive here,
although `cv_results_` negates it). Drawing belongs to `report`, scores and ranks to `results`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import shlex
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner_app.errors import InputError
from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.score import ScoreRule
from tuner_app.records.tables import cv_results
from tuner_app.storage.journal import SearchRecord

ABSENT = "not used"
MOST_VALUES = 10_000
"""A whole number with more values between its limits is not listed."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+")


@dataclasses.dataclass(frozen=True)
class Measure:
    """What a score is called and which way is up.

    Attributes:
        name: The objective without `val_`; several are written as their sum, such as `accuracy - loss`.
        lower_is_better: Whether the natural number is the negated score.
    """

    name: str
    lower_is_better: bool

    @property
    def label(self) -> str:
        """The name with the direction, for an axis."""
        return f"{self.name} ({'lower' if self.lower_is_better else 'higher'} is better)"

    def natural(self, score: float) -> float:
        """A score of `cv_results_` in the objective's own units, and back."""
        return -float(score) if self.lower_is_better else float(score)


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


@dataclasses.dataclass(frozen=True)
class Contender:
    """A candidate compared with the best one, fold by fold.

    Attributes:
        candidate: The candidate.
        behind: How far its mean is behind the best, in the objective's units, never negative.
        standard_error: The standard error of that difference, paired over the folds; NaN for one fold.
        folds_won: On how many folds it beats the best.
    """

    candidate: RankedCandidate
    behind: float
    standard_error: float
    folds_won: int


@dataclasses.dataclass(frozen=True)
class Significance:
    """Which candidates the folds cannot tell from the best.

    Attributes:
        standard_error: Of the best candidate's mean; NaN for one fold.
        n_folds: The number of folds that this rests on.
        contenders: The others whose mean is at most one standard error behind, best first.
        runner_up: The second candidate, near or far; None where there is none.
    """

    standard_error: float
    n_folds: int
    contenders: tuple[Contender, ...]
    runner_up: Contender | None

    @property
    def roughness(self) -> float:
        """The relative error of the standard error itself: 1 / sqrt(2 (n - 1)) for n normal numbers."""
        return 1 / math.sqrt(2 * (self.n_folds - 1)) if self.n_folds > 1 else math.inf


@dataclasses.dataclass(frozen=True)
class EdgeWarning:
    """The best candidate has the first or last value of an ordered grid: a better one may lie beyond.

    Attributes:
        name: The hyperparameter.
        value: The best candidate's value.
        side: `"lowest"` or `"highest"`.
        grid: The values that were tried, ascending.
        next_grid: The best value, its neighbour, and one beyond the edge, ascending.
        inside_is_close: Whether a candidate away from this edge is within one standard error of the best.
    """

    name: str
    value: float
    side: str
    grid: tuple[float, ...]
    next_grid: tuple[float, ...]
    inside_is_close: bool

    @property
    def command_line(self) -> str:
        """The next grid as an option, such as `--nodes 256 512 1024`."""
        plural = "s" if self.name == "learning_rate" else ""  # `tune` has --learning-rates, and --nodes.
        option = shlex.quote(f"--{self.name.replace('_', '-')}{plural}")
        return " ".join([option, *(value_text(value) for value in self.next_grid)])

    @property
    def python(self) -> str:
        """The next grid as a list of Python numbers."""
        return f"[{', '.join(repr(value) for value in self.next_grid)}]"


@dataclasses.dataclass(frozen=True)
class Spread:
    """The scores of the candidates that share a value.

    Attributes:
        mean: The mean of their means; NaN where none has a score.
        std: The population standard deviation of all their folds' scores.
        low: The lowest fold.
        high: The highest fold.
        n_candidates: How many have a score.
    """

    mean: float
    std: float
    low: float
    high: float
    n_candidates: int


@dataclasses.dataclass(frozen=True)
class Effect:
    """What one hyperparameter does to the score, averaged over all others.

    Attributes:
        name: The hyperparameter.
        values: Its values, in the order of the plot.
        spreads: The scores at each value.
        best_value: The value of the best candidate.
        settings: How many settings of the other hyperparameters have a score at some value.
        complete_settings: How many have one at each value (that has any): the averages are over these alone, so that
            each value is judged by the same others; where there is none, over all.
    """

    name: str
    values: tuple[Any, ...]
    spreads: tuple[Spread, ...]
    best_value: Any
    settings: int = 0
    complete_settings: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class HeatMap:
    """The score over two hyperparameters; where there are more, each cell is that of its best candidate.

    Attributes:
        row_name: The hyperparameter down the side.
        column_name: The hyperparameter along the bottom.
        row_values: Its values, `(n_rows,)`.
        column_values: Its values, `(n_columns,)`.
        mean: The best candidate's mean over its folds, `(n_rows, n_columns)`; NaN where none has a score.
        std: The same candidate's standard deviation over its folds, `(n_rows, n_columns)`.
        best: Row and column of the best candidate.
    """

    row_name: str
    column_name: str
    row_values: tuple[Any, ...]
    column_values: tuple[Any, ...]
    mean: npt.NDArray[np.float64]
    std: npt.NDArray[np.float64]
    best: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class ParallelCoordinates:
    """Every candidate as a line over one axis per hyperparameter and one for the score.

    Attributes:
        axes: Each varying hyperparameter's name and its values, bottom first.
        candidates: The candidates drawn, best first.
        positions: For each, its place on each axis and then on the score's, from 0 (bottom) to 1 (top, best).
        low: The score at the bottom of its axis (the worst).
        high: The score at the top (the best).
        left_out: How many worse candidates are not drawn.
    """

    axes: tuple[tuple[str, tuple[Any, ...]], ...]
    candidates: tuple[RankedCandidate, ...]
    positions: tuple[tuple[float, ...], ...]
    low: float
    high: float
    left_out: int


@dataclasses.dataclass(frozen=True)
class Band:
    """A metric by epoch over the fits of a candidate, as far as every fit trained; NaN where an epoch has no value.

    Attributes:
        mean: The mean over the fits, `(n_epochs,)`.
        low: The lowest fit at each epoch.
        high: The highest fit at each epoch.
    """

    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def epochs(self) -> list[int]:
        """The epochs, from 1, that have a value: with `validation_freq` not all have one."""
        return [epoch for epoch, mean in enumerate(self.mean, start=1) if not math.isnan(mean)]


@dataclasses.dataclass(frozen=True)
class Curve:
    """One metric while training.

    Attributes:
        metric: Its name without `val_`.
        train: On the training rows; None where it was not recorded.
        validation: On the validation rows; None where it was not recorded.
    """

    metric: str
    train: Band | None
    validation: Band | None


@dataclasses.dataclass(frozen=True)
class CandidateCurves:
    """The learning curves of one candidate.

    Attributes:
        candidate: The candidate.
        curves: The objectives first, then the loss.
        n_fits: How many fits the bands are made of.
        chosen_epoch: The epoch at which all folds are scored; None for each fold's last.
    """

    candidate: RankedCandidate
    curves: tuple[Curve, ...]
    n_fits: int
    chosen_epoch: int | None


@dataclasses.dataclass(frozen=True)
class CandidateTime:
    """What one candidate cost.

    Attributes:
        candidate: The candidate.
        fit_seconds: Building and training without compiling, summed over its fits.
        score_seconds: Validation, summed over its fits.
        n_fits: How many fits that are.
        share: Its part of the search's whole, from 0 to 1.
    """

    candidate: RankedCandidate
    fit_seconds: float
    score_seconds: float
    n_fits: int
    share: float

    @property
    def seconds_per_fit(self) -> float:
        """The mean time of one fit, validation included."""
        return (self.fit_seconds + self.score_seconds) / max(1, self.n_fits)


@dataclasses.dataclass(frozen=True)
class TimeSpent:
    """Where the time went; fits side by side count one by one, so this is not the time on the clock.

    Attributes:
        rows: The finished candidates, the most expensive first.
        total_seconds: All fits, those of unfinished candidates too, without compiling.
        unfinished_seconds: The part of the unfinished candidates.
        compile_seconds: Compiling, which is not in the other numbers: it is done once for all who share a program.
    """

    rows: tuple[CandidateTime, ...]
    total_seconds: float
    unfinished_seconds: float
    compile_seconds: float = 0.0


@dataclasses.dataclass(frozen=True)
class ConfusedPair:
    """Rows of one class taken for another.

    Attributes:
        true: The true class.
        predicted: The class that the model said.
        count: How many rows.
        share: Of the rows of the true class, from 0 to 1.
    """

    true: str
    predicted: str
    count: int
    share: float


@dataclasses.dataclass(frozen=True, eq=False)
class Confusion:
    """The validation rows of the best candidate by true class and predicted class, summed over its fits.

    Attributes:
        labels: The classes, `(n_classes,)`.
        counts: Rows by true class (row) and predicted class (column), `(n_classes, n_classes)`.
        shares: The same, each row divided by its sum.
        pairs: The most confused pairs, most frequent first.
        n_fits: How many fits are summed.
    """

    labels: tuple[str, ...]
    counts: npt.NDArray[np.int64]
    shares: npt.NDArray[np.float64]
    pairs: tuple[ConfusedPair, ...]
    n_fits: int


@dataclasses.dataclass(frozen=True, eq=False)
class ConfusedPicture:
    """A test picture that the refit model got wrong.

    Attributes:
        image: Grey levels `(height, width)` or colours `(height, width, 3)`, from 0 up; any brightness.
        true_label: What it is.
        predicted_label: What the model said.
        probability: How sure it was, from 0 to 1.

    Raises:
        InputError: The image has another shape or is empty.
    """

    image: npt.ArrayLike
    true_label: Any
    predicted_label: Any
    probability: float

    def __post_init__(self) -> None:
        shape = np.shape(self.image)
        if len(shape) not in (2, 3) or 0 in shape or (len(shape) == 3 and shape[2] != 3):
            raise InputError(
                f"A picture must have the shape (height, width) or (height, width, 3). Received: {shape}. "
                "Reshape the row to its image_shape first."
            )


def measure(rule: ScoreRule) -> Measure:
    """What the scores of a rule are called.

    >>> measure(ScoreRule((("val_accuracy", "max"), ("val_loss", "min")))).name
    'accuracy - loss'
    """
    if len(rule.objectives) == 1:
        return Measure(rule.names[0], rule.objectives[0][1] == "min")
    signs = ["-" if direction == "min" else "+" for _, direction in rule.objectives]
    terms = " ".join(f"{sign} {name}" for sign, name in zip(signs, rule.names, strict=True))
    return Measure(terms.removeprefix("+ "), lower_is_better=False)


def ranking(record: SearchRecord) -> Ranking:
    """The finished candidates of a search, best first, with the ranks of `cv_results_`."""
    candidates = record.finished
    trained = any(fold.train_scores for candidate in candidates for fold in candidate.folds)
    table = cv_results(candidates, record.rule, n_splits=record.n_splits, return_train_score=trained)
    means, ranks = np.asarray(table["mean_test_score"]), np.asarray(table["rank_test_score"])
    shared = Counter(ranks[np.isfinite(means)].tolist())
    what = measure(record.rule)
    rows = [
        RankedCandidate(
            trial_id=candidates[i].trial_id,
            values=dict(candidates[i].values),
            rank=int(ranks[i]),
            mean=what.natural(means[i]),
            std=float(table["std_test_score"][i]),
            fold_scores=tuple(what.natural(table[f"split{k}_test_score"][i]) for k in range(record.n_splits)),
            tied=shared[int(ranks[i])] > 1 and math.isfinite(means[i]),
            failures=len(candidates[i].errors),
            parts=_parts(table, record.rule, i),
            train_mean=what.natural(table["mean_train_score"][i]) if trained else None,
        )
        for i in np.lexsort((np.arange(len(ranks)), ranks, np.isnan(means)))
    ]
    return Ranking(what, tuple(rows), search_space(record))


def search_space(record: SearchRecord) -> dict[str, tuple[Any, ...]]:
    """Each hyperparameter's values: those of the grid in `search.json`, where it lists them, and those met.

    A candidate without a hyperparameter that others have counts as the value `ABSENT`.
    """
    listed = {name: listed_values(entry) or [] for name, entry in _asked_space(record).items()}
    names = dict.fromkeys(name for candidate in record.candidates for name in candidate.values)
    return {name: _ordered([*listed.get(name, ()), *_met(record.candidates, name)]) for name in names}


def candidates_expected(record: SearchRecord) -> int | None:
    """How many candidates the whole search has.

    Returns:
        None where `search.json` does not say: a value is no plain list, or depends on another.
    """
    space = _asked_space(record)
    sizes = [len(listed_values(entry) or ()) for entry in space.values()]
    if not all(sizes) or not sizes or any(_is_conditional(entry) for entry in space.values()):
        return None
    limit = record.description["asked"].get("max_trials")
    return min(math.prod(sizes), limit) if isinstance(limit, int) else math.prod(sizes)


def significance(ranked: Ranking) -> Significance | None:
    """The one-standard-error rule of Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees" (1984).

    The standard error is the sample's standard deviation over the folds divided by the root of their number.
    The folds share training rows, so it is too small rather than too large: no unbiased estimate of it
    exists (Bengio and Grandvalet, "No Unbiased Estimator of the Variance of K-Fold Cross-Validation", 2004).

    Returns:
        None where no candidate has a score.
    """
    best = ranked.best
    if best is None:
        return None
    error = _standard_error(best.fold_scores)
    others = [_compare(best, row, ranked.measure) for row in ranked.scored[1:]]
    close = tuple(other for other in others if other.behind <= error or other.candidate.rank == best.rank)
    return Significance(error, len(best.fold_scores), close, others[0] if others else None)


def edge_warnings(ranked: Ranking) -> tuple[EdgeWarning, ...]:
    """The ordered hyperparameters at whose edge the best candidate lies, with the grid to try next.

    A search that goes on may still move its best: an edge counts only once every value of the hyperparameter has been
    tried beside the best candidate's other values.

    Natural limits are no edges: zero where no value is negative, one where all are whole and positive.
    """
    best, doubt = ranked.best, significance(ranked)
    if best is None or doubt is None:
        return ()
    warnings = []
    for name in ranked.varying:
        grid = tuple(value for value in ranked.space[name] if _is_number(value))
        value = best.values.get(name)
        if len(grid) < 2 or not _is_number(value) or value not in (grid[0], grid[-1]):
            continue
        if not _is_row_complete(ranked, best, name):
            continue
        following = next_grid(grid, up=value == grid[-1])
        if following:
            side = "highest" if value == grid[-1] else "lowest"
            close = any(c.candidate.values.get(name) != value for c in doubt.contenders)
            warnings.append(EdgeWarning(name, value, side, grid, following, close))
    return tuple(warnings)


def next_grid(grid: Sequence[float], *, up: bool) -> tuple[float, ...]:
    """The edge of a grid, its neighbour, and one value beyond it.

    The step is a factor where the grid looks geometric, else a difference; whole numbers stay whole,
    positive ones positive, and those below one stay below one.

    Args:
        grid: At least two different numbers, ascending.
        up: Whether to go beyond the last number, else below the first.

    Returns:
        Three numbers, ascending; empty where nothing lies beyond.

    >>> next_grid([32, 64, 128, 256, 512], up=True)
    (256, 512, 1024)
    >>> next_grid([0.001, 0.002, 0.003], up=False)
    (0.0005, 0.001, 0.002)
    """
    edge, neighbour = (grid[-1], grid[-2]) if up else (grid[0], grid[1])
    geometric = _looks_geometric(grid)
    beyond = edge * (edge / neighbour) if geometric else edge + (edge - neighbour)
    if min(grid) >= 0 and beyond <= 0:
        beyond = edge * (edge / neighbour)
    if grid[0] >= 0 and grid[-1] < 1 and (beyond > 1 or (beyond == 1 and not geometric)):
        beyond = (edge + 1) / 2
    rounded = round(beyond) if all(isinstance(value, int) for value in grid) else _rounded(beyond, edge)
    if rounded == edge or (min(grid) > 0 and rounded <= 0):
        return ()
    return (neighbour, edge, rounded) if up else (rounded, edge, neighbour)


def effects(ranked: Ranking) -> tuple[Effect, ...]:
    """What each varying hyperparameter does to the score, averaged over all others."""
    return tuple(_effect(ranked, name) for name in ranked.varying)


def heat_map(ranked: Ranking, row_name: str, column_name: str) -> HeatMap:
    """The mean score and its standard deviation over two hyperparameters, as TensorBoard's picture shows them.

    Where there are more hyperparameters a cell has several candidates, and shows the best of them: a number that
    stands in the table, where a mean over what happens to be finished there would be nobody's.

    Raises:
        InputError: The search has no such hyperparameter.
    """
    for name in (row_name, column_name):
        if name not in ranked.space:
            raise InputError(
                f"A heat map needs hyperparameters of the search, {list(ranked.space)}. Received: {name!r}. "
                "Name two of them."
            )
    rows, columns = ranked.space[row_name], ranked.space[column_name]
    best_of = {places: shared[0] for places, shared in _by_values(ranked, (row_name, column_name)).items()}
    cells = [[best_of.get((r, c)) for c in columns] for r in rows]
    best = _values_of(ranked.best, (row_name, column_name)) if ranked.best else None
    return HeatMap(
        row_name,
        column_name,
        rows,
        columns,
        np.array([[math.nan if cell is None else cell.mean for cell in line] for line in cells]),
        np.array([[math.nan if cell is None else cell.std for cell in line] for line in cells]),
        (rows.index(best[0]), columns.index(best[1])) if best else (-1, -1),
    )


def parallel_coordinates(ranked: Ranking, *, at_most: int = 100) -> ParallelCoordinates:
    """Every candidate with a score as a line over the hyperparameters and the score.

    Args:
        ranked: The candidates.
        at_most: How many of the best to keep.
    """
    drawn = ranked.scored[:at_most]
    low, high = (drawn[-1].mean, drawn[0].mean) if drawn else (math.nan, math.nan)
    axes = tuple((name, ranked.space[name]) for name in ranked.varying)

    def positions(row: RankedCandidate) -> tuple[float, ...]:
        places = [values.index(row.values.get(name, ABSENT)) / (len(values) - 1) for name, values in axes]
        return (*places, (row.mean - low) / (high - low) if high != low else 1.0)

    lines = tuple(positions(row) for row in drawn)
    return ParallelCoordinates(axes, drawn, lines, low, high, len(ranked.scored) - len(drawn))


def learning_curves(record: SearchRecord, ranked: Ranking, *, best: int = 3) -> tuple[CandidateCurves, ...]:
    """The objectives and the loss by epoch for the best candidates, with the range over their fits.

    Args:
        record: The search.
        ranked: Its ranking.
        best: How many candidates.

    Returns:
        The best first; a candidate whose fits kept no history is left out.
    """
    folds = {candidate.trial_id: candidate.folds for candidate in record.finished}
    objectives = [name.removeprefix("val_") for name, _ in record.rule.objectives]
    metrics = list(dict.fromkeys([*objectives, "loss"]))
    found = []
    for row in ranked.scored[:best]:
        fits = [fold for fold in folds[row.trial_id] if fold.history and fold.error is None]
        curves = [Curve(metric, _band(fits, metric), _band(fits, f"val_{metric}")) for metric in metrics]
        present = tuple(curve for curve in curves if curve.train or curve.validation)
        if present:
            found.append(CandidateCurves(row, present, len(fits), record.rule.chosen_epoch(fits)))
    return tuple(found)


def time_spent(record: SearchRecord, ranked: Ranking) -> TimeSpent:
    """What each finished candidate cost, the most expensive first."""
    folds = {candidate.trial_id: candidate.folds for candidate in record.candidates}
    total = sum(_seconds(fits) for fits in folds.values())
    rows = [_candidate_time(row, folds[row.trial_id], total) for row in ranked.rows]
    rows.sort(key=lambda row: -row.share)
    finished = sum(row.fit_seconds + row.score_seconds for row in rows)
    unfinished = max(0.0, total - finished) if len(folds) > len(rows) else 0.0
    compiling = sum(fit.compile_seconds for fits in folds.values() for fit in fits)
    return TimeSpent(tuple(rows), total, unfinished, compiling)


def confusion(
    record: SearchRecord, ranked: Ranking, *, classes: Sequence[Any] | None = None, n_pairs: int = 10
) -> Confusion | None:
    """The confusion of the best candidate on the rows that its fits did not see.

    Args:
        record: The search.
        ranked: Its ranking.
        classes: The labels in the order of the model's outputs; None or a wrong number: 0, 1, 2, ...
        n_pairs: How many of the most confused pairs to list.

    Returns:
        None where no fit counted its classes.
    """
    best = ranked.best
    fits = [fold.confusion for c in record.finished if best and c.trial_id == best.trial_id for fold in c.folds]
    matrices = [np.asarray(matrix, dtype=np.int64) for matrix in fits if matrix]
    if not matrices or any(matrix.shape != matrices[0].shape for matrix in matrices):
        return None
    counts: npt.NDArray[np.int64] = np.sum(matrices, axis=0)
    named = classes is not None and len(classes) == len(counts)
    labels = tuple(value_text(label) for label in (classes if named and classes is not None else range(len(counts))))
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    return Confusion(labels, counts, shares, _pairs(labels, counts, shares)[:n_pairs], len(matrices))


def listed_values(entry: Any) -> list[Any] | None:
    """The values that a hyperparameter can have.

    Args:
        entry: Its description by Keras Tuner, as in `search.json`, or a plain list.

    Returns:
        None where it lists none.
    """
    if isinstance(entry, Mapping):
        config = entry.get("config")
        entry = _values_of_config(entry.get("class_name"), config) if isinstance(config, Mapping) else None
    scalars = isinstance(entry, list) and all(isinstance(value, str | int | float | None) for value in entry)
    return list(entry) if scalars else None


def _values_of_config(kind: Any, config: Mapping[str, Any]) -> Any:
    """The values of Keras Tuner's `Choice`, `Boolean`, `Fixed`, and `Int` in even steps."""
    if kind == "Boolean":
        return [False, True]
    if kind == "Fixed":
        return [config.get("value")]
    low, high, step = (config.get(name) for name in ("min_value", "max_value", "step"))
    if kind == "Int" and isinstance(low, int) and isinstance(high, int) and isinstance(step or 1, int):
        is_even = config.get("sampling", "linear") in (None, "linear") and high - low < MOST_VALUES
        return [*range(low, high + 1, step or 1)] if is_even else None
    return config.get("values")


def value_text(value: Any) -> str:
    """A hyperparameter's value or a class label on one line: 0.001 and not 1e-3, without control characters."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and math.isfinite(value) and (value == 0 or 1e-7 <= abs(value) < 1e15):
        return str(np.format_float_positional(value, trim="-"))
    return one_line(str(value))


def values_text(values: Mapping[str, Any]) -> str:
    """Hyperparameters on one line, such as `nodes=512, learning_rate=0.001`."""
    pairs = [f"{one_line(str(name))}={value_text(value)}" for name, value in values.items()]
    return ", ".join(pairs) or "no hyperparameters"


def one_line(text: str) -> str:
    """Text without line breaks and without what neither HTML nor SVG can hold."""
    return _CONTROL.sub(" ", text).strip()


def _parts(table: Mapping[str, Any], rule: ScoreRule, row: int) -> dict[str, float]:
    if len(rule.objectives) == 1:
        return {}
    pairs = zip(rule.names, rule.objectives, strict=True)
    return {n: float(table[f"mean_test_{n}"][row]) * (-1 if direction == "min" else 1) for n, (_, direction) in pairs}


def _asked_space(record: SearchRecord) -> dict[str, Any]:
    asked = record.description.get("asked")
    space = asked.get("space") if isinstance(asked, Mapping) else None
    return dict(space) if isinstance(space, Mapping) else {}


def _is_conditional(entry: Any) -> bool:
    return isinstance(entry, Mapping) and bool(entry.get("config", {}).get("conditions"))


def _met(candidates: Sequence[Candidate], name: str) -> list[Any]:
    return [candidate.values.get(name, ABSENT) for candidate in candidates]


def _ordered(values: Sequence[Any]) -> tuple[Any, ...]:
    distinct = list(dict.fromkeys(values))
    present = [value for value in distinct if value != ABSENT]
    absent = [ABSENT] if len(present) < len(distinct) else []
    return (*(sorted(present) if all(map(_is_number, present)) else present), *absent)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _standard_error(scores: Sequence[float]) -> float:
    return statistics.stdev(scores) / math.sqrt(len(scores)) if len(scores) > 1 else math.nan


def _compare(best: RankedCandidate, other: RankedCandidate, what: Measure) -> Contender:
    ahead = [what.natural(b - o) for b, o in zip(best.fold_scores, other.fold_scores, strict=True)]
    behind = max(0.0, what.natural(best.mean - other.mean))
    return Contender(other, behind, _standard_error(ahead), sum(difference < 0 for difference in ahead))


def _rounded(number: float, edge: float) -> float:
    """As few digits as keep a number on its side of the edge."""
    candidates = [float(f"{number:.{digits}g}") for digits in (4, 8, 12)]
    return next((value for value in candidates if value != edge and (value > edge) == (number > edge)), number)


def _looks_geometric(grid: Sequence[float]) -> bool:
    """Whether the steps are more even as factors than as differences; a pair counts from a factor of 2 on."""
    if min(grid) <= 0:
        return False
    if len(grid) == 2:
        return grid[1] >= 2 * grid[0]
    return _unevenness(np.log(grid)) < _unevenness(np.asarray(grid)) - 1e-9


def _unevenness(places: npt.NDArray[Any]) -> float:
    steps = np.diff(places)
    return float(np.std(steps) / np.mean(steps))


def _is_row_complete(ranked: Ranking, best: RankedCandidate, name: str) -> bool:
    """Whether each value has a finished candidate with the best one's other values, as far as it has these."""
    others = {other: value for other, value in best.values.items() if other != name}
    row = [one for one in ranked.rows if all(one.values.get(other, value) == value for other, value in others.items())]
    tried = {one.values.get(name, ABSENT) for one in row}
    return all(value in tried for value in ranked.space[name] if value != ABSENT)


def _effect(ranked: Ranking, name: str) -> Effect:
    others = [other for other in ranked.varying if other != name]
    groups = [{row.values.get(name, ABSENT): row for row in rows} for rows in _by_values(ranked, others).values()]
    present = {value for group in groups for value in group}
    complete = [group for group in groups if group.keys() == present]
    rows_of = {value: [group[value] for group in complete or groups if value in group] for value in present}
    spreads = tuple(_spread(rows_of.get(value, ())) for value in ranked.space[name])
    best = ranked.best.values.get(name, ABSENT) if ranked.best else None
    return Effect(name, ranked.space[name], spreads, best, len(groups), len(complete))


def _values_of(row: RankedCandidate, names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row.values.get(name, ABSENT) for name in names)


def _by_values(ranked: Ranking, names: Sequence[str]) -> dict[tuple[Any, ...], list[RankedCandidate]]:
    shared: dict[tuple[Any, ...], list[RankedCandidate]] = {}
    for row in ranked.scored:
        shared.setdefault(_values_of(row, names), []).append(row)
    return shared


def _spread(rows: Sequence[RankedCandidate]) -> Spread:
    scores = [score for row in rows for score in row.fold_scores]
    if not scores:
        return Spread(math.nan, math.nan, math.nan, math.nan, 0)
    mean = statistics.fmean(row.mean for row in rows)
    return Spread(mean, statistics.pstdev(scores), min(scores), max(scores), len(rows))


def _band(fits: Sequence[FoldResult], metric: str) -> Band | None:
    curves = [fit.history[metric] for fit in fits if metric in fit.history]
    epochs = list(zip(*curves, strict=False))
    if not epochs or len(curves) < len(fits) or all(any(map(math.isnan, values)) for values in epochs):
        return None

    def by_epoch(reduce: Callable[[Sequence[float]], float]) -> tuple[float, ...]:
        return tuple(math.nan if any(map(math.isnan, values)) else float(reduce(values)) for values in epochs)

    return Band(by_epoch(lambda values: sum(values) / len(values)), by_epoch(min), by_epoch(max))


def _seconds(fits: Sequence[FoldResult]) -> float:
    return sum(fit.fit_seconds + fit.score_seconds for fit in fits)


def _candidate_time(row: RankedCandidate, fits: Sequence[FoldResult], total: float) -> CandidateTime:
    fit_seconds, score_seconds = sum(f.fit_seconds for f in fits), sum(f.score_seconds for f in fits)
    share = (fit_seconds + score_seconds) / total if total > 0 else 0.0
    return CandidateTime(row, fit_seconds, score_seconds, len(fits), share)


def _pairs(
    labels: Sequence[str], counts: npt.NDArray[np.int64], shares: npt.NDArray[np.float64]
) -> tuple[ConfusedPair, ...]:
    wrong = [(int(i), int(j)) for i, j in zip(*np.nonzero(counts), strict=True) if i != j]
    wrong.sort(key=lambda pair: (-counts[pair], -shares[pair], pair))
    return tuple(ConfusedPair(labels[i], labels[j], int(counts[i, j]), float(shares[i, j])) for i, j in wrong)
