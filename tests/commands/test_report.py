"""The command `python -m tuner_app.report`: which search it means, and what it prints."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import time

import pytest
from support.written_searches import itertools_all, nodes, write_search

from tuner_app.commands import console, report
from tuner_app.storage.files import write_json


def test_it_prints_the_path_of_the_newest_search(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("old", "new", "older"):
        project = write_search(tmp_path, nodes(1), lambda v, k: 0.5, name=name)
        age = {"new": 0, "old": 100, "older": 200}[name]
        os.utime(project.search_file, (time.time() - age, time.time() - age))
    assert report.main(["--directory", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'new' / 'report.html'}\n"
    assert report.main(["--directory", str(tmp_path), "--project-name", "older"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'older' / 'report.html'}\n"


def test_a_new_model_makes_a_search_the_newest(tmp_path: pathlib.Path) -> None:
    resumed, other = (write_search(tmp_path, nodes(1), lambda v, k: 0.5, name=name) for name in ("a", "b"))
    os.utime(resumed.search_file, (0, 0))
    write_json(resumed.manifest_file, {})
    os.utime(other.search_file, (1000, 1000))
    assert report.main(["--directory", str(tmp_path)]) == 0
    assert resumed.report_file.exists()


def test_what_cannot_be_reported(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_search(tmp_path, nodes(1), lambda v, k: 0.5, name="begun", missing=[(0, 1)])
    write_search(tmp_path, nodes(1), lambda v, k: 0.5, name="failed", failed=itertools_all(1))
    write_search(tmp_path, nodes(1), lambda v, k: 0.5, name="damaged").search_file.write_text("{")
    write_search(tmp_path, nodes(1), lambda v, k: 0.5, name="partial").search_file.write_text(json.dumps({"rule": 3}))
    cases = [
        (["--project-name", "absent"], "search.json is not there. Run `python -m tuner_app.tune` first."),
        (["--project-name", "begun"], "begun has no finished candidate yet."),
        (["--project-name", "failed"], "failed has a score.*Most fits failed with: ValueError: no <such> thing"),
        (["--project-name", "damaged"], "cannot be read as JSON"),
        (["--project-name", "partial"], "partial/search.json is damaged"),
        (["--project-name", "../up"], "A project name must be"),
        (["--directory", str(tmp_path / "none")], "There is no search in .*none yet."),
    ]
    for options, message in cases:
        assert console.run(report.main, ["--directory", str(tmp_path), *options]) == 1
        said = capsys.readouterr()
        assert re.fullmatch(f"error: .*{message}.*\n", said.err), said.err
        assert said.out == ""


def test_the_module_runs(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "tuner_app.report", "--directory", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: There is no search in ")
    assert done.stderr.count("\n") == 1
