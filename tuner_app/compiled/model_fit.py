"""`Model.fit` for in-memory arrays, with each epoch run as one program.

Owns what happens between the user's call of `model.fit` and the programs: which fits can run that way (and the reason
where one cannot), the order of rows, callbacks, validation and the history. The numbers are those of `Model.fit` given
the same order of rows. What cannot run as one program goes through Keras's own `fit`, with the same order of rows.
Which programs are shared is the business of `programs`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import logging
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tuner_app.compiled import programs
from tuner_app.compiled.callback_paths import OwnPaths
from tuner_app.compiled.programs import ATTACHED, NotCompilableError, NotTransferableError, Program, ProgramCache
from tuner_app.compiled.refit_callbacks import is_users
from tuner_app.compiled.stages import Stages, StageWatch
from tuner_app.folds.rows import Rows, arrays_in, map_arrays, with_tuples
from tuner_app.records.tasks import Index

logger = logging.getLogger(__name__)

# Validation in steps of this many rows, where the size of the step cannot change the result ...
LARGE_BATCH = 1024
# ... and the outputs of all layers together stay below this many numbers (128 MiB).
_LARGE_OUTPUTS = 2**25

_BATCH_HOOKS = (
    *("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end"),
    *("on_test_batch_begin", "on_test_batch_end"),
)
# Keras's callbacks that look at batches only if they are asked to.
_BATCHES_ON_REQUEST: dict[type, Callable[[Any], bool]] = {
    keras.callbacks.ProgbarLogger: lambda callback: False,
    keras.callbacks.ModelCheckpoint: lambda callback: callback.save_freq != "epoch",
    keras.callbacks.BackupAndRestore: lambda callback: callback.save_freq != "epoch",
    keras.callbacks.TensorBoard: lambda callback: (
        callback.update_freq != "epoch" or callback.write_steps_per_second or bool(callback._start_batch)
    ),
}
# Losses that are a mean over rows, whatever the batch, unless their configuration says otherwise.
_ROW_LOSSES = frozenset(
    {
        *(
            "mean_squared_error",
            "mean_absolute_error",
            "mean_absolute_percentage_error",
            "log_cosh",
            "huber",
            "poisson",
        ),
        *("mean_squared_logarithmic_error", "cosine_similarity", "binary_crossentropy", "binary_focal_crossentropy"),
        *("categorical_crossentropy", "categorical_focal_crossentropy", "sparse_categorical_crossentropy"),
        *("kl_divergence", "hinge", "squared_hinge", "categorical_hinge"),
    }
)
# Losses of a whole batch, which do not become means over rows as metrics either.
_BATCH_LOSSES = frozenset({"dice", "tversky", "circle", "ctc"})
_FIT = inspect.signature(keras.Model.fit)

_Parts = tuple[Rows, Rows | None, Rows | None]


class UnknownOptionError(TypeError):
    """`model.fit` was given an option that it does not have, in the words of Python.

    Args:
        option: The option's name.
    """

    def __init__(self, option: str) -> None:
        super().__init__(f"Model.fit() got an unexpected keyword argument '{option}'")
        self.option = option


@dataclasses.dataclass(kw_only=True)
class FitContext:
    """What one fit needs beyond the arguments of `Model.fit`.

    Attributes:
        seed: Decides the order of rows.
        cache: The programs to share.
        compile_epochs: False sends everything through Keras's own `fit`.
        jit_compile: True or False forces or forbids XLA for the training loop; None decides by the amount of work.
        planned_fits: How many fits of the same architecture the search will do at least; part of the amount of work.
        check: Called after each epoch; an exception from it ends the fit.
        known: Arrays that are copies of rows which lie in memory anyway, by identity.
        stages: The calls of `model.fit`, and what a refit is to make of them.
        paths: Where the callbacks of this fit write.
        score_seconds: Counts the time spent on validation, in seconds.
        compile_seconds: Counts the time spent on tracing, on compiling and on waiting for another fit that does, in
            seconds. Keras's own fit cannot tell it from training: there it counts as training.
        random: The order of rows comes from here; a second `fit` of the same model goes on where the first ended.
        program_options: How the last fit asked for its program; None before.
        last: The last fit, where it ran as programs; else None.
    """

    seed: int
    cache: ProgramCache
    compile_epochs: bool = True
    jit_compile: bool | None = None
    planned_fits: int = 1
    check: Callable[[], None] = lambda: None
    known: dict[int, tuple[Any, Rows]] = dataclasses.field(default_factory=dict)
    stages: Stages = dataclasses.field(default_factory=Stages)
    paths: OwnPaths = dataclasses.field(default_factory=OwnPaths)
    score_seconds: float = 0.0
    compile_seconds: float = 0.0
    random: np.random.Generator = dataclasses.field(init=False)
    program_options: dict[str, Any] | None = dataclasses.field(init=False, default=None)
    last: _CompiledFit | None = dataclasses.field(init=False, default=None)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def rows(self, structure: Any) -> Rows | None:
        """The rows behind arrays that a fit was given: those it is known to be a copy of, or all of its own."""
        if structure is None or isinstance(structure, Rows):
            return structure
        known = self.known.get(id(structure))
        if known is not None and known[0] is structure and _is_still_a_copy(structure, known[1]):
            return known[1]
        arrays = map_arrays(programs.as_keras_array, structure)
        lengths = {len(array) for array in arrays_in(arrays)}
        if len(lengths) != 1:
            raise ValueError(f"All arrays must have the same number of rows. Received: {sorted(lengths)}.")
        return Rows(arrays, np.arange(lengths.pop()))

    @contextlib.contextmanager
    def compiling(self) -> Iterator[None]:
        """Count what is done within as compiling."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.compile_seconds += time.perf_counter() - began

    @contextlib.contextmanager
    def building(self) -> Iterator[None]:
        """Hold the build lock. Another fit that holds it compiles what this one will use, so waiting is compiling."""
        with self.compiling():
            programs.build_lock.acquire()
        try:
            yield
        finally:
            programs.build_lock.release()

    def order(self, rows: Any, *, shuffle: bool) -> Any:
        """The rows of one epoch in the order in which they are used."""
        return self.random.permutation(rows) if shuffle else rows


