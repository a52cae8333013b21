"""The fields of a manifest's file: their types, and the words for what each must be.

msgspec checks the types; what it cannot say is checked by hand below. Which files there are, and when they are written,
is said in `manifest`.
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec

from tuner_app.data import targets
from tuner_app.records.text import cut
from tuner_app.storage.files import wrong_field


class _Source(msgspec.Struct):
    """What of `data` is looked at; it holds more."""

    source: str | None = None
    target: str | None = None


class _Recipe(msgspec.Struct):
    """What of `rebuild` every version has; what else it says is checked by who rebuilds."""

    build: str
    x: dict[str, Any]


def _as(kind: str) -> msgspec.Meta:
    """The words for a field that must be something else."""
    return msgspec.Meta(description=kind)


_Positive = Annotated[int, msgspec.Meta(ge=1)]
_Finite = Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
_Object = Annotated[dict[str, Any], _as("an object")]
_Text = Annotated[str, _as("text")]
_Whole = Annotated[int, _as("a whole number")]
_Number = Annotated[_Finite, _as("a number")]


class _File(msgspec.Struct, kw_only=True):
    """The fields of the file with their types; manifests of the first version lack those that have a default."""

    hyperparameters: _Object
    score: _Number
    score_std: _Number
    objective: _Text
    n_splits: Annotated[_Positive, _as("a positive whole number")]
    epochs: _Whole
    seed: _Whole
    classes: Annotated[
        list[int | float | str | bool] | None, _as("null or a list of different integers or of different texts")
    ]
    feature_names: Annotated[Annotated[list[str], msgspec.Meta(min_length=1)] | None, _as("null or a list of texts")]
    # An empty shape is that of a row that is a mere number.
    input_shape: Annotated[list[_Positive] | None, _as("null or a list of positive whole numbers")]
    image_shape: Annotated[
        Annotated[list[_Positive], msgspec.Meta(min_length=1)] | None, _as("null or a list of positive whole numbers")
    ]
    data: Annotated[_Source, _as("an object whose source and target are text or null")]
    versions: _Object
    test_score: Annotated[_Finite | None, _as("null or a number")]
    created: _Text
    search_id: _Text
    refit_seconds: _Number
    model_sha256: _Text
    columns: Annotated[Any, _as("null, or lists of texts in a list or object")] = None
    decoding: Annotated[dict[str, Any] | None, _as("null or an object that says what the outputs are")] = None
    model_file: Annotated[
        Literal["best_model.keras", "best_model.weights.h5"], _as("best_model.keras or best_model.weights.h5")
    ] = "best_model.keras"
    rebuild: Annotated[_Recipe | None, _as("null or an object with the text build and the object x")] = None


def problem_of(content: dict[str, Any]) -> str | None:
    """What is wrong with the content of a manifest's file, in words to be put after its name; None where nothing is.

    Args:
        content: The file's JSON object.
    """
    try:
        msgspec.convert(content, _File)
    except msgspec.ValidationError as error:
        name = wrong_field(error)
        if name is None:
            [missing] = [name for name in _File.__struct_fields__ if f"`{name}`" in str(error)]
            return f" must have the field {missing!r}, but lacks it"
        return _not_as_it_must_be(name, content[name])
    for name, is_valid in _CHECKED_BY_HAND.items():
        if content.get(name) is not None and not is_valid(content[name]):
            return _not_as_it_must_be(name, content[name])
    return None


def _not_as_it_must_be(name: str, value: Any) -> str:
    # The outermost of a field's annotations holds its words; msgspec's own sentence would name a type of Python.
    kind = typing.get_type_hints(_File, include_extras=True)[name].__metadata__[-1].description
    return f": {name!r} must be {kind}, but is {cut(repr(value), 60)}"


def is_names(value: Any) -> bool:
    """Whether a value of a JSON file is a list of names, and not of such lists."""
    return isinstance(value, list) and bool(value) and all(isinstance(name, str) for name in value)


def _is_columns(value: Any) -> bool:
    if isinstance(value, dict | list) and not is_names(value):
        return all(map(_is_columns, value.values() if isinstance(value, dict) else value))
    return value is None or is_names(value)


def _is_decoding(value: Any) -> bool:
    try:
        targets.from_json(value)
    except ValueError:
        return False
    return True


# What a type cannot say: labels of one type and each of them once, names in structures of any depth, what a target is.
_CHECKED_BY_HAND: Mapping[str, Callable[[Any], bool]] = {
    "classes": targets.is_list_of_labels,
    "columns": _is_columns,
    "decoding": _is_decoding,
}
