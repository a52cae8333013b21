"""Going on with a project: from another working directory, with other wishes, with folds that are drawn anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.model_selection import KFold, RepeatedKFold, ShuffleSplit, StratifiedKFold
from support.fakes import FakeFitter, record

from tuner_app.errors import InputError, ProjectError
from tuner_app.folds.rows import data_fingerprint
from tuner_app.records.results import FoldResult
from tuner_app.records.tasks import FoldTask
from tuner_app.storage.kept_folds import keep_folds, kept_folds
from tuner_app.storage.project import Project
from tuner_app.tuners.grid_search import GridSearchCV

Make = Callable[..., Any]
Data = tuple[Any, Any]


class TestWorkingDirectory:
    @pytest.mark.parametrize("moment", ["before the search", "during the search"])
    def test_a_project_stays_where_it_was_begun(
        self, make_tuner: Make, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
    ) -> None:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path)

        def leave(task: FoldTask) -> None:
            if moment == "during the search" and len(fitter.tasks) == 4:
                os.chdir(tmp_path / "elsewhere")

        fitter = FakeFitter(before=leave)
        tuner = make_tuner(directory="logs", fold_fitter=fitter, n_jobs=1)
        if moment == "before the search":
            os.chdir(tmp_path / "elsewhere")
        tuner.search(*data)
        assert list((tmp_path / "elsewhere").iterdir()) == []
        assert len(list((tmp_path / "logs" / "search").glob("trial_*/fold_*.json"))) == 9
        assert len(list((tmp_path / "logs" / "search").glob("trial_*/trial.json"))) == 3
        os.chdir(tmp_path)
        again = FakeFitter()
        make_tuner(directory="logs", fold_fitter=again).search(*data)
        assert again.tasks == []


@pytest.mark.parametrize("name", ["run_trial", "_build_and_fit_model", "_run_and_update_trial"])
def test_a_method_of_keras_tuner_that_would_never_be_called_is_refused(make_tuner: Make, name: str) -> None:
    cls = type("Mine", (GridSearchCV,), {name: lambda self, trial, *arguments, **options: 1.0})
    with pytest.raises(InputError, match=rf"Mine must not override {name}, .*Override HyperModel\.fit instead"):
        make_tuner(cls=cls)


class TestFoldsThatAreDrawnAnew:
    SPLITTERS = (
        KFold(3, shuffle=True),
        StratifiedKFold(3, shuffle=True),
        ShuffleSplit(3, test_size=0.25),
        RepeatedKFold(n_splits=2, n_repeats=2),
    )

    def begin(self, make_tuner: Make, data: Data, cv: Any, fits: int = 4) -> FakeFitter:
        """A search that crashes after some fits."""

        def crash(task: FoldTask) -> None:
            if len(fitter.tasks) > fits:
                raise KeyError("crash")

        fitter = FakeFitter(before=crash)
        with pytest.raises(KeyError, match="crash"):
            make_tuner(cv=cv, fold_fitter=fitter, n_jobs=1).search(*data)
        return fitter

    def rows(self, fitter: FakeFitter) -> dict[tuple[str, int], Any]:
        return {
            (task.trial_id, task.fold): (task.train_rows.tolist(), task.validation_rows.tolist())
            for task in fitter.tasks
            if task.validation_rows is not None
        }

    @pytest.mark.parametrize("cv", SPLITTERS, ids=lambda cv: type(cv).__name__)
    @pytest.mark.parametrize("search_file", ["whole", "damaged"])
    def test_a_resume_goes_on_with_the_folds_of_the_first_run(
        self, make_tuner: Make, data: Data, cv: Any, search_file: str
    ) -> None:
        then = self.begin(make_tuner, data, cv)
        fitter = FakeFitter()
        tuner = make_tuner(cv=cv, fold_fitter=fitter)
        if search_file == "damaged":
            tuner.project.search_file.write_text("{")
        tuner.search(*data)
        assert len(fitter.tasks) == 3 * tuner.n_splits_ - 4
        known = {fold: rows for (_, fold), rows in self.rows(then).items()}
        compared = [(rows, known[fold]) for (_, fold), rows in self.rows(fitter).items() if fold in known]
        assert compared
        assert all(rows == rows_then for rows, rows_then in compared)

    def test_other_data_or_another_splitter_are_still_told(self, make_tuner: Make, data: Data) -> None:
        self.begin(make_tuner, data, KFold(3, shuffle=True))
        with pytest.raises(ProjectError, match="data fingerprint"):
            make_tuner(cv=KFold(3, shuffle=True)).search(data[0] + 1, data[1])
        with pytest.raises(ProjectError, match="folds splitter"):
            make_tuner(cv=StratifiedKFold(3, shuffle=True)).search(*data)

    @pytest.mark.parametrize("damage", ["absent", "cut", "changed"])
    def test_without_them_the_reason_is_named_and_nothing_is_trained(
        self, make_tuner: Make, data: Data, damage: str
    ) -> None:
        self.begin(make_tuner, data, KFold(3, shuffle=True))
        fitter = FakeFitter()
        tuner = make_tuner(cv=KFold(3, shuffle=True), fold_fitter=fitter)
        path = tuner.project.folds_file
        content = path.read_bytes()
        path.unlink()
        if damage != "absent":
            path.write_bytes(content[:-30] if damage == "cut" else content.replace(b"fold_of_row", b"fold_of_rod"))
        with pytest.raises(
            ProjectError, match=r"cannot be made again: KFold\(.* draws others each time.* random_state"
        ):
            tuner.search(*data)
        assert fitter.tasks == []

    def test_splitters_that_give_the_same_folds_keep_none(self, make_tuner: Make, data: Data) -> None:
        for number, cv in enumerate([3, KFold(3), KFold(3, shuffle=True, random_state=0), KFold(3).split(data[0])]):
            tuner = make_tuner(cv=cv, project_name=f"p{number}")
            tuner.search(*data)
            assert not tuner.project.folds_file.exists()

    def test_a_byte_a_row_is_enough(self, tmp_path: Path) -> None:
        splits = list(KFold(3, shuffle=True).split(np.zeros((42_000, 1))))
        asked = {
            "data": {"rows": 42_000},
            "folds": {"splitter": "KFold", "number": 3, "fingerprint": data_fingerprint(splits)},
        }
        project = Project(tmp_path, "p")
        keep_folds(project, asked, splits)
        assert project.folds_file.stat().st_size < 15_000
        again = kept_folds(project, asked)
        assert again is not None
        assert data_fingerprint(again) == data_fingerprint(splits)


class TestMoreThanWasAskedFor:
    """A finished fold has no scores on its training rows and no model where they were not asked for."""

    def first(self, make_tuner: Make, data: Data, **options: Any) -> Any:
        def bare(task: FoldTask) -> FoldResult:
            return record(task, history={"val_accuracy": [task.values["a"] / 10]}, final_epoch=1)

        tuner = make_tuner(fold_fitter=bare, **options)
        tuner.search(*data)
        return tuner

    def test_train_scores_that_the_finished_folds_lack_are_refused_before_any_fit(
        self, make_tuner: Make, data: Data
    ) -> None:
        first = self.first(make_tuner, data)
        first.project.fold_file("0001", 2).unlink()
        before = {path: path.read_bytes() for path in first.project.path.rglob("*") if path.is_file()}
        fitter = FakeFitter()
        tuner = make_tuner(return_train_score=True, fold_fitter=fitter)
        with pytest.raises(
            ProjectError, match=r"return_train_score=True asks .* 8 of the 8 finished folds .* Leave ret"
        ):
            tuner.search(*data)
        assert fitter.tasks == []
        assert {path: path.read_bytes() for path in first.project.path.rglob("*") if path.is_file()} == before
        make_tuner(fold_fitter=fitter).search(*data)
        assert len(fitter.tasks) == 1

    def test_a_fit_that_has_none_though_it_was_asked_is_no_gap(self, make_tuner: Make, data: Data) -> None:
        self.first(make_tuner, data, return_train_score=True)
        make_tuner(return_train_score=True).search(*data)
        make_tuner().search(*data)
        with pytest.raises(ProjectError, match="return_train_score=True asks"):
            make_tuner(return_train_score=True).search(*data)

    def test_a_new_tuner_without_a_search_tells_it_too(self, make_tuner: Make, data: Data) -> None:
        self.first(make_tuner, data)
        with pytest.raises(ProjectError, match=r"return_train_score=True asks .* 9 of the 9 finished folds"):
            _ = make_tuner(return_train_score=True).cv_results_
        assert make_tuner().best_params_ == {"a": 3}

    def test_train_scores_that_are_there_are_shown(self, make_tuner: Make, data: Data) -> None:
        make_tuner().search(*data)
        tuner = make_tuner(return_train_score=True)
        tuner.search(*data)
        assert not np.isnan(tuner.cv_results_["mean_train_score"]).any()

    @pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
    def test_models_that_the_finished_folds_lack(self, make_tuner: Make, data: Data) -> None:
        options: dict[str, Any] = {"cv": 2, "fold_fitter": None, "n_jobs": 1, "refit": False}
        make_tuner(linear, **options).search(*data, epochs=1)
        with pytest.raises(ProjectError, match=r"keep_fold_models=True asks for the models .* 2 of the 2 finished"):
            make_tuner(linear, keep_fold_models=True, **options).search(*data, epochs=1)
        first = make_tuner(linear, keep_fold_models=True, overwrite=True, **options)
        first.search(*data, epochs=1)
        assert len(list(first.project.path.glob("trial_*/fold_*.keras"))) == 2
        make_tuner(linear, keep_fold_models=True, **options).search(*data, epochs=1)


def linear(hp: Any) -> keras.Model:
    """A real model, small enough to train in a moment."""
    hp.Fixed("rate", 0.1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])
    model.compile("sgd", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
