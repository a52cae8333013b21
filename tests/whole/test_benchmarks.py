"""The benchmarks: what is counted, compared and saved; and that every case runs, at a size that takes seconds."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

import bench
import pytest
import workloads
from cases import CASES
from cases.case import Case, at_least, at_most, figure_text
from cases.command import phases
from cases.scripts import Script, run_script
from comparison import compare
from contenders import gemm_floor, overhead
from contenders.outcome import Clock
from machine import RESULTS, save
from processes import ContenderError, Finished, run_process
from readme import README, section, written
from rounds import run_case, schedule
from workloads import OverheadWorkload, Workload

BENCHMARKS = pathlib.Path(__file__).resolve().parents[2] / "benchmarks"
KERAS_MNIST = pathlib.Path.home() / ".keras" / "datasets" / "mnist.npz"
NAMES = ["nodes=32 learning_rate=0.001", "nodes=64 learning_rate=0.001"]


def a_run(contender: str, seconds: float, *, scores: tuple[float, ...] = (), peak: float = 1e6) -> dict[str, Any]:
    return {
        "contender": contender,
        "search_seconds": seconds,
        "import_seconds": 1.0,
        "process_seconds": seconds + 1.5,
        "peak_bytes": peak,
        "scores": dict(zip(NAMES, scores, strict=False)),
        "details": {},
    }


def test_step_flops_equal_a_count_of_every_multiplication_and_addition() -> None:
    # x (2, 3), W1 (3, 5), W2 (5, 10): multiplications of x @ W1, h @ W2, h.T @ e, e @ W2.T and x.T @ dh.
    forward = 2 * 3 * 5 + 2 * 5 * 10
    backward = 5 * 2 * 10 + 2 * 10 * 5 + 3 * 2 * 5
    assert gemm_floor.step_flops(2, inputs=3, nodes=5, training=False) == 2 * forward
    assert gemm_floor.step_flops(2, inputs=3, nodes=5, training=True) == 2 * (forward + backward)


@pytest.mark.parametrize("refit", [False, True])
def test_floor_flops_equal_the_sum_over_steps(refit: bool) -> None:
    work = Workload(
        data="digits",
        rows=9,
        inputs=3,
        input_scale=1.0,
        nodes=(4, 5),
        learning_rates=(0.1, 0.2),
        epochs=2,
        batch_size=4,
        refit=refit,
    )
    expected = 0
    for nodes, _, _, _ in itertools.product(work.nodes, work.learning_rates, range(3), range(work.epochs)):
        for rows in (4, 2):  # six rows to train on, in batches of four
            expected += gemm_floor.step_flops(rows, inputs=3, nodes=nodes, training=True)
        expected += gemm_floor.step_flops(3, inputs=3, nodes=nodes, training=False)
    if refit:
        expected += 2 * gemm_floor.step_flops(9, inputs=3, nodes=5, training=True)
    assert sum(gemm_floor.floor_flops(work).values()) == expected


def test_product_rate_is_a_rate() -> None:
    import numpy as np

    assert gemm_floor.product_rate(np.ones((50, 8), np.float32), 4, 16, training=True, samples=1) > 0


def test_growth_compares_the_last_tenth_with_the_first() -> None:
    steps = [0.001] * 900 + [0.003] * 100
    ended = list(itertools.accumulate(steps, initial=0.5))[1:]  # half a second to begin
    costs = overhead.growth(ended, 2.0)
    assert costs["candidate_ms"] == pytest.approx(2.0)
    assert costs["early_ms"] == pytest.approx(1.0)
    assert costs["growth"] == pytest.approx(3.0)
    assert costs["first_800_ms"] == pytest.approx(1.0 + 500 / 800)
    assert "first_1600_ms" not in costs
    with pytest.raises(ValueError, match="must end at least two candidates"):
        overhead.growth([], 1.0)


def test_journal_times_takes_the_last_fold_of_each_candidate(tmp_path: pathlib.Path) -> None:
    for trial, fold, when in [(0, 0, 101), (0, 1, 104), (1, 0, 103), (1, 1, 102)]:
        file = tmp_path / f"trial_{trial:04d}" / f"fold_{fold}.json"
        file.parent.mkdir(exist_ok=True)
        file.touch()
        os.utime(file, (when, when))
    assert overhead.journal_times(tmp_path, 100.0) == [3.0, 4.0]


def test_the_overhead_is_that_of_a_whole_search(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    outcome = overhead.run_tuner_app_overhead(OverheadWorkload(side=3), Clock(), folds=2)
    assert outcome.details["candidates"] == 9
    assert 0 < outcome.details["candidate_ms"] < 60_000


def test_compare_takes_ratios_of_medians() -> None:
    runs = [
        a_run("tuner_app", 10.0, scores=(0.90, 0.80), peak=2e6),
        a_run("scikeras_n_jobs_1", 40.0, scores=(0.91, 0.80), peak=3e6),
        a_run("gemm_floor", 5.0),
        a_run("tuner_app", 12.0, scores=(0.90, 0.80), peak=2e6),
        a_run("scikeras_n_jobs_1", 50.0, scores=(0.93, 0.81), peak=3e6),
        a_run("tuner_app", 90.0, scores=(0.90, 0.80), peak=2e6),
        a_run("scikeras_n_jobs_1", 48.0, scores=(0.92, 0.79), peak=3e6),
    ]
    ours, scikeras, floor = compare(runs)
    assert [ours["ratio"], scikeras["ratio"], floor["ratio"]] == [1.0, 4.0, pytest.approx(5 / 12)]
    assert scikeras["memory_ratio"] == pytest.approx(1.5)
    assert ours["score_difference"] == pytest.approx(0.02)
    assert ours["score_spread"] == 0.0
    assert scikeras["score_difference"] is None
    assert scikeras["score_spread"] == pytest.approx(0.02)
    assert floor["score_difference"] is None


def test_a_case_is_interleaved_and_a_failing_contender_is_left_out(tmp_path: pathlib.Path) -> None:
    contenders = []

    def runner(contender: str) -> dict[str, Any]:
        contenders.append(contender)
        if contender == "keras_tuner_loop":
            raise ContenderError("keras_tuner_loop must end with exit code 0.")
        scores = (0.5, float("nan")) if contender == "scikeras_n_jobs_1" else (0.5, 0.6)
        return a_run(contender, 1.0, scores=scores)

    def never_fails(contender: str) -> dict[str, Any]:
        return a_run(contender, 1.0, scores=(0.5, 0.6))

    kept: list[int] = []
    tutorial, digits = (CASES[name] for name in ("tutorial", "digits"))
    report = run_case(
        tutorial,
        ["tuner_app", "keras_tuner_loop", "scikeras_n_jobs_1", "scikeras_n_jobs_2"],
        repeats=2,
        quick=True,
        runner=runner,
        keep=lambda report: kept.append(len(report["runs"])),
    )
    first = ["tuner_app", "keras_tuner_loop", "scikeras_n_jobs_1", "scikeras_n_jobs_2"]
    assert contenders == [*first, "tuner_app", "scikeras_n_jobs_2"]
    assert kept == [1, 1, 1, 2, 3, 4]
    again = run_case(digits, first[2:], repeats=3, once=["scikeras_n_jobs_2"], quick=True, runner=never_fails)
    assert [run["contender"] for run in again["runs"]] == ["scikeras_n_jobs_1", "scikeras_n_jobs_2"] + [
        "scikeras_n_jobs_1"
    ] * 2
    assert [row["contender"] for row in report["table"]] == ["tuner_app", "scikeras_n_jobs_2"]
    assert "finite number" in report["failures"]["scikeras_n_jobs_1"]
    path = save(report, tmp_path)
    assert path.name == "tutorial_quick.json"
    assert json.loads(path.read_text())["table"][1]["ratio"] == 1.0
    assert "| scikeras_n_jobs_2 | 1.00     | 1.00 to 1.00 | 1.00" in tutorial.table(report)


def test_who_runs_once_is_spread_over_the_rounds() -> None:
    names = ["tuner_app", "scikeras_n_jobs_1", "scikeras_n_jobs_2"]
    order = [name for _, name in schedule(names, 3, names[1:])]
    assert order == ["tuner_app", "scikeras_n_jobs_1", "tuner_app", "scikeras_n_jobs_2", "tuner_app"]


def test_nobody_is_repeated_who_would_end_too_late() -> None:
    def runner(contender: str) -> dict[str, Any]:
        return a_run(contender, 1.0, scores=(0.5, 0.6))

    report = run_case(CASES["digits"], ["tuner_app"], repeats=3, quick=True, runner=runner, budget=0.0)
    assert len(report["runs"]) == 1


def test_a_process_is_timed_to_its_end_and_its_failure_told(tmp_path: pathlib.Path) -> None:
    finished = run_process("sleeper", [sys.executable, "-c", "import time; time.sleep(0.2)"], folder=tmp_path)
    assert finished.seconds > 0.2
    assert 0 < finished.processor_seconds < finished.seconds
    assert finished.peak_bytes > 1e6
    with pytest.raises(ContenderError, match=r"(?s)crasher must end with exit code 0. It ended with 1:.*no such thing"):
        run_process("crasher", [sys.executable, "-c", "raise ValueError('no such thing')"], folder=tmp_path)


def test_the_phases_of_a_command_are_read_from_its_journal(tmp_path: pathlib.Path) -> None:
    for fold, (started, ended) in enumerate([(105.0, 120.0), (104.0, 118.0)]):
        file = tmp_path / "trial_0000" / f"fold_{fold}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"record": {"started": started}}))
        os.utime(file, (ended, ended))
    finished = Finished(started=100.0, seconds=25.0, processor_seconds=1.0, peak_bytes=1)
    expected = {"before_seconds": 4.0, "fits_seconds": 16.0, "tail_seconds": 5.0, "tail_share": 0.2}
    assert phases(tmp_path, finished) == pytest.approx(expected)


def test_the_kaggle_file_has_its_columns_and_a_fixed_shuffle(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    labels = np.arange(70_000)
    pictures = np.broadcast_to(np.uint8(7), (70_000, 28, 28))
    monkeypatch.setattr(
        workloads, "mnist", lambda: ((pictures[:60_000], labels[:60_000]), (pictures[60_000:], labels[60_000:]))
    )
    workloads.write_kaggle_csv(tmp_path / "train.csv", 2)
    head, *rows = (tmp_path / "train.csv").read_text().splitlines()
    assert head.startswith("label,pixel0,pixel1,")
    assert head.endswith(",pixel783")
    order = np.random.RandomState(42).permutation(70_000)
    assert [row.split(",")[:2] for row in rows] == [[str(label), "7"] for label in order[:2]]


def test_a_figure_is_held_against_its_bar() -> None:
    ratio = at_least("peer / ours", 4.0, 5.0)
    assert figure_text(ratio, quick=False) == "peer / ours: 4.00 times (at least 5: missed)"
    assert figure_text(ratio, quick=True) == "peer / ours: 4.00 times"
    assert figure_text(at_least("kinds", 30, 18, ""), quick=False) == "kinds: 30 (at least 18)"
    assert figure_text(at_most("beyond", 8.5, 9.0, " s"), quick=False) == "beyond: 8.50 s (at most 9)"


def test_the_command_is_held_against_the_better_peer_and_its_tail() -> None:
    runs = [a_run("tuner_app", 8.5), a_run("scikeras_n_jobs_1", 88.5), a_run("scikeras_n_jobs_2", 38.5)]
    runs[0]["details"] = {"tail_share": 0.1}
    rows = compare(runs, measure="process_seconds")
    figures = CASES["command"].figures({row["contender"]: row for row in rows})
    assert [(figure["value"], figure["met"]) for figure in figures] == [(9.0, True), (4.0, False), (10.0, True)]


def test_a_script_of_its_own_becomes_a_report(tmp_path: pathlib.Path) -> None:
    stub = tmp_path / "stub.py"
    stub.write_text(
        "import json, sys\n"
        "if '--bad' in sys.argv: raise ValueError('no such thing')\n"
        "json.dump({'machine': 'mine', 'words': sys.argv[1:-1]}, open(sys.argv[-1], 'w'))\n"
    )
    script = Script(name="stub", command=(str(stub), "a"), quick=("b",), figures=lambda report: [], table=str)
    report = run_script(script, quick=True, folder=tmp_path)
    assert report["words"] == ["a", "b", "--json"]
    assert report["machine"]["cores"] >= 1
    assert save(report, tmp_path).name == "stub_quick.json"
    with pytest.raises(ContenderError, match=r"(?s)It ended with 1:.*no such thing"):
        run_script(dataclasses.replace(script, quick=("--bad",)), quick=True, folder=tmp_path)


def test_the_zoo_is_held_against_its_bars() -> None:
    rows = [
        {
            "kind": "dense",
            "seconds": {"model.fit": 6.0, "default": 2.0, "xla": 2.0},
            "speed": 3.0,
            "beyond_best": 1.0,
            "errors": {},
        },
        {"kind": "cnn", "seconds": {"model.fit": 0.9, "default": 1.0}, "speed": 0.9, "beyond_best": None, "errors": {}},
        {
            "kind": "odd",
            "seconds": {"model.fit": 1.0},
            "speed": None,
            "beyond_best": None,
            "errors": {"default": "No."},
        },
    ]
    zoo = CASES["zoo"]
    values = {figure["name"]: (figure["value"], figure["met"]) for figure in zoo.figures({"table": rows})}
    assert values == {
        "kinds of model": (2, False),
        "kinds that the default did not train": (1, False),
        "least model.fit / default": (0.9, False),
        "median of model.fit / default": (pytest.approx(1.95), False),
        "greatest default / the better of our engines": (1.0, True),
    }
    assert "| cnn   | 0.90        | -          | -       | -     | 1.00      | 0.90  " in zoo.table({"table": rows})


def test_the_memory_is_held_against_its_bar() -> None:
    report = {
        "data": {"build": {"data_bytes": 1.5e9, "peak_bytes": 4.5e9, "ratio": 3.0}},
        "architectures": {"xla": {"count": 40, "megabytes_each": 0.25}},
    }
    memory = CASES["memory"]
    assert [figure_text(figure, quick=False) for figure in memory.figures(report)] == [
        "peak / data with Keras Tuner's own fit: 3.00 times (at most 2.2: missed)",
        "left by each architecture (xla): 0.25 MB",
    ]
    assert "| build | 1500    | 4500    | 3.00 " in memory.table(report)


def test_the_readme_shows_what_is_saved() -> None:
    text = README.read_text(encoding="utf-8")
    assert written(text, section(RESULTS)) == text, "Run: python benchmarks/readme.py --write"
    with pytest.raises(ValueError, match="must have the lines"):
        written("# A README", "")


def test_the_overhead_table_shows_growth_and_ratios() -> None:
    ours, theirs = a_run("tuner_app", 1.0), a_run("keras_tuner_oracle", 4.0)
    ours["details"] = overhead.growth([0.001 * i for i in range(1, 1001)], 1.0)
    theirs["details"] = overhead.growth([0.004 * i for i in range(1, 401)], 1.6)
    text = CASES["overhead"].table({"table": compare([ours, theirs])})
    assert "4.00 (4.00 x ours)" in text
    assert "| keras_tuner_oracle | 400        | 4.00 " in text


@pytest.mark.parametrize("script", ["bench.py", "peers.py"])
def test_help_answers_without_heavy_imports(script: str) -> None:
    command = [sys.executable, "-X", "importtime", str(BENCHMARKS / script), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "--quick" in done.stdout
    assert not [name for name in ("numpy", "keras", "tensorflow", "sklearn") if f" {name}\n" in done.stderr]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mnist"], "A case must be one of command"),
        (["digits", "--contenders", "keras_tuner_oracle"], "digits is run by tuner_app"),
        (["digits", "--repeats", "0"], "--repeats must be at least 1"),
    ],
)
def test_bad_arguments_are_refused(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        bench.main(arguments)
    assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["command", "start", "digits", "overhead", "memory", "zoo"])
def test_a_case_runs_from_the_command_line(name: str, tmp_path: pathlib.Path) -> None:
    case = CASES[name]
    contenders = case.contenders if isinstance(case, Case) else ()
    if "scikeras_n_jobs_1" in contenders:
        pytest.importorskip("scikeras", reason="the peers come with the dependency group `bench`")
    if name == "command" and not (workloads.MNIST_FILE.exists() or KERAS_MNIST.exists()):
        pytest.skip("MNIST would have to be downloaded")
    arguments = [str(BENCHMARKS / "bench.py"), name, "--quick", "--output", str(tmp_path)]
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / f"{name}_quick.json").read_text())
    assert [row["contender"] for row in report.get("table", ()) if "contender" in row] == list(contenders)
    assert report["figures"]
    assert case.table(report) in done.stdout
    assert section(tmp_path) == ""  # a quick run never reaches the README
