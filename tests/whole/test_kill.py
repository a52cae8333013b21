"""Searches that are killed, that run out of disk, or that find another one at work: what was finished stays."""

from __future__ import annotations

import errno
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.fakes import FakeFitter
from support.processes import ROOT, kill, numbers

from tuner_app.commands import console, tune
from tuner_app.errors import ProjectError
from tuner_app.process.fit_threads import threads_at_a_fit
from tuner_app.records.tasks import FoldTask
from tuner_app.search import loop
from tuner_app.storage import files, fold_record, journal, project
from tuner_app.storage.project import Project

# Killed ---------------------------------------------------------------------------------------------------------------


# Keras 3.15 saves with an `__array__` of NumPy 1's form.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_kill_loses_nothing_and_changes_no_number(tmp_path: pathlib.Path) -> None:
    """The killed search has a process of its own; to go on, and to run undisturbed, this one has TensorFlow loaded."""
    running = kill.tune(tmp_path / "killed", kill.SPACE)
    running.first_line.wait()
    running.kill()
    killed, undisturbed = (Project(tmp_path / name, kill.PROJECT) for name in ("killed", "undisturbed"))
    assert not killed.model_file.exists()
    assert running.reported
    assert running.reported <= kill.journalled(killed)
    for name in ("killed", "undisturbed"):
        options = ["--directory", str(tmp_path / name), "--project-name", kill.PROJECT, "--quiet", *kill.SPACE]
        assert console.run(tune.main, options) == 0
    assert kill.differences(killed, undisturbed) == 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_kills_lose_nothing_and_change_no_number(tmp_path: pathlib.Path) -> None:
    tally = kill.attack(tmp_path, kills=20, seed=1)
    assert (tally.problems, tally.lost, tally.differing) == ([], 0, 0)


