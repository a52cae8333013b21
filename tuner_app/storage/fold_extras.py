"""What a fold keeps beyond its score where that is asked for: scores on its training rows, and its model.

Owns whether the finished folds of a project have what a resume asks for. How they come about is the business of
`training`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tuner_app.errors import ProjectError, Remedy
from tuner_app.records.results import FoldResult
from tuner_app.storage.project import Project

# By argument of the tuner: the words for it, and whether a finished fold has it.
_EXTRAS: Mapping[str, tuple[str, Callable[[Project, FoldResult], bool]]] = {
    "return_train_score": ("scores on the training rows", lambda project, record: bool(record.train_scores)),
    "keep_fold_models": (
        "models",
        lambda project, record: project.fold_model_file(record.trial_id, record.fold, record.execution).exists(),
    ),
}


def check_extras(
    project: Project, earlier: Mapping[str, Any] | None, records: Iterable[FoldResult], extras: Mapping[str, bool]
) -> dict[str, bool]:
    """Refuse a resume whose table or folder would have gaps: the folds that are finished were not asked for as much.

    To train them again would throw away what was paid for, so the user decides.

    Args:
        project: Where the search lies.
        earlier: What its `search.json` holds; None where there is none.
        records: The finished folds.
        extras: By argument of the tuner, whether it is asked for now.

    Returns:
        What `search.json` says next time: which of these every fold so far was asked for. A fold that has nothing to
        keep, though it was asked, is no gap.

    Raises:
        ProjectError: Finished folds lack something.
    """
    asked_before = (earlier or {}).get("extras") or {}
    good = [record for record in records if record.error is None]
    for name, (words, has) in _EXTRAS.items():
        if not extras[name] or asked_before.get(name):
            continue
        lacking = sum(not has(project, record) for record in good)
        if lacking:
            raise ProjectError(
                f"{name}=True asks for the {words} of all folds, but {lacking} of the {len(good)} finished folds of "
                f"{project.path} were fitted without. Leave {name} out to go on, or choose {Remedy.ANOTHER_PROJECT} or "
                f"{Remedy.OVERWRITE} to start over with it."
            )
    return dict(extras)
