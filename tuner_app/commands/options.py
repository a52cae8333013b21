"""The options that the commands offer, in groups; what several commands share is said once.

Owns names, defaults and help texts. What a value may be is checked by the command, what it does is done by the other
folders.
"""

from __future__ import annotations

import argparse

DIRECTORY = "logs"


def add_project(parser: argparse.ArgumentParser, *, name: str) -> None:
    """`--directory` and `--project-name`: which project is meant.

    Args:
        parser: Gets the options.
        name: What the help says of `--project-name`.
    """
    add = parser.add_argument
    add("--directory", default=DIRECTORY, metavar="FOLDER", help="folder of all projects (default: %(default)s)")
    add("--project-name", metavar="NAME", help=name)


def add_data(parser: argparse.ArgumentParser) -> None:
    """What to learn from."""
    add = parser.add_argument
    add("--data", default="digits", metavar="DATA", help="digits, mnist, fashion_mnist or a CSV file (default: digits)")
    add("--target", default="label", metavar="COLUMN", help="the CSV file's column of classes (default: label)")


def add_space(parser: argparse.ArgumentParser) -> None:
    """The values of the grid."""
    add = parser.add_argument
    nodes, rates = [32, 64, 128, 256, 512], [0.001, 0.002, 0.003]
    add("--nodes", type=int, nargs="+", default=nodes, metavar="N", help=f"default: {_listed(nodes)}")
    add("--learning-rates", type=float, nargs="+", default=rates, metavar="RATE", help=f"default: {_listed(rates)}")


def add_training(parser: argparse.ArgumentParser) -> None:
    """How each candidate is trained and scored."""
    add = parser.add_argument
    add("--folds", type=int, default=3, metavar="K", help="folds of the cross-validation (default: 3)")
    add("--epochs", type=int, default=15, metavar="N", help="epochs of each fit (default: 15)")
    add("--batch-size", type=int, default=64, metavar="N", help="rows per training step (default: 64)")
    score = "epoch of the scores: the last, or the best of the mean curve (default: last)"
    add("--score-epoch", choices=("last", "best"), default="last", help=score)
    jobs = "fits side by side; never changes a result (default: -1, all cores)"
    add("--n-jobs", type=int, default=-1, metavar="N", help=jobs)
    add("--seed", type=int, default=0, metavar="N", help="seed of folds and fits (default: 0)")


def add_loudness(parser: argparse.ArgumentParser) -> None:
    """How much is printed."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--quiet", "-q", action="store_true", help="print nothing but problems")
    group.add_argument("--verbose", "-v", action="store_true", help="print more")


def add_submission(parser: argparse.ArgumentParser) -> None:
    """What to predict for, and what the file looks like."""
    add = parser.add_argument
    add("--data", metavar="CSV", help="the rows to predict for (default: the data's own test part)")
    add("--output", default="submission.csv", metavar="CSV", help="the file to write (default: %(default)s)")
    add("--id-column", default="ImageId", metavar="NAME", help="ids, as in the data or from 1 (default: %(default)s)")
    add("--label-column", default="Label", metavar="NAME", help="the column of the answers (default: %(default)s)")
    add("--probabilities", action="store_true", help="add one column for each class")
    add("--batch-size", default=1024, type=int, metavar="N", help="rows held at a time (default: %(default)s)")


def _listed(values: list[int] | list[float]) -> str:
    return " ".join(map(str, values))
