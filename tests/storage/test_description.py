"""`search.json`: the identity of a search, across versions that compare more than earlier ones did."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from support.fakes import FakeFitter

from tuner_app.errors import ProjectError
from tuner_app.storage import description
from tuner_app.tuners import asked

Make = Callable[..., Any]
Data = tuple[Any, Any]


@pytest.fixture(name="later_version")
def later_version_fixture(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes this version a later one, which asks for more than it did."""
    asked_today = asked.identity

    def become(**added: Any) -> None:
        monkeypatch.setattr(description, "ADDED_KEYS", (*description.ADDED_KEYS, *added))
        monkeypatch.setattr(asked, "identity", lambda *given, **named: {**asked_today(*given, **named), **added})

    return become


def fits_of(make_tuner: Make, data: Data, **options: Any) -> int:
    fitter = FakeFitter()
    make_tuner(fold_fitter=fitter, **options).search(*data)
    return len(fitter.tasks)


class TestKeysThatWereAddedLater:
    def test_a_project_without_them_resumes_and_has_them_from_then_on(
        self, make_tuner: Make, data: Data, later_version: Callable[..., None]
    ) -> None:
        first = make_tuner()
        first.search(*data)
        then = json.loads(first.project.search_file.read_text())
        later_version(model="dense", weather="sunny")
        assert fits_of(make_tuner, data) == 0
        now = json.loads(first.project.search_file.read_text())
        assert now["search_id"] == then["search_id"]
        assert (now["asked"]["model"], now["asked"]["weather"]) == ("dense", "sunny")
        later_version(model="convolutional", weather="sunny")
        with pytest.raises(ProjectError, match='another search: model: "dense" then, "convolutional" now'):
            fits_of(make_tuner, data)

    @pytest.mark.parametrize("resumed", [False, True], ids=["not yet resumed", "resumed"])
    def test_a_damaged_description_still_finds_its_folds(
        self, make_tuner: Make, data: Data, later_version: Callable[..., None], resumed: bool
    ) -> None:
        first = make_tuner()
        first.search(*data)
        later_version(model="dense")
        if resumed:
            make_tuner().search(*data)
        later_version(weather="sunny")
        first.project.search_file.write_text("{")
        assert fits_of(make_tuner, data) == 0
        assert fits_of(make_tuner, data) == 0

    def test_a_damaged_description_does_not_lend_folds_to_another_search(
        self, make_tuner: Make, data: Data, later_version: Callable[..., None]
    ) -> None:
        later_version(model="dense")
        first = make_tuner()
        first.search(*data)
        first.project.search_file.write_text("{")
        later_version(model="convolutional")
        assert fits_of(make_tuner, data) == 9

    def test_what_every_version_has_is_compared_where_a_file_lacks_it(self, make_tuner: Make, data: Data) -> None:
        first = make_tuner()
        first.search(*data)
        known = json.loads(first.project.search_file.read_text())
        del known["asked"]["score_epoch"]
        with pytest.raises(ProjectError, match='another search: score_epoch: nothing then, "last" now'):
            description.check_same_search(first.project, known, {**known["asked"], "score_epoch": "last"})


def test_a_description_whose_id_is_not_that_of_what_was_asked_is_set_aside(
    make_tuner: Make, data: Data, caplog: pytest.LogCaptureFixture
) -> None:
    first = make_tuner()
    first.search(*data)
    path = first.project.search_file
    path.write_text(path.read_text().replace('"number": 3', '"number": 4'))
    assert fits_of(make_tuner, data) == 0
    assert "search.json is not used: it was damaged or changed" in caplog.text
    assert '"number": 3' in path.read_text()


@pytest.mark.parametrize("oracle", ["whole", "damaged", "changed"])
def test_a_drawn_seed_outlives_a_damaged_description(make_tuner: Make, data: Data, oracle: str) -> None:
    first = make_tuner(seed=None)
    first.search(*data)
    first.project.search_file.write_text("{")
    path = first.project.oracle_file
    if oracle != "whole":
        path.write_text("{" if oracle == "damaged" else path.read_text().replace('"seed": ', '"seed": 1'))
    fits = fits_of(make_tuner, data, seed=None)
    assert fits == (0 if oracle == "whole" else 9)


class TestDifferences:
    def test_each_difference_is_one_phrase_down_to_the_key(self) -> None:
        then = {"seed": 0, "fit_options": {"epochs": 15, "batch_size": 64}, "gone": 1, "same": {"a": [1]}}
        now = {"seed": 0, "fit_options": {"epochs": 3, "batch_size": 64}, "new": "x", "same": {"a": [1]}}
        assert description.describe_differences(then, now) == [
            "fit_options epochs: 15 then, 3 now",
            "gone: 1 then, nothing now",
            'new: nothing then, "x" now',
        ]

    def test_long_values_are_cut(self) -> None:
        (phrase,) = description.describe_differences({"a": list(range(100))}, {"a": 1})
        assert len(phrase) < 90
        assert "... then, 1 now" in phrase
