"""The built wheel: it holds every file of the package, and its commands run outside the sources."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# One worker builds the wheel for all of them.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]

SMALL = ("--nodes", "4", "--learning-rates", "0.01", "--folds", "2", "--epochs", "1")


def run(*command: object, folder: Path) -> str:
    """What a command prints; it runs in a folder, without the path that leads to the sources."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(name="wheel", scope="module")
def wheel_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: a build leaves a folder in the sources, whose old files the next one packs."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"
    shutil.copytree(ROOT / "tuner_app", sources / "tuner_app", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, sources, folder=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(name="python", scope="module")
def python_fixture(wheel: Path) -> Path:
    """The Python of a new environment that has the wheel, and finds what it depends on where this Python has it.

    A line in a `.pth` file is a folder to import from; the `.pth` files in that folder are not read, so an editable
    install of the sources stays out of sight.
    """
    environment = wheel.parent / "environment"
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel, folder=wheel.parent)
    packages = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=wheel.parent)
    (Path(packages.strip()) / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return python


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    package = ROOT / "tuner_app"
    files = {path.relative_to(ROOT).as_posix() for path in package.rglob("*") if path.is_file()}
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == {name for name in files if "__pycache__" not in name}
    assert "tuner_app/py.typed" in packed


def test_the_commands_run_from_the_wheel(python: Path, tmp_path: Path) -> None:
    home = run(python, "-c", "import tuner_app; print(tuner_app.__file__)", folder=tmp_path)
    assert Path(home.strip()).is_relative_to(python.parents[1])
    assert "Best: " in run(python, "-m", "tuner_app.tune", *SMALL, folder=tmp_path)
    assert "Wrote 360 predictions" in run(python, "-m", "tuner_app.predict", folder=tmp_path)
    report = tmp_path / "logs" / "digits" / "report.html"
    report.unlink()
    run(python, "-m", "tuner_app.report", folder=tmp_path)
    assert report.stat().st_size > 10_000
