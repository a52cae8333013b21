"""The seed of a fit."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tuner_app.records.seeds import fit_seed


def test_the_seed_of_a_fit_is_the_same_for_ever() -> None:
    values = {"nodes": 32, "learning_rate": 0.001}
    assert fit_seed(0, values, 1) == 1438813040
    assert fit_seed(0, dict(reversed(values.items())), 1) == fit_seed(0, values, 1)


def test_the_seed_of_a_fit_depends_on_what_the_fit_is() -> None:
    base = {"search_seed": 0, "values": {"a": 1}, "fold": 0, "execution": 0, "attempt": 0}
    changes = [{}, {"search_seed": 1}, {"values": {"a": 2}}, {"values": {"b": 1}}, {"fold": 1}, {"fold": -1}]
    changes += [{"execution": 1}, {"attempt": 1}]
    seeds = {fit_seed(**{**base, **change}) for change in changes}
    assert len(seeds) == len(changes)


@given(st.integers(), st.dictionaries(st.text(), st.integers() | st.floats() | st.text() | st.booleans()))
def test_seeds_suit_every_generator(search_seed: int, values: dict[str, Any]) -> None:
    assert 0 <= fit_seed(search_seed, values, 0) < 2**31
