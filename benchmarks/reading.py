"""How long a CSV file takes to read: `tuner_app` beside `pandas.read_csv`, which does not check what it reads.

Files of 42,000 x 785 as Kaggle's digit-recognizer has them, made here of random numbers: pixels, floats, pixels in
quotes; or a file of one's own. The two take turns in one process; the table shows medians, and the median of the
ratios of pairs.

    python benchmarks/reading.py --rounds 7
    python benchmarks/reading.py --file train.csv
"""

from __future__ import annotations

import argparse
import csv
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from tuner_app import load_dataset

ROWS, PIXELS = 42_000, 784


def write_files(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """The made files, one after another, so that a disk holds one at a time."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 10, ROWS)
    pixels = random.integers(0, 256, (ROWS, PIXELS)) * (random.random((ROWS, PIXELS)) < 0.2)
    for name, numbers, quoting in (
        ("pixels", pixels, csv.QUOTE_MINIMAL),
        ("floats", np.round(random.normal(size=(ROWS, PIXELS)), 6), csv.QUOTE_MINIMAL),
        ("pixels in quotes", pixels, csv.QUOTE_ALL),
    ):
        path = folder / f"{name}.csv"
        frame = pandas.DataFrame(numbers, columns=[f"pixel{i}" for i in range(PIXELS)])
        frame.insert(0, "label", labels)
        frame.to_csv(path, index=False, quoting=quoting)  # type: ignore[arg-type]
        yield path
        path.unlink()


def seconds(function: Callable[[Any], Any], path: pathlib.Path) -> float:
    """How long a function takes to read a file."""
    begun = time.perf_counter()
    function(path)
    return time.perf_counter() - begun


def measure(path: pathlib.Path, rounds: int) -> None:
    """Print a line of the table."""
    pairs = [(seconds(pandas.read_csv, path), seconds(load_dataset, path)) for _ in range(rounds)]
    theirs, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(our / their for their, our in pairs)
    print(f"{path.stem:20} {path.stat().st_size / 1e6:6.0f} {theirs:12.2f} {ours:12.2f} {ratio:8.2f}")


def main() -> int:
    """Measure the made files or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--file", type=pathlib.Path)
    arguments = parser.parse_args()
    print(f"{'file':20} {'MB':>6} {'pandas (s)':>12} {'ours (s)':>12} {'ratio':>8}")
    if arguments.file is not None:
        measure(arguments.file, arguments.rounds)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        for path in write_files(pathlib.Path(folder)):
            measure(path, arguments.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
