"""The comparison: contenders side by side, medians of interleaved repeats, ratios first.

    python benchmarks/bench.py                     # every case but `full`
    python benchmarks/bench.py command digits

Owns the command line. What is compared stands in `cases`, who runs when in `rounds`, the processes in `processes`.
"""

from __future__ import annotations

import argparse
import functools
import math
import pathlib
import signal
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from cases import CASES
from cases.case import Case, Report, figure_text
from cases.scripts import Script, run_script
from machine import RESULTS, save
from processes import ContenderError
from rounds import run_case

# What a case may take at its defaults, in seconds: whoever would end later is not repeated.
BUDGET = 15 * 60.0
LONG = ("full",)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the cases, print their tables and save them; 1 when a contender failed."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    names = arguments.cases or [name for name in CASES if name not in LONG]
    chosen = {name: _chosen(parser, name, arguments.contenders) for name in names}
    if arguments.repeats is not None and arguments.repeats < 1:
        parser.error(f"--repeats must be at least 1. Received: {arguments.repeats}.")
    # One folder for all: files are deleted when all is measured, since deleting many slows down the file system.
    with tempfile.TemporaryDirectory() as folder:
        failed = [_run(CASES[name], contenders, arguments, folder) for name, contenders in chosen.items()]
    return int(any(failed))


def _parser() -> argparse.ArgumentParser:
    everyone = sorted({name for case in CASES.values() if isinstance(case, Case) for name in case.contenders})
    parser = argparse.ArgumentParser(prog="bench.py", description="Compare this package with its peers, side by side.")
    parser.add_argument(
        "cases",
        nargs="*",
        metavar="CASE",
        help=f"of {', '.join(CASES)} (default: all but {', '.join(LONG)})",
    )
    parser.add_argument(
        "--repeats", type=int, help="runs of each contender (default: as many as end within 15 minutes, mostly 3)"
    )
    parser.add_argument(
        "--contenders",
        nargs="+",
        choices=everyone,
        metavar="NAME",
        help=f"of {', '.join(everyone)} (default: all of the case)",
    )
    parser.add_argument(
        "--once",
        nargs="+",
        choices=everyone,
        metavar="NAME",
        help="contenders that run once, whatever --repeats says (default, without --repeats: the case's slow ones)",
    )
    parser.add_argument("--quick", action="store_true", help="a size that takes seconds: it shows that all works")
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        default=RESULTS,
        metavar="FOLDER",
        help="where CASE.json is written (default: benchmarks/results)",
    )
    return parser


def _chosen(parser: argparse.ArgumentParser, name: str, wanted: Sequence[str] | None) -> list[str]:
    if name not in CASES:
        parser.error(f"A case must be one of {', '.join(CASES)}. Received: {name}.")
    case = CASES[name]
    if isinstance(case, Script):
        if wanted is not None:
            parser.error(f"{name} has no contenders to choose from: run it without --contenders.")
        return []
    everyone = case.contenders
    contenders = [contender for contender in everyone if wanted is None or contender in wanted]
    if not contenders:
        parser.error(f"{name} is run by {', '.join(everyone)}. Name one of them in --contenders.")
    return contenders


def _run(case: Case | Script, contenders: Sequence[str], arguments: argparse.Namespace, folder: str) -> bool:
    """Run, print and save a case; whether something failed."""
    own = pathlib.Path(tempfile.mkdtemp(dir=folder))
    try:
        if isinstance(case, Script):
            print(f"\n{case.name}", flush=True)
            report = run_script(case, quick=arguments.quick, folder=own)
        else:
            report = _side_by_side(case, contenders, arguments, own)
    except ContenderError as error:
        print(error, flush=True)
        return True
    path = save(report, arguments.output)
    figures = "".join(f"{figure_text(figure, quick=arguments.quick)}\n" for figure in report["figures"])
    print(f"\n{figures}\n{case.table(report)}\n\nSaved in {path}", flush=True)
    return bool(report["failures"])


def _side_by_side(case: Case, contenders: Sequence[str], arguments: argparse.Namespace, folder: pathlib.Path) -> Report:
    """The report of a case's rounds, which is saved after each run."""
    options = _rounds(case, arguments)
    print(f"\n{case.name}: {options['repeats']} x {', '.join(contenders)}", flush=True)
    runner = case.prepare(folder, arguments.quick)
    keep = functools.partial(save, folder=arguments.output)
    return run_case(case, contenders, **options, quick=arguments.quick, runner=runner, keep=keep)


def _rounds(case: Case, arguments: argparse.Namespace) -> dict[str, Any]:
    """How often who runs: as asked for, else once where it is quick, else by the case's defaults and the budget."""
    if arguments.repeats is not None:
        return {"repeats": arguments.repeats, "once": arguments.once or (), "budget": math.inf}
    once = case.once if arguments.once is None else arguments.once
    return {"repeats": 1 if arguments.quick else case.repeats, "once": once, "budget": BUDGET}


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that no contender is left behind
    sys.exit(main())
