"""Which file TensorBoard's observer writes when, and when it leaves one alone."""

from __future__ import annotations

import dataclasses
import io
import logging
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from PIL import Image
from support.played_searches import EPOCHS, candidates, plan_for, play
from support.tensorboard_reader import Reader

from tuner_app.errors import InputError
from tuner_app.records.results import Candidate
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
    logs.search_begun(plan_for(tmp_path, len(whole)))
    for fold in results[:20]:
        logs.fold_ended(fold)
        if fold.fold == 2:
            logs.candidate_ended(whole[int(fold.trial_id)])
    logs.search_ended(whole[:6], table={}, interrupted=True)
    assert len(Reader(tmp_path).session_groups()) == 6

    [earlier] = (tmp_path / "digits").glob("*tfevents*")
    earlier.rename(earlier.with_name("events.out.tfevents.1700000000.search.tuner_app"))
    play(TensorBoardLogs(), plan_for(tmp_path, len(whole), finished=tuple(results[:20])), whole)
    play(TensorBoardLogs(), plan_for(tmp_path, len(whole), finished=tuple(results)), whole)
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
    plan = plan_for(tmp_path, len(whole))
    play(TensorBoardLogs(), plan, whole)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "digits").rglob("trial_*/**/*tfevents*")}
    lost = next(path for path in files if "trial_0001/fold_2/train" in path.as_posix())
    lost.unlink()
    play(TensorBoardLogs(), dataclasses.replace(plan, finished=tuple(fold for c in whole for fold in c.folds)), whole)
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "digits").rglob("trial_*/**/*tfevents*")}
    assert set(after) == set(files)
    assert {path for path in files if after[path] != files[path]} == {lost}


def test_a_fold_that_is_fitted_again_replaces_its_files_and_no_others(tmp_path: pathlib.Path) -> None:
    whole = candidates()[:1]
    plan = plan_for(tmp_path, len(whole))
    play(TensorBoardLogs(), plan, whole)
    folder = plan.project.fold_folder("0000", 0) / "train"
    foreign = folder / "events.out.tfevents.1700000000.host.1.0.v2"
    foreign.write_bytes(b"")
    again = dataclasses.replace(whole[0].folds[0], started=1_800_000_000.0)
    play(TensorBoardLogs(), plan, [dataclasses.replace(whole[0], folds=(again, *whole[0].folds[1:]))])
    names = sorted(path.name for path in folder.iterdir())
    assert names == [foreign.name, "events.out.tfevents.1800000000.0000.0.tuner_app"]
    [found] = Reader(tmp_path).session_groups().values()
    assert len(found.sessions) == 3


def test_two_projects_below_one_folder_keep_their_rows_apart(tmp_path: pathlib.Path) -> None:
    whole = candidates()[:2]
    play(TensorBoardLogs(), plan_for(tmp_path, len(whole)), whole)
    play(TensorBoardLogs(), plan_for(tmp_path, len(whole), name="mnist"), whole)
    groups = Reader(tmp_path).session_groups()
    assert sorted(groups) == ["digits/0000", "digits/0001", "mnist/0000", "mnist/0001"]
    assert all(len(found.sessions) == 3 for found in groups.values())


def test_beyond_the_limit_only_pictures_and_summary_grow(tmp_path: pathlib.Path) -> None:
    whole = candidates()
    play(TensorBoardLogs(max_candidates=2), plan_for(tmp_path, len(whole)), whole)
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
        play(TensorBoardLogs(), plan_for(tmp_path, len(whole)), whole)
    assert caplog.text.count("The search goes on without them") == 1


def test_no_unfinished_file_is_taken_for_events(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(draft: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
        raise KeyboardInterrupt

    whole = candidates()[:1]
    logs = TensorBoardLogs()
    logs.search_begun(plan_for(tmp_path, len(whole)))
    monkeypatch.setattr(pathlib.Path, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        logs.fold_ended(whole[0].folds[0])
    monkeypatch.undo()
    assert [path for path in (tmp_path / "digits/trial_0000").rglob("*") if "tfevents" in path.name] == []
    play(TensorBoardLogs(), plan_for(tmp_path, len(whole)), whole)
    assert list((tmp_path / "digits").rglob(".draft")) == []


def test_tensorflow_is_not_needed(tmp_path: pathlib.Path) -> None:
    code = (
        "import pathlib, sys; from support.played_searches import *; "
        "from tuner_app.views.tensorboard.observer import TensorBoardLogs; "
        f"folder, whole = pathlib.Path({str(tmp_path)!r}), candidates()[:1]; "
        "play(TensorBoardLogs(), plan_for(folder, 1), whole); assert 'tensorflow' not in sys.modules"
    )
    tests = pathlib.Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tests, timeout=60)
    assert (tmp_path / "digits/trial_0000/mean/train").is_dir()
