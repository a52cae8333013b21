"""TensorBoard's files, read back with TensorBoard's own backend."""

from __future__ import annotations

import dataclasses
import io
import logging
import math
import pathlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tuner_app.errors import InputError
from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.score import ScoreRule
from tuner_app.records.tables import cv_results
from tuner_app.search.observers import SearchPlan
from tuner_app.storage.project import Project
from tuner_app.views.tensorboard.matrices import Cell, Matrix, best_confusion, heat_map
from tuner_app.views.tensorboard.observer import TensorBoardLogs
from tuner_app.views.tensorboard.pictures import draw
from tuner_app.views.tensorboard.scores import Score
from tuner_app.views.tensorboard.summary import summary_table

SPACE: Mapping[str, Sequence[Any]] = {"learning_rate": [0.001, 0.0015, 0.002], "nodes": [32, 64, 128, 256, 512]}
RULE = ScoreRule((("val_accuracy", "max"),))
EPOCHS = 4


def fold_result(trial: int, values: dict[str, Any], fold: int, **changes: Any) -> FoldResult:
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


def candidates(space: Mapping[str, Sequence[Any]] = SPACE, n_splits: int = 3) -> list[Candidate]:
    grid: list[dict[str, Any]] = [{}]
    for name, values in space.items():
        grid = [{**point, name: value} for point in grid for value in values]
    return [
        Candidate(f"{i:04d}", point, tuple(fold_result(i, point, fold) for fold in range(n_splits)))
        for i, point in enumerate(grid)
    ]


def plan_for(folder: pathlib.Path, whole: Sequence[Candidate], name: str = "digits", **changes: Any) -> SearchPlan:
    plan = SearchPlan(
        project=Project(folder, name),
        space=SPACE,
        rule=RULE,
        n_splits=3,
        executions=1,
        n_candidates=len(whole),
        n_jobs=1,
        classes=("no", "yes"),
    )
    return dataclasses.replace(plan, **changes)


def play(plan: SearchPlan, whole: Sequence[Candidate], logs: TensorBoardLogs | None = None) -> None:
    """What a search tells its observer, leaving out what the plan says is finished."""
    logs = logs or TensorBoardLogs()
    done = {(result.trial_id, result.fold) for result in plan.finished}
    logs.search_begun(plan)
    for candidate in whole:
        new = [fold for fold in candidate.folds if (fold.trial_id, fold.fold) not in done]
        for fold in new:
            logs.fold_begun(fold.trial_id, fold.values, fold.fold, fold.execution)
            logs.fold_ended(fold)
        if new:
            logs.candidate_ended(candidate)
    logs.search_ended(whole, table={}, interrupted=False)


class Reader:
    """A folder of logs as TensorBoard's server sees it."""

    def __init__(self, folder: pathlib.Path) -> None:
        from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
        from tensorboard.context import RequestContext
        from tensorboard.plugins import base_plugin
        from tensorboard.plugins.hparams import backend_context

        self.runs = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(folder))
        self.runs.Reload()
        provider = data_provider.MultiplexerDataProvider(self.runs, str(folder))
        self.request = RequestContext()
        context = base_plugin.TBContext(logdir=str(folder), multiplexer=self.runs, data_provider=provider)
        self.hparams = backend_context.Context(context)

    def session_groups(self) -> dict[str, Any]:
        from tensorboard.plugins.hparams import api_pb2, list_session_groups

        statuses = [api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_RUNNING]
        request = api_pb2.ListSessionGroupsRequest(start_index=0, slice_size=1000, allowed_statuses=statuses)
        answer = list_session_groups.Handler(self.request, self.hparams, "", request).run()
        names = [found.name for found in answer.session_groups]
        assert len(set(names)) == len(names)
        return dict(zip(names, answer.session_groups, strict=True))

    def configs(self) -> list[Any]:
        from tensorboard.plugins.hparams import metadata

        content = self.hparams.hparams_metadata(self.request, "")
        found = [tags[metadata.EXPERIMENT_TAG] for tags in content.values() if metadata.EXPERIMENT_TAG in tags]
        return [metadata.parse_experiment_plugin_data(config) for config in found]

    def scalars(self, run: str) -> dict[str, list[tuple[int, float]]]:
        import tensorboard.util.tensor_util as tensor_util

        tags = self.runs.PluginRunToTagToContent("scalars").get(run, {})
        return {
            tag: [
                (event.step, float(tensor_util.make_ndarray(event.tensor_proto)))
                for event in self.runs.Tensors(run, tag)
            ]
            for tag in tags
        }

    def steps(self, run: str, tag: str) -> list[int]:
        return [event.step for event in self.runs.Tensors(run, tag)]

    def text(self, run: str, tag: str) -> str:
        return str(self.runs.Tensors(run, tag)[-1].tensor_proto.string_val[0], "utf-8")


