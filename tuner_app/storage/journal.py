"""The journal: each finished fold as a JSON file of its own, and a whole search read back from disk.

Owns how a record becomes a file and how a file is trusted again. A file is believed when its
checksum fits and it belongs to the search that is asked for; anything else is set aside under
another name, reported, and its fold is trained again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import math
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tuner_app.errors import ProjectError, Remedy
from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.score import Objective, ScoreRule
from tuner_app.storage import description
from tuner_app.storage.files import digest, first_of, read_json, set_all_aside, write_whole
from tuner_app.storage.project import Project

logger = logging.getLogger(__name__)

_JSON = json.JSONEncoder(allow_nan=False)
_FIELDS = {field.name for field in dataclasses.fields(FoldResult)}
# Fields that records of the first version do not have; such a record has their defaults.
_ADDED_FIELDS = frozenset(
    {"compile_seconds", "declared", "measured_epochs", "stage_epochs", "scored_stage", "stage_rates"}
)
_NUMBERS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class DamagedRecordError(ProjectError):
    """A file in the journal's place is not a record that this search wrote."""


def encode(result: FoldResult, search_id: str) -> str:
    """A record as JSON text.

    Args:
        result: The finished fit.
        search_id: What ties it to its search (`search.json` holds the same).
    """
    record = vars(result)
    try:
        text = _JSON.encode(record)
    except ValueError:  # NaN or infinity
        record = _pack(record)
        text = _JSON.encode(record)
    return f'{{"search_id": {json.dumps(search_id)}, "checksum": "{digest(record)}", "record": {text}}}\n'


def decode(text: str, search_id: str | None = None) -> FoldResult:
    """A record back from JSON text.

    Args:
        text: What `encode` made.
        search_id: The search it must belong to; None accepts any.

    Raises:
        DamagedRecordError: It is truncated, changed, or of another search.
    """
    try:
        content = json.loads(text)
        record, checksum, owner = content["record"], content["checksum"], content["search_id"]
        fits = isinstance(record, dict) and digest(record) == checksum
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedRecordError(f"it is no whole record ({error!r})") from error
    if not fits:
        raise DamagedRecordError("its content does not fit its checksum")
    if search_id is not None and owner != search_id:
        raise DamagedRecordError("it belongs to another search")
    if not _FIELDS - _ADDED_FIELDS <= set(record) <= _FIELDS:
        raise DamagedRecordError(f"its fields are {sorted(record)}, not {sorted(_FIELDS)}")
    wrong = [name for name, is_valid in _CHECKS.items() if name in record and not is_valid(record[name])]
    if wrong:
        raise DamagedRecordError(f"its field {wrong[0]} holds {str(record[wrong[0]])[:60]}")
    return FoldResult(**_unpack(record))


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
        path = self.project.fold_file(result.trial_id, result.fold, result.execution)
        write_whole(path, encode(result, self.search_id), durable=durable)

    def read(self) -> list[FoldResult]:
        """All good records; a damaged or foreign file is set aside and reported."""
        results, unusable = _read_records(self.project, self.search_id)
        for reason, paths in unusable.items():
            set_all_aside(paths, reason)
        return results


def _read_records(
    project: Project, search_id: str, n_splits: float = math.inf
) -> tuple[list[FoldResult], dict[str, list[pathlib.Path]]]:
    """The good records of a project, and by reason the files that are none."""
    results: list[FoldResult] = []
    unusable: dict[str, list[pathlib.Path]] = {}
    for path in sorted(project.path.glob("trial_*/fold_*.json")):
        try:
            result = decode(path.read_text(encoding="utf-8"), search_id)
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


def load_search(project: Project) -> SearchRecord:
    """Read a search back from its folder. Nothing is changed on disk.

    Raises:
        ProjectError: There is no search, or its `search.json` is damaged.
        InputError: The folds of a whole candidate lack the objective.
    """
    content = read_json(project.search_file)
    try:
        rule = rule_from_json(content["rule"])
        n_splits, executions = _positive(content["n_splits"]), _positive(content["executions_per_trial"])
        search_id = str(content["search_id"])
        if set(content.get("asked") or ()) >= description.FIRST_KEYS:  # Less is enough to report on a search.
            description.check_consistent(content)
    except (KeyError, TypeError, ValueError) as error:
        raise ProjectError(f"{project.search_file} is damaged ({error!r}). {Remedy.SEARCH_ANEW}.") from error
    results, unusable = _read_records(project, search_id, n_splits)
    for reason, paths in unusable.items():
        line = "%s is left out: %s." if len(paths) == 1 else "%s are left out, each because %s."
        logger.warning(line, first_of(paths), reason)
    candidates = tuple(
        Candidate.of(found.trial_id, found.values, found.folds, rule, n_fits=n_splits * executions)
        for found in group(results)
    )
    return SearchRecord(project, content, candidates, rule, n_splits, executions)


