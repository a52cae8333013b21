"""The rounds of a case: who runs when, what is refused, what is reported.

Contenders run one at a time in the order A B C, A B C, so that a machine that slows down does so for all of them. Those
that run once are spread over the rounds.
"""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from cases.case import Case, Report, Run, Runner
from comparison import compare
from machine import machine, versions
from processes import ContenderError

FLOOR = "gemm_floor"


def schedule(contenders: Sequence[str], repeats: int, once: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The order of the runs, as pairs of round (from 0) and contender."""
    turns = {name: turn for turn, name in enumerate(name for name in contenders if name in once)}
    for repeat in range(repeats):
        for name in contenders:
            if name not in turns or turns[name] % repeats == repeat:
                yield repeat, name


def run_case(
    case: Case,
    contenders: Sequence[str],
    *,
    repeats: int,
    once: Sequence[str] = (),
    quick: bool = False,
    runner: Runner,
    keep: Callable[[Report], object] = lambda report: None,
    budget: float = math.inf,
) -> Report:
    """Run all contenders of a case, interleaved, and compare them.

    Args:
        case: What is compared.
        contenders: Who takes part, in this order. One that fails is left out from then on, and of the table.
        repeats: How often each runs.
        once: Who runs in one round only.
        quick: Whether the runs have a size that takes seconds; it is only written down.
        runner: What runs one contender.
        keep: What is given the report so far after each run, so that an interruption loses one run only.
        budget: No contender is repeated who would end later than so many seconds from now, as its last run went.

    Returns:
        The report, ready for JSON.
    """
    head = {"case": case.name, "quick": quick, "workload": case.workload(quick), "machine": machine()}
    runs: list[Run] = []
    failures: dict[str, str] = {}
    lengths: dict[str, float] = {}
    began = time.monotonic()
    report = _report(case, head, runs, failures)
    for repeat, contender in schedule(contenders, repeats, once):
        if contender in failures or _is_over(budget, began, lengths.get(contender)):
            continue
        begun = time.monotonic()
        try:
            run = runner(contender)
            check_scores(run, case.candidates(quick))
        except ContenderError as error:
            failures[contender] = str(error)
            _say(f"[{repeat + 1}/{repeats}] {contender}: failed. {error}")
        else:
            runs.append({"repeat": repeat, **run})
            _say(f"[{repeat + 1}/{repeats}] {contender}: {run[case.measure]:.2f} s")
        lengths[contender] = time.monotonic() - begun
        report = _report(case, head, runs, failures)
        keep(report)
    return report


def _is_over(budget: float, began: float, length: float | None) -> bool:
    """Whether a contender who took so long would end too late; the first run of each is always made."""
    return length is not None and time.monotonic() - began + length > budget


def _report(case: Case, head: Report, runs: Sequence[Run], failures: Mapping[str, str]) -> Report:
    table = compare(
        [run for run in runs if run["contender"] not in failures], measure=case.measure, reference=case.reference
    )
    return {
        **head,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "figures": case.figures({row["contender"]: row for row in table}),
        "table": table,
        "failures": dict(failures),
        "runs": list(runs),
    }


def check_scores(run: Run, candidates: set[str]) -> None:
    """Refuse the time of a search that did not do the work.

    Args:
        run: What a runner returned.
        candidates: The names of those that must have scores; none where nothing is scored.

    Raises:
        ContenderError: It scored other candidates than it was asked for, or one of them with no finite number.
    """
    if run["contender"] == FLOOR:
        return
    good = {name for name, score in run["scores"].items() if math.isfinite(score)}
    if different := sorted(candidates ^ good):
        raise ContenderError(
            f"{run['contender']} must score each candidate of the workload with a finite number. "
            f"It did not for, or added: {', '.join(different)}. Look at its part in benchmarks/contenders."
        )


def _say(text: str) -> None:
    print(text, flush=True)
