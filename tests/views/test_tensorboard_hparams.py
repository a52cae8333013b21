"""The HParams table, read back with TensorBoard's own backend, against `cv_results_`."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import pytest
from support.played_searches import RULE, SPACE, candidates, failed, fold_result, plan_for, play
from support.tensorboard_reader import Reader, metric_values

from tuner_app.records.results import Candidate
from tuner_app.records.score import ScoreRule
from tuner_app.records.tables import cv_results
from tuner_app.views.tensorboard.observer import TensorBoardLogs


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, list[Candidate]]:
    folder = tmp_path_factory.mktemp("logs")
    whole = candidates()
    play(TensorBoardLogs(), plan_for(folder, len(whole)), whole)
    return folder, whole


@pytest.fixture(scope="module")
def reader(played: tuple[pathlib.Path, list[Candidate]]) -> Reader:
    return Reader(played[0])


def test_one_row_for_each_candidate_with_the_numbers_of_the_table(played: Any, reader: Reader) -> None:
    _, whole = played
    table = cv_results(whole, RULE, n_splits=3)
    groups = reader.session_groups()
    assert len(groups) == 15
    for i, candidate in enumerate(whole):
        found = groups[f"digits/{candidate.trial_id}"]
        assert {name: found.hparams[name].number_value for name in found.hparams} == candidate.values
        assert [session.name for session in found.sessions] == [f"digits/trial_{i:04d}/fold_{k}" for k in range(3)]
        shown = metric_values(found)
        for column in ("mean_test_score", "std_test_score", "mean_fit_time"):
            assert shown[column] == pytest.approx(table[column][i], rel=1e-6)
        assert shown["val_accuracy"] == pytest.approx(table["mean_test_score"][i], rel=1e-6)
        for k, session in enumerate(found.sessions):
            assert metric_values(session)["val_accuracy"] == pytest.approx(table[f"split{k}_test_score"][i], rel=1e-6)


def test_the_columns_of_the_table_are_the_space_in_its_order(reader: Reader) -> None:
    [config] = reader.configs()
    assert [column.name for column in config.hparam_infos] == ["learning_rate", "nodes"]
    assert [list(column.domain_discrete) for column in config.hparam_infos] == [list(v) for v in SPACE.values()]
    metrics = [metric.name.tag for metric in config.metric_infos]
    assert metrics == ["mean_test_score", "std_test_score", "mean_fit_time", "val_accuracy"]


def test_the_last_value_is_the_scored_one_where_the_best_epoch_counts(tmp_path: pathlib.Path) -> None:
    rule = dataclasses.replace(RULE, epoch="best")
    whole = candidates(rule=rule)[:3]
    assert rule.chosen_epoch(whole[0].folds) == 2
    play(TensorBoardLogs(), plan_for(tmp_path, len(whole), rule=rule), whole)
    table = cv_results(whole, rule, n_splits=3)
    reader = Reader(tmp_path)
    for i, found in enumerate(reader.session_groups().values()):
        for k, session in enumerate(found.sessions):
            assert metric_values(session)["val_accuracy"] == pytest.approx(table[f"split{k}_test_score"][i], rel=1e-6)
        assert metric_values(found)["mean_test_score"] == pytest.approx(table["mean_test_score"][i], rel=1e-6)
    assert [step for step, _ in reader.scalars("digits/trial_0000/fold_0")["val_accuracy"]] == [0, 1]


def test_the_last_value_is_the_scored_one_where_early_stopping_restored_weights(tmp_path: pathlib.Path) -> None:
    point = {"learning_rate": 0.001, "nodes": 32}
    folds = tuple(fold_result(0, point, k, final_epoch=2) for k in range(3))
    play(TensorBoardLogs(), plan_for(tmp_path, 1), [Candidate("0000", point, folds)])
    [found] = Reader(tmp_path).session_groups().values()
    expected = [fold.history["val_accuracy"][1] for fold in folds]
    assert [metric_values(session)["val_accuracy"] for session in found.sessions] == pytest.approx(expected, rel=1e-6)


def test_an_objective_to_minimise_is_shown_as_it_is_and_the_score_negated(tmp_path: pathlib.Path) -> None:
    rule = ScoreRule((("val_loss", "min"), ("val_accuracy", "max")))
    whole = candidates(rule=rule)[:1]
    play(TensorBoardLogs(), plan_for(tmp_path, len(whole), rule=rule), whole)
    table = cv_results(whole, rule, n_splits=3)
    [found] = Reader(tmp_path).session_groups().values()
    shown = metric_values(found)
    assert shown["val_loss"] == pytest.approx(-table["mean_test_loss"][0], rel=1e-6)
    assert shown["val_accuracy"] == pytest.approx(table["mean_test_accuracy"][0], rel=1e-6)
    assert shown["mean_test_score"] == pytest.approx(table["mean_test_score"][0], rel=1e-6)


def test_failed_folds_are_failures_without_a_score(tmp_path: pathlib.Path) -> None:
    from tensorboard.plugins.hparams import api_pb2

    point = {"learning_rate": 0.001, "nodes": 32}
    bad = failed(fold_result(0, point, 1))
    whole = [Candidate("0000", point, (fold_result(0, point, 0), bad, fold_result(0, point, 2)))]
    play(TensorBoardLogs(), plan_for(tmp_path, len(whole)), whole)
    reader = Reader(tmp_path)
    [found] = reader.session_groups().values()
    statuses = [session.status for session in found.sessions]
    assert statuses == [api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_SUCCESS]
    assert "val_accuracy" not in metric_values(found.sessions[1])
    assert "mean_test_score" not in metric_values(found)
    assert "nan" in reader.text("digits", "summary")


def test_repetitions_are_sessions_of_the_same_row(tmp_path: pathlib.Path) -> None:
    point = {"learning_rate": 0.001, "nodes": 32}
    runs = tuple(fold_result(0, point, k, execution=e, fit_seconds=1.0 + e) for k in range(3) for e in range(2))
    whole = [Candidate("0000", point, runs)]
    play(TensorBoardLogs(), plan_for(tmp_path, len(whole), executions=2), whole)
    [found] = Reader(tmp_path).session_groups().values()
    assert len(found.sessions) == 6
    table = cv_results(whole, RULE, n_splits=3)
    assert metric_values(found)["std_test_score"] == pytest.approx(table["std_test_score"][0], rel=1e-6)
    assert metric_values(found)["mean_fit_time"] == pytest.approx(1.5)


def test_values_of_all_kinds_become_columns(tmp_path: pathlib.Path) -> None:
    from tensorboard.plugins.hparams import api_pb2

    space: dict[str, Sequence[Any]] = {
        "dropout": [True, False],
        "activation": ["relu", "tanh"],
        "layers": [(32,), None],
        "mixed": [1, "a"],
    }
    whole = candidates(space, n_splits=1)
    play(TensorBoardLogs(), plan_for(tmp_path, len(whole), space=space, n_splits=1), whole)
    reader = Reader(tmp_path)
    [config] = reader.configs()
    kinds = [column.type for column in config.hparam_infos]
    assert kinds == [api_pb2.DATA_TYPE_BOOL] + [api_pb2.DATA_TYPE_STRING] * 3
    first = reader.session_groups()["digits/0000"].hparams
    assert first["dropout"].bool_value is True
    assert [first[name].string_value for name in ("activation", "layers", "mixed")] == ["relu", "(32,)", "1"]
