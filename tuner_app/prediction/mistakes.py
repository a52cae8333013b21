"""Test pictures that the refit model got wrong: found, kept beside the model, and read back for the report.

Owns which pictures these are and the file that keeps them. The test part is looked at after the choice and the refit,
so nothing in it can change either. Drawing them is the business of `report`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from tuner_app.analysis.confusion import ConfusedPicture
from tuner_app.data.labels import label_array
from tuner_app.errors import InputError, ProjectError
from tuner_app.storage.files import read_json, sealed, write_whole
from tuner_app.storage.project import Project

if TYPE_CHECKING:
    from tuner_app.data.datasets import Dataset
    from tuner_app.prediction.predictor import Predictor

logger = logging.getLogger(__name__)

MOST_PICTURES = 12


def confused_pictures(dataset: Dataset, predictor: Predictor, *, limit: int = MOST_PICTURES) -> list[ConfusedPicture]:
    """The test pictures that a classifier got wrong, its surest mistakes first.

    Args:
        dataset: The data whose test part is looked at: `x_test` of shape (n_samples, height * width).
        predictor: The classifier.
        limit: At most so many. Defaults to 12.

    Returns:
        An empty list where there is no labelled test part, a row is no picture, or the model is no classifier.
    """
    shape = predictor.manifest.input_shape
    if dataset.x_test is None or dataset.y_test is None or dataset.image_shape is None:
        return []
    if predictor.manifest.classes is None or shape is None:
        return []
    probabilities = predictor.predict_proba(dataset.x_test.reshape(-1, *shape))
    predicted = label_array(predictor.manifest.classes)[np.argmax(probabilities, axis=1)]
    true, sure = dataset.classes[dataset.y_test], np.max(probabilities, axis=1)
    # As text: the labels of a CSV file and those of a manifest may be 1 here and "1" there.
    wrong = np.flatnonzero(predicted.astype(str) != true.astype(str))
    # Stable, so that of equally sure mistakes the first rows are shown, whatever NumPy's sort.
    surest = wrong[np.argsort(-sure[wrong], kind="stable")][:limit]
    pictures = dataset.x_test.reshape(-1, *dataset.image_shape)
    return [ConfusedPicture(pictures[row], true[row].item(), predicted[row].item(), float(sure[row])) for row in surest]


def keep_pictures(project: Project, pictures: Sequence[ConfusedPicture]) -> None:
    """Keep the pictures beside the model that they belong to.

    Args:
        project: The search, with its refit model.
        pictures: What `confused_pictures` found; an empty list says that there are none.

    Raises:
        ProjectError: There is no model, or the folder cannot be written.
    """
    content = {"model_sha256": _model_of(project), "pictures": [_to_json(picture) for picture in pictures]}
    write_whole(project.pictures_file, json.dumps(sealed(content)) + "\n")


def kept_pictures(project: Project) -> list[ConfusedPicture]:
    """The pictures that were kept.

    Args:
        project: The search.

    Returns:
        An empty list where none were kept, they belong to another model than the one that is there, or the file is
        damaged (which is logged).
    """
    if not project.pictures_file.exists() or not project.manifest_file.exists():
        return []
    try:
        kept = msgspec.convert(read_json(project.pictures_file), _Pictures)
        # A later refit leaves the pictures of the model before it, which are no longer this one's mistakes.
        if kept.model_sha256 != _model_of(project):
            return []
        return [_shown(picture) for picture in kept.pictures]
    except (ProjectError, InputError, KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
        logger.warning("%s is left out of the report: it is damaged (%s).", project.pictures_file, error)
        return []


def _model_of(project: Project) -> str:
    return str(read_json(project.manifest_file)["model_sha256"])


class _Picture(msgspec.Struct):
    """A picture in the file."""

    true_label: int | float | bool | str
    predicted_label: int | float | bool | str
    probability: float
    # Two axes, or three in colour: NumPy says whether it is one of these, which no type of msgspec can.
    image: list[Any]


class _Pictures(msgspec.Struct):
    """The file: the pictures, and the model that they belong to."""

    model_sha256: str
    pictures: list[_Picture]


def _to_json(picture: ConfusedPicture) -> dict[str, Any]:
    return {
        "true_label": picture.true_label,
        "predicted_label": picture.predicted_label,
        "probability": round(picture.probability, 6),
        "image": np.asarray(picture.image).tolist(),
    }


def _shown(picture: _Picture) -> ConfusedPicture:
    image = np.asarray(picture.image, dtype=np.float64)
    return ConfusedPicture(image, picture.true_label, picture.predicted_label, picture.probability)