def test_the_attack_notices_a_difference(tmp_path: pathlib.Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        table = f"mean_fit_time,mean_test_score\n{name},0.5\n1,0.{'6' if name == 'a' else '7'}\n"
        (tmp_path / name / "results.csv").write_text(table)
        _write_weights(tmp_path / name / "best_model.keras", np.arange(3) + (name == "b") * np.array([0, 0, 1]))
    assert kill.differences(Project(tmp_path, "a"), Project(tmp_path, "b")) == 2


def test_what_a_killed_process_was_writing_is_cleaned_up(
    make_tuner: Callable[..., Any], data: tuple[Any, Any], tmp_path: pathlib.Path
) -> None:
    folder = tmp_path / "search"
    folder.mkdir()
    (folder / ".search.json.17-18.new").write_text("{")  # killed before there was a search.json
    make_tuner(overwrite=True)
    tuner = make_tuner()
    tuner.search(*data)
    left = [
        folder / ".search.json.1-2.new",
        folder / "trial_0000" / ".fold_0.json.1-2.new",
        folder / "trial_0000" / ".trial.json.new",
        folder / ".best_model.123.keras",
    ]
    kept = [folder / ".notes", folder / "trial_0000" / ".new"]
    for path in [*left, *kept]:
        path.write_text("{")
    make_tuner().search(*data)
    assert [path for path in left if path.exists()] == []
    assert all(path.exists() for path in kept)


def test_a_removal_cut_short_leaves_no_half_project(
    make_tuner: Callable[..., Any], data: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    make_tuner().search(*data)

    def killed(path: Any) -> None:
        (pathlib.Path(path) / "search.json").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(project.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            make_tuner(overwrite=True)
    fitter = FakeFitter()
    make_tuner(fold_fitter=fitter, overwrite=True).search(*data)
    assert len(fitter.tasks) == 9
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["search"]


# Damaged --------------------------------------------------------------------------------------------------------------

_DAMAGES = {
    "trial_0001/trial.json": 0,
    "trial_0001/fold_2.json": 1,
    "oracle.json": 0,
    "tuner0.json": 0,
    "search.json": 0,
    "results.csv": 0,
}


@pytest.mark.parametrize("content", ["{", "[]", '{"asked": 3}', '{"a": ' * 100_000])
@pytest.mark.parametrize("name", list(_DAMAGES))
def test_a_damaged_file_costs_at_most_its_own_fold(
    make_tuner: Callable[..., Any], data: tuple[Any, Any], tmp_path: pathlib.Path, name: str, content: str
) -> None:
    whole = make_tuner()
    whole.search(*data)
    path = tmp_path / "search" / name
    path.write_text(content)
    fitter = FakeFitter()
    tuner = make_tuner(fold_fitter=fitter)
    tuner.search(*data)
    assert len(fitter.tasks) == _DAMAGES[name]
    assert numbers(tuner) == numbers(whole)
    assert name == "tuner0.json" or path.read_text() != content  # That one is only Keras Tuner's mark of a project.
    again = FakeFitter()
    make_tuner(fold_fitter=again).search(*data)
    assert again.tasks == []


@pytest.mark.parametrize("name", [name for name in _DAMAGES if name.startswith("trial") or name == "search.json"])
def test_a_damaged_file_is_reported_and_kept(
    make_tuner: Callable[..., Any],
    data: tuple[Any, Any],
    tmp_path: pathlib.Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    make_tuner().search(*data)
    path = tmp_path / "search" / name
    path.write_text("{")
    make_tuner().search(*data)
    assert f"{path} is not used: " in caplog.text
    assert path.with_name(f"{path.name}.damaged").read_text() == "{"


def test_a_trial_with_the_values_of_another_is_not_believed(
    make_tuner: Callable[..., Any], data: tuple[Any, Any], tmp_path: pathlib.Path
) -> None:
    whole = make_tuner()
    whole.search(*data)
    path = tmp_path / "search" / "trial_0000" / "trial.json"
    text = path.read_text()
    assert '"values": {"a": 1}' in text
    path.write_text(text.replace('"values": {"a": 1}', '"values": {"a": 3}'))
    tuner = make_tuner()
    tuner.search(*data)
    assert numbers(tuner) == numbers(whole)


@pytest.mark.parametrize("lost", [["trial_0001"], ["trial_0000", "trial_0002"]])
def test_lost_trials_are_made_again(
    make_tuner: Callable[..., Any], data: tuple[Any, Any], tmp_path: pathlib.Path, lost: list[str]
) -> None:
    whole = make_tuner()
    whole.search(*data)
    for name in lost:
        project.shutil.rmtree(tmp_path / "search" / name)
    fitter = FakeFitter()
    tuner = make_tuner(fold_fitter=fitter)
    tuner.search(*data)
    assert len(fitter.tasks) == 3 * len(lost)
    assert numbers(tuner) == numbers(whole)


def test_trials_of_another_project_are_left_out(
    make_tuner: Callable[..., Any], data: tuple[Any, Any], tmp_path: pathlib.Path
) -> None:
    whole = make_tuner()
    whole.search(*data)
    make_tuner({"z": [7, 8, 9, 10]}, project_name="other").search(*data)
    project.shutil.copytree(tmp_path / "other" / "trial_0003", tmp_path / "search" / "trial_0003")
    tuner = make_tuner()
    tuner.search(*data)
    assert numbers(tuner) == numbers(whole)
    assert (tmp_path / "search" / "trial_0003" / "fold_0.json.damaged").exists()


# A full disk, a folder that cannot be written -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "error"),
    [
        *(("open", errno.ENOSPC), ("fsync", errno.ENOSPC), ("replace", errno.ENOSPC)),
        *(("open", errno.EDQUOT), ("open", errno.EROFS), ("open", errno.EACCES), ("fsync", errno.EIO)),
    ],
)
def test_a_full_disk_is_one_line_and_the_journal_stays(
    make_tuner: Callable[..., Any],
    data: tuple[Any, Any],
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    function: str,
    error: int,
) -> None:
    whole = make_tuner(project_name="whole")
    whole.search(*data)
    original, calls = getattr(os, function), []

    def full(*arguments: Any, **options: Any) -> Any:
        if "fold_" in str(arguments) or function == "fsync":
            calls.append(arguments)
            if len(calls) > 5:
                raise OSError(error, os.strerror(error), str(arguments[0]))
        return original(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "_DURABLE_SECONDS", 0.0)
        patch.setattr(project.os, function, full)
        with pytest.raises(ProjectError, match=rf"^Cannot write .*: {os.strerror(error)}\. .* to continue\.$"):
            make_tuner(n_jobs=1).search(*data)
    assert list((tmp_path / "search").rglob(".*.new")) == []
    kept = [fold_record.decode(path.read_text()) for path in (tmp_path / "search").glob("trial_*/fold_*.json")]
    assert 3 <= len(kept) <= 5
    fitter = FakeFitter()
    tuner = make_tuner(fold_fitter=fitter)
    tuner.search(*data)
    assert len(fitter.tasks) == 9 - len(kept)
    assert numbers(tuner) == numbers(whole)


def test_only_fits_that_take_longer_than_a_disk_wait_for_it(
    make_tuner: Callable[..., Any], data: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]

    class SometimesSlow(FakeFitter):
        def __call__(self, task: FoldTask) -> Any:
            clock[0] += 0.021 if task.fold == 1 else 0.019
            return super().__call__(task)

    waited = {}

    def write(path: pathlib.Path, content: str | bytes, *, durable: bool = True) -> None:
        waited[path.name, path.parent.name] = durable
        files.write_whole(path, content, durable=durable)

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(journal, "write_whole", write)
    make_tuner(fold_fitter=SometimesSlow(), n_jobs=1).search(*data)
    assert {name for (name, _), durable in waited.items() if durable} == {"fold_1.json"}
    assert len(waited) == 9


def test_the_fits_that_run_are_stopped_when_the_disk_is_full(
    make_tuner: Callable[..., Any], data: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Any, content: Any, **options: Any) -> None:
        raise ProjectError("Cannot write.")

    monkeypatch.setattr(journal, "write_whole", full)
    with pytest.raises(ProjectError, match="Cannot write"):
        make_tuner(n_jobs=4).search(*data)
    assert not threads_at_a_fit()


_FILE_SIZE = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
sys.argv[0] = "tune"
runpy.run_module("tuner_app.tune", run_name="__main__")
"""


@pytest.mark.slow
def test_a_command_that_runs_out_of_disk_says_so_in_one_line(tmp_path: pathlib.Path) -> None:
    options = ["--directory", str(tmp_path), "--quiet", "--nodes", "4", "--learning-rates", "0.01", "--epochs", "1"]
    done = subprocess.run(
        [sys.executable, "-c", _FILE_SIZE, *options],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert last.startswith(f"error: Cannot write {tmp_path}")
    assert "File too large" in last


@pytest.mark.parametrize("below_a_file", ["", "deeper"])
def test_a_folder_that_cannot_be_made(
    make_tuner: Callable[..., Any], tmp_path: pathlib.Path, below_a_file: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ProjectError, match=r"The project's folder .* cannot be made: "):
        make_tuner(directory=tmp_path / "file" / below_a_file)


# Two at once ----------------------------------------------------------------------------------------------------------

_OWNER = """
import sys, time
from tuner_app.storage.project import Project
with Project(sys.argv[1], "search").locked():
    print("locked", flush=True)
    time.sleep(600)
"""


def test_a_second_search_is_refused_until_the_first_is_killed(
    make_tuner: Callable[..., Any], data: tuple[Any, Any], tmp_path: pathlib.Path
) -> None:
    command = [sys.executable, "-c", _OWNER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "locked\n"
        for overwrite in (False, True):
            with pytest.raises(ProjectError, match="Another search is running on the project"):
                make_tuner(overwrite=overwrite).search(*data)
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    make_tuner().search(*data)


def _write_weights(path: pathlib.Path, values: Any) -> None:
    import zipfile

    import h5py

    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file["layers/dense/vars/0"] = values
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(path.with_suffix(".h5"), "model.weights.h5")
