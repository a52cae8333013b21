"""A record as text and back: any damage is noticed, and named."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.records import RECORD, same

from tuner_app.storage import fold_record
from tuner_app.storage.files import digest
from tuner_app.storage.fold_record import DamagedRecordError

number = st.floats(width=64)
TEXT = fold_record.encode(RECORD, "search")


class TestText:
    def test_a_record_comes_back_as_it_was(self) -> None:
        assert same(fold_record.decode(TEXT, "search"), RECORD)
        assert same(fold_record.decode(TEXT), RECORD)

    @given(
        history=st.dictionaries(st.text(), st.lists(number)),
        scores=st.dictionaries(st.text(), number),
        values=st.dictionaries(st.text(), st.integers() | st.text() | st.booleans() | st.none()),
        error=st.none() | st.text(),
    )
    def test_any_record_comes_back_as_it_was(self, **fields: Any) -> None:
        record = dataclasses.replace(RECORD, **fields)
        assert same(fold_record.decode(fold_record.encode(record, "s"), "s"), record)

    def test_half_a_surrogate_pair_comes_back_as_it_was(self) -> None:
        record = dataclasses.replace(RECORD, error="FileNotFoundError: 'bad\udcff'")
        assert same(fold_record.decode(fold_record.encode(record, "s"), "s"), record)

    def test_it_is_plain_json(self) -> None:
        def refuse(name: str) -> None:
            raise AssertionError(name)

        assert json.loads(TEXT, parse_constant=refuse)["record"]["history"]["val_loss"] == ["inf", "-inf"]

    @given(st.integers(0, len(TEXT) - 1))
    def test_any_truncation_is_noticed(self, length: int) -> None:
        try:
            found = fold_record.decode(TEXT[:length], "search")
        except DamagedRecordError:
            return
        assert same(found, RECORD)

    @given(st.integers(0, len(TEXT) - 1), st.characters(codec="utf-8"))
    def test_any_changed_character_is_noticed_or_changes_nothing(self, position: int, character: str) -> None:
        try:
            found = fold_record.decode(TEXT[:position] + character + TEXT[position + 1 :], "search")
        except DamagedRecordError:
            return
        assert same(found, RECORD)

    @given(
        st.recursive(
            st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
        )
    )
    def test_any_other_json_is_refused(self, content: Any) -> None:
        with pytest.raises(DamagedRecordError):
            fold_record.decode(json.dumps(content), "search")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "no whole record"),
            ("[" * 100_000, "no whole record"),
            (json.dumps({"search_id": "search", "checksum": "0" * 32, "record": {}}), "does not fit its checksum"),
            (fold_record.encode(RECORD, "other"), "belongs to another search"),
        ],
        ids=["empty", "deep", "checksum", "other"],
    )
    def test_the_reason_is_named(self, text: str, message: str) -> None:
        with pytest.raises(DamagedRecordError, match=message):
            fold_record.decode(text, "search")

    def test_a_record_of_an_older_layout_is_named(self) -> None:
        record = json.loads(TEXT)["record"]
        del record["confusion"]
        content = {"search_id": "search", "checksum": digest(record), "record": record}
        with pytest.raises(DamagedRecordError, match="its fields are"):
            fold_record.decode(json.dumps(content), "search")

    @pytest.mark.parametrize(
        "change",
        [
            {"history": None},
            {"history": {"loss": 3}},
            {"history": {"loss": ["x"]}},
            {"scores": []},
            {"fold": -1},
            {"fold": "0"},
            {"final_epoch": 1.5},
            {"measured_epochs": {"val_loss": [1.5]}},
            {"stage_epochs": [-1]},
            {"scored_stage": None},
            {"stage_rates": [0.1]},
            {"fit_seconds": None},
            {"values": 3},
            {"confusion": [[1, 2]]},
            {"confusion": [[1, 2], [3]]},
            {"declared": {"space": [1], "values": {}}},
            {"seed": 2**63},
            {"started": "nan"},
            {"error": 3},
        ],
    )
    def test_a_whole_record_of_wrong_types_is_refused(self, change: dict[str, Any]) -> None:
        record = json.loads(TEXT)["record"] | change
        content = {"search_id": "search", "checksum": digest(record), "record": record}
        with pytest.raises(DamagedRecordError, match=f"its field {next(iter(change))} holds"):
            fold_record.decode(json.dumps(content), "search")
