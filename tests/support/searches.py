"""Whole searches without a tuner, a model or TensorFlow: a strategy from a list, an executor that runs at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from support.fakes import weigh

from tuner_app.execution.base import Ended, Executor, Fit, FoldStopped, IsStopped, Keep
from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.score import ScoreRule
from tuner_app.records.tables import best_index
from tuner_app.records.tasks import FoldTask
from tuner_app.search.observers import SearchPlan
from tuner_app.search.policy import AllFolds
from tuner_app.search.refit import ModelKeeper
from tuner_app.search.spec import SearchSpec
from tuner_app.search.strategy import Proposal, Strategy, Turn
from tuner_app.storage.journal import Journal
from tuner_app.storage.project import Project

RULE = ScoreRule((("val_accuracy", "max"),))
SPLITS = [(np.arange(2, 6), np.arange(2)), (np.array([0, 1, 4, 5]), np.arange(2, 4))]


class Listed(Strategy):
    """Proposes values one after another, and notes what is asked and told.

    Args:
        values: One dict for each candidate.
        adaptive: As `Strategy.is_adaptive`.
        lookahead: As `Strategy.lookahead`.
        waits_at: Before these candidates it waits until all that it gave have ended.
        last: The answer behind the last one.
    """

    def __init__(
        self,
        values: Sequence[Mapping[str, Any]],
        *,
        adaptive: bool = True,
        lookahead: int = 2,
        waits_at: Sequence[int] = (),
        last: Turn = Turn.DONE,
    ) -> None:
        self.values, self.is_adaptive, self.lookahead = list(values), adaptive, lookahead
        self.waits_at, self.last = set(waits_at), last
        self.log: list[str] = []
        self.asked = self.told = 0

    def ask(self, *, beside_fits: bool, may_be_busy: bool) -> Proposal | Turn:
        if self.asked in self.waits_at and self.told < self.asked:
            return Turn.WAIT
        if self.asked == len(self.values):
            return self.last
        trial_id = f"{self.asked:04d}"
        self.asked += 1
        self.log.append(f"ask {trial_id}")
        values = self.values[self.asked - 1]
        return Proposal(trial_id=trial_id, values=values, seed_values=values)

    def tell(self, candidate: Candidate) -> None:
        self.told += 1
        self.log.append(f"tell {candidate.trial_id}")


class AtOnce(Executor):
    """Runs a task when it is submitted, and tells of the ended ones in a chosen order.

    Args:
        n_jobs: How many may be under way.
        pick: Which of the ended tasks `wait` tells of: gives its place in the list.
    """

    def __init__(self, n_jobs: int = 1, pick: Callable[[list[Ended]], int] = lambda ended: 0) -> None:
        self.n_jobs, self._pick = n_jobs, pick
        self._ended: list[Ended] = []
        self._is_stopped = False
        self.cancelled: list[FoldTask] = []
        self.tasks: list[FoldTask] = []

    def start(self, fit: Fit, keep: Keep) -> None:
        self._fit, self._keep = fit, keep

    @property
    def room(self) -> int:
        return self.n_jobs - len(self._ended)

    def submit(self, task: FoldTask) -> None:
        self.tasks.append(task)
        try:
            if self._is_stopped:
                raise FoldStopped
            record = self._fit(task, lambda: self._is_stopped)
            self._keep(task, record, 0.0)
            self._ended.append(Ended(task, record))
        except BaseException as error:
            self._ended.append(Ended(task, None, error))

    def wait(self, seconds: float) -> Ended | None:
        return self._ended.pop(self._pick(self._ended)) if self._ended else None

    def cancel(self, task: FoldTask) -> None:
        self.cancelled.append(task)

    def stop(self) -> None:
        self._is_stopped = True

    def close(self) -> None:
        pass


class Kept(ModelKeeper):
    """Keeps the trial's name for a model."""

    def __init__(self) -> None:
        self.trained: list[str] = []
        self.forgotten: list[str] = []

    def kept(self, candidate: Candidate, table: Mapping[str, Any], index: int) -> None:
        return None

    def keep(self, candidate: Candidate, table: Mapping[str, Any], index: int, record: FoldResult) -> Any:
        self.trained.append(candidate.trial_id)
        return f"model of {candidate.trial_id}", record.fit_seconds

    def let_go(self, trial_id: str) -> None:
        self.forgotten.append(trial_id)


def scored(task: FoldTask, is_stopped: IsStopped) -> FoldResult:
    """A fit whose score is the sum of the values, less a little per fold."""
    score = weigh(task.values, task.fold)
    return task.record(
        history={"val_accuracy": [score]},
        final_epoch=1,
        fit_seconds=1.0,
    )


def spec_of(folder: Path, strategy: Strategy, **changes: Any) -> SearchSpec:
    """A search in a folder: two folds, one job, no observers."""
    project = Project(folder, "search")
    executor = changes.pop("executor", None) or AtOnce()
    plan = SearchPlan(
        project=project,
        space={},
        rule=RULE,
        n_splits=len(SPLITS),
        executions=1,
        n_candidates=4,
        n_jobs=executor.n_jobs,
    )
    parts = {
        "plan": plan,
        "splits": SPLITS,
        "rows": 6,
        "seed": 0,
        "journal": Journal(project, "id"),
        "records": (),
        "strategy": strategy,
        "policy": AllFolds(len(SPLITS)),
        "fit": scored,
        "fits_ended": lambda: None,
        "executor": executor,
        "observers": (),
        "stops_at_a_failure": False,
        "return_train_score": False,
        "select": best_index,
        "selects_by_score": True,
        "keeper": None,
    }
    return SearchSpec(**(parts | changes))
