"""The page as a whole: what it says of the tutorial's search, that it is safe, and the same twice."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import pytest
from support.pages import page_of
from support.written_searches import ACCURACY, LOSS, TUTORIAL, grid_of, nodes, tutorial_score, write_search

from tuner_app.analysis.confusion import ConfusedPicture
from tuner_app.storage.files import write_json
from tuner_app.views.report import results, write_report

EVIL = '<script>alert("x")</script>'


def test_the_tutorials_search(tmp_path: pathlib.Path) -> None:
    project = write_search(
        tmp_path,
        grid_of(TUTORIAL),
        tutorial_score,
        fold=lambda values, k: {"confusion": [[40, 2], [1, 50]]},
        classes=["cat", "dog"],
    )
    refit = {"hyperparameters": {"nodes": 512, "learning_rate": 0.002}, "epochs": 3, "test_score": 0.8765}
    write_json(project.manifest_file, refit)
    page = page_of(project)
    assert "Best: nodes=512, learning_rate=0.002, with a mean accuracy 0.9420" in page.text
    assert "mean of 3 folds, standard deviation 0.0008" in page.text
    assert "lead over the second 0.0020" in page.text
    assert "on the test part 0.8765" in page.text
    assert "The best nodes, 512, is the highest that was tried (32, 64, 128, 256, 512)." in page.text
    assert "--nodes 256 512 1024" in page.text
    assert "nodes = [256, 512, 1024]" in page.text
    assert "No fit failed." in page.text
    assert "A clear lead. No other candidate is within one standard error (0.0006) of the best." in page.text
    assert "cat taken for dog: 6 (4.8%)" in page.text
    assert "cat is taken for dog 6 times" in " ".join(str(svg["aria-label"]) for svg in page.all("svg"))
    assert "0.942000" in page.text
    assert "python -m tuner_app.tune --nodes 32 64" in page.text
    assert "fit_options.epochs 3" in page.text
    assert "keras 3.15.1" in page.text
    assert "Unfinished" not in page.text
    assert len(page.all("svg")) == 2 + 3 + 2 + 1


@pytest.mark.parametrize(
    ("space", "objectives", "plots"),
    [
        ({}, ACCURACY, set()),
        ({"nodes": [32]}, LOSS, set()),
        ({"nodes": [32, 64, 128]}, LOSS, {"Effect of each hyperparameter"}),
        ({"optimizer": ["adam", "sgd"]}, ACCURACY + LOSS, {"Effect of each hyperparameter"}),
        ({"nodes": [32, 64], "activation": ["relu", "tanh", "gelu"]}, LOSS, {"activation by nodes"}),
        (
            {"nodes": [32, 64], "deep": [True, False], "activation": ["relu", "tanh"]},
            ACCURACY,
            {"Effect of each hyperparameter", "Candidates as lines"},
        ),
    ],
)
def test_any_number_of_hyperparameters(
    tmp_path: pathlib.Path, space: dict[str, list[Any]], objectives: Any, plots: set[str]
) -> None:
    def score(values: dict[str, Any], k: int) -> float:
        return len(str(values)) / 100 + values.get("nodes", 0) / 1000 + k / 99

    page = page_of(write_search(tmp_path, grid_of(space), score, objectives=objectives))
    labels = " ".join(str(svg["aria-label"]) for svg in page.all("svg"))
    possible = {"Effect of each hyperparameter", "Candidates as lines", "activation by nodes"}
    assert {name for name in possible if name in labels} == plots
    assert all(page.all(tag) for tag in ("path", "text", "title"))


def test_all_user_text_is_escaped(tmp_path: pathlib.Path) -> None:
    grid = grid_of({f"{EVIL}a": [f"{EVIL}\x00\n", "$x^2$ & 'y'"], "&<b>": [1, 2], "日本語 🙂": [1, 2]})
    project = write_search(
        tmp_path,
        grid,
        lambda v, k: v["&<b>"] / 10 + k / 100,
        objectives=((f"val_{EVIL}", "max"),),
        fold=lambda v, k: {
            "history": {},
            "scores": {f"val_{EVIL}": v["&<b>"] / 10 + k / 100},
            "confusion": [[5, 3], [2, 5]],
        },
        failed=[(1, 1)],
        classes=[EVIL, "\u2028]]>"],
        command_line=["tune.py", EVIL],
        **{EVIL: {EVIL: EVIL}},
    )
    page = page_of(project, [ConfusedPicture([[1, 2]], EVIL, "'\"", 0.5)])
    assert page.text.count(EVIL) > 20
    assert "$x^2$ & 'y'" in page.text


def test_names_may_hold_what_no_drawing_can(tmp_path: pathlib.Path) -> None:
    grid = grid_of({"a\x00b": [1, 2], "c\nd": [1, 2, 3], "\x1be": [1, 2]})
    objective = "val_one\x01two"

    def fold(values: dict[str, Any], k: int) -> dict[str, Any]:
        return {"history": {objective: [0.1, sum(values.values()) / 9 + k / 99]}, "final_epoch": 2}

    page = page_of(write_search(tmp_path, grid, lambda v, k: 0, objectives=((objective, "max"),), fold=fold))
    assert "a b=2, c d=3, e=2, with a mean one two 0.7879" in page.text
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", page.text)


@pytest.mark.usefixtures("words_only")
def test_a_large_search_stays_readable(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MOST_LISTED", 50)
    page = page_of(write_search(tmp_path, nodes(*range(60)), lambda v, k: v["nodes"] / 1000, n_splits=1))
    assert "These are the best 50 of 60; the file has all" in page.text
    assert "The best 20 of 60." in page.text
    assert "The 20 longest of 60." in page.text


def test_the_users_settings_of_matplotlib_are_left_alone(tmp_path: pathlib.Path) -> None:
    import matplotlib

    project = write_search(tmp_path, grid_of(TUTORIAL), tutorial_score)
    with matplotlib.rc_context({"text.usetex": True, "font.size": 31.0, "svg.fonttype": "path"}):
        page = page_of(project)
        assert matplotlib.rcParams["font.size"] == 31.0
    assert page.all("text")


def test_the_report_is_the_same_twice(tmp_path: pathlib.Path) -> None:
    project = write_search(tmp_path, grid_of(TUTORIAL), tutorial_score)
    first = write_report(project).read_bytes()
    assert write_report(project).read_bytes() == first
    assert len(first) < 400_000
