"""TensorBoard's event files on the disk: their names, their records, and how one replaces another.

Owns what a running TensorBoard sees of the file system. Written by hand, with TensorBoard's own record writer:
TensorFlow's writers stamp each event with the time of writing, and TensorBoard's names its files itself, writes in a
thread of its own and keeps a file open for each run, of which a search has three a fold.
"""

from __future__ import annotations

import io
import pathlib
from collections.abc import Iterable

from tensorboard.compat.proto import event_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

_SUFFIX = ".tuner_app"


def file_name(seconds: float, owner: str) -> str:
    """The name of an event file; TensorBoard reads the files of a folder in the order of their names.

    Args:
        seconds: When its content was made, in seconds since 1970.
        owner: Whose events it holds.

    >>> file_name(1_700_000_000.5, "0003.1")
    'events.out.tfevents.1700000000.0003.1.tuner_app'
    """
    return f"events.out.tfevents.{int(seconds):010d}.{owner}{_SUFFIX}"


def write_file(folder: pathlib.Path, name: str, events: Iterable[event_pb2.Event], *, keep: bool) -> None:
    """Write a run's only file, whole, and remove its predecessors.

    Args:
        folder: The run's folder.
        name: What `file_name` says.
        events: What is in it; not made where the file is kept.
        keep: Whether a file of this name stays as it is.
    """
    path = folder / name
    if keep and path.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    remove_others(folder, name)
    # Not `storage.files.write_whole`, whose draft has the file's name in its own: TensorBoard reads whatever has
    # `tfevents` in its name. Without fsync, unlike the journal: what a power cut takes, the next run writes again.
    draft = folder / ".draft"
    draft.write_bytes(_records(events))
    draft.replace(path)


def append(path: pathlib.Path, events: Iterable[event_pb2.Event]) -> None:
    """Add events to the file of a run that grows; a running TensorBoard reads on where it stopped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(_records(events))


def remove_others(folder: pathlib.Path, name: str) -> None:
    """Remove what an earlier attempt wrote here; files of other programs stay."""
    for path in folder.glob(f"events.out.tfevents.*{_SUFFIX}"):
        if path.name != name:
            path.unlink(missing_ok=True)


def _records(events: Iterable[event_pb2.Event]) -> bytes:
    buffer = io.BytesIO()
    # In memory first: one write for a file, so that a reader of a growing file meets whole records.
    writer = RecordWriter(buffer)
    for event in events:
        writer.write(event.SerializeToString())
    return buffer.getvalue()