def attach(model: keras.Model, context: FitContext) -> None:
    """Make `model.fit` run compiled, for whoever calls it (an overridden `HyperModel.fit`, for one).

    `model.load_weights` finds what a callback of this fit has written, by the path that the user gave it.
    """
    original = model.fit

    def fit(*arguments: Any, **options: Any) -> keras.callbacks.History:
        if type(model).fit is not keras.Model.fit:
            _say_why_not(model, context, "its class overrides fit")
            return _foreign_fit(model, original, context, arguments, options)
        unknown = [name for name in options if name not in _FIT.parameters]
        if unknown:
            raise UnknownOptionError(unknown[0])
        bound = _FIT.bind(model, *arguments, **options)
        bound.apply_defaults()
        return _fit(model, original, context, {name: bound.arguments[name] for name in list(_FIT.parameters)[1:]})

    load_weights = model.load_weights

    def load_own_weights(filepath: Any, *arguments: Any, **options: Any) -> Any:
        return load_weights(context.paths.of(filepath), *arguments, **options)

    object.__setattr__(model, "fit", fit)
    object.__setattr__(model, "load_weights", load_own_weights)


def detach(model: keras.Model) -> None:
    """Give a model's methods back to Keras."""
    for name in ATTACHED:
        vars(model).pop(name, None)


def predict_classes(model: keras.Model, context: FitContext, x: Any) -> Any:
    """Class numbers of rows: the largest output of each, or whether a single output lies above its threshold.

    Args:
        model: A trained model.
        context: The context of its fit.
        x: `Rows`, or arrays of shape `(n_rows, ...)`.

    Returns:
        Integers of shape `(n_rows,)`; of shape `(0,)` where the outputs are not those of one classifier.
    """
    rows = context.rows(x)
    assert rows is not None
    rows = Rows(with_tuples(rows.arrays), rows.index)
    architecture = programs.signature(model)
    own = context.last.program if context.last is not None and context.last.architecture is None else None
    if architecture is None and (own is None or type(model).predict is not keras.Model.predict):
        return _predicted_classes(model, rows)
    data = _Data(context, (rows, None, None))
    options = context.program_options or {
        "specs": data.specs,
        "batch_size": 0,
        "evaluation_batch_size": evaluation_batch_size(model, 32, architecture),
        "xla": False,
    }
    try:
        # Keras's own `predict` would trace each model without an architecture anew and, from the fifth on, warn of it.
        program = own if architecture is None and own else context.cache.program(architecture, **options)
        bound = program.function("predict", model, data.specs).bind(model, {})
    except NotCompilableError:
        return np.empty(0, np.int32)
    except NotTransferableError:
        return _predicted_classes(model, rows)
    return bound(data.x, tf.constant(data.rows)).numpy()


def evaluate(
    model: keras.Model, context: FitContext, x: Rows, y: Rows, sample_weight: Rows | None, *, batch_size: int
) -> dict[str, Any]:
    """The metrics of some rows, through the program that the validation of the fit used, where it is the right one.

    Keras's own `evaluate` would trace each model anew.

    Args:
        model: A trained model.
        context: The context of its fit.
        x: Features.
        y: Targets.
        sample_weight: Weights; None for none.
        batch_size: Rows per step, where Keras's own `evaluate` does it: that of the fit, whose trace it can use.
    """
    parts = _aligned([part for part in (x, y, sample_weight) if part is not None])
    last = context.last
    if last is not None and last.is_as_compiled() and programs.signature(model) == last.architecture:
        try:
            return last.evaluate(_Data(context, parts))
        except (NotCompilableError, NotTransferableError) as error:
            logger.debug("%s is evaluated by Keras: %s", model.name, error)
    given = [None if part is None else part.copy() for part in (x, y, sample_weight)]
    options = {"batch_size": batch_size, "verbose": 0, "return_dict": True}
    return model.evaluate(programs.with_text_tensors(given[0]), given[1], sample_weight=given[2], **options)  # type: ignore[no-any-return]


