"""What Keras Tuner calls on a tuner, and what a search needs of Keras Tuner's own ways to a model.

Owns where Keras Tuner 1.4.8 is taken by its private names (`_override_compile_args`, `_build_hypermodel`,
`_populate_initial_space`, `_get_tuner_fname`): subclasses override the first two, and there are no public ones.
"""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import keras_tuner
from keras_tuner.engine.trial import Trial

from tuner_app.errors import InputError
from tuner_app.records.results import FoldResult
from tuner_app.records.score import ScoreRule
from tuner_app.records.tasks import FoldTask
from tuner_app.storage.files import write_json
from tuner_app.storage.project import Project
from tuner_app.training import copies, probe
from tuner_app.training.build import ModelBuilder, build_seeded
from tuner_app.training.hyperparameters import RecordedHyperParameters
from tuner_app.training.keras_settings import undisturbed
from tuner_app.tuners import hooks, trials

logger = logging.getLogger(__name__)


class KerasTunerFace(keras_tuner.Tuner):
    """The part of a tuner that Keras Tuner's own code knows."""

    project: Project
    rule: ScoreRule
    fold_fitter: Callable[[FoldTask], FoldResult] | None
    _asked_space: list[Any]
    _is_marked = False
    _own_copies = False

    @property
    def hypermodel(self) -> Any:
        """The hypermodel; in a fit's thread (in a build, in a hook of a subclass) the copy that the fit works on."""
        return hooks.hypermodel_of(self, self._hypermodel)

    @hypermodel.setter
    def hypermodel(self, hypermodel: Any) -> None:
        self._hypermodel = hypermodel

    def reload(self) -> None:
        """Show the trials of an earlier run. The space is declared anew, so that a changed one can be told."""
        self._populate_initial_space()  # Keras Tuner 1.4.8 calls it only where there is no project to reload.
        self._asked_space = self.oracle.hyperparameters.get_config()["space"]
        trials.show(self.oracle, self.rule, self.project, self._asked_space)

    def save(self) -> None:
        """Leave Keras Tuner's mark of a project; once is enough, since it holds no state."""
        if not self._is_marked and not pathlib.Path(self._get_tuner_fname()).exists():
            write_json(pathlib.Path(self._get_tuner_fname()), self.get_state())
        self._is_marked = True

    def run_trial(self, trial: Trial, *arguments: Any, **options: Any) -> Any:
        """Not used: a trial is several fold tasks, which `search` runs side by side."""
        raise NotImplementedError(f"{type(self).__name__} fits folds, not trials. Call search().")

    def _override_compile_args(self, model: keras.Model) -> None:
        """Keras Tuner's name for it; its own one does not work with Keras 3."""
        self.builder.override_compile_arguments(model)

    @property
    def builder(self) -> ModelBuilder:
        """What Keras Tuner was told about the models."""
        return ModelBuilder(
            optimizer=self.optimizer,
            loss=self.loss,
            metrics=self.metrics,
            max_model_size=self.max_model_size,
            distribution_strategy=self.distribution_strategy,
        )

    def build_apart(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Build a model as a fit does, on a copy of the hypermodel where the fits have copies of it."""
        with hooks.using(self, copies.copy_hypermodel(self.hypermodel) if self._own_copies else self.hypermodel):
            return self.builder.checked(self._build_hypermodel(hp))

    def _look_at_a_model(self, x: Any) -> probe.Probe | None:
        """A model of the default hyperparameters and what it tells; None where `fold_fitter` needs none."""
        if self.fold_fitter is not None:
            return None
        return probe.probe_model(self.build_apart, self.oracle.get_space(), x, seed=self.oracle.seed)

    def _program(self) -> Callable[[RecordedHyperParameters], None]:
        """What tells which hyperparameters a candidate has: its `build`, run on a hypermodel that no fit uses."""
        if self.hypermodel is None:
            return RecordedHyperParameters.ask_all
        hypermodel = copies.copy_hypermodel(self.hypermodel) if self._own_copies else self.hypermodel

        def ask(hyperparameters: RecordedHyperParameters) -> None:
            # In the search's thread, beside the fits: no layer's name or seed may be used up by it.
            with undisturbed():
                try:
                    build_seeded(hypermodel.build, hyperparameters, self.oracle.seed)
                except InputError:
                    raise
                except Exception as error:  # The candidate's fits meet it again, and tell it with its place.
                    logger.debug("The build that tells the hyperparameters of a candidate failed: %r", error)

        return ask
