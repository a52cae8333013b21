"""The refit model of a tuner, its predictions, and models of other candidates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
from keras_tuner.engine.trial import Trial

from tuner_app.errors import ProjectError
from tuner_app.prediction import predictor, rebuilding
from tuner_app.records.results import Candidate
from tuner_app.search.spec import SearchOutcome
from tuner_app.storage.files import read_json
from tuner_app.storage.manifest import load_manifest
from tuner_app.storage.project import Project
from tuner_app.training.fitter import FoldFitter
from tuner_app.tuners.refits import train_again


class ModelsTuner:
    """The part of a tuner that has models."""

    project: Project
    oracle: Any
    build_apart: Callable[[keras_tuner.HyperParameters], keras.Model]
    candidates: Callable[[], list[Candidate]]

    refit_failure: str | None = None
    _best_model: keras.Model | None = None
    _answering: predictor.Predictor | None = None
    _outcome: SearchOutcome | None = None
    _fitter: FoldFitter | None = None

    def predict(self, x: Any, *, batch_size: int = 1024) -> Any:
        """Predictions of the refit model; see `predictor.Predictor.predict`.

        Args:
            x: Features of shape `(n_samples, ...)`; the columns of a DataFrame may come in any order, if `search` was
                given one.
            batch_size: Rows per step. Defaults to 1024.

        Returns:
            Class labels of shape `(n_samples,)` for a classifier, else the model's outputs, of shape `(n_samples,)`
            where it has one. The model's outputs as well where `y` had rows of 0 and 1.

        Raises:
            DataError: `x` is not what the model was trained on.
            ProjectError: There is no refit model.
        """
        return self._predictor().predict(x, batch_size)

    def predict_proba(self, x: Any, *, batch_size: int = 1024) -> Any:
        """Probabilities of the classes by the refit model, logits turned into them.

        Args:
            x: As in `predict`.
            batch_size: Rows per step. Defaults to 1024.

        Returns:
            Shape `(n_samples, n_classes)`, in the order of `classes_`.

        Raises:
            DataError: `x` is not what the model was trained on.
            InputError: The model is no classifier.
            ProjectError: There is no refit model.
        """
        return self._predictor().predict_proba(x, batch_size)

    @property
    def best_model_(self) -> keras.Model:
        """The best candidate, trained on all rows; from `build` and the weights where this process did not train it."""
        if self.refit_failure is not None:
            raise ProjectError(self.refit_failure)
        if self._best_model is None:
            if not self.project.manifest_file.exists():
                raise ProjectError("There is no refit model yet. Call search() with refit=True first.")
            self._best_model, _ = rebuilding.kept_model(self.project, self.build_apart, self.oracle.get_space)
        return self._best_model

    @best_model_.setter
    def best_model_(self, model: keras.Model) -> None:
        self._best_model = model

    def get_best_models(self, num_models: int = 1) -> list[keras.Model]:
        """The best models, best first, each trained on all rows.

        Keras Tuner loads what each trial saved at its best epoch; a cross-validated candidate has no one model, so the
        refit one is given, and others are trained now.

        Args:
            num_models: How many. Defaults to 1.

        Raises:
            ProjectError: More than the refit model is asked for, and there was no search in this process.
        """
        models: list[keras.Model] = super().get_best_models(num_models)  # type: ignore[misc]
        return models

    def load_model(self, trial: Trial) -> keras.Model:
        """The model of a candidate, trained on all rows."""
        if self.project.manifest_file.exists() and self._manifest_trial() == trial.trial_id:
            return self.best_model_
        if self._outcome is None or self._fitter is None:
            raise ProjectError(
                "Only the best candidate's model is kept. Call search() in this process first to train others."
            )
        candidate = next((c for c in self.candidates() if c.trial_id == trial.trial_id), None)
        if candidate is None:
            raise ProjectError(
                f"Trial {trial.trial_id} is not finished, so it has no model. Run the search again to finish it."
            )
        return train_again(self._fitter, self._outcome.refit_task(candidate))

    def _predictor(self) -> predictor.Predictor:
        model = self.best_model_
        if self._answering is None or self._answering.model is not model:
            self._answering = predictor.Predictor(model, load_manifest(self.project))
        return self._answering

    def _manifest_trial(self) -> str | None:
        values = read_json(self.project.manifest_file).get("hyperparameters")
        return next((t.trial_id for t in self.oracle.trials.values() if t.hyperparameters.values == values), None)
