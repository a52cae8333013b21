"""Ctrl-C and SIGTERM: in a search, in a refit, at the start, twice, on the command line and in a notebook."""

from __future__ import annotations

import csv
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from support.fakes import FakeFitter
from support.interruptible import build
from support.processes import ROOT, kill, numbers

from tuner_app.commands import console
from tuner_app.errors import SearchInterrupted
from tuner_app.process.fit_threads import is_training, threads_at_a_fit

_SMALL = ["--nodes", "4", "8", "16", "--learning-rates", "0.01", "0.02", "--folds", "3", "--epochs", "3"]


@pytest.fixture(autouse=True)
def _default_handlers() -> Iterator[None]:
    """As in a terminal: a process in the background inherits an ignored SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


class SignalAt:
    """Sends a signal before some fits."""

    def __init__(self, number: int, *fits: int) -> None:
        self.number, self.fits, self.seen = number, fits, 0

    def __call__(self, task: Any) -> None:
        self.seen += 1
        if self.seen in self.fits:
            send(self.number)
            time.sleep(0.2)  # The main thread hears of it only when it gets its turn; fakes are done before that.


@pytest.mark.parametrize(
    ("number", "n_jobs", "fit"),
    [(signal.SIGINT, 1, 1), (signal.SIGTERM, 1, 9), (signal.SIGINT, 3, 4), (signal.SIGTERM, 3, 6)],
)
def test_a_signal_stops_the_search_and_the_next_run_continues(
    make_tuner: Callable[..., Any], data: tuple[Any, Any], tmp_path: pathlib.Path, number: int, n_jobs: int, fit: int
) -> None:
    whole = make_tuner(project_name="whole")
    whole.search(*data)
    stopped = make_tuner(fold_fitter=FakeFitter(before=SignalAt(number, fit)), n_jobs=n_jobs)
    with pytest.raises(
        SearchInterrupted, match=r"fits are done and kept in .*search\. Call search\(\) again"
    ) as caught:
        stopped.search(*data)
    assert caught.value.signal_number == number
    assert isinstance(caught.value, KeyboardInterrupt)
    kept = list(tmp_path.glob("search/trial_*/fold_*.json"))
    assert str(caught.value).startswith(f"Interrupted: {len(kept)} of ")
    whole_candidates = [
        folder for folder in (tmp_path / "search").iterdir() if len(list(folder.glob("fold_*.json"))) == 3
    ]
    with (tmp_path / "search" / "results.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(whole_candidates)
    fitter = FakeFitter()
    tuner = make_tuner(fold_fitter=fitter)
    tuner.search(*data)
    assert len(fitter.tasks) == 9 - len(kept)
    assert numbers(tuner) == numbers(whole)


def test_the_same_tuner_continues(make_tuner: Callable[..., Any], data: tuple[Any, Any]) -> None:
    whole = make_tuner(project_name="whole")
    whole.search(*data)
    fitter = FakeFitter(before=SignalAt(signal.SIGINT, 2, 5))
    tuner = make_tuner(fold_fitter=fitter, n_jobs=1)
    for _ in range(2):
        with pytest.raises(SearchInterrupted):
            tuner.search(*data)
    tuner.search(*data)
    assert len(fitter.tasks) == 9
    assert numbers(tuner) == numbers(whole)


def test_a_second_ctrl_c_does_not_wait(make_tuner: Callable[..., Any], data: tuple[Any, Any]) -> None:
    released = threading.Event()

    def before(task: Any) -> None:
        send(signal.SIGINT)
        time.sleep(0.3)
        send(signal.SIGINT)
        released.wait(60)

    tuner = make_tuner(fold_fitter=FakeFitter(before=before), n_jobs=1)
    began = time.monotonic()
    with pytest.raises(SearchInterrupted, match="Stopped at once"):
        tuner.search(*data)
    assert time.monotonic() - began < 30
    assert is_training()
    released.set()
    while threads_at_a_fit():
        time.sleep(0.01)
    make_tuner().search(*data)


def test_a_handler_of_the_program_is_left_alone(make_tuner: Callable[..., Any], data: tuple[Any, Any]) -> None:
    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        make_tuner(fold_fitter=FakeFitter(before=SignalAt(signal.SIGTERM, 3))).search(*data)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]


def test_an_ignored_ctrl_c_stays_ignored(make_tuner: Callable[..., Any], data: tuple[Any, Any]) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        make_tuner(fold_fitter=FakeFitter(before=SignalAt(signal.SIGINT, 3))).search(*data)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_search_outside_the_main_thread_runs(make_tuner: Callable[..., Any], data: tuple[Any, Any]) -> None:
    tuner = make_tuner()
    thread = threading.Thread(target=tuner.search, args=data)
    thread.start()
    thread.join()
    assert tuner.best_params_ == {"a": 3}


# Real fits ------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")
@pytest.mark.parametrize(("compile_epochs", "fit"), [(True, 5), pytest.param(False, 2, marks=pytest.mark.slow)])
def test_a_fit_is_dropped_at_its_next_epoch(
    make_tuner: Callable[..., Any], data: tuple[Any, Any], compile_epochs: bool, fit: int
) -> None:
    """The fifth fit is the refit."""
    import keras

    begun, epochs, calm_down = [], [], []

    class Interrupt(keras.callbacks.Callback):
        def __deepcopy__(self, memory: Any) -> Any:
            return self

        def on_train_begin(self, logs: Any = None) -> None:
            begun.append(1)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if not calm_down and len(begun) == fit:
                epochs.append(epoch)
                if epoch == 1:
                    send(signal.SIGINT)
                    time.sleep(0.05)

    options = {"fold_fitter": None, "n_jobs": 1, "cv": 2, "compile_epochs": compile_epochs}
    tuner, callback = make_tuner(build, **options), Interrupt()
    with pytest.raises(SearchInterrupted, match=f"{min(fit - 1, 4)} of 4 fits are done"):
        tuner.search(*data, epochs=4, batch_size=8, callbacks=[callback])
    assert epochs == [0, 1]
    assert not threads_at_a_fit()
    calm_down.append(True)
    tuner.search(*data, epochs=4, batch_size=8, callbacks=[callback])
    calm = make_tuner(build, **options, project_name="calm")
    calm.search(*data, epochs=4, batch_size=8, callbacks=[callback])
    assert numbers(tuner) == numbers(calm)
    pairs = zip(tuner.best_model_.get_weights(), calm.best_model_.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


# Command lines --------------------------------------------------------------------------------------------------------

_TUNE = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("tuner_app.tune", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_command_says_what_is_done_and_how_to_go_on(tmp_path: pathlib.Path, number: int) -> None:
    running = kill.Process(["-c", _TUNE, *_SMALL, "--directory", str(tmp_path)])
    running.first_line.wait()
    running.process.send_signal(number)
    assert running.wait(60)
    assert running.process.returncode == 128 + number
    *_, stopping, last = running.errors.splitlines()
    kept = len(list(tmp_path.glob("digits/trial_*/fold_*.json")))
    assert stopping.startswith("Stopping at the end of the running epochs. Press Ctrl-C again")
    assert last.startswith(f"Interrupted: {kept} of 18 fits are done and kept in {tmp_path}")
    assert last.endswith("Run the same command again (without --overwrite) to continue.")
    assert len(running.reported) == kept < 18
    assert (tmp_path / "digits" / "results.csv").read_text().count("\n") >= 1


@pytest.mark.parametrize(("number", "seconds"), [(signal.SIGINT, 0.8), (signal.SIGTERM, 1.5)])
def test_a_signal_while_a_command_starts(tmp_path: pathlib.Path, number: int, seconds: float) -> None:
    running = kill.Process(["-c", _TUNE, *_SMALL, "--directory", str(tmp_path)])
    time.sleep(seconds)
    running.process.send_signal(number)
    assert running.wait(60)
    assert running.process.returncode == 128 + number
    assert running.errors.startswith("Interrupted")
    assert running.errors.count("\n") == 1


_LONG_EPOCH = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from tuner_app.commands import console
from tuner_app.process.loading import import_tensorflow_quietly

import_tensorflow_quietly()
import keras, numpy as np
from tuner_app.tuners.grid_search import GridSearchCV

def build(hp):
    hp.Choice("a", [1, 2])
    model = keras.Sequential([keras.Input((2000,)), keras.layers.Dense(2000), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model

class Say(keras.callbacks.Callback):
    def __deepcopy__(self, memory):
        return self

    def on_epoch_begin(self, epoch, logs=None):
        print("[CV 1/1] END begun; ", flush=True)

def main(argv):
    x = np.zeros((30000, 2000), "float32")
    tuner = GridSearchCV(build, "val_loss", cv=2, n_jobs=2, directory=sys.argv[1], project_name="search", seed=0)
    tuner.search(x, x[:, :1], epochs=100, batch_size=256, callbacks=[Say()])

sys.exit(console.run(main))
"""


