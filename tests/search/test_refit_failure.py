"""A refit that fails costs the model and nothing else: scores, table and files are there, and one line says why."""

from __future__ import annotations

import logging
import re
import warnings
from pathlib import Path
from typing import Any

import keras
import pytest
from support.staged_fits import BOTH_WAYS, Data, Make, hypermodel, model_of

import tuner_app
from tuner_app.commands import console, tune
from tuner_app.errors import ProjectError
from tuner_app.records.tasks import FoldTask
from tuner_app.search.observers import SearchObserver
from tuner_app.training.fitter import FoldFitter

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

REASON = (
    r"The refit of the best candidate on all rows failed, so there is no model to predict with: ValueError: too many"
)


def choosy(model: keras.Model, x: Any, y: Any, **options: Any) -> Any:
    if len(x) > 12:
        raise ValueError("too many rows")
    return model.fit(x, y, **options)


class Listener(SearchObserver):
    def __init__(self) -> None:
        self.tables: list[Any] = []

    def search_ended(self, candidates: Any, *, table: Any, interrupted: bool) -> None:
        self.tables.append((len(table["params"]), interrupted))


@BOTH_WAYS
def test_the_search_ends_as_ever_and_says_what_is_missing(
    make_tuner: Make, data: Data, caplog: pytest.LogCaptureFixture, way: dict[str, Any]
) -> None:
    listener = Listener()
    tuner = make_tuner(hypermodel(choosy), cv=2, fold_fitter=None, observers=[listener], **way)
    with (
        caplog.at_level(logging.DEBUG, "tuner_app"),
        pytest.warns(tuner_app.RefitFailedWarning, match=REASON) as caught,
    ):
        tuner.search(*data, batch_size=12)
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    assert caught[0].filename == __file__
    assert listener.tables == [(1, False)]
    assert tuner.best_params_ == {"rate": 0.25}
    assert tuner.best_index_ == 0
    assert tuner.best_score_ == tuner.cv_results_["mean_test_score"][0]
    assert len(tuner.project.results_file.read_text().splitlines()) == 2
    assert tuner.oracle.get_trial("0000").status == "COMPLETED"
    for ask in (lambda: tuner.best_model_, lambda: tuner.predict(data[0])):
        with pytest.raises(ProjectError, match=REASON):
            ask()
    assert "in choosy" in caplog.text


def test_no_model_of_an_earlier_search_is_taken_for_it(make_tuner: Make, data: Data) -> None:
    failing: list[bool] = []

    def fit(model: keras.Model, x: Any, y: Any, **options: Any) -> Any:
        if failing and len(x) > 12:
            raise ValueError("too many rows")
        return model.fit(x, y, **options)

    tuner = make_tuner(hypermodel(fit), cv=2, fold_fitter=None)
    tuner.search(*data)
    assert tuner.predict(data[0]).shape == (24,)
    tuner.project.manifest_file.unlink()
    failing.append(True)
    with pytest.warns(tuner_app.RefitFailedWarning, match=REASON):
        tuner.search(*data)
    with pytest.raises(ProjectError, match=REASON):
        tuner.predict(data[0])
    failing.clear()
    tuner.search(*data)
    assert tuner.predict(data[0]).shape == (24,)


def test_where_warnings_are_errors_nothing_is_lost(make_tuner: Make, data: Data) -> None:
    tuner = make_tuner(hypermodel(choosy), cv=2, fold_fitter=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(tuner_app.RefitFailedWarning, match=REASON):
            tuner.search(*data)
    assert tuner.best_params_ == {"rate": 0.25}
    assert tuner.oracle.get_trial("0000").status == "COMPLETED"


@pytest.mark.parametrize("loudness", [[], ["--quiet"]], ids=["loud", "quiet"])
def test_the_command_prints_its_summary_then_one_line_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, loudness: list[str]
) -> None:
    fit = FoldFitter.__call__

    def fit_folds_only(fitter: FoldFitter, task: FoldTask, *arguments: Any) -> Any:
        if task.is_refit:
            raise ValueError("too many rows")
        return fit(fitter, task, *arguments)

    monkeypatch.setattr(FoldFitter, "__call__", fit_folds_only)
    rows = [f"{number % 3},{number % 5},{'ab'[number % 2]}" for number in range(24)]
    (tmp_path / "table.csv").write_text("\n".join(["one,two,label", *rows]) + "\n")
    options = f"--data {tmp_path}/table.csv --nodes 2 --learning-rates 0.1 --epochs 1 --directory {tmp_path}/logs"
    assert console.run(tune.main, [*options.split(), *loudness]) == 1
    printed = capsys.readouterr()
    assert ("Best" in printed.out) is ("Report: " in printed.out) is (not loudness)
    assert "Model:" not in printed.out
    assert list(tmp_path.glob("logs/*/report.html"))
    [line] = printed.err.splitlines()
    assert re.match(f"error: {REASON} rows", line)
    assert "Run the same command again" in line


def test_a_model_that_trains_well_needs_no_warning(make_tuner: Make, data: Data) -> None:
    tuner = make_tuner(model_of, cv=2, fold_fitter=None)
    tuner.search(*data)
    assert tuner.best_model_ is not None
