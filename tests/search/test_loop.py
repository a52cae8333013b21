"""The order of events of a search, without a tuner and without TensorFlow."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.searches import SPLITS, AtOnce, Kept, Listed, scored, spec_of

from tuner_app.errors import SearchError, SearchInterrupted
from tuner_app.execution.base import Ended, FoldStopped, IsStopped
from tuner_app.execution.threads import ThreadExecutor
from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.tasks import FoldTask
from tuner_app.search.loop import run_search
from tuner_app.search.observers import SearchObserver
from tuner_app.search.strategy import Turn

FIVE = [{"a": a} for a in (3, 1, 5, 2, 4)]
ORDERS = {
    "first first": AtOnce(3),
    "last first": AtOnce(3, pick=lambda ended: -1),
    "one job": AtOnce(1),
    "threads": ThreadExecutor(3),
}


class TestOrder:
    @pytest.mark.parametrize("executor", ORDERS.values(), ids=ORDERS.keys())
    def test_an_adaptive_strategy_hears_and_is_asked_in_one_order(self, tmp_path: Path, executor: Any) -> None:
        strategy = Listed(FIVE)
        outcome = run_search(spec_of(tmp_path, strategy, executor=executor))
        assert strategy.log == [
            *("ask 0000", "ask 0001", "tell 0000", "ask 0002", "tell 0001", "ask 0003"),
            *("tell 0002", "ask 0004", "tell 0003", "tell 0004"),
        ]
        assert [candidate.trial_id for candidate in outcome.candidates] == [f"000{n}" for n in range(5)]
        assert outcome.table["params"][outcome.best_index] == {"a": 5}

    def test_a_slow_candidate_holds_up_no_other_where_nothing_is_learnt(self, tmp_path: Path) -> None:
        def slow_first(ended: list[Ended]) -> int:
            others = (place for place, one in enumerate(ended) if one.task.trial_id != "0000")
            return next(others, 0)

        strategy = Listed(FIVE, adaptive=False)
        run_search(spec_of(tmp_path, strategy, executor=AtOnce(3, pick=slow_first)))
        assert strategy.log[:5] == [f"ask 000{n}" for n in range(5)]
        assert strategy.log[5:] == [f"tell 000{n}" for n in range(5)]

    def test_what_waits_is_asked_again_when_a_candidate_has_ended(self, tmp_path: Path) -> None:
        strategy = Listed(FIVE, lookahead=9, waits_at=[3])
        run_search(spec_of(tmp_path, strategy, executor=AtOnce(2)))
        assert strategy.log[3:7] == ["tell 0000", "tell 0001", "tell 0002", "ask 0003"]

    def test_a_strategy_that_would_wait_for_ever_ends_the_search(self, tmp_path: Path) -> None:
        strategy = Listed(FIVE, last=Turn.WAIT)
        with pytest.raises(SearchError, match="or answer STOPPED, once every candidate that it gave has ended"):
            run_search(spec_of(tmp_path, strategy))
        assert strategy.told == 5

    def test_a_strategy_without_a_candidate_is_told_as_well(self, tmp_path: Path) -> None:
        with pytest.raises(SearchError, match="IDLE"):
            run_search(spec_of(tmp_path, Listed([], last=Turn.WAIT)))


class Heard(SearchObserver):
    def __init__(self) -> None:
        self.candidates: list[str] = []
        self.is_interrupted: bool | None = None

    def candidate_ended(self, candidate: Candidate) -> None:
        self.candidates.append(candidate.trial_id)

    def search_ended(self, candidates: Any, *, table: Any, interrupted: bool) -> None:
        self.is_interrupted = interrupted


class TestReplay:
    def test_what_the_journal_holds_is_told_and_not_fitted(self, tmp_path: Path) -> None:
        spec = spec_of(tmp_path, Listed(FIVE))
        whole = run_search(spec)
        records = spec.journal.read()
        assert len(records) == 10
        lost = [record for record in records if (record.trial_id, record.fold) != ("0002", 1)]
        strategy, executor, heard = Listed(FIVE), AtOnce(2), Heard()
        again = run_search(spec_of(tmp_path, strategy, executor=executor, records=lost, observers=[heard]))
        assert [(task.trial_id, task.fold) for task in executor.tasks] == [("0002", 1)]
        assert heard.candidates == ["0002"]
        assert strategy.told == 5
        assert [one.score for one in again.candidates] == [one.score for one in whole.candidates]

    def test_a_record_of_no_candidate_is_set_aside(self, tmp_path: Path) -> None:
        spec = spec_of(tmp_path, Listed(FIVE))
        run_search(spec)
        run_search(spec_of(tmp_path, Listed(FIVE[:4]), records=spec.journal.read()))
        assert {record.trial_id for record in spec.journal.read()} == {"0000", "0001", "0002", "0003"}
        assert len(list(spec.plan.project.trial_folder("0004").glob("*.damaged"))) == 2


class TestFailures:
    def test_a_crash_ends_the_search_and_what_was_done_is_kept(self, tmp_path: Path) -> None:
        def crash(task: FoldTask, is_stopped: IsStopped) -> FoldResult:
            if task.trial_id == "0001":
                raise MemoryError("no room")
            return scored(task, is_stopped)

        spec = spec_of(tmp_path, Listed(FIVE), fit=crash)
        with pytest.raises(MemoryError, match="no room"):
            run_search(spec)
        assert {record.trial_id for record in spec.journal.read()} == {"0000"}

    def test_a_request_to_stop_says_what_is_done(self, tmp_path: Path) -> None:
        heard, executor = Heard(), AtOnce(1)

        def stop(task: FoldTask, is_stopped: IsStopped) -> FoldResult:
            if len(executor.tasks) == 4:
                raise FoldStopped
            return scored(task, is_stopped)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tuner_app.process.signals.StopRequest.__bool__", lambda request: len(executor.tasks) >= 4)
            with pytest.raises(SearchInterrupted, match=r"^Interrupted: 3 of 8 fits are done and kept in "):
                run_search(spec_of(tmp_path, Listed(FIVE), fit=stop, executor=executor, observers=[heard]))
        assert heard.is_interrupted


class TestRefit:
    def test_the_best_candidate_is_trained_on_all_rows_for_its_epochs(self, tmp_path: Path) -> None:
        executor, keeper = AtOnce(1), Kept()
        outcome = run_search(spec_of(tmp_path, Listed(FIVE), executor=executor, keeper=keeper))
        task = executor.tasks[-1]
        assert (outcome.model, outcome.refit_seconds) == ("model of 0002", 1.0)
        assert (task.is_refit, task.trial_id, task.train_rows.tolist()) == (True, "0002", list(range(6)))
        assert task.validation_rows is None
        assert task.plan is not None
        assert task.plan.epochs == 1
        assert len(list(tmp_path.rglob("fold_*.json"))) == 10  # the refit is no fold

    def test_it_begins_beside_the_last_folds_and_is_dropped_when_it_is_beaten(self, tmp_path: Path) -> None:
        strategy, executor, keeper = Listed([{"a": a} for a in (1, 2, 9)], lookahead=9), AtOnce(2), Kept()
        outcome = run_search(spec_of(tmp_path, strategy, executor=executor, keeper=keeper))
        refits = [task.trial_id for task in executor.tasks if task.is_refit]
        assert refits[-1] == "0002"
        assert [task.trial_id for task in executor.cancelled] == refits[:-1]
        assert keeper.forgotten == refits[:-1]  # each had ended before it heard of that
        assert keeper.trained == ["0002"]
        assert outcome.model == "model of 0002"

    def test_one_that_fails_costs_the_model_only(self, tmp_path: Path) -> None:
        def fail(task: FoldTask, is_stopped: IsStopped) -> FoldResult:
            if task.is_refit:
                raise ValueError("no room for the model\nat all")
            return scored(task, is_stopped)

        outcome = run_search(spec_of(tmp_path, Listed(FIVE), fit=fail, keeper=Kept()))
        assert outcome.model is None
        assert outcome.refit_failure is not None
        assert "ValueError: no room for the model. Scores and table are there" in outcome.refit_failure

    def test_any_candidate_can_be_refitted_later(self, tmp_path: Path) -> None:
        outcome = run_search(spec_of(tmp_path, Listed(FIVE)))
        task = outcome.refit_task(outcome.candidates[1])
        assert (task.trial_id, task.is_refit, len(task.train_rows)) == ("0001", True, 6)


def test_a_search_knows_no_tensorflow(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from support.searches import *; from tuner_app.search.loop import run_search; "
        f"run_search(spec_of(pathlib.Path({str(tmp_path)!r}), Listed([{{'a': 1}}]))); "
        "print(sorted({'tensorflow', 'keras', 'keras_tuner'} & set(sys.modules)))"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, timeout=60)
    assert done.stdout == "[]\n", done.stderr


def test_a_task_can_be_pickled(tmp_path: Path) -> None:
    import pickle

    executor = AtOnce(1)
    run_search(spec_of(tmp_path, Listed(FIVE), executor=executor))
    task = pickle.loads(pickle.dumps(executor.tasks[0]))
    assert (task.trial_id, task.fold, task.seed) == ("0000", 0, executor.tasks[0].seed)
    assert task.train_rows.tolist() == SPLITS[0][0].tolist()
    assert {field.name for field in dataclasses.fields(task)} >= {"space", "budget", "plan", "keep_weights"}
