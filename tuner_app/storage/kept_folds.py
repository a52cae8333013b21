"""The folds of a splitter that draws others each time (`shuffle=True` without `random_state`), kept in the project.

Owns `folds.npz`: whose folds are kept there, in what form, and what they must fit before a search goes on with them.
How a splitter is called is the business of `folds`.
"""

from __future__ import annotations

import io
import json
import logging
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tuner_app.errors import ProjectError, Remedy
from tuner_app.folds.rows import data_fingerprint
from tuner_app.records.tasks import Index
from tuner_app.storage.files import write_whole
from tuner_app.storage.project import Project

logger = logging.getLogger(__name__)

Splits = list[tuple[Index, Index]]


def draws_anew(cv: Any) -> bool:
    """Whether a splitter gives other folds each time, by scikit-learn's `random_state` and `shuffle`."""
    return hasattr(cv, "split") and getattr(cv, "random_state", 0) is None and getattr(cv, "shuffle", True) is not False


def keep_folds(project: Project, identity: Mapping[str, Any], splits: Splits) -> None:
    """Write the folds, whole.

    Args:
        project: Where they go.
        identity: What is asked of the search, as in `search.json`: its data and folds.
        splits: Pairs of row numbers: training, validation.

    Raises:
        ProjectError: The folder cannot be written.
    """
    # Into memory first: NumPy itself would write a part of the file where the disk is full.
    buffer = io.BytesIO()
    arrays = {"asked": np.array(_data_and_folds(identity)), **_packed(splits, identity["data"]["rows"])}
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_whole(project.folds_file, buffer.getvalue())


def kept_folds(project: Project, identity: Mapping[str, Any]) -> Splits | None:
    """The folds that an earlier run of the same search was made with.

    Args:
        project: Where they lie.
        identity: What is asked of the search now; its folds' fingerprint is not looked at.

    Returns:
        Pairs of row numbers; None where none are kept for these data and this splitter, or the file is damaged (which
        is logged).
    """
    if not project.folds_file.exists():
        return None
    try:
        # Never pickled objects: a project may come from somebody else.
        with np.load(io.BytesIO(project.folds_file.read_bytes()), allow_pickle=False) as content:
            then = json.loads(str(content["asked"]))
            splits = _unpacked({name: content[name] for name in content.files}, then["folds"]["number"])
        # The fingerprint of then: folds that do not fit it would be another search under the same name.
        if data_fingerprint(splits) != then["folds"]["fingerprint"]:
            raise ValueError("the folds do not fit their fingerprint")
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        logger.warning("%s is not used: it is damaged (%s).", project.folds_file, error)
        return None
    # What is asked now has the fingerprint of folds drawn anew; those are what is to be replaced.
    now = json.loads(_data_and_folds(identity))
    then["folds"]["fingerprint"] = now["folds"]["fingerprint"]
    return splits if then == now else None


def check_folds(project: Project, earlier: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Refuse to go on with other folds than a search was begun with.

    Args:
        project: Where the search lies.
        earlier: What its `search.json` holds.
        identity: What is asked now.

    Raises:
        ProjectError: The splitter has drawn other folds, and those of then are not kept.
    """
    then, now = earlier["asked"]["folds"], identity["folds"]
    same = earlier["asked"]["data"] == identity["data"] and {**then, "fingerprint": now["fingerprint"]} == now
    if same and then != now:
        raise ProjectError(
            f"The folds of {project.path} cannot be made again: {now['splitter']} draws others each time, and "
            f"{project.folds_file.name} does not hold them. Give the splitter a random_state and start over with "
            f"{Remedy.OVERWRITE}, or choose {Remedy.ANOTHER_PROJECT}."
        )


def _data_and_folds(identity: Mapping[str, Any]) -> str:
    return json.dumps({"data": identity["data"], "folds": identity["folds"]}, sort_keys=True)


def _packed(splits: Splits, rows: int) -> dict[str, npt.NDArray[Any]]:
    """Where each row is validated once, its fold's number, a byte a row; else the row numbers themselves."""
    # Most splitters validate each row once: then a byte a row says it all, where row numbers take four and more.
    fold_of_row = np.zeros(rows, dtype=np.min_scalar_type(len(splits)))
    for fold, (_, validation) in enumerate(splits):
        fold_of_row[validation] = fold
    if _same(_partition(fold_of_row, len(splits)), splits):
        return {"fold_of_row": fold_of_row}
    kind = np.min_scalar_type(rows)
    parts = {f"train_{fold}": train for fold, (train, _) in enumerate(splits)}
    parts |= {f"validation_{fold}": validation for fold, (_, validation) in enumerate(splits)}
    return {name: index.astype(kind) for name, index in parts.items()}


def _unpacked(content: Mapping[str, npt.NDArray[Any]], number: int) -> Splits:
    if "fold_of_row" in content:
        return _partition(content["fold_of_row"], number)
    return [
        (content[f"train_{fold}"].astype(np.intp), content[f"validation_{fold}"].astype(np.intp))
        for fold in range(number)
    ]


def _partition(fold_of_row: npt.NDArray[Any], number: int) -> Splits:
    return [(np.flatnonzero(fold_of_row != fold), np.flatnonzero(fold_of_row == fold)) for fold in range(number)]


def _same(some: Splits, others: Sequence[tuple[Index, Index]]) -> bool:
    return all(
        np.array_equal(a, b) for left, right in zip(some, others, strict=True) for a, b in zip(left, right, strict=True)
    )
