"""The manifest as it is read: each field of its type, or named; no model is needed for that."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.bad_inputs_data import BAD_MANIFESTS
from support.manifests import manifest

from tuner_app.errors import ProjectError
from tuner_app.storage.files import write_json
from tuner_app.storage.manifest import load_manifest
from tuner_app.storage.project import Project

# As a file holds it, without the checksum over itself, which no change would fit.
CONTENT = dataclasses.asdict(manifest()) | {"model_sha256": "0f"}


@pytest.fixture(name="project")
def project_fixture(tmp_path: Path) -> Project:
    return Project(tmp_path, "p")


def test_it_comes_back_as_it_was(project: Project) -> None:
    write_json(project.manifest_file, CONTENT)
    assert load_manifest(project) == manifest()


@pytest.mark.parametrize(("change", "message"), BAD_MANIFESTS)
def test_what_is_wrong_is_named_in_one_line(
    project: Project, change: str | Callable[[dict[str, Any]], Any], message: str
) -> None:
    project.path.mkdir()
    project.manifest_file.write_text(change if isinstance(change, str) else json.dumps(change(CONTENT)))
    with pytest.raises(ProjectError, match=message) as caught:
        load_manifest(project)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", [{"rebuild": {"x": {}}}, {"model_file": "../model.keras"}, {"epochs": 1.5}])
def test_what_no_version_has_written_is_refused(project: Project, change: dict[str, Any]) -> None:
    write_json(project.manifest_file, CONTENT | change)
    with pytest.raises(ProjectError, match=f"'{next(iter(change))}' must be "):
        load_manifest(project)


def test_one_of_the_first_version_has_the_defaults_of_what_it_lacks(project: Project) -> None:
    added = {"decoding", "columns", "model_file", "rebuild"}
    write_json(project.manifest_file, {name: value for name, value in CONTENT.items() if name not in added})
    assert load_manifest(project) == manifest()
