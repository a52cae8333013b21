"""Whole files and JSON that is checked when it is read."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tuner_app.errors import ProjectError
from tuner_app.storage import files


def test_a_file_is_written_whole_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    files.write_whole(path, "ä")
    files.write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["b.txt"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o444 == 0o444


def test_when_the_write_fails_the_old_content_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "b.txt"
    files.write_whole(path, "old")

    def fail(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(ProjectError, match=r"Cannot write .*b\.txt: No space left on device"):
        files.write_whole(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["b.txt"]


def test_a_file_where_a_folder_must_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("")
    with pytest.raises(ProjectError, match="Cannot write"):
        files.write_whole(tmp_path / "logs" / "x.json", "x")


def test_json_that_is_not_json_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "x.json", {"x": float("nan")})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{", "cannot be read as JSON"), (b"\xff", "cannot be read as JSON"), (b"[1]", "not a list")],
)
def test_damaged_json_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ProjectError, match=rf"{message}.*Search anew with overwrite=True"):
        files.read_json(tmp_path / "x.json")


def test_digests_ignore_the_order_of_keys() -> None:
    assert files.digest({"a": 1, "b": 2}) == files.digest({"b": 2, "a": 1})
    assert files.digest({"a": 1}) != files.digest({"a": 1.5})
