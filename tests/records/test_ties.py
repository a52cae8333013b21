"""Means that differ in the last bit: whoever names a winner names the same one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from support.fakes import FakeFitter, record

from tuner_app.analysis.ranking import ranking_of
from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.score import ScoreRule
from tuner_app.records.tables import cv_results, summary_lines
from tuner_app.records.tasks import FoldTask
from tuner_app.search.observers import SearchPlan
from tuner_app.storage.journal import load_search
from tuner_app.views.tensorboard.matrices import best_confusion, heat_map
from tuner_app.views.tensorboard.observer import TensorBoardLogs
from tuner_app.views.terminal.progress import Progress

# Added exactly, both sums are the same number; added one after another, the second is larger by the last bit.
SCORES = {1: (0.6, 0.6, 0.71), 2: (0.6, 0.71, 0.6)}
SPACE: dict[str, list[Any]] = {"a": [1, 2], "b": [5]}


def score(values: Mapping[str, Any], fold: int) -> float:
    return SCORES[values["a"]][fold]


def with_confusion(task: FoldTask) -> FoldResult:
    curve = [score(task.values, task.fold)]
    return record(task, history={"val_accuracy": curve}, final_epoch=1, confusion=[[1, 0], [0, 1]])


def test_the_scores_are_a_tie_for_an_exact_sum_only() -> None:
    assert math.fsum(SCORES[1]) == math.fsum(SCORES[2])
    assert np.mean(SCORES[1]) < np.mean(SCORES[2])


def test_all_name_the_same_winner(make_tuner: Any, data: Any, capsys: Any) -> None:
    progress, logs = Progress(), TensorBoardLogs()
    tuner = make_tuner(SPACE, fold_fitter=with_confusion, observers=[progress, logs], refit=False)
    tuner.search(*data)
    assert tuner.best_params_ == {"a": 2, "b": 5}
    assert tuner.get_best_hyperparameters()[0].values == tuner.best_params_
    assert tuner.oracle.get_best_trials()[0].score == tuner.best_score_
    assert "'a': 2" in summary_lines(tuner.cv_results_)[0]
    assert "a=2" in str(progress._tally.best)
    picture, confusion = heat_map(SPACE, tuner.candidates()), best_confusion(tuner.candidates(), None)
    assert picture is not None
    assert confusion is not None
    assert [cell.marked for cell in picture.cells[0]] == [False, True]
    assert "a=2" in confusion.title
    best = ranking_of(load_search(tuner.project)).best
    assert best is not None
    assert best.values == tuner.best_params_


def test_of_equals_the_first_in_the_grid_wins_whichever_ended_first(make_tuner: Any, data: Any) -> None:
    tuner = make_tuner(SPACE, fold_fitter=FakeFitter(lambda values, fold: 0.5))
    tuner.search(*data)
    first, second = tuner.candidates()
    progress, logs = Progress(verbosity=0), TensorBoardLogs()
    for observer in (progress, logs):
        observer.search_begun(_plan_of(tuner))
        for candidate in (second, first):
            observer.candidate_ended(candidate)
    assert "a=1" in str(progress._tally.best)
    picture = heat_map(SPACE, list(logs._whole.values()))
    assert picture is not None
    assert [cell.marked for cell in picture.cells[0]] == [True, False]


def test_a_candidate_alone_has_the_numbers_of_the_table_to_the_last_bit() -> None:
    random = np.random.default_rng(0)
    rule = ScoreRule((("val_accuracy", "max"),))
    for n_splits, executions in ((1, 1), (3, 1), (3, 4), (10, 1), (20, 3)):
        unscored = [_candidate(trial, random.random((n_splits, executions))) for trial in range(9)]
        candidates = [candidate.scored(rule, n_fits=n_splits * executions) for candidate in unscored]
        table = cv_results(candidates, rule, n_splits=n_splits)
        columns = zip(table["mean_test_score"], table["std_test_score"], table["mean_fit_time"], strict=True)
        assert [(c.mean_score, c.std_score, c.mean_fit_seconds) for c in candidates] == list(columns)
        again = cv_results(unscored, rule, n_splits=n_splits)
        assert all(np.array_equal(again[name], table[name]) for name in table if name.endswith("_test_score"))


def _candidate(trial: int, numbers: Any) -> Candidate:
    folds = tuple(
        FoldResult(
            trial_id=str(trial),
            fold=fold,
            execution=execution,
            values={"a": trial},
            seed=0,
            history={"val_accuracy": [float(number)]},
            final_epoch=1,
            fit_seconds=float(number) * 7,
        )
        for (fold, execution), number in np.ndenumerate(numbers)
    )
    return Candidate(str(trial), {"a": trial}, folds)


def _plan_of(tuner: Any) -> SearchPlan:
    return SearchPlan(
        project=tuner.project,
        space=SPACE,
        rule=tuner.rule,
        n_splits=3,
        executions=1,
        n_candidates=2,
        n_jobs=1,
    )
