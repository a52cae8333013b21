"""The comparison: contenders side by side on the same folds, medians of interleaved repeats, ratios.

Owns repeats, the memory of whole process trees, medians, tables and the files in `results/`. What a contender does
is in `peers`. Every contender runs in a fresh process, one process at a time, in the order A B C, A B C, so that a
machine that slows down does so for all of them.

    python benchmarks/bench.py tutorial digits overhead
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import functools
import importlib.metadata
import itertools
import json
import math
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import peers

HERE = pathlib.Path(__file__).resolve().parent
OURS = "tuner_app"
FLOOR = "gemm_floor"
REFERENCES = ("scikeras_n_jobs_1", "scikeras_n_jobs_2")
PACKAGES = ("tuner_app", "keras", "tensorflow", "keras-tuner", "scikit-learn", "scikeras", "numpy", "scipy", "joblib")
MEDIANS = ("search_seconds", "process_seconds", "import_seconds", "peak_bytes")
REPEATS = {"full": 1}
DEFAULT_REPEATS = 3
MEGABYTE = 1e6
# A look at the memory walks all of a process's pages: four a second took a tenth of a core from the contenders.
SAMPLING_SECONDS = 3.0

Run = dict[str, Any]
Row = dict[str, Any]
Report = dict[str, Any]


class ContenderError(RuntimeError):
    """A contender's process did not end well."""


