"""Callbacks in a refit, which has no rows to validate on: those that need validation are left out, and that is said.

Owns which callbacks of a training can run in a refit, and what is said of the others. What replaces them (the epochs
and the learning rates of the folds) is the business of `stages`.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras

from tuner_app.process.packages import KERAS, package_of

logger = logging.getLogger(__name__)

_VALIDATION = "val_"
_HOOKS = tuple(name for name in dir(keras.callbacks.Callback) if name.startswith("on_"))
_NO_ROWS = "and a refit on all rows has none to validate on"


def is_users(callback: Any) -> bool:
    """Whether a callback runs the user's code (a hook of a tuner does, too)."""
    return package_of(callback) != KERAS or isinstance(callback, keras.callbacks.LambdaCallback)


class RefitCallbacks:
    """The callbacks of one refit, over all its trainings.

    Args:
        knows_rates: Whether the learning rates of the folds are known.
    """

    def __init__(self, *, knows_rates: bool = False) -> None:
        self._knows_rates = knows_rates
        self._left_out: list[Any] = []
        self._said: set[str] = set()

    @property
    def lacks_rates(self) -> bool:
        """Whether a callback is left out that may have changed the learning rate in the folds."""
        return any(isinstance(c, keras.callbacks.ReduceLROnPlateau) or is_users(c) for c in self._left_out)

    def able(self, callbacks: Sequence[Any]) -> list[Any]:
        """The callbacks that do not monitor validation, and did not fail for want of it before."""
        # `monitor` is what Keras's own callbacks call it, and most of the users' that are made after them.
        for callback in callbacks:
            monitored = str(getattr(callback, "monitor", ""))
            if monitored.startswith(_VALIDATION) and not self._is_left_out(callback):
                self._leave_out(callback, f"it monitors {monitored}")
        return [callback for callback in callbacks if not self._is_left_out(callback)]

    @contextlib.contextmanager
    def guarded(self, callbacks: Sequence[Any]) -> Iterator[None]:
        """While these train: leaves out a user's callback once it fails for want of a validation metric."""
        with contextlib.ExitStack() as hooks:
            for callback in filter(is_users, callbacks):
                for name in _own_hooks(callback):
                    hooks.enter_context(_replaced(callback, name, self._guard(callback, getattr(callback, name))))
            yield

    def _guard(self, callback: Any, hook: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any, **options: Any) -> Any:
            if self._is_left_out(callback):
                return None
            logs = next((part for part in (*arguments, *options.values()) if isinstance(part, dict)), {})
            watched_logs = _WatchedLogs(logs)
            try:
                return hook(
                    *(watched_logs if part is logs else part for part in arguments),
                    **{name: watched_logs if part is logs else part for name, part in options.items()},
                )
            except Exception as error:  # A metric that is None fails as anything: a format, a comparison.
                missing = watched_logs.missing or _missing_key(error, logs)
                if not missing:  # Not for want of validation, so it is the user's to see.
                    raise
                self._leave_out(callback, f"it reads {missing}")
            finally:
                logs.update(watched_logs)  # What it adds is for the callbacks after it, as Keras has it.

        return guarded

    def _is_left_out(self, callback: Any) -> bool:
        return any(callback is other for other in self._left_out)

    def _leave_out(self, callback: Any, reason: str) -> None:
        self._left_out.append(callback)
        level, instead = logging.WARNING, ""
        if isinstance(callback, keras.callbacks.EarlyStopping):
            level, instead = logging.INFO, " The folds say for how many epochs it trains."
        elif isinstance(callback, keras.callbacks.ReduceLROnPlateau) and not self._knows_rates:
            instead = " The folds kept no learning rates, so it trains at the optimizer's own."
        elif isinstance(callback, keras.callbacks.ReduceLROnPlateau):
            level, instead = (
                logging.INFO,
                " It takes each epoch's learning rate from the folds, as their geometric mean.",
            )
        line = f"The refit leaves out the callback {type(callback).__name__}: {reason}, {_NO_ROWS}.{instead}"
        if line not in self._said:
            self._said.add(line)
            logger.log(level, line)


class _WatchedLogs(dict[str, Any]):
    """Logs that remember which validation metric was asked for in vain."""

    missing = ""

    def __missing__(self, name: Any) -> Any:
        self._remember(name)
        raise KeyError(name)

    def get(self, name: Any, default: Any = None) -> Any:
        if name not in self:
            self._remember(name)
        return super().get(name, default)

    def _remember(self, name: Any) -> None:
        if str(name).startswith(_VALIDATION):
            self.missing = str(name)


def _missing_key(error: Exception, logs: dict[str, Any]) -> str:
    """The validation metric that a `KeyError` names; an empty text where it is about something else."""
    name = str(error.args[0]) if isinstance(error, KeyError) and error.args else ""
    return name if name.startswith(_VALIDATION) and name not in logs else ""


def _own_hooks(callback: Any) -> list[str]:
    base = keras.callbacks.Callback
    return [
        name for name in _HOOKS if name in vars(callback) or getattr(type(callback), name) is not getattr(base, name)
    ]


@contextlib.contextmanager
def _replaced(callback: Any, name: str, hook: Any) -> Iterator[None]:
    """The callback itself with another hook: a stand-in would hide from Keras what kind of callback it is."""
    before = vars(callback).get(name)
    setattr(callback, name, hook)
    try:
        yield
    finally:
        if before is None:
            delattr(callback, name)
        else:
            setattr(callback, name, before)
