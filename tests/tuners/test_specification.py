"""What a tuner makes of its arguments: a search that can travel."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

from tuner_app import DenseHyperModel
from tuner_app.records.results import FoldResult
from tuner_app.records.tasks import FoldTask
from tuner_app.search.observers import SearchObserver
from tuner_app.tuners import base

SECONDS = {"started": 0.0, "fit_seconds": 0.0, "score_seconds": 0.0, "compile_seconds": 0.0}


def without_seconds(record: FoldResult) -> FoldResult:
    return dataclasses.replace(record, **SECONDS)


def test_a_fitter_and_its_tasks_can_be_pickled_and_fit_the_same(
    make_tuner: Callable[..., Any], data: Any, monkeypatch: Any
) -> None:
    """As a worker on another machine gets them."""
    tasks: list[FoldTask] = []
    run_search = base.run_search

    class Noting(SearchObserver):
        def fold_ended(self, result: FoldResult) -> None:
            records[result.trial_id, result.fold] = result

    def noting(spec: Any) -> Any:
        submit = spec.executor.submit
        spec.executor.submit = lambda task: (tasks.append(task), submit(task))
        return run_search(spec)

    records: dict[tuple[str, int], FoldResult] = {}
    monkeypatch.setattr(base, "run_search", noting)
    hypermodel = DenseHyperModel((3,), 2, nodes=[2, 3], learning_rates=[0.01])
    tuner = make_tuner(hypermodel, cv=2, n_jobs=1, fold_fitter=None, refit=False, observers=[Noting()])
    tuner.search(*data, epochs=2, batch_size=8)
    travelled = pickle.loads(pickle.dumps(tuner._fitter))
    for task in pickle.loads(pickle.dumps(tasks)):
        again = travelled(task)
        assert without_seconds(again) == without_seconds(records[task.trial_id, task.fold])
    assert len(tasks) == 4