def _predicted_classes(model: keras.Model, rows: Rows) -> Any:
    """Class numbers by Keras's own `predict`."""
    # Without a loss nobody knows whether a single output is a logit.
    threshold = programs.class_threshold(model) if model.compiled else None
    return _classes(model.predict(programs.with_text_tensors(rows.copy()), verbose=0), threshold)


def _foreign_fit(model: keras.Model, original: Any, context: FitContext, arguments: Any, options: Any) -> Any:
    """A `fit` of the model's own class, which may take any arguments."""
    plain = {name: _unwrapped(value) for name, value in options.items()}
    if "callbacks" not in plain:
        return original(*map(_unwrapped, arguments), **plain)
    with context.stages.watched(model, _own_callbacks(context, plain["callbacks"])) as callbacks:
        return original(*map(_unwrapped, arguments), **{**plain, "callbacks": callbacks})


def _own_callbacks(context: FitContext, given: Any) -> Any:
    """The callbacks of a call of `model.fit`, a list or a `CallbackList`, each writing to places of this fit."""
    if isinstance(given, keras.callbacks.CallbackList):
        callbacks, members = given, given.callbacks
    else:
        members = callbacks = [] if given is None else keras.tree.flatten(given)  # Keras takes lists in lists, too.
    context.paths.move(members, made_in_fit=True)
    return callbacks


def _fit(model: keras.Model, original: Any, context: FitContext, options: dict[str, Any]) -> keras.callbacks.History:
    with context.stages.watched(model, _own_callbacks(context, options["callbacks"])) as callbacks:
        return _watched_fit(model, original, context, {**options, "callbacks": callbacks})


def _watched_fit(
    model: keras.Model, original: Any, context: FitContext, options: dict[str, Any]
) -> keras.callbacks.History:
    context.last = None
    try:
        reason = _why_not(model, context, options)
        if reason is None:
            compiled = _CompiledFit(model, context, options)
            history = compiled.run()
            context.last = compiled
            return history
    except NotCompilableError as error:
        reason = str(error)
    _say_why_not(model, context, reason)
    return _plain_fit(model, original, context, options)


def _say_why_not(model: keras.Model, context: FitContext, reason: str) -> None:
    """Once per search for each kind of model and reason, not once per fit."""
    if context.cache.is_news(type(model).__name__, model.name, reason):
        logger.info("%s trains with model.fit, because %s.", model.name, reason)


def _why_not(model: keras.Model, context: FitContext, options: Mapping[str, Any]) -> str | None:
    """The reason why a fit cannot run as programs; None where it can."""
    if not context.compile_epochs:
        return "compiled epochs are switched off"
    return _why_not_model(model) or _why_not_options(options) or _why_not_callbacks(options["callbacks"])


def _why_not_model(model: keras.Model) -> str | None:
    if not model.compiled:
        return "it is not compiled"
    if model.run_eagerly or tf.config.functions_run_eagerly():
        return "it runs eagerly"
    if tf.distribute.has_strategy() or model._distribute_strategy is not None:
        return "it is distributed"
    if any(
        getattr(type(model), name) is not getattr(keras.Model, name) for name in ("make_train_function", "evaluate")
    ):
        return "it has a training loop of its own"
    return None


def _why_not_options(options: Mapping[str, Any]) -> str | None:
    for name in ("steps_per_epoch", "validation_steps"):
        if options[name] is not None:
            return f"{name} is given"
    if keras.config.max_epochs() or keras.config.max_steps_per_epoch():
        return "keras.config caps the epochs"
    if options["x"] is None:
        return "x is not given"
    if not isinstance(options["validation_freq"], int | list | tuple | set):
        return "validation_freq is neither a number nor a list"
    parts = [options["x"], options["y"], options["sample_weight"], *_unpacked(options["validation_data"])]
    foreign = [part for part in parts if not _is_in_memory(part)]
    return f"the data come as {type(foreign[0]).__name__}, not as arrays" if foreign else None


def _why_not_callbacks(callbacks: Any) -> str | None:
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return "the callbacks come as a CallbackList"
    by_batches = [callback for callback in callbacks if _works_by_batches(callback)]
    return f"the callback {type(by_batches[0]).__name__} works by batches" if by_batches else None


