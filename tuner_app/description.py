"""`search.json`: what was asked of a search, and whether the same is asked again.

Owns the identity of a search, the id that each record of the journal carries, and how it outlives versions that compare
more than earlier ones did. What is asked is put together by `search`; how files are written is said in `project`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tuner_app import journal
from tuner_app.errors import ProjectError
from tuner_app.project import Project, describe_differences, digest, read_json

# What `asked` has gained since the first version, in the order in which it was gained. A new key is put at the end: a
# `search.json` without it is compared without it, and its search keeps the id that its records have.
ADDED_KEYS: tuple[str, ...] = ()


def read_description(project: Project) -> dict[str, Any] | None:
    """What `search.json` holds; None where there is none.

    A file that does not say what was searched is set aside: each record tells its search, so it is no loss.
    """
    if not project.exists():
        return None
    try:
        known = read_json(project.search_file)
    except ProjectError:
        known = {}
    asked = known.get("asked")
    if isinstance(asked, dict) and isinstance(asked.get("seed"), int) and known.get("search_id") in search_ids(asked):
        return known
    journal.set_aside(project.search_file, "it does not say what was searched")
    return None


def check_same_search(project: Project, known: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Refuse to continue another search.

    Args:
        project: Where the search lies.
        known: What its `search.json` holds.
        asked: What is asked now. Keys that the file's version did not know are not compared.

    Raises:
        ProjectError: Something differs; the message names it.
    """
    then = known["asked"]
    compared = {key: value for key, value in asked.items() if key in then or key not in ADDED_KEYS}
    differences = describe_differences(then, compared)
    if differences:
        raise ProjectError(
            f"The project {project.path} was made by another search: {'; '.join(differences)}. "
            "Start over with --overwrite (overwrite=True), or choose another --project-name."
        )


def search_ids(asked: Mapping[str, Any]) -> list[str]:
    """The ids that a search may have: first that of this version, then those that earlier versions gave it."""
    known_keys = [set(asked) - set(ADDED_KEYS[count:]) for count in range(len(ADDED_KEYS), -1, -1)]
    ids = [digest({key: asked[key] for key in keys}) for keys in known_keys]
    return list(dict.fromkeys(ids))


def search_id(project: Project, known: Mapping[str, Any] | None, asked: Mapping[str, Any]) -> str:
    """The id of a search: the one that its records have.

    Args:
        project: Where the search lies.
        known: What its `search.json` holds; None where the journal has to tell.
        asked: What is asked now.
    """
    if known is not None:
        return str(known["search_id"])
    ids = search_ids(asked)
    owners = journal.owners(project)
    return next((one for one in ids if one in owners), ids[0])