def metric_values(found: Any) -> dict[str, float]:
    return {value.name.tag: value.value for value in found.metric_values}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, list[Candidate]]:
    folder = tmp_path_factory.mktemp("logs")
    whole = candidates()
    play(plan_for(folder, whole), whole)
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


def test_a_fold_has_the_tags_of_keras_and_steps_from_0(played: Any, reader: Reader) -> None:
    fold = played[1][3].folds[2]
    train = reader.scalars("digits/trial_0003/fold_2/train")
    validation = reader.scalars("digits/trial_0003/fold_2/validation")
    assert set(train) == {"epoch_accuracy", "epoch_loss", "epoch_learning_rate"}
    assert set(validation) == {"epoch_accuracy", "epoch_loss"}
    for tag, points in (train | {f"val_{tag}": points for tag, points in validation.items()}).items():
        expected = fold.history[tag.replace("epoch_", "")]
        assert [step for step, _ in points] == list(range(EPOCHS))
        assert [value for _, value in points] == pytest.approx(expected, rel=1e-6)


def test_wall_times_lie_between_start_and_end_of_the_fit(played: Any) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder, whole = played
    fold = whole[4].folds[1]
    accumulator = EventAccumulator(str(folder / "digits/trial_0004/fold_1/train")).Reload()
    times = [event.wall_time for event in accumulator.Tensors("epoch_loss")]
    assert times == sorted(times)
    assert times[0] > fold.started
    assert times[-1] == pytest.approx(fold.started + fold.fit_seconds + fold.score_seconds)


def test_mean_curves_are_the_mean_over_the_folds(played: Any, reader: Reader) -> None:
    curves = played[1][7].mean_curves()
    shown = reader.scalars("digits/trial_0007/mean/validation")["epoch_accuracy"]
    assert [value for _, value in shown] == pytest.approx(curves["val_accuracy"], rel=1e-6)
    assert "epoch_learning_rate" in reader.scalars("digits/trial_0007/mean/train")


def test_pictures_and_summary_at_the_root(reader: Reader) -> None:
    for tag in ("heat_map", "confusion_matrix"):
        assert reader.steps("digits", tag)[-1] == 15
        width, height, png = reader.runs.Tensors("digits", tag)[-1].tensor_proto.string_val
        assert Image.open(io.BytesIO(png)).size == (int(width), int(height))
    lines = reader.text("digits", "summary").splitlines()
    assert lines[2].startswith("| 1 | 0.")
    assert "`learning_rate=0.002, nodes=512`" in lines[2]
    assert len(lines) == 2 + 15


def test_a_resumed_search_adds_nothing_twice(tmp_path: pathlib.Path) -> None:
    whole = candidates()
    results = [fold for candidate in whole for fold in candidate.folds]
    logs = TensorBoardLogs()
    logs.search_begun(plan_for(tmp_path, whole))
    for fold in results[:20]:
        logs.fold_ended(fold)
        if fold.fold == 2:
            logs.candidate_ended(whole[int(fold.trial_id)])
    logs.search_ended(whole[:6], table={}, interrupted=True)
    assert len(Reader(tmp_path).session_groups()) == 6

    [earlier] = (tmp_path / "digits").glob("*tfevents*")
    earlier.rename(earlier.with_name("events.out.tfevents.1700000000.search.tuner_app"))
    play(plan_for(tmp_path, whole, finished=tuple(results[:20])), whole)
    play(plan_for(tmp_path, whole, finished=tuple(results)), whole)
    reader = Reader(tmp_path)
    groups = reader.session_groups()
    assert len(groups) == 15
    assert all(len(found.sessions) == 3 for found in groups.values())
    assert len(reader.configs()) == 1
    assert len(list((tmp_path / "digits").glob("*tfevents*"))) == 1
    for run in ("train", "validation", "."):
        assert len(list((tmp_path / "digits/trial_0006/fold_0" / run).glob("*tfevents*"))) == 1


