"""The README's example in Python runs as it stands there."""

from __future__ import annotations

import itertools
import re
import runpy
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

README = Path(__file__).parents[2] / "README.md"

# Keras 3.15 saves with an `__array__` of NumPy 1's form.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def example() -> str:
    """The indented lines below the heading, up to the text that follows them."""
    lines = README.read_text(encoding="utf-8").split("## In Python\n")[1].splitlines()
    block = itertools.takewhile(lambda line: not line or line.startswith("    "), lines)
    return textwrap.dedent("\n".join(block)).strip() + "\n"


def run(code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that the code leaves, run in a folder of its own."""
    monkeypatch.chdir(folder)
    (folder / "example.py").write_text(code)
    return runpy.run_path(str(folder / "example.py"))


def test_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code = example()
    assert code.startswith("import keras\n")
    assert "tuner.predict(x_new)" in code
    shortened = code.replace("StratifiedKFold(5,", "StratifiedKFold(2,").replace("epochs=15", "epochs=1")
    shortened = shortened.replace("[32, 64, 128]", "[32, 64]").replace("histories_[0][2]", "histories_[0][1]")
    names = run(shortened, tmp_path, monkeypatch)
    assert len(names["tuner"].predict(names["x_new"])) == len(names["y_new"])
    assert (tmp_path / "logs" / "mine" / "best_model.keras").exists()
    assert "Best: " in capsys.readouterr().out


@pytest.mark.slow
def test_it_gives_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = example()
    names = run(code, tmp_path, monkeypatch)
    said = re.search(r"best_score_ +# (\{.*\}), ([\d.]+)", code)
    assert said is not None
    tuner = names["tuner"]
    assert (str(tuner.best_params_), f"{tuner.best_score_:.2f}") == said.groups()
    assert np.mean(tuner.predict(names["x_new"]) == names["y_new"]) > 0.95
