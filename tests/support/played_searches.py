"""Searches as their observers are told of them: what was planned, what came of each fit, and in which order.

Nothing is trained and nothing searched, so a view is tested in milliseconds.
"""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.score import ScoreRule
from tuner_app.records.tables import cv_results
from tuner_app.search.observers import SearchObserver, SearchPlan
from tuner_app.storage.project import Project

SPACE: Mapping[str, Sequence[Any]] = {"learning_rate": [0.001, 0.0015, 0.002], "nodes": [32, 64, 128, 256, 512]}
RULE = ScoreRule((("val_accuracy", "max"),))
EPOCHS = 4


def fold_result(trial: int, values: dict[str, Any], fold: int, **changes: Any) -> FoldResult:
    """A fit of four epochs, better with each trial, whose best epoch is another one in each fold."""
    best_at = fold % EPOCHS
    accuracy = [0.5 + 0.02 * trial + 0.001 * fold - 0.1 * abs(epoch - best_at) for epoch in range(EPOCHS)]
    history = {
        "accuracy": [0.9] * EPOCHS,
        "loss": [1 / (epoch + 1) for epoch in range(EPOCHS)],
        "val_accuracy": accuracy,
        "val_loss": [1 - value for value in accuracy],
        "learning_rate": [0.01] * EPOCHS,
    }
    result = FoldResult(
        trial_id=f"{trial:04d}",
        fold=fold,
        values=values,
        seed=trial,
        history=history,
        final_epoch=EPOCHS,
        started=1_700_000_000.0 + 10 * trial + fold,
        fit_seconds=1.0 + trial,
        score_seconds=1.0,
        confusion=[[8, 2], [1, 9]],
    )
    return dataclasses.replace(result, **changes)


def failed(result: FoldResult, error: str = "Traceback\n  ...\nValueError: no\n") -> FoldResult:
    """The same fit, failed before its first epoch."""
    return dataclasses.replace(result, history={}, final_epoch=0, confusion=None, error=error)


def candidates(
    space: Mapping[str, Sequence[Any]] = SPACE, n_splits: int = 3, executions: int = 1, rule: ScoreRule = RULE
) -> list[Candidate]:
    """Every point of a grid, with all its fits."""
    grid: list[dict[str, Any]] = [{}]
    for name, values in space.items():
        grid = [{**point, name: value} for point in grid for value in values]
    runs = [(fold, execution) for fold in range(n_splits) for execution in range(executions)]
    return [
        scored(f"{i:04d}", point, [fold_result(i, point, fold, execution=again) for fold, again in runs], rule)
        for i, point in enumerate(grid)
    ]


def scored(trial_id: str, values: dict[str, Any], folds: Sequence[FoldResult], rule: ScoreRule = RULE) -> Candidate:
    """A candidate whose fits are all there."""
    return Candidate.of(trial_id, values, folds, rule, n_fits=len(folds))


def with_folds(candidate: Candidate, change: Callable[[FoldResult], FoldResult]) -> Candidate:
    """A candidate whose fits are others."""
    return dataclasses.replace(candidate, folds=tuple(map(change, candidate.folds)))


def plan_for(folder: Path, n_candidates: int, name: str = "digits", **changes: Any) -> SearchPlan:
    """The plan of a search on the grid above."""
    plan = SearchPlan(
        project=Project(folder, name),
        space=SPACE,
        rule=RULE,
        n_splits=3,
        executions=1,
        n_candidates=n_candidates,
        n_jobs=1,
        classes=("no", "yes"),
    )
    return dataclasses.replace(plan, **changes)


def play(
    observer: SearchObserver,
    plan: SearchPlan,
    candidates: Sequence[Candidate],
    *,
    interrupted: bool = False,
    seed: int | None = None,
) -> None:
    """Tell an observer of a search, as the loop does.

    Args:
        observer: Who is told.
        plan: What was planned; of its finished fits nothing is told again.
        candidates: What comes of it; those that lack fits are begun, not whole.
        interrupted: Whether it was stopped at the end.
        seed: Shuffles the order in which the fits end, as threads do; None is one after the other.
    """
    n_fits = plan.n_splits * plan.executions
    told = [candidate.scored(plan.rule, n_fits=n_fits) for candidate in candidates]
    observer.search_begun(plan)
    for kind, arguments in _events(plan, told, seed):
        getattr(observer, kind)(*arguments)
    whole = [candidate for candidate in told if candidate.is_whole]
    table = cv_results(whole, plan.rule, n_splits=plan.n_splits)
    observer.search_ended(whole, table=table, interrupted=interrupted)


