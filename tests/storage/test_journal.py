"""Records on disk: round trips, damage, and a search read back."""

from __future__ import annotations

import dataclasses
import logging
import math
from pathlib import Path
from typing import Any

import pytest
from support.records import RECORD

from tuner_app.errors import ProjectError
from tuner_app.records.results import FoldResult
from tuner_app.records.score import ScoreRule
from tuner_app.storage import fold_record, journal
from tuner_app.storage.files import write_json
from tuner_app.storage.journal import Journal
from tuner_app.storage.project import Project

TEXT = fold_record.encode(RECORD, "search")


def at(project: Project, record: FoldResult) -> Path:
    return project.fold_file(record.trial_id, record.fold, record.execution)


@pytest.fixture(name="project")
def project_fixture(tmp_path: Path) -> Project:
    return Project(tmp_path, "search")


class TestFiles:
    def test_what_is_written_is_read_in_order(self, project: Project) -> None:
        kept = Journal(project, "search")
        for fold in (1, 0):
            kept.write(dataclasses.replace(RECORD, fold=fold))
        assert [record.fold for record in kept.read()] == [0, 1]
        assert not [path for path in project.path.rglob("*") if path.name.startswith(".")]

    @pytest.mark.parametrize(
        "content",
        [b"", TEXT[:50].encode(), b"\xff\xfe\x00", fold_record.encode(RECORD, "other").encode()],
        ids=["empty", "cut", "binary", "foreign"],
    )
    def test_what_cannot_be_trusted_is_set_aside_and_reported(
        self, project: Project, content: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        kept = Journal(project, "search")
        kept.write(dataclasses.replace(RECORD, fold=0))
        path = at(project, RECORD)
        path.write_bytes(content)
        with caplog.at_level(logging.WARNING):
            assert [record.fold for record in kept.read()] == [0]
        assert not path.exists()
        assert path.with_name(f"{path.name}.damaged").read_bytes() == content
        assert "is done again" in caplog.text

    def test_set_aside_files_never_replace_one_another(self, project: Project) -> None:
        kept = Journal(project, "search")
        path = at(project, RECORD)
        for content in (b"one", b"two", b"three"):
            kept.write(RECORD)
            path.write_bytes(content)
            assert kept.read() == []
        assert sorted(p.read_bytes() for p in path.parent.glob("*.damaged*")) == [b"one", b"three", b"two"]

    def test_a_good_record_in_the_wrong_place_is_not_believed(self, project: Project) -> None:
        kept = Journal(project, "search")
        kept.write(RECORD)
        at(project, RECORD).rename(project.fold_file("0007", 0))
        assert kept.read() == []

    def test_a_full_disk_is_told_in_one_line_and_leaves_no_rest(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(ProjectError, match=r"No space left on device. What was finished before is safe"):
            Journal(project, "search").write(RECORD)
        assert not [path for path in project.path.rglob("*") if path.is_file()]


class TestReadBack:
    def describe(self, project: Project, **changes: Any) -> None:
        rule = ScoreRule((("val_accuracy", "max"),), "best", math.nan)
        content = {"rule": journal.rule_to_json(rule), "n_splits": 2, "executions_per_trial": 1, "search_id": "search"}
        write_json(project.search_file, {**content, **changes})

    def test_only_whole_candidates_are_finished(self, project: Project) -> None:
        self.describe(project)
        kept = Journal(project, "search")
        for trial, folds in (("10", (0, 1)), ("9", (1, 0)), ("8", (1,))):
            for fold in folds:
                record = dataclasses.replace(RECORD, trial_id=trial, fold=fold, execution=0)
                kept.write(dataclasses.replace(record, history={"val_accuracy": [0.5]}))
        search = journal.load_search(project)
        assert [candidate.trial_id for candidate in search.candidates] == ["8", "9", "10"]
        assert [candidate.trial_id for candidate in search.finished] == ["9", "10"]
        assert [fold.fold for fold in search.finished[0].folds] == [0, 1]
        assert (search.rule.objectives, search.rule.epoch) == ((("val_accuracy", "max"),), "best")
        assert math.isnan(search.rule.error_score)

    def test_reading_changes_nothing_on_disk(self, project: Project, caplog: pytest.LogCaptureFixture) -> None:
        self.describe(project)
        Journal(project, "search").write(RECORD)
        at(project, RECORD).write_text("damaged")
        before = {path: path.read_bytes() for path in project.path.rglob("*") if path.is_file()}
        with caplog.at_level(logging.WARNING):
            assert journal.load_search(project).candidates == ()
        assert {path: path.read_bytes() for path in project.path.rglob("*") if path.is_file()} == before
        assert "is left out" in caplog.text

    def test_no_search_is_told(self, project: Project) -> None:
        with pytest.raises(ProjectError, match=r"search\.json is not there. Call search\(\) first"):
            journal.load_search(project)

    @pytest.mark.parametrize("change", [{"rule": None}, {"rule": {}}, {"rule": {"objectives": 3}}, {"n_splits": "two"}])
    def test_a_damaged_description_is_told(self, project: Project, change: dict[str, Any]) -> None:
        self.describe(project, **change)
        with pytest.raises(ProjectError, match=r"search\.json is damaged .*Search anew with overwrite=True"):
            journal.load_search(project)


class TestForeignRecords:
    """A whole folder of another search, such as an unpacked archive: one line, not one for each file."""

    def foreign(self, project: Project) -> None:
        TestReadBack().describe(project)
        for trial in ("0000", "0001"):
            for fold in range(3):
                Journal(project, "other").write(dataclasses.replace(RECORD, trial_id=trial, fold=fold, execution=0))

    def test_a_reader_says_so_in_one_line(self, project: Project, caplog: pytest.LogCaptureFixture) -> None:
        self.foreign(project)
        with caplog.at_level(logging.WARNING):
            assert journal.load_search(project).candidates == ()
        first = project.fold_file("0000", 0)
        assert caplog.messages[0] == f"{first} and 5 more are left out, each because it belongs to another search."
        assert len(caplog.messages) == 1

    def test_a_search_sets_them_aside_in_one_line(self, project: Project, caplog: pytest.LogCaptureFixture) -> None:
        self.foreign(project)
        with caplog.at_level(logging.WARNING):
            assert Journal(project, "search").read() == []
        assert len(caplog.messages) == 1
        assert (
            " and 5 more are not used, each because it belongs to another search. They are kept as "
            in (caplog.messages[0])
        )
        assert len(list(project.path.glob("trial_*/fold_*.json.damaged"))) == 6
