"""The journal: each finished fold as a JSON file of its own, and a whole search read back from disk.

Owns which files are trusted. One is believed when its checksum fits, it lies where its fold belongs, and it is of the
search that is asked for; anything else is set aside under another name, reported, and its fold is trained again. The
text of a record is made and read in `fold_record`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import pathlib
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec

from tuner_app.errors import ProjectError, Remedy
from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.score import Objective, ScoreRule
from tuner_app.records.tables import trial_order
from tuner_app.storage import description
from tuner_app.storage.files import first_of, read_json, set_all_aside, set_aside, write_whole
from tuner_app.storage.fold_record import DamagedRecordError, Number, decode, decode_with_owner, encode, without_nan
from tuner_app.storage.project import Project

logger = logging.getLogger(__name__)


class Journal:
    """The finished folds of one search.

    Args:
        project: Where the files lie.
        search_id: The search that the files belong to.
    """

    def __init__(self, project: Project, search_id: str) -> None:
        self.project = project
        self.search_id = search_id

    def write(self, result: FoldResult, *, durable: bool = True) -> None:
        """Put a record on disk, whole, before anything else counts on it.

        Args:
            result: The finished fit.
            durable: As in `write_whole`.

        Raises:
            ProjectError: The disk is full or the folder cannot be written.
        """
        # In the thread that has fitted, so that a slow disk does not keep the others from their next fit.
        path = self.project.fold_file(result.trial_id, result.fold, result.execution)
        write_whole(path, encode(result, self.search_id), durable=durable)

    def read(self) -> list[FoldResult]:
        """All good records; a damaged or foreign file is set aside and reported."""
        results, unusable = _read_records(self.project, self.search_id)
        for reason, paths in unusable.items():
            set_all_aside(paths, reason)
        return results

    def set_aside(self, trial_id: str, reason: str) -> None:
        """Rename all files of a candidate that is none of this search, so that none is read again or lost."""
        for path in sorted(self.project.trial_folder(trial_id).glob("*.json")):
            set_aside(path, reason)


def _read_records(
    project: Project, search_id: str, n_splits: float = math.inf
) -> tuple[list[FoldResult], dict[str, list[pathlib.Path]]]:
    """The good records of a project, and by reason the files that are none."""
    results: list[FoldResult] = []
    unusable: dict[str, list[pathlib.Path]] = {}
    # Sorted, since the folder's own order is the disk's: warnings and records come in one order everywhere.
    for path in sorted(project.path.glob("trial_*/fold_*.json")):
        try:
            result = decode(path.read_text(encoding="utf-8"), search_id)
            # A copied file is whole and fits its checksum, but would count one fit as two.
            if path != project.fold_file(result.trial_id, result.fold, result.execution) or result.fold >= n_splits:
                raise DamagedRecordError("it lies in the place of another fold")
            results.append(result)
        except (DamagedRecordError, OSError, UnicodeDecodeError) as error:
            unusable.setdefault(str(error), []).append(path)
    return results, unusable


@dataclasses.dataclass(frozen=True)
class SearchRecord:
    """A search as it lies on disk, for everything that reads results after the fact.

    Attributes:
        project: The folder.
        description: The content of `search.json`.
        candidates: The candidates with at least one finished fold, by trial id.
        rule: The score rule of the search.
        n_splits: The number of folds.
        executions: The repetitions per fold.
    """

    project: Project
    description: dict[str, Any]
    candidates: tuple[Candidate, ...]
    rule: ScoreRule
    n_splits: int
    executions: int

    @property
    def finished(self) -> tuple[Candidate, ...]:
        """The candidates of which every fold is done."""
        return tuple(candidate for candidate in self.candidates if candidate.is_whole)


class _Rule(msgspec.Struct):
    """A score rule as `search.json` has it."""

    objectives: Annotated[list[tuple[str, Literal["min", "max"]]], msgspec.Meta(min_length=1)]
    epoch: Literal["last", "best"]
    error_score: Number

    def as_rule(self) -> ScoreRule:
        objectives = tuple(Objective(*pair) for pair in self.objectives)
        return ScoreRule(objectives, self.epoch, float(self.error_score))


class _Search(msgspec.Struct):
    """What of `search.json` its records are read by. What was asked is compared in `description`."""

    rule: _Rule
    n_splits: Annotated[int, msgspec.Meta(ge=1)]
    executions_per_trial: Annotated[int, msgspec.Meta(ge=1)]
    search_id: str
    asked: dict[str, Any] | None = None


def load_search(project: Project) -> SearchRecord:
    """Read a search back from its folder. Nothing is changed on disk.

    Raises:
        ProjectError: There is no search, or its `search.json` is damaged.
        InputError: The folds of a whole candidate lack the objective.
    """
    content = read_json(project.search_file)
    try:
        search = msgspec.convert(content, _Search)
        if set(search.asked or ()) >= description.FIRST_KEYS:  # Less is enough to report on a search.
            description.check_consistent(content)
    except (msgspec.ValidationError, KeyError, TypeError, ValueError) as error:
        raise ProjectError(f"{project.search_file} is damaged ({error!r}). {Remedy.SEARCH_ANEW}.") from error
    rule, n_splits, executions = search.rule.as_rule(), search.n_splits, search.executions_per_trial
    results, unusable = _read_records(project, search.search_id, n_splits)
    # A reader leaves the files where they are: only who holds the lock sets them aside.
    for reason, paths in unusable.items():
        line = "%s is left out: %s." if len(paths) == 1 else "%s are left out, each because %s."
        logger.warning(line, first_of(paths), reason)
    candidates = tuple(candidate.scored(rule, n_fits=n_splits * executions) for candidate in group(results))
    return SearchRecord(project, content, candidates, rule, n_splits, executions)


def owners(project: Project) -> set[str]:
    """The ids of the searches that a project's whole records belong to."""
    return {search_id for search_id, _ in whole_records(project)}


