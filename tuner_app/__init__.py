"""Cross-validated hyperparameter search for Keras.

    from tuner_app import GridSearchCV

    tuner = GridSearchCV(hypermodel, objective="val_accuracy", cv=3, seed=0, directory="logs", project_name="digits")
    tuner.search(x, y, epochs=15, batch_size=64)
    tuner.best_params_, tuner.best_score_, tuner.cv_results_

Names are imported when they are first used, so that `import tuner_app` is quick; `keras.models.load_model` then loads
every model that a search has saved.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tuner_app.models.registration import register_layers

if TYPE_CHECKING:
    from tuner_app.data.datasets import Dataset, load_dataset
    from tuner_app.errors import RefitFailedWarning
    from tuner_app.models.dense import DenseHyperModel
    from tuner_app.tuners.grid_search import GridSearchCV

__version__ = "0.1.0"
__all__ = ["Dataset", "DenseHyperModel", "GridSearchCV", "RefitFailedWarning", "__version__", "load_dataset"]

_HOMES = {
    "Dataset": "tuner_app.data.datasets",
    "DenseHyperModel": "tuner_app.models.dense",
    "GridSearchCV": "tuner_app.tuners.grid_search",
    "RefitFailedWarning": "tuner_app.errors",
    "load_dataset": "tuner_app.data.datasets",
}
_NEED_TENSORFLOW = ("DenseHyperModel", "GridSearchCV")

register_layers()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tuner_app.process import collector

    with collector.paused():
        if name in _NEED_TENSORFLOW:
            from tuner_app.process.loading import import_tensorflow_quietly

            import_tensorflow_quietly()
        return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
