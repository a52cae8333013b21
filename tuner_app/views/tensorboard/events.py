"""TensorBoard's events: curves, pictures and texts as its protocol buffers.

Owns what stands in an event; `hparams` adds those of the HParams table, `files` brings them onto the disk. Made by
hand: TensorFlow is not needed, and one event holds all metrics of an epoch with the plugin's name at a tag's first
value only, where TensorBoard's own functions make a message with its metadata of each number.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence

from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.scalar import metadata as scalar_metadata
from tensorboard.plugins.text import metadata as text_metadata

from tuner_app.views.tensorboard.pictures import Picture

_SCALAR = scalar_metadata.create_summary_metadata(display_name=None, description=None)
_IMAGE = image_metadata.create_summary_metadata(display_name=None, description=None)
_TEXT = text_metadata.create_summary_metadata(display_name=None, description=None)


def version_event(wall_time: float) -> event_pb2.Event:
    """The first event of every file.

    Args:
        wall_time: In seconds since 1970.
    """
    return event_pb2.Event(wall_time=wall_time, file_version="brain.Event:2")


def curve_events(curves: Mapping[str, Sequence[float]], started: float, ended: float) -> Iterator[event_pb2.Event]:
    """One event for each epoch with all metrics in it; none for NaN, which stands where an epoch has no value.

    Args:
        curves: Each tag's numbers by epoch; their lengths may differ.
        started: When the first epoch began, in seconds since 1970.
        ended: When the last one ended. The epochs between are spaced evenly: their own times are not recorded.
    """
    epochs = max(map(len, curves.values()))
    tags: set[str] = set()
    for step in range(epochs):
        present = {tag: curve[step] for tag, curve in curves.items() if step < len(curve)}
        values = [
            _scalar(tag, number, first=tag not in tags) for tag, number in present.items() if not math.isnan(number)
        ]
        tags.update(value.tag for value in values)
        wall_time = started + (ended - started) * (step + 1) / epochs
        if values:
            yield event_pb2.Event(wall_time=wall_time, step=step, summary=summary_pb2.Summary(value=values))


def image_event(tag: str, picture: Picture, step: int) -> event_pb2.Event:
    """A picture, now.

    Args:
        tag: Its name.
        picture: The picture.
        step: How many candidates it shows.
    """
    parts = [str(picture.width).encode(), str(picture.height).encode(), picture.png]
    return _bytes_event(tag, parts, _IMAGE, step)


def text_event(tag: str, text: str, step: int) -> event_pb2.Event:
    """A text in Markdown, now.

    Args:
        tag: Its name.
        text: The text.
        step: Of how many candidates it speaks.
    """
    return _bytes_event(tag, [text.encode()], _TEXT, step)


def _scalar(tag: str, number: float, *, first: bool) -> summary_pb2.Summary.Value:
    """A scalar as TensorFlow 2 writes it; readers need the plugin's name only at a tag's first value."""
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[number])
    return summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=_SCALAR if first else None)


def _bytes_event(tag: str, parts: list[bytes], metadata: summary_pb2.SummaryMetadata, step: int) -> event_pb2.Event:
    shape = tensor_shape_pb2.TensorShapeProto(dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=len(parts))])
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, tensor_shape=shape, string_val=parts)
    value = summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=metadata)
    return event_pb2.Event(wall_time=time.time(), step=step, summary=summary_pb2.Summary(value=[value]))