def test_what_is_missing_of_finished_folds_is_written_and_what_is_there_is_left(tmp_path: pathlib.Path) -> None:
    whole = candidates()[:2]
    plan = plan_for(tmp_path, whole)
    play(plan, whole)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "digits").rglob("trial_*/**/*tfevents*")}
    lost = next(path for path in files if "trial_0001/fold_2/train" in path.as_posix())
    lost.unlink()
    play(dataclasses.replace(plan, finished=tuple(fold for c in whole for fold in c.folds)), whole)
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "digits").rglob("trial_*/**/*tfevents*")}
    assert set(after) == set(files)
    assert {path for path in files if after[path] != files[path]} == {lost}


def test_a_fold_that_is_fitted_again_replaces_its_files_and_no_others(tmp_path: pathlib.Path) -> None:
    whole = candidates()[:1]
    plan = plan_for(tmp_path, whole)
    play(plan, whole)
    folder = plan.project.fold_folder("0000", 0) / "train"
    foreign = folder / "events.out.tfevents.1700000000.host.1.0.v2"
    foreign.write_bytes(b"")
    again = dataclasses.replace(whole[0].folds[0], started=1_800_000_000.0)
    play(plan, [dataclasses.replace(whole[0], folds=(again, *whole[0].folds[1:]))])
    names = sorted(path.name for path in folder.iterdir())
    assert names == [foreign.name, "events.out.tfevents.1800000000.0000.0.tuner_app"]
    [found] = Reader(tmp_path).session_groups().values()
    assert len(found.sessions) == 3


def test_the_last_value_is_the_scored_one_where_the_best_epoch_counts(tmp_path: pathlib.Path) -> None:
    whole = candidates()[:3]
    rule = dataclasses.replace(RULE, epoch="best")
    assert rule.chosen_epoch(whole[0].folds) == 2
    play(plan_for(tmp_path, whole, rule=rule), whole)
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
    play(plan_for(tmp_path, [Candidate("0000", point, folds)]), [Candidate("0000", point, folds)])
    [found] = Reader(tmp_path).session_groups().values()
    expected = [fold.history["val_accuracy"][1] for fold in folds]
    assert [metric_values(session)["val_accuracy"] for session in found.sessions] == pytest.approx(expected, rel=1e-6)


def test_an_objective_to_minimise_is_shown_as_it_is_and_the_score_negated(tmp_path: pathlib.Path) -> None:
    whole = candidates()[:1]
    rule = ScoreRule((("val_loss", "min"), ("val_accuracy", "max")))
    play(plan_for(tmp_path, whole, rule=rule), whole)
    table = cv_results(whole, rule, n_splits=3)
    [found] = Reader(tmp_path).session_groups().values()
    shown = metric_values(found)
    assert shown["val_loss"] == pytest.approx(-table["mean_test_loss"][0], rel=1e-6)
    assert shown["val_accuracy"] == pytest.approx(table["mean_test_accuracy"][0], rel=1e-6)
    assert shown["mean_test_score"] == pytest.approx(table["mean_test_score"][0], rel=1e-6)


def test_failed_folds_are_failures_without_a_score(tmp_path: pathlib.Path) -> None:
    from tensorboard.plugins.hparams import api_pb2

    point = {"learning_rate": 0.001, "nodes": 32}
    bad = fold_result(0, point, 1, history={}, final_epoch=0, confusion=None, error="ValueError: no")
    whole = [Candidate("0000", point, (fold_result(0, point, 0), bad, fold_result(0, point, 2)))]
    play(plan_for(tmp_path, whole), whole)
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
    play(plan_for(tmp_path, whole, executions=2), whole)
    [found] = Reader(tmp_path).session_groups().values()
    assert len(found.sessions) == 6
    table = cv_results(whole, RULE, n_splits=3)
    assert metric_values(found)["std_test_score"] == pytest.approx(table["std_test_score"][0], rel=1e-6)
    assert metric_values(found)["mean_fit_time"] == pytest.approx(1.5)


def test_two_projects_below_one_folder_keep_their_rows_apart(tmp_path: pathlib.Path) -> None:
    whole = candidates()[:2]
    play(plan_for(tmp_path, whole), whole)
    play(plan_for(tmp_path, whole, name="mnist"), whole)
    groups = Reader(tmp_path).session_groups()
    assert sorted(groups) == ["digits/0000", "digits/0001", "mnist/0000", "mnist/0001"]
    assert all(len(found.sessions) == 3 for found in groups.values())


