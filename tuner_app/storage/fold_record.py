"""The record of one finished fold as JSON text, and back.

Owns the form of a record on disk: its fields and their types, the checksum over it, and the words that stand for NaN
and infinity. Python's `json` writes, since msgspec would write null for these; msgspec checks what is read. Which file
a record lies in, and what becomes of one that is damaged, is the business of `journal`.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Annotated, Any, Literal

import msgspec

from tuner_app.errors import ProjectError
from tuner_app.records.results import FoldResult
from tuner_app.storage.files import digest, parsed, wrong_field

_JSON = json.JSONEncoder(allow_nan=False)
_NUMBER_OF_WORD = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

# JSON's numbers know no bound: what no 64 bits hold was never written here, and NumPy would not take it.
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Finite = Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
Number = Finite | Literal["nan", "inf", "-inf"]


class DamagedRecordError(ProjectError):
    """A file in the journal's place is not a record that this search wrote."""


class _File(msgspec.Struct):
    """A whole file: the record, its checksum, and the search that it belongs to."""

    # Compared with what they must be, whatever their type.
    search_id: Any
    checksum: Any
    record: dict[str, Any]


class _Declared(msgspec.Struct):
    """What a fit declared beyond the search space, in Keras Tuner's form."""

    space: list[dict[str, Any]]
    values: dict[str, Any]


class _Record(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields of `FoldResult` as they lie on disk; records of the first version lack those that have a default."""

    trial_id: str
    fold: Count
    values: dict[str, Any]
    seed: Count
    execution: Count
    history: dict[str, list[Number]]
    final_epoch: Count
    scores: dict[str, Number]
    train_scores: dict[str, Number]
    confusion: list[list[Count]] | None
    started: Finite
    fit_seconds: Finite
    score_seconds: Finite
    error: str | None
    compile_seconds: Finite = 0.0
    declared: dict[str, Any] | None = None
    measured_epochs: dict[str, list[Count]] = {}
    stage_epochs: list[Count] = []
    scored_stage: Count = 0
    stage_rates: list[list[Finite]] = []


def encode(result: FoldResult, search_id: str) -> str:
    """A record as JSON text.

    Args:
        result: The finished fit.
        search_id: What ties it to its search (`search.json` holds the same).
    """
    record = vars(result)
    # Nearly all records are of finite numbers; to look at each number first would cost more than all the rest.
    try:
        text = _JSON.encode(record)
    except ValueError:  # NaN or infinity
        record = without_nan(record)
        text = _JSON.encode(record)
    return f'{{"search_id": {json.dumps(search_id)}, "checksum": "{digest(record)}", "record": {text}}}\n'


def decode(text: str, search_id: str | None = None) -> FoldResult:
    """A record back from JSON text.

    Args:
        text: What `encode` made.
        search_id: The search it must belong to; None accepts any.

    Raises:
        DamagedRecordError: It is truncated, changed, of another search, or holds what no record holds.
    """
    return decode_with_owner(text, search_id)[0]


def decode_with_owner(text: str, search_id: str | None = None) -> tuple[FoldResult, str]:
    """As `decode`, and the id of the search that the record belongs to."""
    try:
        file = parsed(text, _File)
        fits = digest(file.record) == file.checksum
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
        raise DamagedRecordError(f"it is no whole record ({error!r})") from error
    if not fits:
        raise DamagedRecordError("its content does not fit its checksum")
    if search_id is not None and file.search_id != search_id:
        raise DamagedRecordError("it belongs to another search")
    _check(file.record)
    return FoldResult(**_with_numbers(file.record)), str(file.search_id)


def without_nan(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become the strings nan, inf and -inf."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return value


def _check(record: dict[str, Any]) -> None:
    """Check a record's types. Only that: the record's own objects go on, so that a whole number stays one."""
    try:
        msgspec.convert(record, _Record)
    except msgspec.ValidationError as error:
        name = wrong_field(error)
        if name is None:
            raise DamagedRecordError(f"its fields are not those of a record: {error}") from error
        raise DamagedRecordError(f"its field {name} holds {str(record[name])[:60]}: {error}") from error
    # By hand, since a type cannot say them: a square, and what is there only where a fit declared something.
    confusion, declared = record["confusion"], record.get("declared")
    if confusion is not None and any(len(row) != len(confusion) for row in confusion):
        raise DamagedRecordError(f"its field confusion holds {str(confusion)[:60]}, which is no square")
    if declared:
        try:
            msgspec.convert(declared, _Declared)
        except msgspec.ValidationError as error:
            raise DamagedRecordError(f"its field declared holds {str(declared)[:60]}: {error}") from error


def _with_numbers(record: dict[str, Any]) -> dict[str, Any]:
    """Numbers back from the words, only where a record holds numbers: a hyperparameter may be the text nan."""
    numbers = dict(record)
    numbers["history"] = {name: [_number(v) for v in values] for name, values in record["history"].items()}
    for part in ("scores", "train_scores"):
        numbers[part] = {name: _number(value) for name, value in record[part].items()}
    return numbers


def _number(value: Any) -> float:
    return _NUMBER_OF_WORD[value] if isinstance(value, str) else value
