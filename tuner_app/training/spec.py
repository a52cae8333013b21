"""What all fits of a search have in common: one record, which can travel to where they run.

Owns what a fit needs beside its task. What belongs to a process (programs, tensors, locks) is made where fits run, by
`fitter`.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import keras
import keras_tuner

from tuner_app.compiled.context import ENGINE_RULE
from tuner_app.folds.rows import map_arrays
from tuner_app.records.score import ScoreRule
from tuner_app.storage.project import Project
from tuner_app.training import copies
from tuner_app.training.build import ModelBuilder
from tuner_app.training.hooks import FitHooks
from tuner_app.training.keras_settings import KerasSettings


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class FitSpec:
    """All that the fits of a search share.

    It can be pickled where the hypermodel and the options of `fit` can be, and `hooks` is None.

    Attributes:
        hypermodel: The user's `HyperModel`.
        x, y, sample_weight: The whole training part. Floating-point numbers are turned into Keras's precision here.
        fit_options: What the user gave `search` beyond the data.
        rule: How the history becomes a score.
        search_seed: The seed of the search.
        asked_space: The space that was asked for, as in `HyperParameters.get_config()["space"]`.
        builder: What the tuner was told about its models.
        own_copies: Whether each fit works on its own copy of the hypermodel.
        alone: Whether fits run one after another, so that the process's random numbers can be seeded for each.
        retries: How often a failed fit is tried again.
        planned_fits: How many fits share an architecture at least.
        compile_epochs, jit_compile, engine_rule: As in `FitContext`.
        return_train_score: Whether to score the training rows, too.
        n_classes: The number of classes, for the confusion matrix; None for none.
        project: Where a fold's model is kept; None where none is.
        keep_fold_models: Whether it is.
        settings: Keras's settings of the thread that began the search.
        hooks: What a subclass of the tuner adds; None for nothing.
    """

    hypermodel: keras_tuner.HyperModel
    x: Any
    y: Any
    sample_weight: Any = None
    fit_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    rule: ScoreRule
    search_seed: int
    asked_space: Sequence[Mapping[str, Any]] = ()
    builder: ModelBuilder = dataclasses.field(default_factory=ModelBuilder)
    own_copies: bool = True
    alone: bool = False
    retries: int = 0
    planned_fits: int = 1
    compile_epochs: bool = True
    jit_compile: bool | None = None
    engine_rule: int = ENGINE_RULE
    return_train_score: bool = False
    n_classes: int | None = None
    project: Project | None = None
    keep_fold_models: bool = False
    settings: KerasSettings = dataclasses.field(default_factory=KerasSettings.current)
    hooks: FitHooks | None = None

    def __post_init__(self) -> None:
        # Here and not where fits run: what travels is half as large, and all fits of a process share one array.
        for name in ("x", "y", "sample_weight"):
            object.__setattr__(self, name, _in_keras_precision(getattr(self, name)))

    def build(self, hypermodel: Any, hyperparameters: keras_tuner.HyperParameters) -> keras.Model:
        """Build a model by a hypermodel, as the tuner's class does it."""
        if self.hooks is None:
            return self.builder.build(hypermodel, hyperparameters)
        # A subclass may override Keras Tuner's `_build_hypermodel`; the checks of what it gives are the same.
        with self.hooks.using(hypermodel):
            return self.builder.checked(self.hooks.build(hyperparameters))

    def build_apart(self, hyperparameters: keras_tuner.HyperParameters) -> keras.Model:
        """Build a model as a fit does, on a copy of the hypermodel where the fits have copies of it."""
        hypermodel = copies.copy_hypermodel(self.hypermodel) if self.own_copies else self.hypermodel
        return self.build(hypermodel, hyperparameters)

    def using(self, hypermodel: Any) -> AbstractContextManager[None]:
        """While it is entered, the hooks in this thread use the hypermodel."""
        return contextlib.nullcontext() if self.hooks is None else self.hooks.using(hypermodel)


def has_own_fit(hypermodel: Any) -> bool:
    """Whether a hypermodel overrides Keras Tuner's `fit`, which hands everything on to `model.fit`."""
    return type(hypermodel).fit is not keras_tuner.HyperModel.fit or "fit" in vars(hypermodel)


def _in_keras_precision(structure: Any) -> Any:
    """Floating-point data in Keras's precision, as Keras would turn it for each batch."""
    precision = keras.config.floatx()
    return map_arrays(lambda a: a.astype(precision, copy=False) if a.dtype.kind == "f" else a, structure)