def test_values_of_all_kinds_become_columns(tmp_path: pathlib.Path) -> None:
    from tensorboard.plugins.hparams import api_pb2

    space: dict[str, Sequence[Any]] = {
        "dropout": [True, False],
        "activation": ["relu", "tanh"],
        "layers": [(32,), None],
        "mixed": [1, "a"],
    }
    whole = candidates(space, n_splits=1)
    play(plan_for(tmp_path, whole, space=space, n_splits=1), whole)
    reader = Reader(tmp_path)
    [config] = reader.configs()
    kinds = [column.type for column in config.hparam_infos]
    assert kinds == [api_pb2.DATA_TYPE_BOOL] + [api_pb2.DATA_TYPE_STRING] * 3
    first = reader.session_groups()["digits/0000"].hparams
    assert first["dropout"].bool_value is True
    assert [first[name].string_value for name in ("activation", "layers", "mixed")] == ["relu", "(32,)", "1"]


def test_beyond_the_limit_only_pictures_and_summary_grow(tmp_path: pathlib.Path) -> None:
    whole = candidates()
    play(plan_for(tmp_path, whole), whole, TensorBoardLogs(max_candidates=2))
    reader = Reader(tmp_path)
    assert sorted(reader.session_groups()) == ["digits/0000", "digits/0001"]
    assert not (tmp_path / "digits/trial_0002").exists()
    assert len(reader.text("digits", "summary").splitlines()) == 2 + 15
    with pytest.raises(InputError, match="max_candidates must be 0 or more"):
        TensorBoardLogs(max_candidates=-1)