@pytest.mark.slow
def test_a_second_ctrl_c_ends_the_process_in_the_middle_of_an_epoch(tmp_path: pathlib.Path) -> None:
    running = kill.Process(["-c", _LONG_EPOCH, str(tmp_path)])
    running.first_line.wait()
    time.sleep(0.5)
    running.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert running.process.poll() is None
    began = time.monotonic()
    running.process.send_signal(signal.SIGINT)
    assert running.wait(20)
    assert time.monotonic() - began < 5
    assert running.process.returncode == 130
    assert running.errors.splitlines()[-1].startswith("Stopped at once. Run the same command again")
    assert "Traceback" not in running.errors


def test_a_command_outside_of_a_search_obeys_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    def main(argv: Any) -> None:
        send(signal.SIGTERM)
        time.sleep(60)

    assert console.run(main) == 143
    assert capsys.readouterr().err.startswith("Interrupted. Run the same command again")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_signal_in_the_middle_of_an_import_cannot_be_swallowed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGTERM)\nexcept BaseException:\n    pass\n"
    )
    code = (
        "import sys; from tuner_app.commands import console; "
        "sys.exit(console.run(lambda argv: __import__('slow') and 0))"
    )
    paths = os.pathsep.join([str(ROOT), str(tmp_path)])
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (143, 1)


