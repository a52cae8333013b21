"""One fit on its way: a model built from a seed, trained by `HyperModel.fit`, with everything of its own.

Owns what happens to a model between its task and its record. A fit runs in one thread from beginning to end, beside
other fits in other threads: what belongs to the process (the locks, the random numbers) is only touched as said here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tuner_app.compiled import model_fit
from tuner_app.compiled.building import build_lock
from tuner_app.compiled.callback_paths import OwnPaths
from tuner_app.compiled.stages import Stages
from tuner_app.execution.base import FoldStopped
from tuner_app.folds.rows import Rows
from tuner_app.records.tasks import FoldTask, Index
from tuner_app.training import copies, fit_checks, global_random
from tuner_app.training.build import build_seeded
from tuner_app.training.callbacks import close_files, fit_callbacks, own_folder
from tuner_app.training.hyperparameters import RecordedHyperParameters
from tuner_app.training.shared import SharedByFits
from tuner_app.training.spec import FitSpec, has_own_fit


class FitRun:
    """A model on its way through one fit.

    Args:
        spec: What all fits have in common.
        shared: What the fits of this process share.
        task: Which candidate on which rows.
        seed: The seed of this attempt.
        is_stopped: Whether the fit is to end at the end of the running epoch.

    Attributes:
        hypermodel: The one that the fit works on; its own copy once it has begun, where fits have copies.
        hyperparameters: The candidate's; `build` and `fit` may declare more.
        model: The model; None before it is built.
        callbacks: What `HyperModel.fit` was given.
        context: What `model.fit` needs to know of the fit.
    """

    def __init__(
        self, spec: FitSpec, shared: SharedByFits, task: FoldTask, *, seed: int, is_stopped: Callable[[], bool]
    ) -> None:
        self.spec, self.shared, self.task = spec, shared, task
        self.hypermodel: Any = spec.hypermodel
        self.hyperparameters = RecordedHyperParameters(task.space, task.values)
        self.model: Any = None
        self.callbacks: list[Any] = []
        self._seed, self._is_stopped = seed, is_stopped
        # The copies, what they held at first, and whether a new container in place of another is theirs alone.
        self._births: list[tuple[Any, copies.Contents, bool]] = []
        self._random_state: global_random.State
        self.context = model_fit.FitContext(
            seed=seed,
            cache=shared.cache,
            compile_epochs=spec.compile_epochs,
            jit_compile=spec.jit_compile,
            engine_rule=spec.engine_rule,
            planned_fits=spec.planned_fits,
            check=self._check,
            stages=Stages(task.plan),
            paths=OwnPaths(lambda folder: own_folder(task, folder), shared.tell_once),
        )

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """The model is built and may be trained meanwhile; it is an ordinary one again afterwards."""
        try:
            self._begin()
            yield
        finally:
            close_files(self.callbacks)
            self._tell_what_copies_collected()
            if self.model is not None:
                model_fit.detach(self.model)

    def train(self) -> Any:
        """Call `HyperModel.fit` as Keras Tuner does; gives what it returns."""
        spec, task = self.spec, self.task
        options = dict(spec.fit_options)
        options["callbacks"] = self.callbacks = self._own_callbacks(options.get("callbacks"))
        options = fit_checks.with_default(options, spec.hypermodel.fit, "verbose", 0)
        train = self._parts(task.train_rows)
        if len(train) == 3:
            options["sample_weight"] = train[2]
        if task.validation_rows is not None:
            options["validation_data"] = self._parts(task.validation_rows)
        elif has_own_fit(spec.hypermodel):
            # Keras Tuner's documented forms of fit read it. What they make of it is used for nothing in a refit. As the
            # very arrays of the training: nothing is copied, and `compiled.fit` sees that it need not validate.
            options["validation_data"] = train
        with spec.using(self.hypermodel), self._global_random_numbers():
            return self.hypermodel.fit(self.hyperparameters, self.model, *train[:2], **options)

    def _begin(self) -> None:
        """Build the model from the seed, with a hypermodel of its own."""
        spec = self.spec
        with self.context.building():  # no other fit builds with the random numbers of the process meanwhile
            if spec.own_copies:
                self.hypermodel = copies.copy_hypermodel(spec.hypermodel)
                self._births.append((self.hypermodel, copies.Contents.of(self.hypermodel), True))
            self.model = build_seeded(
                lambda hyperparameters: spec.build(self.hypermodel, hyperparameters), self.hyperparameters, self._seed
            )
            self._random_state = global_random.state()  # While no build has seeded them.
        model_fit.attach(self.model, self.context)

    def _check(self) -> None:
        """Called by `model.fit` after each epoch."""
        if self._is_stopped():
            raise FoldStopped

    @contextmanager
    def _global_random_numbers(self) -> Iterator[None]:
        """Seed the process's random numbers where no other fit uses them; say where a fit draws them."""
        if self.spec.alone:
            with global_random.kept():
                before = global_random.seed_for_fit(self._seed)
                yield
                self.shared.tell_of_draws(global_random.drawn_since(before))
            return
        yield
        if build_lock.acquire(blocking=False):  # Else a build has seeded them; the search's end will tell.
            try:
                self.shared.tell_of_draws(global_random.drawn_since(self._random_state))
            finally:
                build_lock.release()

    def _tell_what_copies_collected(self) -> None:
        """One line per search for each class whose copies have collected what nobody will find."""
        for twin, contents, in_place in self._births:
            names = contents.grown(twin, in_place=in_place)
            if names:
                line = copies.what_a_copy_collects(twin, names)
                self.shared.tell_once(f"{type(twin).__qualname__} collects", line)

    def _parts(self, index: Index) -> tuple[Any, ...]:
        """`(x, y)` or `(x, y, sample_weight)` of rows."""
        spec = self.spec
        parts = (spec.x, spec.y) if spec.sample_weight is None else (spec.x, spec.y, spec.sample_weight)
        return tuple(self._rows(part, index) for part in parts)

    def _rows(self, structure: Any, index: Index) -> Any:
        """A part of the data: a mere view where Keras Tuner's own `fit` hands it straight on, else real arrays."""
        rows = Rows(structure, index)
        if not has_own_fit(self.spec.hypermodel):
            return rows
        return self.context.origins.copies_of(rows)

    def _own_callbacks(self, callbacks: Any) -> list[Any]:
        """Copies of the user's callbacks, which write to places of this fold, and the tuner's own."""
        own = copies.copy_callbacks(callbacks)
        self._births += [(callback, copies.Contents.of(callback), False) for callback in own]
        return fit_callbacks(self.task, own, self.context, self.spec.hooks)