def run_contender(contender: str, case: str, *, quick: bool, folder: str) -> Run:
    """Run a contender in a process of its own.

    Args:
        contender: Who.
        case: What.
        quick: Whether to run a size that takes seconds.
        folder: Where it gets a folder for its files, which stay there.

    Returns:
        What `peers.run` returns, with `process_seconds` and, in `peak_bytes`, the memory of the whole process tree.

    Raises:
        ContenderError: The process failed; the message ends with the last lines of its output.
    """
    own = tempfile.mkdtemp(dir=folder)
    outcome, output = pathlib.Path(own, "outcome.json"), pathlib.Path(own, "output.txt")
    command = [sys.executable, str(HERE / "peers.py"), contender, case, "--json", str(outcome)]
    with output.open("wb") as stream:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command + ["--quick"] * quick,
            env=_environment(own),
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        peak = watch_memory(process)
        seconds = time.perf_counter() - begun
    if process.returncode or not outcome.exists():
        tail = "\n".join(output.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
        raise ContenderError(f"{contender} must end with exit code 0. It ended with {process.returncode}:\n{tail}")
    result: Run = json.loads(outcome.read_text(encoding="utf-8"))
    peak = max(peak, result["peak_bytes"])
    return {"contender": contender, **result, "peak_bytes": peak, "process_seconds": seconds}


def watch_memory(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process, and return the most memory that it and its descendants held at a time, in bytes.

    Memory that several processes share counts once: it is the sum of their proportional set sizes where the system
    knows these (Linux), else of their resident sets. Peaks between two samples are missed; `peers` adds its own.
    """
    import psutil

    peak = 0
    try:
        while True:
            try:
                process.wait(SAMPLING_SECONDS)
                return peak
            except subprocess.TimeoutExpired:
                peak = max(peak, _tree_bytes(psutil.Process(process.pid)))
    finally:
        if process.poll() is None:
            _end_family(psutil.Process(process.pid))
            process.wait()


def _end_family(root: Any) -> None:
    """End a contender with the workers that it started, which would go on and disturb the next one."""
    import psutil

    for member in [*root.children(recursive=True), root]:
        with contextlib.suppress(psutil.Error):
            member.kill()


def _tree_bytes(root: Any) -> int:
    import psutil

    total = 0
    try:
        family = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    for member in family:
        try:
            memory = member.memory_full_info()
        except psutil.Error:
            continue
        total += getattr(memory, "pss", 0) or memory.rss
    return total


def _environment(folder: str) -> dict[str, str]:
    """Quiet, importable from a checkout, with an empty cache (no repeat profits from the one before), files together.

    They are kept until all are done: ext4 makes new files more slowly for minutes after many were deleted.
    """
    path = os.pathsep.join(filter(None, [str(peers.ROOT), os.environ.get("PYTHONPATH")]))
    cache = str(pathlib.Path(folder) / "cache")
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    return {**os.environ, **quiet, "PYTHONPATH": path, "XDG_CACHE_HOME": cache, "TMPDIR": folder}


def run_case(
    case: str,
    contenders: Sequence[str],
    *,
    repeats: int,
    once: Sequence[str] = (),
    quick: bool = False,
    runner: Callable[..., Run],
    keep: Callable[[Report], object] = lambda report: None,
) -> Report:
    """Run all contenders of a case, interleaved, and compare them.

    Args:
        case: One of `peers.WORKLOADS`.
        contenders: Who takes part, in this order. One that fails is left out from then on, and of the table.
        repeats: How often each runs.
        once: Who runs in the first round only.
        quick: Whether to run a size that takes seconds.
        runner: What runs one contender.
        keep: What is given the report so far after each run, so that an interruption loses one run only.

    Returns:
        The report, ready for JSON.
    """
    workload = peers.WORKLOADS[case].quick() if quick else peers.WORKLOADS[case]
    head = {"case": case, "quick": quick, "workload": dataclasses.asdict(workload), "machine": machine()}
    runs: list[Run] = []
    failures: dict[str, str] = {}
    report = _report(head, runs, failures)
    for repeat, contender in itertools.product(range(repeats), contenders):
        if contender in failures or (repeat and contender in once):
            continue
        try:
            run = runner(contender, case, quick=quick)
            check_scores(run, workload)
        except ContenderError as error:
            failures[contender] = str(error)
            _say(f"[{repeat + 1}/{repeats}] {contender}: failed. {error}")
        else:
            runs.append({"repeat": repeat, **run})
            _say(f"[{repeat + 1}/{repeats}] {contender}: {run['search_seconds']:.2f} s")
        report = _report(head, runs, failures)
        keep(report)
    return report


def _report(head: Report, runs: Sequence[Run], failures: Mapping[str, str]) -> Report:
    return {
        **head,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "table": compare([run for run in runs if run["contender"] not in failures]),
        "failures": dict(failures),
        "runs": list(runs),
    }


def check_scores(run: Run, workload: peers.Workload | peers.OverheadWorkload) -> None:
    """Refuse the time of a search that did not do the work.

    Raises:
        ContenderError: It scored other candidates than it was asked for, or one of them with no finite number.
    """
    if run["contender"] == FLOOR:
        return
    good = {name for name, score in run["scores"].items() if math.isfinite(score)}
    if different := sorted(peers.candidate_names(workload) ^ good):
        raise ContenderError(
            f"{run['contender']} must score each candidate of the workload with a finite number. "
            f"It did not for, or added: {', '.join(different)}. Look at its part in benchmarks/peers.py."
        )


def compare(runs: Sequence[Run]) -> list[Row]:
    """One row per contender: medians over its repeats, and their ratios to this package's.

    Args:
        runs: What the runs returned, in any order.

    Returns:
        Rows in the order of first appearance. `ratio` and `memory_ratio` are how many times this package's seconds
        and bytes a contender needs (None without this package). `score_difference` is the greatest difference of a
        candidate's mean score to SciKeras's, `score_spread` the greatest between repeats of the contender itself;
        None where there is nothing to compare.
    """
    grouped: dict[str, list[Run]] = {}
    for run in runs:
        grouped.setdefault(run["contender"], []).append(run)
    reference = next((mean_scores(grouped[name]) for name in REFERENCES if name in grouped), {})
    rows = [_row(contender, group, reference) for contender, group in grouped.items()]
    ours = next((row for row in rows if row["contender"] == OURS), None)
    for row in rows:
        row["ratio"] = _ratio(row, ours, "search_seconds")
        row["memory_ratio"] = _ratio(row, ours, "peak_bytes")
    return rows


def _row(contender: str, group: Sequence[Run], reference: Mapping[str, float]) -> Row:
    seconds = [run["search_seconds"] for run in group]
    details = group[0]["details"]
    scores = mean_scores(group)
    return {
        "contender": contender,
        "repeats": len(group),
        **{name: statistics.median(run[name] for run in group) for name in MEDIANS},
        "search_seconds_range": [min(seconds), max(seconds)],
        "details": {name: statistics.median(run["details"][name] for run in group) for name in details},
        "scores": scores,
        "score_difference": None if contender in REFERENCES[:1] else score_difference(scores, reference),
        "score_spread": score_spread(group),
    }


def _ratio(row: Row, ours: Row | None, name: str) -> float | None:
    return float(row[name] / ours[name]) if ours is not None and ours[name] else None


def mean_scores(group: Sequence[Run]) -> dict[str, float]:
    """Each candidate's mean score, averaged over the repeats."""
    return {name: statistics.fmean(run["scores"][name] for run in group) for name in group[0]["scores"]}


def score_difference(scores: Mapping[str, float], reference: Mapping[str, float]) -> float | None:
    """The greatest absolute difference over the candidates; None where one side has no scores."""
    return max((abs(scores[name] - reference[name]) for name in scores if name in reference), default=None)


def score_spread(group: Sequence[Run]) -> float | None:
    """The greatest difference of a candidate's mean score between the repeats of one contender: its own noise."""
    if len(group) < 2 or not group[0]["scores"]:
        return None
    columns: list[list[float]] = [[run["scores"][name] for run in group] for name in group[0]["scores"]]
    return max(max(column) - min(column) for column in columns)


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    return {"processor": _processor(), "cores": peers.cores(), "system": f"{platform.system()} {platform.machine()}"}


def _processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def versions() -> dict[str, str | None]:
    """The version of Python and of each package; None for one that is not installed."""
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return versions


def table_text(report: Report) -> str:
    """A report's tables as Markdown."""
    rows: list[Row] = report["table"]
    if report["case"] == "overhead":
        return f"{_grid(_OVERHEAD_COLUMNS, rows)}\n\n{_grid(_average_columns(rows), rows)}"
    return _grid(_SEARCH_COLUMNS, rows)


Column = tuple[str, Callable[[Row], str]]


def _number(value: float | None, form: str = ".2f", unit: str = "") -> str:
    return "-" if value is None else f"{value:{form}}{unit}"


def _range(row: Row) -> str:
    low, high = row["search_seconds_range"]
    return f"{low:.2f} to {high:.2f}"


def _detail(name: str) -> Callable[[Row], str]:
    return lambda row: _number(row["details"].get(name))


_SEARCH_COLUMNS: tuple[Column, ...] = (
    ("contender", lambda row: row["contender"]),
    ("search s", lambda row: _number(row["search_seconds"])),
    ("range", _range),
    ("x ours", lambda row: _number(row["ratio"])),
    ("import s", lambda row: _number(row["import_seconds"])),
    ("process s", lambda row: _number(row["process_seconds"])),
    ("peak MB", lambda row: _number(row["peak_bytes"] / MEGABYTE, ".0f")),
    ("memory x ours", lambda row: _number(row["memory_ratio"])),
    ("max diff of means", lambda row: _number(row["score_difference"], ".4f")),
    ("own spread", lambda row: _number(row["score_spread"], ".4f")),
)
_OVERHEAD_COLUMNS: tuple[Column, ...] = (
    ("contender", lambda row: row["contender"]),
    ("candidates", lambda row: _number(row["details"]["candidates"], ".0f")),
    ("ms per candidate", _detail("candidate_ms")),
    ("first tenth ms", _detail("early_ms")),
    ("last tenth ms", _detail("late_ms")),
    ("last / first", _detail("growth")),
    ("peak MB", lambda row: _number(row["peak_bytes"] / MEGABYTE, ".0f")),
)


def _average_columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    """Milliseconds per candidate on average over the first 200, 400, ..., with the ratio to this package."""
    ours: dict[str, float] = next((row["details"] for row in rows if row["contender"] == OURS), {})

    def cell(name: str) -> Callable[[Row], str]:
        def text(row: Row) -> str:
            value, base = row["details"].get(name), ours.get(name)
            ratio = f" ({value / base:.2f} x ours)" if value and base and row["contender"] != OURS else ""
            return _number(value) + ratio

        return text

    marks = [(f"first {mark} ms", cell(f"first_{mark}_ms")) for mark in peers.MARKS]
    return (("contender", lambda row: row["contender"]), *marks)


def _grid(columns: Sequence[Column], rows: Iterable[Row]) -> str:
    lines = [[title for title, _ in columns], *([text(row) for _, text in columns] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    padded = [_line(line, widths) for line in lines]
    return "\n".join([padded[0], _line(["-" * width for width in widths], widths), *padded[1:]])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"


def save(report: Report, folder: pathlib.Path) -> pathlib.Path:
    """Write a report as JSON; a quick one never takes the place of a real one."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report['case']}{'_quick' if report['quick'] else ''}.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return path


def _parser() -> argparse.ArgumentParser:
    everyone = sorted({name for case in peers.WORKLOADS for name in peers.contenders_of(case)})
    parser = argparse.ArgumentParser(prog="bench.py", description="Compare this package with its peers, side by side.")
    parser.add_argument(
        "cases",
        nargs="*",
        metavar="CASE",
        help=f"of {', '.join(peers.WORKLOADS)} (default: all but full)",
    )
    parser.add_argument("--repeats", type=int, help=f"runs of each contender (default: {DEFAULT_REPEATS}; full: 1)")
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
        default=[],
        metavar="NAME",
        help="contenders that run once, whatever --repeats says: the slow ones",
    )
    parser.add_argument("--quick", action="store_true", help="a size that takes seconds: it shows that all works")
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        default=HERE / "results",
        metavar="FOLDER",
        help="where CASE.json is written (default: benchmarks/results)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the cases, print their tables and save them; 1 when a contender failed."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    cases = arguments.cases or [case for case in peers.WORKLOADS if case != "full"]
    chosen = {case: _chosen(parser, case, arguments.contenders) for case in cases}
    if arguments.repeats is not None and arguments.repeats < 1:
        parser.error(f"--repeats must be at least 1. Received: {arguments.repeats}.")
    with tempfile.TemporaryDirectory() as folder:
        runner = functools.partial(run_contender, folder=folder)
        failed = [_run(case, contenders, runner, arguments) for case, contenders in chosen.items()]
    return int(any(failed))


def _run(case: str, contenders: Sequence[str], runner: Callable[..., Run], arguments: argparse.Namespace) -> bool:
    """Run, print and save a case; whether a contender failed."""
    repeats = arguments.repeats or (1 if arguments.quick else REPEATS.get(case, DEFAULT_REPEATS))
    print(f"\n{case}: {repeats} x {', '.join(contenders)}", flush=True)
    keep = functools.partial(save, folder=arguments.output)
    report = run_case(
        case, contenders, repeats=repeats, once=arguments.once, quick=arguments.quick, runner=runner, keep=keep
    )
    print(f"\n{table_text(report)}\n\nSaved in {save(report, arguments.output)}", flush=True)
    return bool(report["failures"])


def _chosen(parser: argparse.ArgumentParser, case: str, wanted: Sequence[str] | None) -> list[str]:
    if case not in peers.WORKLOADS:
        parser.error(f"A case must be one of {', '.join(peers.WORKLOADS)}. Received: {case}.")
    contenders = [name for name in peers.contenders_of(case) if wanted is None or name in wanted]
    if not contenders:
        parser.error(f"{case} is run by {', '.join(peers.contenders_of(case))}. Name one of them in --contenders.")
    return contenders


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that no contender is left behind
    sys.exit(main())
