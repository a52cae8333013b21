"""One contender of a search, in this process: what `processes` starts, and what one runs by hand to look at one.

python benchmarks/peers.py scikeras_n_jobs_1 digits --json outcome.json
"""

from __future__ import annotations

import argparse
import functools
import json
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from contenders.gemm_floor import run_gemm_floor
from contenders.keras_tuner_loop import run_keras_tuner_loop
from contenders.outcome import Clock, Outcome
from contenders.overhead import run_keras_tuner_oracle, run_tuner_app_overhead
from contenders.scikeras_search import run_scikeras
from contenders.tuner_app_search import run_tuner_app
from workloads import WORKLOADS, OverheadWorkload, Workload

SEARCH_CONTENDERS: dict[str, Callable[[Workload, Clock], Outcome]] = {
    "tuner_app": functools.partial(run_tuner_app, n_jobs=2),
    "tuner_app_n_jobs_1": functools.partial(run_tuner_app, n_jobs=1),
    "scikeras_n_jobs_1": functools.partial(run_scikeras, n_jobs=1),
    "scikeras_n_jobs_2": functools.partial(run_scikeras, n_jobs=2),
    "keras_tuner_loop": run_keras_tuner_loop,
    "gemm_floor": run_gemm_floor,
}
OVERHEAD_CONTENDERS: dict[str, Callable[[OverheadWorkload, Clock], Outcome]] = {
    "tuner_app": functools.partial(run_tuner_app_overhead, folds=2),
    # Half of what the two more folds cost is a fold's part: its thread, its record, its line on the screen.
    "tuner_app_4_folds": functools.partial(run_tuner_app_overhead, folds=4),
    "keras_tuner_oracle": run_keras_tuner_oracle,
}


def contenders_of(case: str) -> tuple[str, ...]:
    """Who can run a case, in the order of the table."""
    return tuple(OVERHEAD_CONTENDERS if case == "overhead" else SEARCH_CONTENDERS)


def run(contender: str, case: str, *, quick: bool = False) -> dict[str, Any]:
    """Run a contender here and now.

    Args:
        contender: One of `contenders_of(case)`.
        case: One of `workloads.WORKLOADS`.
        quick: Whether to run a size that takes seconds.

    Returns:
        Seconds of the imports and of the search, scores and details.
    """
    workload = WORKLOADS[case].quick() if quick else WORKLOADS[case]
    clock = Clock()
    if isinstance(workload, OverheadWorkload):
        outcome = OVERHEAD_CONTENDERS[contender](workload, clock)
    else:
        outcome = SEARCH_CONTENDERS[contender](workload, clock)
    return {
        "search_seconds": clock.seconds["search"] if outcome.seconds is None else outcome.seconds,
        "import_seconds": clock.seconds["import"],
        "scores": outcome.scores,
        "details": outcome.details,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run one contender and write what it took as JSON."""
    parser = argparse.ArgumentParser(description="Run one contender here and now.")
    parser.add_argument("contender", choices=sorted({*SEARCH_CONTENDERS, *OVERHEAD_CONTENDERS}))
    parser.add_argument("case", choices=list(WORKLOADS))
    parser.add_argument("--json", type=pathlib.Path, required=True, help="the file to write")
    parser.add_argument("--quick", action="store_true", help="a size that takes seconds")
    arguments = parser.parse_args(argv)
    if arguments.contender not in contenders_of(arguments.case):
        parser.error(f"{arguments.case} is run by {', '.join(contenders_of(arguments.case))}.")
    outcome = run(arguments.contender, arguments.case, quick=arguments.quick)
    arguments.json.write_text(json.dumps(outcome, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
