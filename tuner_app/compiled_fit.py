"""`Model.fit` for in-memory arrays, with each epoch run as one program.

Owns what happens between the user's call of `model.fit` and the programs: which fits can run that way (and the reason
where one cannot), the order of rows, callbacks, validation and the history. The numbers are those of `Model.fit` given the
same order of rows. What cannot run as one program goes through Keras's own `fit`, with the same order of rows.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tuner_app import programs
from tuner_app.folds import Index, Rows, arrays_in, map_arrays
from tuner_app.programs import NotCompilableError, Program, ProgramCache

logger = logging.getLogger(__name__)

# Validation in steps of this many rows, where the size of the step cannot change the result.
LARGE_BATCH = 1024

_BATCH_HOOKS = (
    *("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end"),
    *("on_test_batch_begin", "on_test_batch_end"),
)
# Arguments of Model.fit that make sense for arrays only in parts that a program does not do.
_UNSUPPORTED = ("steps_per_epoch", "validation_steps")


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
        score_seconds: Counts the time spent on validation, in seconds.
    """

    seed: int
    cache: ProgramCache
    compile_epochs: bool = True
    jit_compile: bool | None = None
    planned_fits: int = 1
    check: Callable[[], None] = lambda: None
    known: dict[int, tuple[Any, Rows]] = dataclasses.field(default_factory=dict)
    score_seconds: float = 0.0

    def rows(self, structure: Any) -> Rows | None:
        """The rows behind arrays that a fit was given: those it is known to be a copy of, or all of its own."""
        if structure is None or isinstance(structure, Rows):
            return structure
        known = self.known.get(id(structure))
        if known is not None and known[0] is structure:
            return known[1]
        arrays = _as_keras_arrays(structure)
        return Rows(arrays, np.arange(len(arrays_in(arrays)[0])))


def attach(model: keras.Model, context: FitContext) -> None:
    """Make `model.fit` run compiled, for whoever calls it (an overridden `HyperModel.fit`, for one)."""
    original = model.fit

    def fit(*arguments: Any, **options: Any) -> keras.callbacks.History:
        return _fit(model, original, context, _named(arguments, options))

    object.__setattr__(model, "fit", fit)


def detach(model: keras.Model) -> None:
    """Give `model.fit` back to Keras."""
    vars(model).pop("fit", None)


def predict_classes(model: keras.Model, context: FitContext, x: Any) -> Any:
    """Class numbers of rows, shape `(n_rows,)`: the largest output of each."""
    rows = context.rows(x)
    assert rows is not None
    if programs.is_described(model):
        data = _Data(context, rows, None, None)
        program = context.cache.program(model, data.specs, batch_size=0, evaluation_batch_size=LARGE_BATCH, xla=False)
        bound = program.function("predict").bind(programs.variables_of(model), {})
        return bound(data.x, tf.constant(rows.index.astype(np.int32))).numpy()
    return np.argmax(model.predict(rows.copy(), batch_size=LARGE_BATCH, verbose=0), axis=-1)


