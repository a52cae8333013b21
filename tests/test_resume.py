"""Going on with a project: from another working directory, with other wishes, with folds that are drawn anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import FakeFitter

from tuner_app.errors import InputError
from tuner_app.folds import FoldTask
from tuner_app.tuner import GridSearchCV

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
