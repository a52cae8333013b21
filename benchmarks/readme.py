"""The tables of the README's section on speed, from the saved results: nothing there is typed by hand.

    python benchmarks/readme.py            # prints them
    python benchmarks/readme.py --write    # puts them into the README

Owns the captions and the columns that the README shows. A case without saved results is left out.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tables
from cases.case import figure_text
from cases.scripts import alone_table, memory_table
from comparison import OURS
from machine import RESULTS
from workloads import ROOT

README = ROOT / "README.md"
BEGIN = "<!-- Written by `python benchmarks/readme.py --write`, from benchmarks/results. -->"
END = "<!-- To here. -->"
GIGABYTE = 1e9
LABELS = {
    "tuner_app": "this package",
    "tuner_app_n_jobs_1": "this package, `n_jobs=1`",
    "tuner_app_4_folds": "this package, four folds",
    "scikeras_n_jobs_1": "scikit-learn `GridSearchCV` + SciKeras, `n_jobs=1`",
    "scikeras_n_jobs_2": "scikit-learn `GridSearchCV` + SciKeras, `n_jobs=2`",
    "keras_tuner_loop": "Keras Tuner `GridSearch` with a loop over the folds",
    "keras_tuner_oracle": "Keras Tuner's grid oracle alone",
    "gemm_floor": "float32 matrix products alone (NumPy, all cores)",
    "bare_import": '`python -c "import tensorflow, keras"`',
    "tune_imports": "the imports of `tune`",
    "predict": "`python -m tuner_app.predict`",
    "tune": "`python -m tuner_app.tune`",
}
NAMED = ("tensorflow", "keras", "keras-tuner", "scikit-learn", "scikeras")

Report = dict[str, Any]
Row = dict[str, Any]


def section(folder: pathlib.Path) -> str:
    """All captions and tables, from the results in a folder."""
    return "\n\n".join(text for name, write in WRITERS.items() for text in _case(folder / f"{name}.json", write))


def _case(path: pathlib.Path, write: Callable[[Report], tuple[str, str]]) -> Iterator[str]:
    if path.exists():
        report = json.loads(path.read_text(encoding="utf-8"))
        caption, table = write(report)
        words = " ".join([caption, *_agreement(report), measured_on(report)])
        yield textwrap.fill(words, 120, break_on_hyphens=False, break_long_words=False)
        yield table
        if report.get("figures"):
            yield "\n".join(f"- {figure_text(figure, quick=False)}" for figure in report["figures"])


def _agreement(report: Report) -> list[str]:
    """How far our means are from scikit-learn's, in a sentence, where both were searched."""
    differences = [row.get("score_difference") for row in report["table"] if row.get("contender") == OURS]
    return [f"Our means agree with scikit-learn's within {number:.4f}." for number in differences if number is not None]


def measured_on(report: Report) -> str:
    """The machine, the day and the versions of a report, in a sentence."""
    machine = report["machine"]
    versions = [f"{name} {report['versions'][name]}" for name in NAMED if report["versions"].get(name)]
    day = report["created"][:10]
    return f"({machine['processor']}, {machine['cores']} cores, {day}: {', '.join(versions)}.)"


def command(report: Report) -> tuple[str, str]:
    columns = (
        LABEL,
        ("seconds", tables.value("process_seconds", ".1f")),
        TIMES,
        ("until the first fit", tables.detail("before_seconds", ".1f")),
        ("fits", tables.detail("fits_seconds", ".1f")),
        ("after the last fold", tables.detail("tail_seconds", ".1f")),
        MEMORY,
    )
    caption = (
        "**As a command** (`make bench ARGS=command`): 42,000 rows of MNIST from a CSV file, five node counts, 3 "
        "folds, 15 epochs, batches of 64, the refit and the report; seconds of whole processes."
    )
    return caption, tables.grid(columns, report["table"])


def start(report: Report) -> tuple[str, str]:
    columns = (
        LABEL,
        ("seconds", tables.value("process_seconds", ".2f")),
        ("times the bare import", tables.value("ratio")),
    )
    caption = "**What the commands take beside what they load** (`make bench ARGS=start`), on the digits."
    return caption, tables.grid(columns, report["table"])