class _Data:
    """Arrays on the device, and what they look like to a trace."""

    def __init__(self, context: FitContext, parts: _Parts) -> None:
        tensor = context.cache.tensor
        self.rows = parts[0].index.astype(np.int32)
        self.x, self.y, self.weight = (None if part is None else map_arrays(tensor, part.arrays) for part in parts)
        self.specs = tuple(map_arrays(programs.spec, part) for part in self.arguments)
        self.total = len(arrays_in(parts[0].arrays)[0])

    @property
    def arguments(self) -> tuple[Any, Any, Any]:
        return self.x, self.y, self.weight


class _CompiledFit:
    """One fit: the training epochs with their callbacks, as `Model.fit` runs them."""

    def __init__(self, model: keras.Model, context: FitContext, options: Mapping[str, Any]) -> None:
        self.model, self.context, self.options = model, context, options
        self.batch_size = int(options["batch_size"] or 32)
        self.epochs = int(options["epochs"])
        train, validation = _split_off(context, options)
        self.train = _Data(context, train)
        self.validation = _Data(context, validation) if validation is not None else None
        self.scratch: dict[int, Any] = {}
        self.functions: dict[str, programs.Function] = {}
        self.bound: dict[str, Callable[..., Any]] = {}
        self.architecture: str | None = None
        # Keras 3.15 makes a new one at each `compile`; no public name tells one compiling from the next.
        self._compiled_with = getattr(model, "_compile_config", None)
        self.program: Program

    def run(self) -> keras.callbacks.History:
        model = self.model
        # Before any callback has run, so that a refusal leaves nothing half done.
        self._prepare()
        callbacks = self._callback_list()
        model.stop_training = False
        callbacks.on_train_begin()
        logs: dict[str, Any] | None = None
        for epoch in range(model._initial_epoch or int(self.options["initial_epoch"]), self.epochs):
            callbacks.on_epoch_begin(epoch)
            if logs is None:
                self._follow_changes()
            logs = self._train_epoch()
            if self.validation is not None and self._validates(epoch):
                logs |= self._validate(callbacks)
            callbacks.on_epoch_end(epoch, logs)
            self.context.check()
            if model.stop_training:
                break
        if isinstance(model.optimizer, keras.optimizers.Optimizer) and self.epochs > 0:
            model.optimizer.finalize_variable_values(model.trainable_weights)
        callbacks.on_train_end(logs)
        return model.history

    def _callback_list(self) -> keras.callbacks.CallbackList:
        verbose = self.options["verbose"]
        return keras.callbacks.CallbackList(
            self.options["callbacks"],
            add_history=True,
            add_progbar=verbose != 0,
            verbose=verbose,
            epochs=self.epochs,
            steps=-(-len(self.train.rows) // self.batch_size),
            model=self.model,
        )

    def _prepare(self) -> None:
        """Trace and compile where nobody did it before."""
        try:
            with self.context.building():
                self._make_variables()
            self.architecture = programs.signature(self.model)
            self.program = self._choose_program()
            if self.program.refusal is None:
                with self.context.compiling():
                    self._bind_functions()
        except NotCompilableError:
            raise
        except Exception as error:
            # Whatever is wrong: Keras's own fit either can do it or says it in Keras's words.
            raise NotCompilableError(f"tracing its epoch failed ({first_line(error)})") from error
        if self.program.refusal is None:
            self._tell_of_draws()
            with self.context.compiling():
                self._run_without_steps()
        if self.program.refusal is not None:
            raise NotCompilableError(self.program.refusal)

    def _make_variables(self) -> None:
        model = self.model
        if not programs.is_built(model):
            _build_from_seed(model, self.train.specs, self.context)
        if model.optimizer is not None and not model.optimizer.built and programs.is_built(model):
            model.optimizer.build(model.trainable_variables)
        # The user's code may look at the model's metrics, and not only at the logs.
        if any(map(_is_users, self.options["callbacks"])) and _has_standard_steps(model):
            programs.build_for(model, self.train.specs)

    def _choose_program(self) -> Program:
        asked = self.options["validation_batch_size"]
        chosen = int(asked) if asked else evaluation_batch_size(self.model, self.batch_size, self.architecture)
        options = {
            "specs": self.train.specs,
            "batch_size": self.batch_size,
            "evaluation_batch_size": chosen,
            "xla": self._wants_xla(),
        }
        self.context.program_options = options
        return self.context.cache.program(self.architecture, **options)

    def _wants_xla(self) -> bool:
        steps = len(self.train.rows) // self.batch_size
        asked = self.context.jit_compile
        if not steps:
            return False
        if asked is not None:
            return asked
        if _draws_random_numbers(self.model):
            # XLA draws other random numbers (Dropout) than a plain graph does: keep to what Model.fit would do.
            return bool(self.model.jit_compile)
        # A model that adapts counts as one fit, though it may share its program: it did so when none could share, and
        # another engine would change the last digits of searches that were begun then.
        shares = self.architecture is not None and not programs.adapts(self.model)
        fits = self.context.planned_fits if shares else 1
        enough = steps * max(self.epochs, 1) * fits >= programs.XLA_MINIMUM_STEPS
        return enough and all(layer.supports_jit for layer in self.model._flatten_layers())

    def _bind_functions(self) -> None:
        """All are traced before the first is bound, because tracing makes the metrics' variables."""
        try:
            self.functions = self._functions()
            self.bound = {name: function.bind(self.model, self.scratch) for name, function in self.functions.items()}
        except NotTransferableError:
            self.program = self.context.cache.own_program(**self.context.program_options or {})
            self.functions = self._functions()
            self.bound = {name: function.bind(self.model, self.scratch) for name, function in self.functions.items()}

    def _tell_of_draws(self) -> None:
        draws = sorted({name for function in self.functions.values() for name in function.draws})
        if draws and self.context.cache.is_news("draws", *draws):
            logger.warning(
                "%s draws random numbers by TensorFlow's %s, which no seed of a fit reaches: two equal searches "
                "differ. Use keras.random with a keras.random.SeedGenerator(seed) instead.",
                self.model.name,
                ", ".join(draws),
            )

    def _functions(self) -> dict[str, programs.Function]:
        program, model = self.program, self.model
        found = {"loop": program.function("loop", model)}
        if program.xla and len(self.train.rows) % self.batch_size:
            found["tail"] = program.function("tail", model)
        if self.validation is not None:
            found["evaluate"] = program.function("evaluate", model, self.validation.specs)
        return found

    def _run_without_steps(self) -> None:
        """Run what nobody has run yet, for no step: TensorFlow optimises it and XLA compiles it at its first run.

        XLA refuses here, before any variable has changed. A plain graph that fails will fail at its first step, too.
        """
        loop, evaluate = self.functions["loop"], self.functions.get("evaluate")
        try:
            if not loop.has_run:
                self._run_loop(np.zeros(self.train.total, np.int32), steps=0)
                loop.has_run = True
        except tf.errors.OpError as error:
            if self.program.xla:
                self.program.refusal = f"XLA refuses it ({first_line(error)})"
                return
        if evaluate is not None and not evaluate.has_run:
            with contextlib.suppress(tf.errors.OpError):
                self._run_evaluation(steps=0)
                evaluate.has_run = True

    def _follow_changes(self) -> None:
        """Callbacks may have changed the model (frozen a layer, say) before the first step."""
        if self.architecture is None or not any(map(_is_users, self.options["callbacks"])):
            return
        if programs.signature(self.model) != self.architecture:
            self._prepare()

    def _train_epoch(self) -> dict[str, Any]:
        order = self.context.order(self.train.rows, shuffle=bool(self.options["shuffle"]))
        if self.model.stop_training:  # A callback does not want this epoch: Keras does one step nevertheless.
            order = order[: self.batch_size]
        steps, rest = divmod(len(order), self.batch_size)
        if not self.program.xla:
            return _floats(self._run_loop(order, steps + bool(rest)))
        logs = self._run_loop(order, steps)
        if rest:
            logs = self._run_tail(order[-rest:])
        return _floats(logs)

    def _run_tail(self, order: Any) -> Any:
        """The last, shorter batch. Its first run counts as compiling: the one batch is nothing beside that."""
        first = not self.functions["tail"].has_run
        with self.context.compiling() if first else contextlib.nullcontext():
            logs = self.bound["tail"](*self.train.arguments, tf.constant(order))
        self.functions["tail"].has_run = True
        return logs

    def _run_loop(self, order: Any, steps: int) -> Any:
        rows = len(order)
        if self.program.xla:  # One length for every fold and the refit, so that XLA compiles once.
            order = np.pad(order, (0, self.train.total - rows))
        counts = (tf.constant(steps), tf.constant(rows))
        return self.bound["loop"](*self.train.arguments, tf.constant(order), *counts)

    def _validate(self, callbacks: Any) -> dict[str, Any]:
        assert self.validation is not None
        began = time.perf_counter()
        steps = -(-len(self.validation.rows) // self.program.evaluation_batch_size)
        callbacks.on_test_begin()
        logs = _floats(self._run_evaluation(steps))
        callbacks.on_test_end(logs)
        self.context.score_seconds += time.perf_counter() - began
        return {f"val_{name}": value for name, value in logs.items()}

    def _run_evaluation(self, steps: int) -> Any:
        assert self.validation is not None
        return self._evaluated(self.bound["evaluate"], self.validation, steps)

    def _evaluated(self, bound: Callable[..., Any], data: _Data, steps: int) -> Any:
        counts = (tf.constant(steps), tf.constant(len(data.rows)))
        return bound(*data.arguments, tf.constant(data.rows), *counts)

    def evaluate(self, data: _Data) -> dict[str, Any]:
        """The metrics of other rows, after the fit."""
        bound = self.program.function("evaluate", self.model, data.specs).bind(self.model, self.scratch)
        return _floats(self._evaluated(bound, data, -(-len(data.rows) // self.program.evaluation_batch_size)))

    def is_as_compiled(self) -> bool:
        """Whether the model was not compiled anew since: the program has the metrics of that time."""
        return getattr(self.model, "_compile_config", None) is self._compiled_with

    def _validates(self, epoch: int) -> bool:
        every = self.options["validation_freq"]
        return (epoch + 1) % every == 0 if isinstance(every, int) else epoch + 1 in every


class _RowBatches(keras.utils.PyDataset):
    """Batches of rows in the order in which a compiled fit takes them, for Keras's own `fit`."""

    def __init__(self, parts: _Parts, context: FitContext, *, batch_size: int, shuffle: bool) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self._parts = [part for part in parts if part is not None]
        self._context, self._batch_size, self._shuffle = context, batch_size, shuffle
        self._order = parts[0].index

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch_size)

    def on_epoch_begin(self) -> None:
        self._order = self._context.order(self._parts[0].index, shuffle=self._shuffle)

    def __getitem__(self, number: int) -> Any:
        chosen = self._order[number * self._batch_size : (number + 1) * self._batch_size]
        return tuple(
            programs.with_text_tensors(map_arrays(lambda array: programs.as_keras_array(array[chosen]), part.arrays))
            for part in self._parts
        )


class _AfterEpoch(keras.callbacks.Callback):
    """Does in Keras's own fit what a compiled fit does by itself."""

    def __init__(self, context: FitContext) -> None:
        super().__init__()
        self._context = context
        self._began = 0.0

    def on_test_begin(self, logs: Any = None) -> None:
        self._began = time.perf_counter()

    def on_test_end(self, logs: Any = None) -> None:
        self._context.score_seconds += time.perf_counter() - self._began

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._context.check()


def _plain_fit(model: keras.Model, original: Any, context: FitContext, options: dict[str, Any]) -> Any:
    """Keras's own fit; arrays are fed in the order of rows that the seed says, whatever other threads do."""
    callbacks = options["callbacks"]
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks.callbacks.append(_AfterEpoch(context))
    else:
        options = {**options, "callbacks": [*callbacks, _AfterEpoch(context)]}
    in_memory = all(_is_in_memory(options[name]) for name in ("x", "y", "sample_weight"))
    # Keras hands a lone x to a step as it is, but a data set's batches as tuples.
    if not in_memory or options["y"] is None or options["x"] is None or options["steps_per_epoch"] is not None:
        return original(**{name: _unwrapped(value) for name, value in options.items()})
    train, validation = _split_off(context, options)
    if not programs.is_built(model) and not model.run_eagerly:
        _build_from_seed(model, _batch_specs(train), context)
    batch_size = int(options["batch_size"] or 32)
    rest = {name: options[name] for name in ("epochs", "verbose", "callbacks", "initial_epoch", "validation_freq")}
    if validation is not None:
        rest["validation_data"] = tuple(_unwrapped(part) for part in validation if part is not None)
    else:
        rest["validation_data"] = _unwrapped(options["validation_data"])
    if _is_in_memory(rest["validation_data"]):
        rest["validation_batch_size"] = options["validation_batch_size"] or batch_size
    batches = _RowBatches(train, context, batch_size=batch_size, shuffle=bool(options["shuffle"]))
    return original(batches, shuffle=False, validation_steps=options["validation_steps"], **rest)


def _build_from_seed(model: keras.Model, specs: Any, context: FitContext) -> None:
    """Build layers that wait for their data, from the fit's seed and not from what other threads have drawn."""
    with programs.build_lock:
        state = random.getstate()
        try:
            random.seed(f"layers built late {context.seed}")
            programs.build_for(model, specs)
        except Exception as error:
            # A model with steps of its own may have no call at all; Keras builds it when it traces them.
            logger.debug("%s is built by its first step, because %s.", model.name, first_line(error))
        finally:
            random.setstate(state)


def _batch_specs(parts: _Parts) -> Any:
    def specify(array: Any) -> Any:
        return programs.spec(programs.as_keras_array(array[:1]))

    return tuple(None if part is None else map_arrays(specify, part.arrays) for part in parts)


def _split_off(context: FitContext, options: Mapping[str, Any]) -> tuple[_Parts, _Parts | None]:
    """Training and validation rows as `(x, y, sample_weight)`; validation is None where there is none in memory."""
    train = _aligned(context.rows(options[name]) for name in ("x", "y", "sample_weight"))
    given, share = options["validation_data"], options["validation_split"]
    validation = None
    if given is not None:
        parts = _unpacked(given)
        if all(_is_in_memory(part) for part in parts):
            validation = _aligned(context.rows(part) for part in parts)
    elif share:
        train, validation = _halves(train, share)
    return _with_class_weights(train, options["class_weight"]), validation


def _aligned(found: Iterable[Rows | None]) -> _Parts:
    """Parts of the same rows, in the structure in which Keras hands them to a step."""
    given = [None if part is None else Rows(with_tuples(part.arrays), part.index) for part in found]
    x, y, weight = [*given, None, None][:3]
    assert x is not None
    weight = None if y is None else _weight_per_output(y, weight)
    present = [part for part in (x, y, weight) if part is not None]
    if len({len(part) for part in present}) != 1:
        counts = ", ".join(str(len(part)) for part in present)
        raise ValueError(f"x, y and sample_weight must have the same number of rows. Received: {counts}.")
    if any(part.index is not x.index and not np.array_equal(part.index, x.index) for part in present):
        # Some are rows of the whole, others are arrays of their own: bring all to the same footing.
        x, y, weight = (None if part is None else Rows(part.copy(), np.arange(len(part))) for part in (x, y, weight))
        assert x is not None
    return x, y, weight


def _weight_per_output(y: Rows, weight: Rows | None) -> Rows | None:
    """As Keras does: one weight for several outputs is the weight of each."""
    if weight is None or not isinstance(y.arrays, Mapping | tuple) or isinstance(weight.arrays, Mapping | tuple):
        return weight
    return Rows(map_arrays(lambda _: weight.arrays, y.arrays), weight.index)


def _halves(parts: _Parts, share: float) -> tuple[_Parts, _Parts]:
    """The first rows to train on and the last ones, a share of them, to validate on, as Keras splits."""
    cut = int(np.floor(len(parts[0]) * (1.0 - share)))
    if not 0 < cut < len(parts[0]):
        raise ValueError(
            f"validation_split must leave rows to train on and to validate on. Received: {share} of {len(parts[0])}."
        )
    first, last = (
        tuple(None if part is None else Rows(part.arrays, part.index[half]) for part in parts)
        for half in (slice(None, cut), slice(cut, None))
    )
    return first, last  # type: ignore[return-value]


def _with_class_weights(parts: _Parts, class_weight: Mapping[int, float] | None) -> _Parts:
    x, y, weight = parts
    if class_weight is None or y is None:
        return parts
    if weight is not None:
        raise ValueError("class_weight and sample_weight cannot be given at the same time. Received both.")
    if isinstance(y.arrays, Mapping | tuple):
        raise ValueError("class_weight must go with one output. Received: several. Give sample_weight instead.")
    return x, y, Rows(_class_weights(y.arrays, class_weight), y.index)


def _class_weights(y: Any, class_weight: Mapping[int, float]) -> Any:
    """As Keras does: a weight for each row's class, 1 for classes that are not named."""
    labels = np.asarray(y)
    if labels.ndim > 1 and labels.shape[-1] > 1:
        labels = labels.argmax(axis=-1)
    classes, inverse = np.unique(np.round(labels.reshape(len(labels))).astype(np.int64), return_inverse=True)
    weights = np.array([class_weight.get(int(label), 1.0) for label in classes], dtype=keras.config.floatx())
    return weights[inverse]


def _works_by_batches(callback: Any) -> bool:
    """Whether a callback wants to hear of batches."""
    for hook in _BATCH_HOOKS:
        if hook in vars(callback):
            return True
        owner = next(kind for kind in type(callback).__mro__ if hook in vars(kind))
        on_request = _BATCHES_ON_REQUEST.get(owner)
        if owner is not keras.callbacks.Callback and (on_request is None or on_request(callback)):
            return True
    return False


def _is_users(callback: Any) -> bool:
    """Whether a callback runs the user's code."""
    return is_users(callback) and not isinstance(callback, StageWatch)


def _has_standard_steps(model: keras.Model) -> bool:
    names = ("train_step", "test_step")
    return all(getattr(type(model), name) is getattr(keras.Model, name) for name in names)


def evaluation_batch_size(model: keras.Model, batch_size: int, architecture: str | None) -> int:
    """Rows per validation step: many, where that changes neither the result nor the order of memory's size.

    Args:
        model: A built and compiled model.
        batch_size: The rows of a training step.
        architecture: The model's signature; a model without one may do anything with a batch.
    """
    # A model that adapts keeps the steps, and so the last digits, of the time when it had no signature.
    if architecture is None or programs.adapts(model) or not _any_batch_size_scores_alike(model):
        return batch_size
    return max(batch_size, min(LARGE_BATCH, _LARGE_OUTPUTS // max(1, _outputs_per_row(model))))


def _outputs_per_row(model: keras.Model) -> int:
    """How many numbers the layers put out for one row, all together; very many where a shape is open."""
    layers = model._flatten_layers(include_self=False)
    shapes = [tensor.shape[1:] for layer in layers for node in layer._inbound_nodes for tensor in node.output_tensors]
    return sum(_LARGE_OUTPUTS if None in shape else int(np.prod(shape)) for shape in shapes)


def _any_batch_size_scores_alike(model: keras.Model) -> bool:
    """Whether validation gives the same, but for rounding, in steps of any size.

    It does where the loss is a mean over rows, metrics add rows up, and no layer ties the rows of a batch together: a
    mask makes a batch's loss a mean over what is not masked.
    """
    if not _has_standard_steps(model):
        return False
    if len(model.outputs) != 1 or isinstance(model.loss, Mapping | list | tuple):
        return False  # Keras reports the loss of each output as a plain mean over batches.
    if any(_looks_at_batches(layer) for layer in model._flatten_layers(include_self=False)):
        return False
    parts = " ".join(str(part) for part in programs.compiled_parts(model)).lower()
    return _is_mean_over_rows(model.loss) and not any(name in parts for name in _BATCH_LOSSES)


def _looks_at_batches(layer: Any) -> bool:
    names = ("activity_regularizer", "mask_zero", "stateful")
    return isinstance(layer, keras.layers.Masking) or any(bool(getattr(layer, name, None)) for name in names)


def _is_mean_over_rows(loss: Any) -> bool:
    found = keras.losses.get(loss)
    if not isinstance(found, keras.losses.Loss):
        return getattr(found, "__name__", None) in _ROW_LOSSES
    config = found.get_config()
    function = getattr(getattr(found, "fn", None), "__name__", None)
    return function in _ROW_LOSSES and found.reduction == "sum_over_batch_size" and config.get("ignore_class") is None


def _draws_random_numbers(model: keras.Model) -> bool:
    """Whether layers keep the state of a random generator: that is no weight."""
    return len(model.variables) > len(model.weights)


def _classes(outputs: Any, threshold: float | None) -> Any:
    if not isinstance(outputs, np.ndarray) or outputs.ndim not in (1, 2):
        return np.empty(0, np.int32)
    if outputs.ndim == 2 and outputs.shape[1] != 1:
        return outputs.argmax(axis=1).astype(np.int32)
    return np.empty(0, np.int32) if threshold is None else (outputs.reshape(-1) > threshold).astype(np.int32)


def _unpacked(validation_data: Any) -> tuple[Any, ...]:
    """`(x, y, sample_weight)` as Keras reads them; anything else is x alone."""
    return tuple(validation_data) if isinstance(validation_data, list | tuple) else (validation_data,)


def _is_in_memory(structure: Any) -> bool:
    if structure is None or isinstance(structure, Rows | np.ndarray | tf.Tensor):
        return True
    if isinstance(structure, Mapping):
        return all(map(_is_in_memory, structure.values()))
    if isinstance(structure, list | tuple):
        return all(map(_is_in_memory, structure))
    return type(structure).__module__.split(".")[0] == "pandas"


def _is_still_a_copy(structure: Any, rows: Rows) -> bool:
    """Whether nobody has changed a copy of rows in place since."""
    pairs = zip(arrays_in(structure), arrays_in(rows.arrays), strict=True)
    return all(_equal(array, whole, rows.index) for array, whole in pairs)


def _equal(array: Any, whole: Any, index: Index, chunk: int = 4096) -> bool:
    begins = range(0, len(index), chunk)
    return all(np.array_equal(array[i : i + chunk], whole[index[i : i + chunk]]) for i in begins)


def _unwrapped(value: Any) -> Any:
    if isinstance(value, list | tuple) and any(isinstance(item, Rows) for item in value):
        return tuple(map(_unwrapped, value))
    return programs.with_text_tensors(value.copy()) if isinstance(value, Rows) else value


def _floats(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers, and arrays of what is none; a metric that gives a dict is several metrics, as in Keras."""
    numbers: dict[str, Any] = {}
    for name, value in logs.items():
        if isinstance(value, Mapping):
            numbers |= _floats(value)
        else:
            array = np.asarray(value)
            numbers[name] = float(array) if array.ndim == 0 else array
    return numbers


def first_line(error: BaseException) -> str:
    """What an error says; Keras puts the layer in the first line and the error, in bold type, in the second."""
    lines = [line.strip() for line in re.sub("\x1b\\[[0-9;]*m", "", str(error)).splitlines() if line.strip()]
    wrapped = bool(lines) and lines[0].startswith("Exception encountered")
    return " ".join(lines[: 2 if wrapped else 1])[:200].rstrip(".") or type(error).__name__
