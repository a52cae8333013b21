"""`search.json`: what was asked of a search, and whether the same is asked again.

Owns the identity of a search, the id that each record of the journal carries, and how it outlives versions that compare
more than earlier ones did. What is asked is put together by `search`; how files are written is said in `project`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from tuner_app.errors import ProjectError, Remedy
from tuner_app.records.text import cut
from tuner_app.storage.files import digest, read_json, set_aside
from tuner_app.storage.project import Project

# A layer more moves all that follow: one line names no more differences than this.
_MOST_DIFFERENCES = 6
# What `asked` holds since the first version.
FIRST_KEYS = {
    *(
        "data",
        "space",
        "folds",
        "fit_options",
        "objective",
        "score_epoch",
        "executions_per_trial",
        "max_trials",
        "seed",
    ),
    *("intra_op_threads", "compiled_epochs"),
}
# What `asked` has gained since the first version, in the order in which it was gained. A new key is put at the end: a
# `search.json` without it is compared without it, and its search keeps the id that its records have.
ADDED_KEYS: tuple[str, ...] = ("build", "engine_rule")


def read_description(project: Project) -> dict[str, Any] | None:
    """What `search.json` holds; None where there is none. Only for who holds the project's lock.

    A file that does not say what was searched is set aside: each record tells its search, so it is no loss.
    """
    if not project.exists():
        return None
    try:
        content = read_json(project.search_file)
        check_consistent(content)
    except (ProjectError, KeyError, TypeError, ValueError):
        set_aside(project.search_file, "it was damaged or changed, so it does not say what was searched")
        return None
    return content


def recorded_threads(project: Project) -> int | None:
    """The threads of an operation that a project's search was begun with; None where no file says it.

    Asked before TensorFlow starts, and so before the project is locked and its file is checked: nothing is set aside.
    """
    try:
        threads = read_json(project.search_file)["asked"]["intra_op_threads"]
    except (ProjectError, KeyError, TypeError, ValueError):
        return None
    return threads if isinstance(threads, int) and not isinstance(threads, bool) and threads >= 0 else None


def check_consistent(content: Mapping[str, Any]) -> None:
    """Check that the parts of a whole `search.json` say the same, also where its version knew no checksum.

    Raises:
        ValueError: What was asked is not what the id says, or not what the table is made by.
        KeyError, TypeError: A part is missing, or something else.
    """
    asked, rule = content["asked"], content["rule"]
    if not set(asked) >= FIRST_KEYS:
        raise ValueError(f"asked lacks {sorted(FIRST_KEYS - set(asked))}")
    if content["search_id"] not in search_ids(asked):
        raise ValueError("search_id is not that of what was asked")
    for name, there, here in (
        ("rule", [asked["objective"], asked["score_epoch"]], [rule["objectives"], rule["epoch"]]),
        ("n_splits", asked["folds"]["number"], content["n_splits"]),
        ("executions_per_trial", asked["executions_per_trial"], content["executions_per_trial"]),
    ):
        if there != here:
            raise ValueError(f"{name} is not what was asked")


def check_same_search(project: Project, earlier: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Refuse to continue another search.

    Args:
        project: Where the search lies.
        earlier: What its `search.json` holds.
        identity: What is asked now. Keys that the file's version did not know are not compared.

    Raises:
        ProjectError: Something differs; the message names it.
    """
    then = earlier["asked"]
    # A key that the file's version did not write is no difference, or no old project could be continued.
    compared = {key: value for key, value in identity.items() if key in then or key not in ADDED_KEYS}
    differences = describe_differences(then, compared)
    if differences:
        first = differences[:_MOST_DIFFERENCES]
        more = [f"and {len(differences) - len(first)} more"] if len(differences) > len(first) else []
        raise ProjectError(
            f"The project {project.path} was made by another search: {'; '.join(first + more)}. "
            f"Start over with {Remedy.OVERWRITE}, or choose {Remedy.ANOTHER_PROJECT}."
        )


def describe_differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """One phrase for each thing that was asked differently.

    Args:
        then: What `search.json` holds.
        now: What is asked now.

    Returns:
        Phrases such as `epochs: 15 then, 3 now`; an empty list when nothing differs.
    """
    phrases: list[str] = []
    for key in sorted({*then, *now}):
        before, after = then.get(key), now.get(key)
        if before == after:  # 1 and 1.0 are no difference, as they are none to a fit
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            phrases += [f"{key} {phrase}" for phrase in describe_differences(before, after)]
        else:
            phrases.append(f"{key}: {_short(before)} then, {_short(after)} now")
    return phrases


def search_ids(identity: Mapping[str, Any]) -> list[str]:
    """The ids that a search may have: first that of this version, then those that earlier versions gave it."""
    # Each earlier version asked without the keys that came after it; the id is over what it asked.
    keys_by_version = [set(identity) - set(ADDED_KEYS[count:]) for count in range(len(ADDED_KEYS), -1, -1)]
    ids = [digest({key: identity[key] for key in keys}) for keys in keys_by_version]
    return list(dict.fromkeys(ids))


def search_id(
    earlier: Mapping[str, Any] | None, identity: Mapping[str, Any], owners: Callable[[], Collection[str]]
) -> str:
    """The id of a search: the one that its records have.

    Args:
        earlier: What its `search.json` holds; None where the journal has to tell.
        identity: What is asked now.
        owners: The searches that the journal's records belong to.
    """
    if earlier is not None:
        return str(earlier["search_id"])
    # Without `search.json` the records say whose they are. `owners` reads them all, so it is asked only now.
    ids, owner_ids = search_ids(identity), owners()
    return next((search_id for search_id in ids if search_id in owner_ids), ids[0])


def _short(value: Any) -> str:
    return cut("nothing" if value is None else json.dumps(value), 60)