def _events(
    plan: SearchPlan, candidates: Sequence[Candidate], seed: int | None
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    done = {_key(result) for result in plan.finished}
    fits = [fold for candidate in candidates for fold in candidate.folds if _key(fold) not in done]
    ends = fits if seed is None else random.Random(seed).sample(fits, len(fits))
    by_trial = {candidate.trial_id: candidate for candidate in candidates}
    left = Counter(fold.trial_id for fold in fits)
    for fold in fits if seed is not None else ():
        yield "fold_begun", (fold.trial_id, fold.values, fold.fold, fold.execution)
    for fold in ends:
        if seed is None:
            yield "fold_begun", (fold.trial_id, fold.values, fold.fold, fold.execution)
        yield "fold_ended", (fold,)
        left[fold.trial_id] -= 1
        if not left[fold.trial_id] and by_trial[fold.trial_id].is_whole:
            yield "candidate_ended", (by_trial[fold.trial_id],)


def _key(result: FoldResult) -> tuple[str, int, int]:
    return result.trial_id, result.fold, result.execution


@dataclasses.dataclass(frozen=True)
class PlayedSearch:
    """One row of the table below: what differs from a search that goes well."""

    change: Callable[[list[Candidate]], list[Candidate]] = lambda whole: whole
    plan: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    finished: int = 0
    interrupted: bool = False

    def play(self, observer: SearchObserver, folder: Path, *, seed: int | None = None) -> None:
        """Tell an observer of it; its project lies in the folder."""
        plan, whole = self.content(folder)
        play(observer, plan, whole, interrupted=self.interrupted, seed=seed)

    def content(self, folder: Path) -> tuple[SearchPlan, list[Candidate]]:
        """The plan, and what comes of it."""
        sizes = {"space": SPACE, "n_splits": 3, "executions": 1} | dict(self.plan)
        whole = candidates(sizes["space"], sizes["n_splits"], sizes["executions"])[:5]
        fits = tuple(fold for candidate in whole for fold in candidate.folds)[: self.finished]
        return plan_for(folder, **{"n_candidates": len(whole), **self.plan}, finished=fits), self.change(whole)


def _some_fail(whole: list[Candidate]) -> list[Candidate]:
    bad = with_folds(whole[1], lambda fold: failed(fold) if fold.fold == 1 else fold)
    return [whole[0], bad, with_folds(whole[2], failed), *whole[3:]]


def _without_history(whole: list[Candidate]) -> list[Candidate]:
    return [
        with_folds(
            each, lambda fold: dataclasses.replace(fold, history={}, final_epoch=0, scores={"val_accuracy": 0.5})
        )
        for each in whole
    ]


def _not_a_number(whole: list[Candidate]) -> list[Candidate]:
    lost = {"val_accuracy": [0.1, float("nan")], "loss": [float("inf")]}
    return [with_folds(whole[0], lambda fold: dataclasses.replace(fold, history=lost, final_epoch=2)), *whole[1:]]


_ODD = {"name": ["a|b`c", "*x*\n", "[bold]\x1b[2J", "é" * 300], "n": [(1, 2), None]}

SEARCHES: Mapping[str, PlayedSearch] = {
    "normal": PlayedSearch(),
    "side by side": PlayedSearch(plan={"n_jobs": 12}),
    "resumed": PlayedSearch(finished=8),
    "nothing left to do": PlayedSearch(finished=15),
    "interrupted": PlayedSearch(
        lambda whole: [*whole[:3], dataclasses.replace(whole[3], folds=whole[3].folds[:2])], interrupted=True
    ),
    "interrupted at once": PlayedSearch(lambda whole: [], interrupted=True),
    "some fits fail": PlayedSearch(_some_fail),
    "all fits fail": PlayedSearch(lambda whole: [with_folds(each, failed) for each in whole]),
    "no history": PlayedSearch(_without_history),
    "not a number": PlayedSearch(_not_a_number),
    "several objectives": PlayedSearch(plan={"rule": ScoreRule((("val_loss", "min"), ("val_accuracy", "max")))}),
    "best epoch": PlayedSearch(plan={"rule": dataclasses.replace(RULE, epoch="best")}),
    "executions": PlayedSearch(plan={"executions": 2}),
    "one hyperparameter, no classes": PlayedSearch(plan={"space": {"nodes": [8, 16]}, "classes": None}),
    "no hyperparameter": PlayedSearch(plan={"space": {}}),
    "odd values": PlayedSearch(plan={"space": _ODD}),
    "more candidates than known": PlayedSearch(plan={"n_candidates": 2}),
}