def zoo(report: Report) -> tuple[str, str]:
    def seconds(way: str) -> Callable[[Row], str]:
        return lambda row: tables.number(row["seconds"].get(way))

    columns: tuple[tables.Column, ...] = (
        ("kind", lambda row: f"`{row['kind']}`"),
        ("`model.fit`", seconds("model.fit")),
        ("as SciKeras calls it", seconds("scikeras")),
        ("plain graph", seconds("graph")),
        ("XLA", seconds("xla")),
        ("default", seconds("default")),
        ("`model.fit` / default", tables.value("speed")),
    )
    caption = "**Any model** (`make bench ARGS=zoo`): seconds of the fits of one kind of model each, by who trains it."
    return caption, tables.grid(columns, report["table"])


def alone(report: Report) -> tuple[str, str]:
    caption = (
        "**One fit alone** (`make bench ARGS=alone`; one candidate, one split, 3 epochs): `model.fit` has all cores, "
        "and so has this package, since there are fewer fits than cores."
    )
    return caption, alone_table(report)


def digits(report: Report) -> tuple[str, str]:
    caption = (
        "**The digits** (`make bench ARGS=digits`; 1,797 rows, 45 fits), where compiling and overhead dominate; "
        "seconds of the search."
    )
    return caption, _search(report)


def tutorial(report: Report) -> tuple[str, str]:
    caption = (
        "**The tutorial's search** (`make bench ARGS=tutorial`; 42,000 rows of MNIST, five node counts, one learning "
        "rate, 3 folds, 15 epochs, batches of 64: 15 fits, no refit); seconds of the search, compiling included."
    )
    return caption, _search(report)


def full(report: Report) -> tuple[str, str]:
    caption = "**The tutorial's whole search** (`make bench-full`; three learning rates: 45 fits and the refit), once."
    return caption, _search(report)


def overhead(report: Report) -> tuple[str, str]:
    columns = (
        LABEL,
        ("candidates", tables.detail("candidates", ",.0f")),
        ("ms per candidate", tables.detail("candidate_ms")),
        ("over the first 200", tables.detail("first_200_ms")),
        ("over the first 1,600", tables.detail("first_1600_ms")),
        ("last tenth / first tenth", tables.detail("growth")),
    )
    caption = (
        "**What a search costs around its fits** (`make bench ARGS=overhead`): a grid of 10,000 candidates, two folds, "
        "and a fit that does nothing; records on disk, lines on the screen and TensorBoard's files included."
    )
    return caption, tables.grid(columns, report["table"])


def memory(report: Report) -> tuple[str, str]:
    caption = "**Memory** (`make bench ARGS=memory`): the peak of a search, the user's own copy of the data included."
    return caption, memory_table(report)


def _search(report: Report) -> str:
    columns = (LABEL, ("seconds", tables.value("search_seconds", ".1f")), TIMES, MEMORY)
    return tables.grid(columns, report["table"])


LABEL: tables.Column = ("", lambda row: LABELS[row["contender"]])
TIMES: tables.Column = ("times ours", lambda row: tables.number(row["ratio"]))
MEMORY: tables.Column = ("peak memory", lambda row: tables.number(row["peak_bytes"] / GIGABYTE, ".2f", " GB"))
WRITERS: dict[str, Callable[[Report], tuple[str, str]]] = {
    "command": command,
    "start": start,
    "zoo": zoo,
    "alone": alone,
    "tutorial": tutorial,
    "digits": digits,
    "full": full,
    "overhead": overhead,
    "memory": memory,
}


def written(readme: str, text: str) -> str:
    """A README with the text in its place.

    Raises:
        ValueError: It does not have both marks.
    """
    head, begin, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The README must have the lines {BEGIN} and {END}. Put them where the tables belong.")
    return f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables, or write them into the README."""
    parser = argparse.ArgumentParser(prog="readme.py", description="The README's tables, from the saved results.")
    parser.add_argument("--write", action="store_true", help="put them into the README")
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS, metavar="FOLDER")
    arguments = parser.parse_args(argv)
    text = section(arguments.results)
    if arguments.write:
        README.write_text(written(README.read_text(encoding="utf-8"), text), encoding="utf-8")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