def test_files_that_cannot_be_written_do_not_stop_the_search(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = candidates()[:2]
    (tmp_path / "digits/trial_0000").mkdir(parents=True)
    (tmp_path / "digits/trial_0000/fold_0").write_text("a file where a folder must be")
    with caplog.at_level(logging.WARNING):
        play(plan_for(tmp_path, whole), whole)
    assert caplog.text.count("The search goes on without them") == 1


def test_no_unfinished_file_is_taken_for_events(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(draft: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
        raise KeyboardInterrupt

    whole = candidates()[:1]
    logs = TensorBoardLogs()
    logs.search_begun(plan_for(tmp_path, whole))
    monkeypatch.setattr(pathlib.Path, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        logs.fold_ended(whole[0].folds[0])
    monkeypatch.undo()
    assert [path for path in (tmp_path / "digits/trial_0000").rglob("*") if "tfevents" in path.name] == []
    play(plan_for(tmp_path, whole), whole)
    assert list((tmp_path / "digits").rglob(".draft")) == []


def test_pictures_are_few_and_wait_until_they_are_cheap(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]

    def tick() -> float:
        clock[0] += 0.001
        return clock[0]

    monkeypatch.setattr("tuner_app.views.tensorboard.pictures.time.perf_counter", tick)
    space = {"learning_rate": list(range(20)), "nodes": list(range(5))}
    whole = candidates(space, n_splits=1)
    for seconds_each, drawings in ((0.0, 1), (60.0, 9)):
        folder = tmp_path / str(seconds_each)
        logs = TensorBoardLogs(max_candidates=0)
        logs.search_begun(plan_for(folder, whole, space=space, n_splits=1))
        for candidate in whole:
            clock[0] += seconds_each
            logs.candidate_ended(candidate)
        logs.search_ended(whole, table={}, interrupted=False)
        steps = Reader(folder).steps("digits", "heat_map")
        assert len(steps) == drawings
        assert steps == sorted(set(steps))
        assert steps[-1] == 100


def scores_of(whole: Sequence[Candidate]) -> list[Score]:
    return [Score.of(candidate, RULE) for candidate in whole]


def test_scores_are_those_of_the_table() -> None:
    whole = candidates()
    table = cv_results(whole, RULE, n_splits=3)
    for column, name in (("mean_test_score", "mean"), ("std_test_score", "std"), ("mean_fit_time", "fit_seconds")):
        np.testing.assert_allclose([getattr(score, name) for score in scores_of(whole)], table[column], rtol=1e-12)


def test_heat_map_has_the_longer_axis_across_and_frames_the_best() -> None:
    scores = scores_of(candidates())
    matrix = heat_map(SPACE, scores)
    assert matrix is not None
    assert (matrix.column_title, matrix.row_title) == ("nodes", "learning_rate")
    assert matrix.columns == ("32", "64", "128", "256", "512")
    assert matrix.cells[1][3].text == (f"{scores[8].mean:.4f}", f"({scores[8].std:.4f})")
    marked = [(i, j) for i, row in enumerate(matrix.cells) for j, cell in enumerate(row) if cell.marked]
    assert marked == [(2, 4)]
    assert matrix.cells[0][0].shade == 0
    assert matrix.cells[2][4].shade == 1


def test_heat_map_of_a_part_and_of_failures() -> None:
    scores = scores_of(candidates())[:3]
    scores[1] = dataclasses.replace(scores[1], mean=math.nan, std=math.nan)
    matrix = heat_map(SPACE, scores)
    assert matrix is not None
    assert matrix.cells[0][1] == Cell(None, ("nan",))
    assert matrix.cells[2][0] == Cell()
    nothing = heat_map(SPACE, [scores[1]])
    assert nothing is not None
    assert not any(cell.marked for row in nothing.cells for cell in row)


def test_heat_map_of_more_than_two_shows_the_best_of_each_cell() -> None:
    space = {"dropout": [0.0, 0.5], **SPACE}
    scores = scores_of(candidates(space, n_splits=1))
    matrix = heat_map(space, scores)
    assert matrix is not None
    assert "best of each cell" in matrix.title
    assert matrix.cells[0][0].text[0] == f"{max(scores[0].mean, scores[15].mean):.4f}"


@pytest.mark.parametrize("space", [{"nodes": [1, 2, 3]}, {}, {"nodes": list(range(41)), "layers": [1, 2]}])
def test_no_heat_map_where_it_says_nothing(space: Mapping[str, Sequence[Any]]) -> None:
    assert heat_map(space, scores_of(candidates()[:1])) is None
    assert heat_map(SPACE, []) is None


def test_confusion_is_the_sum_over_the_folds_of_the_best() -> None:
    whole = candidates()[:3]
    matrix = best_confusion(scores_of(whole), ("no", "yes"))
    assert matrix is not None
    assert matrix.rows == ("no", "yes")
    assert [[cell.text[0] for cell in row] for row in matrix.cells] == [["24", "6"], ["3", "27"]]
    assert matrix.cells[1][1].shade == pytest.approx(0.9)
    assert "nodes=128" in matrix.title
    unnamed = best_confusion(scores_of(whole), None)
    assert unnamed is not None
    assert unnamed.columns == ("0", "1")


def test_no_confusion_where_none_was_counted() -> None:
    point = {"nodes": 32}
    whole = [Candidate("0000", point, (fold_result(0, point, 0, confusion=None),))]
    assert best_confusion(scores_of(whole), None) is None
    assert best_confusion([], None) is None


def test_a_picture_has_colours_and_ink_in_its_cells() -> None:
    matrix = Matrix(
        "t", "r", "c", ("1",), ("1", "2"), ((Cell(0.0, ("0.5", "(0.1)")), Cell(1.0, ("0.9", "(0.1)"), True)),)
    )
    picture = draw(matrix)
    image = Image.open(io.BytesIO(picture.png)).convert("RGB")
    assert image.size == (picture.width, picture.height)
    pixels = np.asarray(image, dtype=int).reshape(-1, 3)
    for colour in ((52, 30, 98), (253, 231, 37), (255, 0, 0), (255, 255, 255), (0, 0, 0)):
        assert np.abs(pixels - colour).sum(axis=1).min() < 24


def test_the_summary_is_short_and_safe_for_large_grids_and_odd_values() -> None:
    space: dict[str, Sequence[Any]] = {"name": ["a|b`c", "*x*"], "n": list(range(30))}
    text = summary_table(scores_of(candidates(space, n_splits=1)), n_candidates=60, interrupted=True)
    assert text.startswith("Interrupted after 60 of 60 candidates.")
    assert "`name=*x*, n=29`" in text
    assert text.endswith("10 more are in results.csv.")
    assert "a|b'c, n=29" in text


def test_tensorflow_is_not_needed(tmp_path: pathlib.Path) -> None:
    code = (
        "import sys, pathlib; from tests.views.test_tensorboard_logs import *; whole = candidates()[:1]; "
        f"play(plan_for(pathlib.Path({str(tmp_path)!r}), whole), whole); assert 'tensorflow' not in sys.modules"
    )
    root = pathlib.Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, timeout=60)
    assert (tmp_path / "digits/trial_0000/mean/train").is_dir()