def whole_records(project: Project) -> Iterator[tuple[str, FoldResult]]:
    """The whole records of whatever search, each with its search's id. Nothing is changed on disk."""
    for path in sorted(project.path.glob("trial_*/fold_*.json")):
        with contextlib.suppress(DamagedRecordError, OSError, UnicodeDecodeError):
            record, search_id = decode_with_owner(path.read_text(encoding="utf-8"))
            yield search_id, record


def group(results: list[FoldResult]) -> tuple[Candidate, ...]:
    """Records by candidate, in the order of the trial ids, folds in order.

    A candidate's values are those of all its folds together; a fold that contradicts those before it is left out.
    """
    by_trial: dict[str, list[FoldResult]] = {}
    # By the id's length first: Keras Tuner counts on after 9999, and "10000" comes after "9999".
    for result in sorted(results, key=lambda r: (*trial_order(r.trial_id), r.fold, r.execution)):
        by_trial.setdefault(result.trial_id, []).append(result)
    return tuple(_candidate(trial_id, folds) for trial_id, folds in by_trial.items())


def _candidate(trial_id: str, folds: list[FoldResult]) -> Candidate:
    values: dict[str, Any] = {}
    agreeing = []
    for fold in folds:
        # A fit may have declared more than its task asked for; records of the first version do not say (None).
        own = {**fold.values, **(fold.declared or {}).get("values", {})}
        if any(name in values and values[name] != value for name, value in own.items()):
            logger.warning("Fold %d of trial %s is left out: it has other values than fold 0.", fold.fold, trial_id)
            continue
        values.update(own)
        agreeing.append(fold)
    return Candidate(trial_id, values, tuple(agreeing))


def rule_to_json(rule: ScoreRule) -> dict[str, Any]:
    """A score rule for `search.json`."""
    return {
        "objectives": [list(pair) for pair in rule.objectives],
        "epoch": rule.epoch,
        "error_score": without_nan(rule.error_score),
    }


def rule_from_json(content: Any) -> ScoreRule:
    """A score rule from `search.json`.

    Raises:
        msgspec.ValidationError: It is no rule.
    """
    return msgspec.convert(content, _Rule).as_rule()
