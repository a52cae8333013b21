"""Manifests of models that were never searched for."""

from __future__ import annotations

from typing import Any

from tuner_app.storage.manifest import Manifest


def manifest(**changes: Any) -> Manifest:
    """A manifest of three classes and four columns."""
    fields: dict[str, Any] = {
        "hyperparameters": {"nodes": 5},
        "score": 0.9,
        "score_std": 0.01,
        "objective": "val_accuracy",
        "n_splits": 3,
        "epochs": 15,
        "seed": 0,
        "classes": ["cat", "01", "NA"],
        "feature_names": ["a", "b", "c", "d"],
        "input_shape": [4],
        "image_shape": None,
        "data": {"source": "train.csv", "target": "kind", "fingerprint": "0f"},
        "versions": {},
        "test_score": None,
        "created": "2025-01-01T00:00:00+00:00",
    }
    return Manifest(**fields | changes)
