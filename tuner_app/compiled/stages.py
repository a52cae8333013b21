"""The calls of `model.fit` in one fit: what each of them did, and how a refit is made to do the same.

A stage is one call of `model.fit`. Owns the record of each stage (its callbacks, its epochs, what they logged, after
which epoch the weights were taken that it ended with), and what keeps a refit to its plan: an own `HyperModel.fit` may
drop the callbacks that it is given, so all of it happens where `model.fit` is called. How an epoch runs belongs to
`fit`, what the plan is made of to `records.refit_plan`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from tuner_app.compiled.refit_callbacks import RefitCallbacks
from tuner_app.records import metric_values
from tuner_app.records.refit_plan import RefitPlan, StagePlan

RATE = "learning_rate"


@dataclasses.dataclass
class Stage:
    """One call of `model.fit`, filled while it runs.

    Attributes:
        callbacks: Those that `model.fit` got.
        first_epoch: The number that Keras gave its first epoch: 0, or `initial_epoch`.
        logs: The numbers of each epoch that was run.
        kept: After how many epochs the weights were taken that it ended with.
        history: The `History` that it returned.
    """

    callbacks: list[Any]
    first_epoch: int = 0
    logs: list[dict[str, float]] = dataclasses.field(default_factory=list)
    kept: int = 0
    history: Any = None

    @property
    def rates(self) -> list[float]:
        """Each epoch's learning rate; empty where not every epoch logged one."""
        rates = [logs.get(RATE, math.nan) for logs in self.logs]
        return rates if all(map(math.isfinite, rates)) else []

    def end(self, model: keras.Model) -> None:
        """Note what can be seen only now; the next stage may use the same callbacks."""
        self.history = getattr(model, "history", None)
        self.kept = kept_epochs(self.callbacks, self.first_epoch, len(self.logs))

    def aligned(self, history: dict[str, list[float]]) -> tuple[dict[str, list[float]], dict[str, list[int]]]:
        """A history of this stage with one number per epoch, NaN where the epoch has none.

        Returns:
            The history, and the epochs, from 1, of each metric that not every epoch has.
        """
        measured = {name: [i + 1 for i, logs in enumerate(self.logs) if name in logs] for name in history}
        gaps = {
            name: epochs
            for name, epochs in measured.items()
            if len(history[name]) == len(epochs) < len(self.logs)  # else the user's own: left as it is
        }
        spread = {name: _spread(history[name], epochs, len(self.logs)) for name, epochs in gaps.items()}
        return history | spread, gaps


class Stages:
    """The stages of one fit.

    Args:
        plan: What a refit is to do; None for a fold, which does as it likes.
    """

    def __init__(self, plan: RefitPlan | None = None) -> None:
        self.plan = plan
        self.done: list[Stage] = []
        self._refit_callbacks = None if plan is None else RefitCallbacks(knows_rates=plan.knows_rates)

    @property
    def callbacks(self) -> list[Any]:
        """All callbacks that `model.fit` got, each once."""
        return list({id(callback): callback for stage in self.done for callback in stage.callbacks}.values())

    def of(self, history: Any) -> int | None:
        """The number of the stage that returned a `History`, else of the last one; None where there was none."""
        numbers = [number for number, stage in enumerate(self.done) if stage.history is history]
        return numbers[-1] if numbers else len(self.done) - 1 if self.done else None

    @contextlib.contextmanager
    def watched(self, model: keras.Model, callbacks: Any) -> Iterator[Any]:
        """Around a call of `model.fit`.

        Args:
            model: The model that is fitted.
            callbacks: Those that `model.fit` is given, a list or a `CallbackList`.

        Yields:
            The callbacks that it is to run with.
        """
        whole = isinstance(callbacks, keras.callbacks.CallbackList)
        originals = list(callbacks.callbacks if whole else callbacks)
        stage = Stage(self.able(originals))
        watch = StageWatch(model, stage) if self.plan is None else self._guide(model, stage, self.plan)
        members = [*stage.callbacks, watch]  # The watch last: it sees what all others have made of an epoch.
        self.done.append(stage)
        try:
            if whole:
                callbacks.callbacks[:] = members
            with (
                contextlib.nullcontext() if self._refit_callbacks is None else self._refit_callbacks.guarded(originals)
            ):
                yield callbacks if whole else members
        finally:
            if whole:
                callbacks.callbacks[:] = originals  # The user's object, who may look at it or use it again.
            stage.end(model)

    def able(self, callbacks: Sequence[Any]) -> list[Any]:
        """The callbacks that can run: in a refit those that do without validation."""
        return list(callbacks) if self._refit_callbacks is None else self._refit_callbacks.able(callbacks)

    def _guide(self, model: keras.Model, stage: Stage, plan: RefitPlan) -> StageGuide:
        assert self._refit_callbacks is not None
        return StageGuide(model, stage, plan.stage(len(self.done)), self._refit_callbacks)


