"""The folder of a project: names, layout, the lock, and who may delete it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner_app.errors import InputError, ProjectError
from tuner_app.storage.project import Project, projects


class TestNames:
    @pytest.mark.parametrize("name", ["digits", "2026-11 run_3.b", "_x", "a" * 100])
    def test_a_plain_name_is_a_folder_in_the_directory(self, tmp_path: Path, name: str) -> None:
        assert Project(tmp_path, name).path == tmp_path / name

    @pytest.mark.parametrize(
        "name",
        [
            *("", ".", "..", "../x", "a/b", "a\\b", "/etc", ".hidden", "-x", " x", "x ", "x.", "a\nb", "x\n", "ü"),
            *("a" * 101, "a\0b", "~", "C:x", None, 3),
        ],
    )
    def test_a_name_that_could_lead_elsewhere_is_refused(self, tmp_path: Path, name: Any) -> None:
        with pytest.raises(InputError, match=r"A project name must be .*Choose another project_name"):
            Project(tmp_path, name)

    @given(st.text())
    def test_no_name_leads_out_of_the_directory(self, name: str) -> None:
        try:
            project = Project("logs", name)
        except InputError:
            return
        assert Path(os.path.normpath(project.path)).parent == Path("logs")

    def test_folds_and_executions_have_places_of_their_own(self) -> None:
        project = Project("logs", "p")
        places = {project.fold_file("0", fold, execution) for fold in range(12) for execution in range(12)}
        assert len(places) == 144
        assert project.fold_file("0003", 1).as_posix() == "logs/p/trial_0003/fold_1.json"
        assert project.fold_folder("0003", 1, 2).as_posix() == "logs/p/trial_0003/fold_1_execution_2"


class TestOverwriting:
    @pytest.mark.parametrize("mark", ["search.json", "oracle.json", "tuner0.json"])
    def test_a_search_may_be_overwritten(self, tmp_path: Path, mark: str) -> None:
        project = Project(tmp_path, "p")
        project.check_may_overwrite()
        project.path.mkdir()
        project.check_may_overwrite()
        (project.path / "photo.png").write_text("x")
        (project.path / mark).write_text("{}")
        project.check_may_overwrite()

    def test_what_no_search_has_made_is_not_deleted(self, tmp_path: Path) -> None:
        project = Project(tmp_path, "p")
        project.path.mkdir()
        (project.path / "photo.png").write_text("x")
        with pytest.raises(ProjectError, match="was not made by a search"):
            project.check_may_overwrite()

    def test_a_file_is_no_project(self, tmp_path: Path) -> None:
        (tmp_path / "p").write_text("x")
        with pytest.raises(ProjectError, match="must be a folder"):
            Project(tmp_path, "p").check_may_overwrite()


class TestLock:
    def test_a_second_owner_is_refused_until_the_first_ends(self, tmp_path: Path) -> None:
        with Project(tmp_path, "p").locked():
            with (
                pytest.raises(ProjectError, match="Another search is running on the project"),
                Project(tmp_path, "p").locked(),
            ):
                raise AssertionError
            with Project(tmp_path, "other").locked():
                pass
        with Project(tmp_path, "p").locked():
            pass

    def test_the_lock_of_a_killed_process_is_free(self, tmp_path: Path) -> None:
        code = (
            "import sys; from tuner_app.storage.project import Project\n"
            "with Project(sys.argv[1], 'p').locked():\n print('held', flush=True); sys.stdin.read()"
        )
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "held\n"
            with pytest.raises(ProjectError, match="Another search"), Project(tmp_path, "p").locked():
                raise AssertionError
        finally:
            child.kill()
            child.communicate()
        with Project(tmp_path, "p").locked():
            pass

    def test_the_lock_lies_beside_the_folder(self, tmp_path: Path) -> None:
        project = Project(tmp_path, "p")
        with project.locked():
            assert not project.path.exists()
        assert project.lock_file.parent == tmp_path

    def test_a_directory_that_is_a_file_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "logs").write_text("")
        with pytest.raises(ProjectError, match="Cannot write"), Project(tmp_path / "logs", "p").locked():
            raise AssertionError


def test_projects_are_listed_newest_model_first_then_newest_search(tmp_path: Path) -> None:
    for name, files in (
        ("old", ["search.json"]),
        ("new", ["search.json"]),
        ("model", ["search.json", "best_model.json"]),
    ):
        project = Project(tmp_path, name)
        project.path.mkdir()
        for age, file in enumerate(files):
            (project.path / file).write_text("{}")
            os.utime(project.path / file, (0, {"old": 10, "new": 20, "model": 5}[name] + age))
    (tmp_path / "no project").mkdir()
    (tmp_path / ".p.lock").write_text("")
    assert [project.name for project in projects(tmp_path)] == ["model", "new", "old"]
    assert projects(tmp_path / "absent") == []