def _named(arguments: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    names = ("x", "y", "batch_size", "epochs", "verbose", "callbacks", "validation_split", "validation_data")
    return {**dict(zip(names, arguments, strict=False)), **options}


def _fit(model: keras.Model, original: Any, context: FitContext, options: dict[str, Any]) -> keras.callbacks.History:
    options = {**options, "callbacks": _callback_list(options.get("callbacks"))}
    try:
        reason = _why_not(model, context, options)
        if reason is None:
            return _CompiledFit(model, context, options).run()
    except NotCompilableError as error:
        reason = str(error)
    logger.info("%s trains with model.fit, because %s.", model.name, reason)
    return _plain_fit(model, original, context, options)


def _why_not(model: keras.Model, context: FitContext, options: Mapping[str, Any]) -> str | None:
    """The reason why a fit cannot run as programs; None where it can."""
    if not context.compile_epochs:
        return "compiled epochs are switched off"
    if not model.compiled:
        return "it is not compiled"
    if model.run_eagerly or tf.config.functions_run_eagerly():
        return "it runs eagerly"
    if tf.distribute.has_strategy() or not isinstance(model.distribute_strategy, tf.distribute.Strategy):
        return "it is distributed"
    if type(model).make_train_function is not keras.Model.make_train_function:
        return "its make_train_function is overridden"
    for name in _UNSUPPORTED:
        if options.get(name) is not None:
            return f"{name} is given"
    for part in (options.get("x"), options.get("y"), options.get("sample_weight"), *_parts(options.get("validation_data"))):
        if not _is_in_memory(part):
            return f"the data come as {type(part).__name__}, not as arrays"
    if options.get("x") is None or options.get("y") is None:
        return "x or y is not given"
    for callback in options["callbacks"]:
        if _works_by_batches(callback):
            return f"the callback {type(callback).__name__} works by batches"
    if isinstance(options["callbacks"], keras.callbacks.CallbackList):
        return "the callbacks come as a CallbackList"
    return None


class _Data:
    """Arrays on the device, and what they look like to a trace."""

    def __init__(self, context: FitContext, x: Rows, y: Rows | None, weight: Rows | None) -> None:
        tensor = context.cache.tensor
        self.rows = x.index.astype(np.int32)
        self.x, self.y, self.weight = (None if r is None else map_arrays(tensor, r.arrays) for r in (x, y, weight))
        self.specs = tuple(
            None if part is None else map_arrays(programs.spec, part) for part in (self.x, self.y, self.weight)
        )
        self.total = len(arrays_in(x.arrays)[0])

    @property
    def arguments(self) -> tuple[Any, Any, Any]:
        return self.x, self.y, self.weight


class _CompiledFit:
    """One fit: the training epochs with their callbacks, as `Model.fit` runs them."""

    def __init__(self, model: keras.Model, context: FitContext, options: Mapping[str, Any]) -> None:
        self.model, self.context, self.options = model, context, options
        self.batch_size = int(options.get("batch_size") or 32)
        self.epochs = int(options.get("epochs", 1))
        train, validation = _split_off(context, options)
        self.train = _Data(context, *train)
        self.validation = _Data(context, *validation) if validation is not None else None
        self.random = np.random.default_rng(context.seed)
        self.scratch: dict[int, Any] = {}
        self.bound: dict[str, Callable[..., Any]] = {}
        self.program = self._choose_program()

    def run(self) -> keras.callbacks.History:
        model = self.model
        callbacks = keras.callbacks.CallbackList(
            self.options["callbacks"],
            add_history=True,
            add_progbar=self.options.get("verbose", "auto") != 0,
            verbose=self.options.get("verbose", "auto"),
            epochs=self.epochs,
            steps=-(-len(self.train.rows) // self.batch_size),
            model=model,
        )
        self._prepare()
        model.stop_training = False
        callbacks.on_train_begin()
        logs = None
        for epoch in range(int(self.options.get("initial_epoch") or 0), self.epochs):
            callbacks.on_epoch_begin(epoch)
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

    def _choose_program(self) -> Program:
        model, options = self.model, self.options
        with programs.build_lock:
            if model.optimizer is not None and not model.optimizer.built and model.built:
                model.optimizer.build(model.trainable_variables)
        steps = len(self.train.rows) // self.batch_size
        work = steps * max(self.epochs, 1) * self.context.planned_fits
        xla = self.context.jit_compile
        if xla is None:
            xla = work >= programs.XLA_MINIMUM_STEPS and _supports_xla(model)
        asked = options.get("validation_batch_size")
        large = LARGE_BATCH if not asked and _any_batch_size_scores_alike(model) else int(asked or self.batch_size)
        return self.context.cache.program(
            model, self.train.specs, batch_size=self.batch_size, evaluation_batch_size=large, xla=bool(xla and steps)
        )

    def _prepare(self) -> None:
        """Trace (where nobody did) before any callback has run, so that a refusal leaves nothing half done."""
        try:
            for name, specs in self._functions():
                self._bind(name, specs)
        except NotCompilableError:
            raise
        except (TypeError, ValueError, NotImplementedError, tf.errors.OpError, AttributeError, RuntimeError) as error:
            # Whatever is wrong: Keras's own fit either can do it or says it in Keras's words.
            raise NotCompilableError(f"tracing its epoch failed ({_first_line(error)})") from error
        if self.program.xla and not self.program.proven:
            self._try_xla()

    def _functions(self) -> list[tuple[str, Any]]:
        wanted: list[tuple[str, Any]] = [("loop", None)]
        if self.program.xla and len(self.train.rows) % self.batch_size:
            wanted.append(("tail", None))
        if self.validation is not None:
            wanted.append(("evaluate", self.validation.specs))
        return wanted

    def _try_xla(self) -> None:
        """Compile by running no step: XLA refuses here, before any variable has changed."""
        try:
            self._run_loop(np.zeros(self.train.total, np.int32), steps=0)
        except tf.errors.OpError as error:
            raise NotCompilableError(f"XLA refuses it ({_first_line(error)})") from error
        self.program.proven = True

    def _bind(self, name: str, specs: Any = None) -> Callable[..., Any]:
        if name not in self.bound:
            function = self.program.function(name, specs)
            # A template of the same architecture has variables at the same places; this model must have them, too.
            self.bound[name] = function.bind(programs.variables_of(self.model), self.scratch)
        return self.bound[name]

    def _train_epoch(self) -> dict[str, Any]:
        order = self.train.rows
        if self.options.get("shuffle", True):
            order = self.random.permutation(order)
        steps, rest = divmod(len(order), self.batch_size)
        if not self.program.xla:
            return _floats(self._run_loop(order, steps + bool(rest)))
        logs = self._run_loop(order, steps)
        if rest:
            tail = self._bind("tail")
            logs = tail(*_flat(self.train.arguments, tf.constant(order[-rest:])))
        return _floats(logs)

    def _run_loop(self, order: Any, steps: int) -> Any:
        rows = len(order)
        if self.program.xla:  # One length for every fold and the refit, so that XLA compiles once.
            order = np.pad(order, (0, self.train.total - rows))
        loop = self._bind("loop")
        return loop(*_flat(self.train.arguments, tf.constant(order), tf.constant(steps), tf.constant(rows)))

    def _validate(self, callbacks: Any) -> dict[str, Any]:
        assert self.validation is not None
        began = time.perf_counter()
        rows = self.validation.rows
        steps = -(-len(rows) // self.program.evaluation_batch_size)
        callbacks.on_test_begin()
        evaluate = self._bind("evaluate", self.validation.specs)
        extra = (tf.constant(rows), tf.constant(steps), tf.constant(len(rows)))
        logs = _floats(evaluate(*_flat(self.validation.arguments, *extra)))
        callbacks.on_test_end(logs)
        self.context.score_seconds += time.perf_counter() - began
        return {f"val_{name}": value for name, value in logs.items()}

    def _validates(self, epoch: int) -> bool:
        every = self.options.get("validation_freq", 1)
        return (epoch + 1) % every == 0 if isinstance(every, int) else epoch + 1 in every


class _RowBatches(keras.utils.PyDataset):
    """Batches of rows in the order in which a compiled fit takes them, for Keras's own `fit`."""

    def __init__(self, parts: Sequence[Rows | None], *, batch_size: int, shuffle: bool, seed: int) -> None:
        super().__init__(workers=1, use_multiprocessing=False)
        self._parts = [part for part in parts if part is not None]
        self._batch_size, self._shuffle = batch_size, shuffle
        self._random = np.random.default_rng(seed)
        self._rows: Index = self._parts[0].index
        self._order = self._rows
        self._epoch_begun = False

    def __len__(self) -> int:
        return -(-len(self._rows) // self._batch_size)

    def on_epoch_begin(self) -> None:
        self._order = self._random.permutation(self._rows) if self._shuffle else self._rows

    def __getitem__(self, number: int) -> Any:
        chosen = self._order[number * self._batch_size : (number + 1) * self._batch_size]
        return tuple(map_arrays(lambda array: array[chosen], part.arrays) for part in self._parts)


def _plain_fit(model: keras.Model, original: Any, context: FitContext, options: dict[str, Any]) -> Any:
    """Keras's own fit; arrays are fed in the order of rows that the seed says, whatever other threads do."""
    checked = [*options["callbacks"], _CheckAfterEpoch(context)]
    options = {**options, "callbacks": checked}
    in_memory = all(_is_in_memory(options.get(name)) for name in ("x", "y", "sample_weight"))
    if not in_memory or options.get("x") is None or options.get("steps_per_epoch") is not None:
        return original(**{name: _unwrapped(value) for name, value in options.items()})
    train, validation = _split_off(context, options)
    batches = _RowBatches(
        train,
        batch_size=int(options.get("batch_size") or 32),
        shuffle=bool(options.get("shuffle", True)),
        seed=context.seed,
    )
    dropped = ("x", "y", "sample_weight", "class_weight", "batch_size", "shuffle", "validation_split", "validation_data")
    rest = {name: value for name, value in options.items() if name not in dropped}
    if validation is not None:
        rest["validation_data"] = tuple(part.copy() for part in validation if part is not None)
        rest.setdefault("validation_batch_size", options.get("batch_size"))
    elif options.get("validation_data") is not None:
        rest["validation_data"] = options["validation_data"]
    return original(batches, shuffle=False, **rest)


class _CheckAfterEpoch(keras.callbacks.Callback):
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


def _split_off(context: FitContext, options: Mapping[str, Any]) -> tuple[Any, Any]:
    """Training and validation rows as `(x, y, sample_weight)`; validation is None where there is none in memory."""
    x, y, weight = (context.rows(options.get(name)) for name in ("x", "y", "sample_weight"))
    if options.get("class_weight") is not None:
        if weight is not None:
            raise ValueError("class_weight and sample_weight cannot be given at the same time.")
        assert y is not None
        weight = Rows(_class_weights(y.arrays, options["class_weight"]), y.index)
    parts = [part for part in (x, y, weight) if part is not None]
    if any(part.index is not parts[0].index and not np.array_equal(part.index, parts[0].index) for part in parts):
        # Some are rows of the whole, others are arrays of their own: bring all to the same footing.
        x, y, weight = (None if p is None else Rows(p.copy(), np.arange(len(p))) for p in (x, y, weight))
    given = options.get("validation_data")
    if given is not None:
        if not all(_is_in_memory(part) for part in _parts(given)) or not isinstance(given, list | tuple):
            return (x, y, weight), None
        validation = [context.rows(part) for part in given] + [None] * (3 - len(given))
        first = validation[0]
        if any(p is not None and not np.array_equal(p.index, first.index) for p in validation):
            validation = [None if p is None else Rows(p.copy(), np.arange(len(p))) for p in validation]
        return (x, y, weight), tuple(validation)
    share = options.get("validation_split") or 0.0
    if share:
        assert x is not None
        cut = int(np.floor(len(x) * (1.0 - share)))
        halves = [(None, None) if p is None else (Rows(p.arrays, p.index[:cut]), Rows(p.arrays, p.index[cut:])) for p in (x, y, weight)]
        return tuple(h[0] for h in halves), tuple(h[1] for h in halves)
    return (x, y, weight), None


def _class_weights(y: Any, class_weight: Mapping[int, float]) -> Any:
    """As Keras does: a weight for each row's class, 1 for classes that are not named."""
    labels = np.asarray(y)
    if labels.ndim > 1 and labels.shape[-1] > 1:
        labels = labels.argmax(axis=-1)
    classes, inverse = np.unique(np.round(labels.reshape(len(labels))).astype(np.int64), return_inverse=True)
    weights = np.array([class_weight.get(int(label), 1.0) for label in classes], dtype=keras.config.floatx())
    return weights[inverse]


def _works_by_batches(callback: Any) -> bool:
    if type(callback) is keras.callbacks.ModelCheckpoint:
        return callback.save_freq != "epoch"
    if type(callback) is keras.callbacks.TensorBoard:
        return callback.update_freq != "epoch" or bool(callback._start_batch)
    if isinstance(callback, keras.callbacks.ProgbarLogger):
        return False
    return any(
        name in vars(callback) or getattr(type(callback), name) is not getattr(keras.callbacks.Callback, name)
        for name in _BATCH_HOOKS
    )


def _any_batch_size_scores_alike(model: keras.Model) -> bool:
    """Whether validation gives the same in steps of any size: Keras's own parts, means over rows, no losses per batch."""
    if not programs.is_described(model) or not isinstance(model.loss, str):
        return False
    layers = model._flatten_layers(include_self=False)
    return not any(getattr(layer, "activity_regularizer", None) is not None for layer in layers)


def _supports_xla(model: keras.Model) -> bool:
    """Whether XLA gives `Model.fit`'s numbers: it draws other random numbers (Dropout) than a plain graph does."""
    layers = model._flatten_layers(include_self=False)
    draws_random_numbers = len(model.variables) > len(model.weights)
    return not draws_random_numbers and all(getattr(layer, "supports_jit", True) for layer in layers)


def _callback_list(callbacks: Any) -> Any:
    if callbacks is None:
        return []
    return callbacks if isinstance(callbacks, list | tuple | keras.callbacks.CallbackList) else [callbacks]


def _parts(validation_data: Any) -> tuple[Any, ...]:
    return tuple(validation_data) if isinstance(validation_data, list | tuple) else (validation_data,)


def _is_in_memory(structure: Any) -> bool:
    if structure is None or isinstance(structure, Rows | np.ndarray):
        return True
    if isinstance(structure, Mapping):
        return all(_is_in_memory(value) for value in structure.values())
    if isinstance(structure, list | tuple):
        return all(_is_in_memory(value) or np.isscalar(value) for value in structure)
    return isinstance(structure, tf.Tensor) or type(structure).__module__.startswith("pandas")


def _as_keras_arrays(structure: Any) -> Any:
    """Arrays as Keras feeds them: floating-point numbers in Keras's own precision."""

    def convert(item: Any) -> Any:
        array = np.asarray(item)
        return array.astype(keras.config.floatx(), copy=False) if array.dtype.kind == "f" else array

    if isinstance(structure, list | tuple) and all(np.isscalar(item) for item in structure):
        return convert(structure)
    return map_arrays(convert, structure)


def _unwrapped(value: Any) -> Any:
    return value.copy() if isinstance(value, Rows) else value


def _flat(arguments: Sequence[Any], *extra: Any) -> list[Any]:
    """A traced function's arguments one by one; a bound copy of it takes them flat."""
    return [*arguments, *extra]


def _floats(logs: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: np.asarray(value) for name, value in logs.items()}
    return {name: float(value) if value.ndim == 0 else value for name, value in values.items()}


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__
