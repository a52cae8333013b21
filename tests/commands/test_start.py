"""How commands start: what is refused without TensorFlow, what runs beside its import, how they end in its middle.

A package of this name stands in for TensorFlow, so that nothing here goes by a clock.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from support.processes import ROOT

_MARKS = "import os, pathlib\npathlib.Path(os.environ['MARK']).touch()\n"
_NEVER_READY = _MARKS + "import sys, time\nprint('a line of the import', file=sys.stderr)\ntime.sleep(300)\n"
_BAD_ROW = "label,a,b\n1,2,3\n0,1,many\n"


class Start:
    """Commands in a folder where TensorFlow is what the test says."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.mark = folder, folder / "imported"

    def begin(self, *command: str, tensorflow: str = _MARKS) -> subprocess.Popen[str]:
        (self.folder / "packages").mkdir(exist_ok=True)
        (self.folder / "packages" / "tensorflow.py").write_text(tensorflow)
        paths = os.pathsep.join([str(self.folder / "packages"), str(ROOT)])
        environment = os.environ | {"PYTHONPATH": paths, "MARK": str(self.mark)}
        pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([sys.executable, *command], cwd=self.folder, env=environment, **pipes)

    def run(self, *command: str, tensorflow: str = _MARKS) -> subprocess.CompletedProcess[str]:
        with self.begin(*command, tensorflow=tensorflow) as process:
            try:
                output, errors = process.communicate(timeout=60)
            finally:
                process.kill()
        return subprocess.CompletedProcess(command, process.returncode, output, errors)


@pytest.fixture
def start(tmp_path: pathlib.Path) -> Start:
    (tmp_path / "bad_row.csv").write_text(_BAD_ROW)
    (tmp_path / "good.csv").write_text("label,a,b\n" + "1,2,3\n0,1,2\n" * 9)
    pixels = ",".join(f"pixel_{i // 8}_{i % 8}" for i in range(64))
    (tmp_path / "bad_picture.csv").write_text(f"{pixels}\n{'0,' * 63}many\n")
    shutil.copytree(ROOT / "tests" / "support" / "first_version" / "finished", tmp_path / "logs" / "finished")
    return Start(tmp_path)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("tune --data nothing.csv", "'nothing.csv' is neither"),
        ("tune --data good.csv --target digit", "There must be a column 'digit'"),
        ("tune --folds 2000", "There must be at least as many rows as folds"),
        ("predict --directory nowhere", "There is no tuned model"),
        ("predict --project-name nothing", "'nothing' has no tuned model"),
        ("predict --data nothing.csv", "'nothing.csv' is neither"),
        ("predict --data good.csv", "The data must have the 64 columns"),
        ("report --project-name nothing", "nothing"),
    ],
)
def test_what_is_refused_without_tensorflow(start: Start, command: str, message: str) -> None:
    module, *arguments = command.split()
    done = start.run("-m", f"tuner_app.{module}", *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert message in done.stderr
    assert not start.mark.exists()


def test_a_report_is_written_without_tensorflow(start: Start) -> None:
    done = start.run("-m", "tuner_app.report")
    assert (done.returncode, done.stderr) == (0, "")
    assert not start.mark.exists()


@pytest.mark.parametrize("command", ["tune --data bad_row.csv", "predict --data bad_picture.csv"])
def test_a_bad_row_ends_the_command_in_the_middle_of_the_import(start: Start, command: str) -> None:
    module, *arguments = command.split()
    done = start.run("-m", f"tuner_app.{module}", *arguments, tensorflow=_NEVER_READY)
    assert (done.returncode, done.stdout) == (1, "")
    # The line of the import is written at any time.
    (error,) = set(done.stderr.splitlines()) - {"a line of the import"}
    assert error.startswith("error: ")
    assert "holds 'many'" in error


def test_the_end_is_quiet_while_tensorflow_itself_is_imported(start: Start) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tuner_app.tune", "--data", "bad_row.csv"],
        capture_output=True,
        text=True,
        cwd=start.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("error: ")


def test_a_signal_ends_the_command_in_the_middle_of_the_import(start: Start) -> None:
    with start.begin("-m", "tuner_app.tune", "--data", "good.csv", "--folds", "2", tensorflow=_NEVER_READY) as process:
        while not start.mark.exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    (error,) = set(errors.splitlines()) - {"a line of the import"}
    assert process.returncode == 143
    assert error.startswith("Interrupted. Run the same command again")


def test_an_import_that_fails_says_why(start: Start) -> None:
    done = start.run("-m", "tuner_app.tune", "--data", "good.csv", tensorflow="raise ImportError('no library')")
    assert done.returncode == 1
    assert done.stderr.endswith("ImportError: no library\n")
    assert done.stderr.count("Traceback") == 1


_BESIDE = """
import builtins, threading
import tuner_app.commands.tune as tune
import tuner_app.data.datasets as datasets

builtins.begun, builtins.read = threading.Event(), threading.Event()
load_dataset = datasets.load_dataset

def load_beside(*arguments, **options):
    assert begun.wait(30), "the import has not begun"
    dataset = load_dataset(*arguments, **options)
    read.set()
    return dataset

datasets.load_dataset = load_beside
tune._NEED_TENSORFLOW = ()
tune.search = lambda dataset, arguments: __import__("tuner_app.process.loading").process.loading._wait_for_begun()
tune.finish = lambda dataset, tuner, **options: print("done", __import__("tensorflow").read_first)
tune.main(["--data", "good.csv", "--folds", "2"])
"""


def test_the_data_are_read_beside_the_import(start: Start) -> None:
    done = start.run("-c", _BESIDE, tensorflow="begun.set()\nread_first = read.wait(30)\n")
    assert (done.stdout, done.stderr) == ("done True\n", "")


def test_reading_imports_nothing_that_the_import_may_be_at(start: Start) -> None:
    # Two threads that enter a package by different modules may get each other's unfinished ones.
    code = """
import sys
from tuner_app.data import datasets
datasets.begin_csv("good.csv", target="label")
before = set(sys.modules)
datasets.load_dataset("good.csv")
try:
    datasets.load_dataset("bad_row.csv")
except ValueError:
    print(sorted(set(sys.modules) - before))
"""
    assert start.run("-c", code).stdout == "[]\n"
