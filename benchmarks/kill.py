"""Kills real searches at random moments (kill -9), runs them again, and counts what was lost: nothing should be.

    python benchmarks/kill.py --kills 50

Each search runs twice: once undisturbed, once killed again and again until it ends. After each kill every fit
that was reported on the screen must be in the journal; at the end the table (but for times), the refit model's
weights and the submission must equal those of the undisturbed search, bit by bit.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from tuner_app.errors import ProjectError
from tuner_app.records.text import values_line
from tuner_app.storage.fold_record import decode
from tuner_app.storage.project import Project

ROOT = pathlib.Path(__file__).parents[1]
SPACE = ("--nodes", "8", "16", "--learning-rates", "0.003", "0.01", "--epochs", "4")
PROJECT = "digits"
_END = re.compile(r"\[CV (\d+)/\d+\] END (.*?); ")
_SHARE_DURING_START = 0.3


@dataclasses.dataclass
class Tally:
    """What came of the kills.

    Attributes:
        kills: How many processes were killed.
        searches: How many searches ran to their end.
        lost: Fits that were reported finished and are not in the journal.
        differing: Numbers that differ from the undisturbed search's.
        problems: What else went wrong, a line each.
    """

    kills: int = 0
    searches: int = 0
    lost: int = 0
    differing: int = 0
    problems: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.searches} searches: {self.lost} reported folds lost, "
            f"{self.differing} differing numbers"
        )


class Process:
    """A command that runs, and the fits that it has reported.

    Args:
        arguments: What follows `python`.

    Attributes:
        lines: What came on stdout.
        errors: What came on stderr, once `wait` has seen the end.
        first_line: Set when the first fit is reported, or at the end.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
            cwd=ROOT,
        )
        self.lines: list[str] = []
        self.errors = ""
        self.first_line = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.lines.append(line)
                if _END.search(line):
                    self.first_line.set()
        self.first_line.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end, and say whether it came."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        self._reader.join()
        if not self._errors.closed:
            self._errors.seek(0)
            self.errors = self._errors.read()
            self._errors.close()
        return True

    def kill(self) -> None:
        """Kill -9."""
        self.process.kill()
        self.wait()

    @property
    def reported(self) -> set[tuple[int, str]]:
        """Fold and values of the fits that the screen has called finished."""
        matches = (_END.search(line) for line in list(self.lines))
        return {(int(match[1]) - 1, match[2]) for match in matches if match}


def tune(directory: pathlib.Path, options: Sequence[str]) -> Process:
    """Start a search."""
    return Process(["-m", "tuner_app.tune", "--directory", str(directory), "--project-name", PROJECT, *options])


def journalled(project: Project) -> set[tuple[int, str]]:
    """Fold and values of the good records on disk."""
    fits = set()
    for path in project.path.glob("trial_*/fold_*.json"):
        try:
            record = decode(path.read_text())
        except ProjectError:
            continue
        fits.add((record.fold, values_line(record.values)))
    return fits


def disturb(
    directory: pathlib.Path, options: Sequence[str], *, kills: int, chance: random.Random, tally: Tally, pause: float
) -> None:
    """Run a search to its end through a number of kills.

    Args:
        directory: The folder of the project.
        options: What `tune` is asked for.
        kills: How often it is killed, unless it gets to its end before.
        chance: Chooses the moments.
        tally: What is counted goes here.
        pause: Kills come up to so many seconds after the start, or after the first line that reports a fit.
    """
    project, reported = Project(directory, PROJECT), set()
    while True:
        running = tune(directory, options)
        if kills > 0:
            if chance.random() >= _SHARE_DURING_START:
                running.first_line.wait()
            if not running.wait(chance.uniform(0, pause)):
                running.kill()
                kills -= 1
                tally.kills += 1
        ended = running.wait() and running.process.returncode != -9
        reported |= running.reported
        tally.lost += len(reported - journalled(project))
        if ended:
            break
    tally.searches += 1
    if running.process.returncode != 0 or "Traceback" in running.errors:
        tally.problems.append(f"exit code {running.process.returncode}: {running.errors[-2000:]}")


def differences(first: Project, second: Project) -> int:
    """How many numbers differ in the tables (but for times) and the weights of the refit models."""
    tables = [list(_cells(project)) for project in (first, second)]
    count = sum(a != b for a, b in zip(*tables, strict=False)) + abs(len(tables[0]) - len(tables[1]))
    weights = [_weights(project.model_file) for project in (first, second)]
    for name in {*weights[0], *weights[1]}:
        a, b = (arrays.get(name, np.zeros(0)) for arrays in weights)
        count += int(np.sum(a != b)) if a.shape == b.shape else max(a.size, b.size)
    return count


def submission(directory: pathlib.Path) -> list[str]:
    """The lines that `python -m tuner_app.predict` writes."""
    file = directory / "submission.csv"
    running = Process(["-m", "tuner_app.predict", "--directory", str(directory), "--output", str(file)])
    running.wait()
    if running.process.returncode != 0:
        raise RuntimeError(running.errors)
    return file.read_text().splitlines()


def _cells(project: Project) -> Iterator[str]:
    with project.results_file.open(newline="") as file:
        for row in csv.DictReader(file):
            yield from (value for name, value in row.items() if not name.endswith("_time"))


def _weights(path: pathlib.Path) -> dict[str, Any]:
    import h5py

    arrays: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = item[()]

    with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as file, h5py.File(file) as weights:
        weights.visititems(visit)
    return arrays


def attack(
    folder: pathlib.Path,
    *,
    kills: int,
    kills_per_search: int = 10,
    seed: int = 0,
    pause: float = 1.5,
    predict: bool = True,
    say: Callable[[str], None] = print,
) -> Tally:
    """Kill searches until so many kills have happened, and compare each with its undisturbed twin.

    Args:
        folder: For the projects.
        kills: How many in all.
        kills_per_search: How many at most for one search.
        seed: Chooses the moments.
        pause: As in `disturb`, in seconds.
        predict: Whether to compare the submissions, too.
        say: Gets a line for each search.
    """
    tally, chance = Tally(), random.Random(seed)
    while tally.kills < kills:
        number = tally.searches
        options = [*SPACE, "--seed", str(number), "--score-epoch", ("last", "best")[number % 2]]
        calm, harsh = folder / f"undisturbed_{number}", folder / f"killed_{number}"
        with ThreadPoolExecutor(1) as pool:
            undisturbed = pool.submit(tune(calm, [*options, "--n-jobs", "1"]).wait)
            due = min(kills_per_search, kills - tally.kills)
            disturb(harsh, options, kills=due, chance=chance, tally=tally, pause=pause)
            undisturbed.result()
        tally.differing += differences(Project(calm, PROJECT), Project(harsh, PROJECT))
        if predict:
            tally.differing += sum(a != b for a, b in zip(submission(calm), submission(harsh), strict=True))
        say(str(tally))
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill searches at random moments and count what is lost.")
    parser.add_argument("--kills", type=int, default=50, metavar="N", help="kills in all (default: 50)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="chooses the moments (default: 0)")
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tally = attack(pathlib.Path(folder), kills=arguments.kills, seed=arguments.seed)
    print(f"{time.monotonic() - began:.0f} seconds", *tally.problems, sep="\n")
    return int(bool(tally.lost or tally.differing or tally.problems))


if __name__ == "__main__":
    sys.exit(main())