class StageWatch(keras.callbacks.Callback):
    """Comes last of a stage's callbacks, and so sees what they have made of an epoch.

    Args:
        model: The model that is fitted.
        stage: Filled on the way.
    """

    def __init__(self, model: keras.Model, stage: Stage) -> None:
        super().__init__()
        self.set_model(model)  # A CallbackList of the user's sets it only for the callbacks that it was made with.
        self.stage = stage

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Note where the counting begins."""
        if not self.stage.logs:
            self.stage.first_epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Note the epoch's numbers."""
        numeric = {name: value for name, value in (logs or {}).items() if _is_numeric(value)}
        self.stage.logs.append(metric_values.numbers_of(numeric))


class StageGuide(StageWatch):
    """Keeps a stage of a refit to its plan, with the last word after all other callbacks.

    Args:
        model: The model that is fitted.
        stage: Filled on the way.
        plan: What the stage is to do.
        callbacks: What became of the refit's other callbacks.
    """

    def __init__(self, model: keras.Model, stage: Stage, plan: StagePlan, callbacks: RefitCallbacks) -> None:
        super().__init__(model, stage)
        self._plan, self._callbacks = plan, callbacks

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set the learning rate of the folds, where what made it is left out."""
        super().on_epoch_begin(epoch, logs)
        rates = self._plan.rates if self._callbacks.lacks_rates else ()
        # A rate that the optimizer computes by itself (a schedule) cannot be set, and needs not.
        if rates and isinstance(getattr(self.model.optimizer, RATE, None), keras.Variable):
            self.model.optimizer.learning_rate = rates[min(len(self.stage.logs), len(rates) - 1)]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stop after the last epoch of the plan."""
        super().on_epoch_end(epoch, logs)
        if self._plan.epochs is not None and len(self.stage.logs) >= self._plan.epochs:
            self.model.stop_training = True


def kept_epochs(callbacks: Sequence[Any], first_epoch: int, epochs: int) -> int:
    """After how many epochs the weights were taken: `EarlyStopping` may have gone back to its best.

    Args:
        callbacks: Those of the training, after it.
        first_epoch: The number that Keras gave the first epoch.
        epochs: How many were run.
    """
    for callback in reversed(callbacks):  # They restore in their order, so the last one's weights are there.
        restored = isinstance(callback, keras.callbacks.EarlyStopping) and callback.restore_best_weights
        if restored and callback.best_weights is not None:
            return min(epochs, int(callback.best_epoch) + 1 - first_epoch)
    return epochs


def _spread(values: Sequence[float], epochs: Sequence[int], count: int) -> list[float]:
    by_epoch = dict(zip(epochs, values, strict=True))
    return [by_epoch.get(epoch, math.nan) for epoch in range(1, count + 1)]


def _is_numeric(value: Any) -> bool:
    return np.asarray(value).dtype.kind in "fiub"
