"""The example notebook: stored without outputs, and it runs from top to bottom."""

from __future__ import annotations

import csv
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tuner_app.views.terminal.progress import Progress

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "digits.ipynb"

# One worker runs the notebook for all of them.
pytestmark = pytest.mark.xdist_group("notebook")


def read() -> Any:
    nbformat = pytest.importorskip("nbformat")
    return nbformat.read(NOTEBOOK, as_version=4)


def printed(cell: Any, name: str = "stdout") -> str:
    return "".join(output.text for output in cell.get("outputs", []) if output.get("name") == name)


@pytest.fixture(name="folder", scope="module")
def folder_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notebook")
    for name in ("elsewhere", "temporary", "runtime", "settings"):
        (folder / name).mkdir()
    return folder


@pytest.fixture(name="cells", scope="module")
def cells_fixture(folder: Path) -> dict[str, Any]:
    """The notebook's cells after a run in a folder of its own, by their ids."""
    nbclient = pytest.importorskip("nbclient")
    notebook = read()
    settings = {name: str(folder / "settings") for name in ("MPLCONFIGDIR", "IPYTHONDIR", "JUPYTER_CONFIG_DIR")}
    kernel = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "This Python",
        "language": "python",
        "env": {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "temporary"), **settings},
    }
    (folder / "kernels" / "here").mkdir(parents=True)
    (folder / "kernels" / "here" / "kernel.json").write_text(json.dumps(kernel))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder))
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        for name, value in settings.items():
            patch.setenv(name, value)
        resources = {"metadata": {"path": str(folder / "elsewhere")}}
        nbclient.NotebookClient(notebook, kernel_name="here", timeout=250, resources=resources).execute()
    return {cell.id: cell for cell in notebook.cells}


def test_it_is_stored_without_outputs() -> None:
    notebook = read()
    assert all(cell.execution_count is None and not cell.outputs for cell in notebook.cells if cell.cell_type == "code")
    assert NOTEBOOK.stat().st_size < 20_000
    assert notebook.metadata.kernelspec.name == "python3"


@pytest.mark.slow
def test_it_searches_and_prints_the_summary(cells: dict[str, Any]) -> None:
    lines = printed(cells["search"]).splitlines()
    assert lines[0] == "Fitting 3 folds for each of 9 candidates, totalling 27 fits"
    assert sum("] END nodes=" in line for line in lines) == 27
    best = re.fullmatch(r"Best: (0\.\d{6}) using \{'nodes': \d+, 'learning_rate': 0\.00\d\}", lines[28])
    assert best
    assert float(best[1]) > 0.9
    assert sum(" with: {" in line for line in lines[29:]) == 9


@pytest.mark.slow
def test_nothing_complains_and_no_cursor_moves(cells: dict[str, Any]) -> None:
    for name, cell in cells.items():
        assert printed(cell, "stderr") == "", name
        assert "\x1b" not in printed(cell), name


@pytest.mark.slow
def test_it_shows_what_a_grid_search_forgets(cells: dict[str, Any]) -> None:
    kinds = {key for output in cells["curves"].outputs for key in output.get("data", {})}
    assert "image/png" in kinds
    confusion = cells["confusion"].outputs[0].data["text/plain"]
    counts = [int(number) for line in confusion.splitlines()[2:] for number in line.split()[1:]]
    assert len(counts) == 100
    assert sum(counts) == 1437


@pytest.mark.slow
def test_it_ends_with_an_honest_test_and_a_submission(cells: dict[str, Any], folder: Path) -> None:
    said = re.search(r"promised (0\.\d+); the test part says (0\.\d+)", printed(cells["test"]))
    assert said
    assert float(said[1]) == pytest.approx(float(said[2]), abs=0.05)
    (written,) = (folder / "temporary").glob("digits-*/submission.csv")
    with written.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["ImageId"] for row in rows] == [str(i) for i in range(1, 361)]
    assert {row["Label"] for row in rows} == set("0123456789")


@pytest.mark.slow
@pytest.mark.usefixtures("cells")
def test_it_leaves_nothing_where_it_was_started(folder: Path) -> None:
    assert list((folder / "elsewhere").iterdir()) == []


def test_the_variables_of_a_notebook_do_not_make_it_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """IPython's kernel sets them for the programs that it starts."""
    for name, value in {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1", "TERM": "xterm-color"}.items():
        monkeypatch.setenv(name, value)
    assert not Progress()._console.is_terminal
