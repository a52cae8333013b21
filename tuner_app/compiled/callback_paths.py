"""Where callbacks write: each fold in a place of its own, beside the path that the user gave.

Owns which of Keras's callbacks have a path, and how a path becomes a fold's own: `checkpoints/best.keras` becomes
`checkpoints/<trial>/fold_<number>/best.keras` (`refit` in place of `fold_<number>` for the refit), a folder `backup`
becomes `backup/<trial>/fold_<number>`. When a fit moves its callbacks is the business of `training` and `model_fit`.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class _Kind:
    """A kind of callback that writes.

    Attributes:
        attribute: Holds its path.
        is_file: Whether the path is a file's; else it is a folder's.
        resumes: Whether it goes on from what it finds at its path.
    """

    attribute: str
    is_file: bool
    resumes: bool = False


_KINDS: dict[type, _Kind] = {
    keras.callbacks.ModelCheckpoint: _Kind("filepath", is_file=True),
    keras.callbacks.CSVLogger: _Kind("filename", is_file=True),
    keras.callbacks.TensorBoard: _Kind("log_dir", is_file=False),
    keras.callbacks.BackupAndRestore: _Kind("backup_dir", is_file=False, resumes=True),
}


class OwnPaths:
    """The paths of one fit's callbacks.

    Args:
        own_folder: Turns a folder into this fit's folder within it. By default nothing is moved.
        tell: Called with a callback's class and a line for the user, where its file is not where the user will look.
    """

    def __init__(
        self,
        own_folder: Callable[[str], str] | None = None,
        tell: Callable[[str, str], None] = lambda name, line: None,
    ) -> None:
        self._own_folder, self._tell = own_folder, tell
        self._seen: dict[int, Any] = {}  # by identity; holding them keeps their identities from being used again
        self._files: dict[str, str] = {}
        self._emptied: set[str] = set()

    def move(self, callbacks: Sequence[Any], *, made_in_fit: bool = False) -> None:
        """Let callbacks write to this fit's own places; what is moved already stays.

        Args:
            callbacks: Keras callbacks, of which those that write are changed.
            made_in_fit: Whether the user's own `fit` has made them, which may read what they write.
        """
        for callback in callbacks:
            kind = next((kind for base, kind in _KINDS.items() if isinstance(callback, base)), None)
            if kind is None or self._own_folder is None or id(callback) in self._seen:
                continue
            # A callback that a second `model.fit` gets again stays where it was, or its path would grow with each call.
            self._seen[id(callback)] = callback
            path = self._moved(callback, kind)
            if made_in_fit and kind.is_file:
                self._tell(
                    type(callback).__name__,
                    f"{type(callback).__name__} made in HyperModel.fit writes one file per fold, such as {path}: "
                    f"read it from the callback's {kind.attribute}, not from the path that it was made with.",
                )

    def of(self, path: Any) -> Any:
        """The file that is meant where a user's `fit` reads what a callback of this fit has written.

        Args:
            path: The path as the user wrote it.
        """
        text = str(path)
        if text in self._files:
            return self._files[text]
        # A file name of a template (`{epoch}.weights.h5`) is known by its folder only.
        own = self._own_file(text) if os.path.dirname(text) in map(os.path.dirname, self._files) else text
        return own if own != text and tf.io.gfile.exists(own) else path

    def _moved(self, callback: Any, kind: _Kind) -> str:
        path = str(getattr(callback, kind.attribute))
        own = self._own_file(path) if kind.is_file else self._folder_in(path)
        # Keras 3.15 derives further paths from a folder when a callback is made, or when it is given its model.
        root = path.rstrip(os.sep)
        for name, value in list(vars(callback).items()):
            if isinstance(value, str) and (
                value.startswith(f"{root}{os.sep}") or (name.startswith("_") and value == path)
            ):
                setattr(callback, name, own + value[len(root) :].rstrip(os.sep))
        setattr(callback, kind.attribute, own)
        if kind.is_file:
            self._files[path] = own
            tf.io.gfile.makedirs(os.path.dirname(own))
        elif kind.resumes and own not in self._emptied:
            self._emptied.add(own)  # Once per fit: its own second training may go on from the first.
            if tf.io.gfile.exists(own):  # of an earlier run, or of an attempt that failed
                tf.io.gfile.rmtree(own)
        return own

    def _own_file(self, path: str) -> str:
        folder, name = os.path.split(path)
        return os.path.join(self._folder_in(folder), name)

    def _folder_in(self, folder: str) -> str:
        assert self._own_folder is not None
        return self._own_folder(folder)