def owners(project: Project) -> set[str]:
    """The ids of the searches that a project's whole records belong to."""
    return {search_id for search_id, _ in whole_records(project)}


def whole_records(project: Project) -> Iterator[tuple[str, FoldResult]]:
    """The whole records of whatever search, each with its search's id. Nothing is changed on disk."""
    for path in sorted(project.path.glob("trial_*/fold_*.json")):
        with contextlib.suppress(DamagedRecordError, OSError, UnicodeDecodeError):
            text = path.read_text(encoding="utf-8")
            result = decode(text)
            yield str(json.loads(text)["search_id"]), result


def group(results: list[FoldResult]) -> tuple[Candidate, ...]:
    """Records by candidate, in the order of the trial ids, folds in order.

    A candidate's values are those of all its folds together; a fold that contradicts those before it is left out.
    """
    by_trial: dict[str, list[FoldResult]] = {}
    for result in sorted(results, key=lambda r: (len(r.trial_id), r.trial_id, r.fold, r.execution)):
        by_trial.setdefault(result.trial_id, []).append(result)
    return tuple(_candidate(trial_id, folds) for trial_id, folds in by_trial.items())


def _candidate(trial_id: str, folds: list[FoldResult]) -> Candidate:
    values: dict[str, Any] = {}
    agreeing = []
    for fold in folds:
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
        "error_score": _pack(rule.error_score),
    }


def rule_from_json(content: Mapping[str, Any]) -> ScoreRule:
    """A score rule from `search.json`."""
    objectives = tuple(Objective(str(name), str(direction)) for name, direction in content["objectives"])
    if not objectives or any(objective.direction not in ("min", "max") for objective in objectives):
        raise ValueError(f"objectives are {content['objectives']}")
    return ScoreRule(objectives, str(content["epoch"]), float(content["error_score"]))


def _positive(value: Any) -> int:
    if not _is_count(value) or value == 0:
        raise ValueError(f"{value!r} is no positive whole number")
    return int(value)


def _pack(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become the strings nan, inf and -inf."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _pack(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_pack(item) for item in value]
    return value


def _unpack(record: dict[str, Any]) -> dict[str, Any]:
    """Numbers back from the strings, only where a record holds numbers."""
    unpacked = dict(record)
    unpacked["history"] = {name: [_number(v) for v in values] for name, values in record["history"].items()}
    for part in ("scores", "train_scores"):
        unpacked[part] = {name: _number(value) for name, value in record[part].items()}
    return unpacked


def _number(value: Any) -> float:
    return _NUMBERS[value] if isinstance(value, str) else value


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value in _NUMBERS
    return not isinstance(value, bool) and isinstance(value, int | float) and abs(value) <= sys.float_info.max


def _is_count(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, int) and 0 <= value < 2**63


def _is_finite(value: Any) -> bool:
    return not isinstance(value, str) and _is_number(value)


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _is_list_of(value: Any, is_valid: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(is_valid(item) for item in value)


def _are_numbers(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_number(item) for item in value.values())


def _is_history(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_list_of(item, _is_number) for item in value.values())


def _are_counts_by_name(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_list_of(item, _is_count) for item in value.values())


def _is_confusion(value: Any) -> bool:
    return value is None or _is_list_of(value, lambda row: _is_list_of(row, _is_count) and len(row) == len(value))


def _is_declared(value: Any) -> bool:
    if not value:
        return value is None or value == {}
    return _is_dict(value) and _is_list_of(value.get("space"), _is_dict) and _is_dict(value.get("values"))


def _is_text_or_none(value: Any) -> bool:
    return value is None or isinstance(value, str)


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "trial_id": lambda value: isinstance(value, str),
    "fold": _is_count,
    "values": _is_dict,
    "seed": _is_count,
    "execution": _is_count,
    "history": _is_history,
    "final_epoch": _is_count,
    "scores": _are_numbers,
    "train_scores": _are_numbers,
    "confusion": _is_confusion,
    "started": _is_finite,
    "fit_seconds": _is_finite,
    "score_seconds": _is_finite,
    "compile_seconds": _is_finite,
    "error": _is_text_or_none,
    "declared": _is_declared,
    "measured_epochs": _are_counts_by_name,
    "stage_epochs": lambda value: _is_list_of(value, _is_count),
    "scored_stage": _is_count,
    "stage_rates": lambda value: _is_list_of(value, lambda rates: _is_list_of(rates, _is_finite)),
}