# Notebooks ------------------------------------------------------------------------------------------------------------

_CELLS = [
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.path.insert(0, {str(ROOT / 'tests')!r})\n"
    "import time, numpy as np\n"
    "from support.fakes import FakeFitter, space_of\n"
    "from tuner_app.tuners.grid_search import GridSearchCV\n"
    "fitter = FakeFitter(before=lambda task: time.sleep(0.2))\n"
    "tuner = GridSearchCV(space_of({'a': list(range(40))}), 'val_accuracy', fold_fitter=fitter, n_jobs=1,\n"
    "                     directory=DIRECTORY, project_name='search', seed=0)\n"
    "x = np.zeros((12, 2)); y = np.arange(12) % 2",
    "tuner.search(x, y)",
    "fitter.before = None; done = len(fitter.tasks); tuner.search(x, y, verbose=0); print('TOTAL', len(fitter.tasks))",
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_interrupt_button_of_a_notebook(tmp_path: pathlib.Path) -> None:
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3")
    try:
        cells = [cell.replace("DIRECTORY", repr(str(tmp_path))) for cell in _CELLS]
        reply = client.execute_interactive(cells[0], timeout=120, output_hook=lambda message: None)
        assert reply["content"]["status"] == "ok", reply
        interrupted, written = [], []

        def watch(message: Any) -> None:
            written.append(message["content"].get("text", ""))
            if "] END " in written[-1] and not interrupted:
                interrupted.append(manager.interrupt_kernel())

        reply = client.execute_interactive(cells[1], timeout=60, output_hook=watch)
        assert reply["content"]["ename"] == "SearchInterrupted"
        assert "fits are done and kept" in reply["content"]["evalue"]
        written.clear()
        reply = client.execute_interactive(cells[2], timeout=60, output_hook=watch)
        assert reply["content"]["status"] == "ok"
        assert "TOTAL 120" in "".join(written)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
