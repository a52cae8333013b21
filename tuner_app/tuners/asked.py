"""What is asked of a search, as `search.json` keeps it.

Owns the words for what makes two searches the same, and for what only a reader wants to know. Whether two searches
are the same is decided in `storage.description`.
"""

from __future__ import annotations

import datetime
import pathlib
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras

from tuner_app.data import prepare, targets
from tuner_app.data.fit_options import plain_option
from tuner_app.folds.rows import data_fingerprint
from tuner_app.process.versions import package_versions
from tuner_app.records.tasks import Index
from tuner_app.storage import journal
from tuner_app.training.fingerprint import source_digest
from tuner_app.tuners.trials import plain

if TYPE_CHECKING:
    from tuner_app.tuners.settings import Settings

Splits = Sequence[tuple[Index, Index]]

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def identity(
    settings: Settings,
    data: prepare.SearchData,
    splits: Splits,
    fit_options: Mapping[str, Any],
    model: Mapping[str, Any] | None,
    *,
    engine_rule: int,
    intra_op_threads: int,
) -> dict[str, Any]:
    """What must be the same for a search to go on: whatever can change a number.

    Args:
        settings: What the tuner was told.
        data: The checked data.
        splits: The folds.
        fit_options: What `HyperModel.fit` gets beyond the data.
        model: What a model of the default hyperparameters is; None where there is none to look at.
        engine_rule: The rule by which the engine of a fit is chosen, see `compiled.engine`: that of the first run.
        intra_op_threads: The threads of an operation: those of the first run.
    """
    asked = {
        "data": {"rows": data.rows, "fingerprint": data.fingerprint()},
        "space": {entry["config"]["name"]: entry for entry in settings.space},
        "folds": {
            "splitter": _ADDRESS.sub("", repr(settings.cv)) if hasattr(settings.cv, "split") else "given",
            "number": len(splits),
            "fingerprint": data_fingerprint(splits),
        },
        "fit_options": {name: plain_option(value) for name, value in fit_options.items()},
        "objective": [list(pair) for pair in settings.rule.objectives],
        "score_epoch": settings.rule.epoch,
        "executions_per_trial": settings.executions,
        "max_trials": settings.max_trials,
        "seed": settings.seed,
        "intra_op_threads": intra_op_threads,
        "compiled_epochs": {"compile_epochs": settings.compile_epochs, "jit_compile": settings.jit_compile},
    }
    asked["engine_rule"] = engine_rule
    if model is not None:
        asked["build"] = {"keras": keras.__version__, **model}
    content: dict[str, Any] = plain(asked)
    return content


def with_comparable_build(asked: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked, with the model that the project knows where that cannot be compared with this one.

    Whatever keeps a model from being built, the fits tell; another Keras may word the same model otherwise.
    """
    known, now = then.get("build"), asked.get("build")
    if known is None or (now is not None and now["keras"] == known.get("keras")):
        return dict(asked)
    return {**asked, "build": known}


def description(
    settings: Settings,
    data: prepare.SearchData,
    splits: Splits,
    *,
    asked: Mapping[str, Any],
    search_id: str,
    extras: Mapping[str, bool],
    created: str | None,
) -> dict[str, Any]:
    """The whole content of `search.json`: the identity, and facts that are for the reader only.

    Args:
        settings: What the tuner was told.
        data: The checked data.
        splits: The folds.
        asked: The identity.
        search_id: What ties the journal's records to this search.
        extras: What is kept of each fold beyond its score.
        created: When the search was begun; None for now.
    """
    return {
        "search_id": search_id,
        "asked": asked,
        "rule": journal.rule_to_json(settings.rule),
        "n_splits": len(splits),
        "executions_per_trial": settings.executions,
        "n_jobs": settings.n_jobs,
        "extras": extras,
        "model": type(settings.hypermodel).__qualname__,
        "code": source_digest(settings.hypermodel),
        "classes": data.labels,
        "target": targets.description(data.target),
        "data": data.description(),
        "devices": settings.devices,
        "versions": package_versions(),
        "command_line": sys.argv[:1] and [pathlib.Path(sys.argv[0]).name, *sys.argv[1:]],
        "created": created or datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
