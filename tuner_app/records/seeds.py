"""The one rule by which every fit of a search gets its seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

# The spelling of a key decides on every seed: whatever is changed here changes the results of all searches.
_JSON = json.JSONEncoder(default=str)


def fit_seed(search_seed: int, values: Mapping[str, Any], fold: int, execution: int = 0, attempt: int = 0) -> int:
    """The seed of one fit: from what the fit is, never from when it runs.

    Args:
        search_seed: The seed of the search; 0 is a seed.
        values: The candidate's values.
        fold: The fold's number; -1 for the refit.
        execution: Which repetition.
        attempt: Which retry.

    Returns:
        A number from 0 to 2**31 - 1.
    """
    # Sorted, since a resume may name the same values in another order.
    key = _JSON.encode([search_seed, sorted(values.items()), fold, execution, attempt])
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") >> 1
