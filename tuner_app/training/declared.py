"""What a fit has declared beyond the space that was asked for, for its record.

Owns the form in which records keep it. What becomes of it in the trials is the business of `tuners`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras_tuner

from tuner_app.data.fit_options import plain_option


def declared_by_fit(
    hyperparameters: keras_tuner.HyperParameters, values: Mapping[str, Any], space: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What a fit has declared, its candidate's late hyperparameters included.

    Args:
        hyperparameters: The fit's own, which began with all that the candidate's model knew.
        values: The candidate's values when the fit began.
        space: The search space as it was asked for.

    Returns:
        `space` as in `HyperParameters.get_config()`, and the `values` of what it has asked for beyond the candidate's;
        empty where there is neither.
    """
    late = {name: value for name, value in hyperparameters.values.items() if name not in values}
    if not late and len(hyperparameters.space) == len(space):  # a space only grows; nearly every fit ends here
        return {}
    entries = unequal(entry for entry in hyperparameters.get_config()["space"] if entry not in space)
    declared: dict[str, Any] = json.loads(json.dumps({"space": entries, "values": late}, default=plain_option))
    return declared


def unequal(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Entries of a space without those that stand there already."""
    different: list[dict[str, Any]] = []
    for entry in entries:  # dicts with lists in them: no set can hold them
        if entry not in different:
            different.append(entry)
    return different
