"""The report of a search: what it says, that it is whole and safe HTML, and the command that writes it."""

from __future__ import annotations

import base64
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from markupsafe import Markup
from support.pages import page_of
from support.written_searches import ACCURACY, LOSS, grid_of, itertools_all, nodes, write_search

from tuner_app.analysis.confusion import ConfusedPicture
from tuner_app.commands import console, report
from tuner_app.errors import ProjectError, SearchError
from tuner_app.storage.files import write_json
from tuner_app.storage.project import Project
from tuner_app.views.report import cards, results, write_report
from tuner_app.views.report.rendering import style_sheet

EVIL = '<script>alert("x")</script>'
TUTORIAL = {"nodes": [32, 64, 128, 256, 512], "learning_rate": [0.001, 0.002, 0.003]}


@pytest.fixture
def words_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the drawing where a test is about the words."""
    for name in [name for name in vars(cards) if name.startswith("draw_")]:
        monkeypatch.setattr(cards, name, lambda *arguments: None)
    blank = Markup('<svg role="img" aria-label="{}"></svg>')
    monkeypatch.setattr(cards, "inline", lambda drawing, key, label: blank.format(label))


def tutorial(directory: pathlib.Path, **options: Any) -> Project:
    def score(values: dict[str, Any], k: int) -> float:
        better_rate = 0.002 if values["learning_rate"] == 0.002 else 0.0
        return 0.9 + 0.01 * np.log2(values["nodes"] / 32) + better_rate + 0.001 * (k - 1)

    return write_search(directory, grid_of(TUTORIAL), score, **options)


def test_the_tutorials_search(tmp_path: pathlib.Path) -> None:
    confusion = {"confusion": [[40, 2], [1, 50]]}
    project = tutorial(tmp_path, fold=lambda values, k: confusion, classes=["cat", "dog"])
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


@pytest.mark.usefixtures("words_only")
def test_a_loss_is_said_as_it_is(tmp_path: pathlib.Path) -> None:
    project = write_search(tmp_path, nodes(32, 64), lambda v, k: v["nodes"] / 100, objectives=LOSS)
    page = page_of(project)
    assert "with a mean loss 0.3600" in page.text
    assert "loss (lower is better)" in page.text
    assert "-0.36" not in page.text
    assert "holds these scores negated" in page.text


@pytest.mark.usefixtures("words_only")
def test_several_objectives_have_columns(tmp_path: pathlib.Path) -> None:
    page = page_of(write_search(tmp_path, nodes(32), lambda v, k: 0.75, objectives=ACCURACY + LOSS))
    assert "Mean accuracy - loss Standard deviation accuracy loss Fold 0" in page.text
    assert "0.500000 0.000000 0.750000 0.250000 0.500000" in page.text


@pytest.mark.usefixtures("words_only")
def test_failed_fits_are_counted_and_explained(tmp_path: pathlib.Path) -> None:
    page = page_of(write_search(tmp_path, nodes(1, 2, 3), lambda v, k: v["nodes"] / 9, failed=[(0, 0), (1, 1), (1, 2)]))
    assert "Failed fits. 3 of 9 fits failed; their score is set to nan." in page.text
    assert "3 fits: ValueError: no <such> thing" in page.text
    assert "2 candidates without a score" in page.text
    assert "n/a" in page.text


@pytest.mark.usefixtures("words_only")
def test_unfinished(tmp_path: pathlib.Path) -> None:
    asked = {"space": {"nodes": {"class_name": "Choice", "config": {"values": [1, 2, 3, 4]}}}}
    page = page_of(write_search(tmp_path, nodes(1, 2, 3), lambda v, k: v["nodes"], missing=[(2, 2)], asked=asked))
    assert "Unfinished. The search was stopped: 2 of 4 candidates are finished, 1 begun." in page.text


@pytest.mark.usefixtures("words_only")
def test_a_tie_and_the_quicker_one(tmp_path: pathlib.Path) -> None:
    project = write_search(tmp_path, nodes(1, 2, 3), lambda v, k: 0.5 + 0.1 * k - (v["nodes"] == 1))
    page = page_of(project)
    assert "Best (tied): nodes=2" in page.text
    assert "A tie. 1 other candidate within one standard error (0.0577) of the best" in page.text
    assert "With 3 folds that error is itself rough (by about 50%)" in page.text
    assert "1 (tie)" in page.text


@pytest.mark.usefixtures("words_only")
def test_a_quicker_candidate_that_is_as_good(tmp_path: pathlib.Path) -> None:
    project = write_search(tmp_path, nodes(1, 2, 3), lambda v, k: 0.5 + 0.1 * k + 0.01 * v["nodes"])
    assert "A close call. 2 other candidates within one standard error" in page_of(project).text
    assert "nodes=1 trains in 38% of the best one's time." in page_of(project).text


@pytest.mark.usefixtures("words_only")
def test_one_fold(tmp_path: pathlib.Path) -> None:
    assert "One fold." in page_of(write_search(tmp_path, nodes(1, 2), lambda v, k: v["nodes"], n_splits=1)).text


@pytest.mark.usefixtures("words_only")
def test_executions_and_fits_without_history(tmp_path: pathlib.Path) -> None:
    own = {"history": {}, "scores": {"val_accuracy": 0.8}, "fit_seconds": 0.0, "score_seconds": 0.0}
    page = page_of(write_search(tmp_path, nodes(1, 2), lambda v, k: 0, executions=2, fold=lambda v, k: own))
    assert "12 fits" in page.text
    assert "Learning curves" not in page.text
    assert "Time spent" not in page.text
    assert "Confusion" not in page.text


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
def test_the_description_is_shown_whatever_it_holds(tmp_path: pathlib.Path) -> None:
    page = page_of(
        write_search(
            tmp_path, nodes(1), lambda v, k: 0.5, command_line=None, deep={"a": [{"b": [1, [2, None]]}, {}]}, empty=[]
        )
    )
    assert "a[0].b[0] 1 a[0].b[1] 2, None a[1] none" in page.text
    assert "empty none" in page.text


@pytest.mark.usefixtures("words_only")
@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ('{"hyperparameters": {"nodes": 1}}', "Another model. The saved model has nodes=1, not the best."),
        ('{"hyperparameters": {"nodes": 2}, "search_id": "another", "test_score": 1}', "was made by another search"),
        ("{", "cannot be read as JSON"),
    ],
)
def test_a_manifest_that_does_not_fit(tmp_path: pathlib.Path, manifest: str, said: str) -> None:
    project = write_search(tmp_path, nodes(1, 2), lambda v, k: v["nodes"])
    project.manifest_file.write_text(manifest)
    page = page_of(project)
    assert said in page.text
    assert "on the test part" not in page.text


@pytest.mark.usefixtures("words_only")
def test_pictures(tmp_path: pathlib.Path) -> None:
    from PIL import Image

    grey = [[0, 4, 8], [16, 8, 0]]
    colour = np.zeros((2, 2, 3), dtype=np.uint8)
    colour[0, 0] = (255, 0, 51)
    project = write_search(tmp_path, nodes(1), lambda v, k: 0.5)
    page = page_of(project, [ConfusedPicture(grey, 3, "eight", 0.973), ConfusedPicture(colour, "a", "b", 1.0)])
    sources = [str(image["src"]).removeprefix("data:image/png;base64,") for image in page.all("img")]
    first, second = [np.asarray(Image.open(io.BytesIO(base64.b64decode(source)))) for source in sources]
    assert first.tolist() == [[0, 63, 127], [255, 127, 0]]
    assert second.tolist() == colour.tolist()
    assert "3 taken for eight, 97% sure" in page.text


@pytest.mark.usefixtures("words_only")
def test_a_large_search_stays_readable(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MOST_LISTED", 50)
    page = page_of(write_search(tmp_path, nodes(*range(60)), lambda v, k: v["nodes"] / 1000, n_splits=1))
    assert "These are the best 50 of 60; the file has all" in page.text
    assert "The best 20 of 60." in page.text
    assert "The 20 longest of 60." in page.text


@pytest.mark.usefixtures("words_only")
def test_what_is_too_large_to_draw(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "MOST_CELLS", 14)
    monkeypatch.setattr(cards, "MOST_CLASSES", 2)
    monkeypatch.setattr(cards, "MOST_POINTS", 10)
    page = page_of(tutorial(tmp_path, fold=lambda values, k: {"confusion": [[3, 1, 0], [0, 4, 0], [2, 0, 9]]}))
    labels = " ".join(str(svg["aria-label"]) for svg in page.all("svg"))
    assert "Effect of each hyperparameter" in labels
    assert "predicted class" not in labels
    assert "Most confused pairs" in page.text
    assert "The best 10 of 15." in page.text


@pytest.mark.usefixtures("words_only")
def test_more_folds_than_a_table_can_show(tmp_path: pathlib.Path) -> None:
    page = page_of(write_search(tmp_path, nodes(1, 2), lambda v, k: v["nodes"] + k / 100, n_splits=25))
    assert "Fold 0" not in page.text
    assert "is itself rough" not in page.text


@pytest.mark.usefixtures("words_only")
def test_numbers_as_fine_as_their_spread(tmp_path: pathlib.Path) -> None:
    page = page_of(write_search(tmp_path, nodes(1, 2), lambda v, k: 0.00034 + (v["nodes"] + k) / 10**6))
    assert "with a mean accuracy 0.0003430" in page.text


def test_a_number_that_is_not_finite_in_the_history(tmp_path: pathlib.Path) -> None:
    diverged = {"history": {"val_accuracy": [0.5, 0.6], "loss": [float("inf"), float("nan")]}, "final_epoch": 2}
    page_of(write_search(tmp_path, nodes(1), lambda v, k: 0, fold=lambda v, k: diverged))


def test_the_users_settings_of_matplotlib_are_left_alone(tmp_path: pathlib.Path) -> None:
    import matplotlib

    project = tutorial(tmp_path)
    with matplotlib.rc_context({"text.usetex": True, "font.size": 31.0, "svg.fonttype": "path"}):
        page = page_of(project)
        assert matplotlib.rcParams["font.size"] == 31.0
    assert page.all("text")


def test_the_report_is_the_same_twice(tmp_path: pathlib.Path) -> None:
    project = tutorial(tmp_path)
    first = write_report(project).read_bytes()
    assert write_report(project).read_bytes() == first
    assert len(first) < 400_000


class TestCommand:
    def test_it_prints_the_path_of_the_newest_search(
        self, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in ("old", "new", "older"):
            project = write_search(tmp_path, nodes(1), lambda v, k: 0.5, name=name)
            age = {"new": 0, "old": 100, "older": 200}[name]
            os.utime(project.search_file, (time.time() - age, time.time() - age))
        assert report.main(["--directory", str(tmp_path)]) == 0
        assert capsys.readouterr().out == f"{tmp_path / 'new' / 'report.html'}\n"
        assert report.main(["--directory", str(tmp_path), "--project-name", "older"]) == 0
        assert capsys.readouterr().out == f"{tmp_path / 'older' / 'report.html'}\n"

    def test_a_new_model_makes_a_search_the_newest(self, tmp_path: pathlib.Path) -> None:
        resumed, other = (write_search(tmp_path, nodes(1), lambda v, k: 0.5, name=name) for name in ("a", "b"))
        os.utime(resumed.search_file, (0, 0))
        write_json(resumed.manifest_file, {})
        os.utime(other.search_file, (1000, 1000))
        assert report.main(["--directory", str(tmp_path)]) == 0
        assert resumed.report_file.exists()

    def test_what_cannot_be_reported(self, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
        write_search(tmp_path, nodes(1), lambda v, k: 0.5, name="begun", missing=[(0, 1)])
        write_search(tmp_path, nodes(1), lambda v, k: 0.5, name="failed", failed=itertools_all(1))
        write_search(tmp_path, nodes(1), lambda v, k: 0.5, name="damaged").search_file.write_text("{")
        write_search(tmp_path, nodes(1), lambda v, k: 0.5, name="partial").search_file.write_text(
            json.dumps({"rule": 3})
        )
        cases = [
            (["--project-name", "absent"], "search.json is not there. Run `python -m tuner_app.tune` first."),
            (["--project-name", "begun"], "begun has no finished candidate yet."),
            (["--project-name", "failed"], "failed has a score.*Most fits failed with: ValueError: no <such> thing"),
            (["--project-name", "damaged"], "cannot be read as JSON"),
            (["--project-name", "partial"], "partial/search.json is damaged"),
            (["--project-name", "../up"], "A project name must be"),
            (["--directory", str(tmp_path / "none")], "There is no search in .*none yet."),
        ]
        for options, message in cases:
            assert console.run(report.main, ["--directory", str(tmp_path), *options]) == 1
            said = capsys.readouterr()
            assert re.fullmatch(f"error: .*{message}.*\n", said.err), said.err
            assert said.out == ""

    def test_the_errors_have_their_types(self, tmp_path: pathlib.Path) -> None:
        with pytest.raises(ProjectError, match=r"no finished candidate yet\. Call search\(\) again to continue"):
            write_report(write_search(tmp_path, [], lambda v, k: 0))
        with pytest.raises(SearchError, match="nothing to report"):
            write_report(write_search(tmp_path, nodes(1), lambda v, k: 0, failed=itertools_all(1), name="b"))

    def test_help_answers_without_heavy_imports(self) -> None:
        code = (
            "import sys, contextlib, tuner_app.commands.report as report\n"
            "with contextlib.suppress(SystemExit): report.main(['--help'])\n"
            "print([n for n in ('numpy', 'pandas', 'matplotlib', 'tensorflow', 'scipy') if n in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert "--project-name NAME" in done.stdout
        assert done.stdout.endswith("[]\n")

    def test_the_module_runs(self, tmp_path: pathlib.Path) -> None:
        command = [sys.executable, "-m", "tuner_app.report", "--directory", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("error: There is no search in ")
        assert done.stderr.count("\n") == 1


def test_contrast_of_the_palette() -> None:
    """WCAG AA: text at 4.5 to 1, marks of plots at 3 to 1, in both modes."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def contrast(one: str, other: str) -> float:
        darker, lighter = sorted((luminance(one), luminance(other)))
        return (lighter + 0.05) / (darker + 0.05)

    modes = re.findall(r":root \{(.*?)\}", style_sheet(), flags=re.DOTALL)
    assert len(modes) == 2
    for mode in modes:
        colour = dict(re.findall(r"--(\w+): (#\w{6})", mode))
        for background in ("paper", "ground", "notice"):
            for text in ("ink", "muted", "accent"):
                assert contrast(colour[text], colour[background]) >= 4.5, (text, background)
        assert contrast(colour["ink"], colour["heat"]) >= 4.5
        for mark in ("warm", "good", "accent", "muted"):
            assert contrast(colour[mark], colour["paper"]) >= 3, mark
