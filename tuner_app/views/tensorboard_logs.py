"""What `tensorboard --logdir logs` shows of a search: curves, the HParams table, pictures and a summary.

Owns the event files and what is in them; `project` says in which folders they lie. TensorFlow is not needed:
the records are written with TensorBoard's own protocol buffers.

A running TensorBoard never opens a file again that it knows by name. So every file of a fold is written once,
whole, when its content is final, and a file that must change gets a new name and replaces its predecessor. Only
the project's own run, which grows with the search, is one file that is appended to:

    <project>/                                  hparams_config once, heat map, confusion matrix, summary
    <project>/trial_0000/fold_0/train           epoch_loss, epoch_accuracy, ... by epoch from 0
    <project>/trial_0000/fold_0/validation      the same of the validation rows
    <project>/trial_0000/fold_0                 the HParams session, written when the candidate is whole
    <project>/trial_0000/mean/{train,validation}  the mean curves over the folds
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import math
import pathlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.scalar import metadata as scalar_metadata
from tensorboard.plugins.text import metadata as text_metadata
from tensorboard.summary.writer.record_writer import RecordWriter

from tuner_app.errors import InputError
from tuner_app.records.results import Candidate, FoldResult, History
from tuner_app.records.score import ScoreRule
from tuner_app.records.tables import mean_and_std, mean_fit_time, ranks, trial_order
from tuner_app.search.observers import SearchObserver, SearchPlan
from tuner_app.storage.journal import group

logger = logging.getLogger(__name__)

LONGEST_AXIS = 40
# A hyperparameter of more values than this is shown by its range.
_LONGEST_DOMAIN = 1_000
"""Pictures with more rows or columns than this are left out."""

_SUFFIX = ".tuner_app"
_DRAWINGS = 9
_SHARE_FOR_DRAWING = 0.02
_FIRST_DRAWING_SECONDS = 0.1
_SUMMARY_ROWS = 50
_MARGIN = 12
_TOP = 78


@dataclasses.dataclass(frozen=True)
class Score:
    """A whole candidate with its row of the table.

    Attributes:
        candidate: The candidate.
        mean: `mean_test_score`.
        std: `std_test_score`.
        fit_seconds: `mean_fit_time`, in seconds.
    """

    candidate: Candidate
    mean: float
    std: float
    fit_seconds: float

    @classmethod
    def of(cls, candidate: Candidate, rule: ScoreRule) -> Score:
        """The same numbers as in `cv_results_`."""
        return cls(candidate, *mean_and_std(candidate, rule), mean_fit_time(candidate))


class TensorBoardLogs(SearchObserver):
    """Writes TensorBoard's event files while a search runs.

    The files are a view of the journal: a resumed search writes those that are missing, and writing again
    replaces. Where they cannot be written (a full disk) the search goes on without them, with a warning.

    Args:
        max_candidates: How many candidates get curves and a row in the HParams table, the first ones
            (500 by default: TensorBoard itself grows slow beyond some thousand runs, and a fold has three).
            The pictures and the summary are always of all candidates.

    Raises:
        InputError: `max_candidates` is negative.
    """

    def __init__(self, *, max_candidates: int = 500) -> None:
        if max_candidates < 0:
            raise InputError(f"max_candidates must be 0 or more. Received: {max_candidates!r}. Leave it out for 500.")
        self.max_candidates = max_candidates
        self._plan: SearchPlan | None = None

    def search_begun(self, plan: SearchPlan) -> None:
        """Write the HParams columns, and what is missing of the folds that were done before."""
        self._plan = plan
        self._shown: set[str] = set()
        self._scores: dict[str, Score] = {}
        self._pictures = _PictureBudget(plan.n_candidates)
        self._kinds = {name: _kind(values[:_LONGEST_DOMAIN]) for name, values in plan.space.items()}
        self._root_file = plan.project.path / _file_name(time.time(), "search")
        with self._tolerant():
            self._begin_root(plan)
            for candidate in group(list(plan.finished)):
                self._restore(candidate, plan)

    def fold_ended(self, result: FoldResult) -> None:
        """Write the curves of the fold."""
        if self._plan is not None and self._has_place(result.trial_id):
            with self._tolerant():
                self._write_curves(result, self._plan)

    def candidate_ended(self, candidate: Candidate) -> None:
        """Write the sessions and the mean curves of the candidate; draw the pictures when it is time to."""
        if self._plan is None:
            return
        with self._tolerant():
            self._write_candidate(candidate, self._plan)
            if self._pictures.is_due(len(self._scores)):
                self._draw(self._plan, list(self._scores.values()))

    def search_ended(self, candidates: Sequence[Candidate], *, table: Mapping[str, Any], interrupted: bool) -> None:
        """Draw the last pictures and write the summary of the whole candidates, also of a search that was stopped."""
        if self._plan is None or not candidates:
            return
        known = self._scores
        scores = [known.get(c.trial_id) or Score.of(c, self._plan.rule) for c in candidates]
        with self._tolerant():
            if len(scores) > self._pictures.last_step:
                self._draw(self._plan, scores)
            text = summary_table(scores, n_candidates=self._plan.n_candidates, interrupted=interrupted)
            self._append([_text_event("summary", text, len(scores))])
        self._plan = None

    @contextlib.contextmanager
    def _tolerant(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._plan = None
            logger.warning("TensorBoard's files cannot be written (%s). The search goes on without them.", error)

    def _has_place(self, trial_id: str) -> bool:
        if trial_id not in self._shown and len(self._shown) < self.max_candidates:
            self._shown.add(trial_id)
        return trial_id in self._shown

    def _restore(self, candidate: Candidate, plan: SearchPlan) -> None:
        if self._has_place(candidate.trial_id):
            for fold in candidate.folds:
                self._write_curves(fold, plan, keep=True)
        if len(candidate.folds) == plan.n_splits * plan.executions:
            self._write_candidate(candidate, plan, keep=True)

    def _write_candidate(self, candidate: Candidate, plan: SearchPlan, *, keep: bool = False) -> None:
        score = Score.of(candidate, plan.rule)
        self._scores[candidate.trial_id] = score
        if self._has_place(candidate.trial_id):
            self._write_sessions(score, plan, keep=keep)
            self._write_mean_curves(candidate, plan, keep=keep)

    def _write_curves(self, result: FoldResult, plan: SearchPlan, *, keep: bool = False) -> None:
        folder = plan.project.fold_folder(result.trial_id, result.fold, result.execution)
        name = _file_name(result.started, _fold_name(result))
        _write_both(folder, name, result.history, result.started, _ended(result), keep=keep)

    def _write_mean_curves(self, candidate: Candidate, plan: SearchPlan, *, keep: bool) -> None:
        folder = plan.project.trial_folder(candidate.trial_id) / "mean"
        started, ended = min(f.started for f in candidate.folds), max(map(_ended, candidate.folds))
        name = _file_name(ended, f"{candidate.trial_id}.mean")
        _write_both(folder, name, candidate.mean_curves(), started, ended, keep=keep)

    def _write_sessions(self, score: Score, plan: SearchPlan, *, keep: bool) -> None:
        folds = score.candidate.folds
        ended = max(map(_ended, folds))
        epoch = plan.rule.chosen_epoch(folds)
        # Two projects below one --logdir must not share a row, and both have a trial 0000.
        group_name = f"{plan.project.name}/{score.candidate.trial_id}"
        for fold in folds:
            folder = plan.project.fold_folder(fold.trial_id, fold.fold, fold.execution)
            events = _session_events(fold, score, plan.rule, epoch, group_name, self._kinds)
            _write_file(folder, _file_name(ended, _fold_name(fold)), events, keep=keep)

    def _begin_root(self, plan: SearchPlan) -> None:
        _remove_others(plan.project.path, self._root_file.name)
        self._root_file.unlink(missing_ok=True)
        self._append([_version_event(time.time()), _config_event(plan, self._kinds)])

    def _append(self, events: Iterable[event_pb2.Event]) -> None:
        self._root_file.parent.mkdir(parents=True, exist_ok=True)
        with self._root_file.open("ab") as file:
            file.write(_records(events))

    def _draw(self, plan: SearchPlan, scores: Sequence[Score]) -> None:
        began = time.perf_counter()
        matrices = {"heat_map": heat_map(plan.space, scores), "confusion_matrix": best_confusion(scores, plan.classes)}
        drawn = {tag: draw(matrix) for tag, matrix in matrices.items() if matrix is not None}
        self._append([_image_event(tag, picture, len(scores)) for tag, picture in drawn.items()])
        self._pictures.record(len(scores), time.perf_counter() - began)


class _PictureBudget:
    """When to draw: evenly over the candidates, at most 9 times and a last one, in at most 2 % of the time passed."""

    def __init__(self, n_candidates: int) -> None:
        self.last_step = 0
        self._spacing = max(1, math.ceil(n_candidates / _DRAWINGS))
        self._seconds: list[float] = []
        self._begun = time.perf_counter()

    def is_due(self, step: int) -> bool:
        """Whether to draw now, with `step` candidates whole."""
        if step < self.last_step + self._spacing or len(self._seconds) >= _DRAWINGS:
            return False
        expected = sum(self._seconds) + (self._seconds[-1] if self._seconds else _FIRST_DRAWING_SECONDS)
        return expected <= _SHARE_FOR_DRAWING * (time.perf_counter() - self._begun)

    def record(self, step: int, seconds: float) -> None:
        """Count a drawing."""
        self.last_step = step
        self._seconds.append(seconds)


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell of a picture.

    Attributes:
        shade: 0 for the lowest colour to 1 for the highest; None for no colour.
        text: The lines in it, the first one larger.
        marked: Whether it has a frame.
    """

    shade: float | None = None
    text: tuple[str, ...] = ()
    marked: bool = False


@dataclasses.dataclass(frozen=True)
class Matrix:
    """A picture's content, apart from its drawing.

    Attributes:
        title: Above it.
        row_title: What the rows are.
        column_title: What the columns are.
        rows: The rows' labels.
        columns: The columns' labels.
        cells: Shape (n_rows, n_columns).
    """

    title: str
    row_title: str
    column_title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]


def heat_map(space: Mapping[str, Sequence[Any]], scores: Sequence[Score]) -> Matrix | None:
    """The mean score over two hyperparameters, with the standard deviation below it, the best candidate framed.

    The two are those with the most values (the first ones of equals), the longer one across. Where there are
    more, a cell shows the best of its candidates.

    Args:
        space: Each hyperparameter's values.
        scores: The whole candidates.

    Returns:
        The content of the picture; None without candidates, with fewer than two hyperparameters, or with one
        of more than 40 values.
    """
    axes = sorted(space, key=lambda name: -len(space[name]))[:2]
    if not scores or len(axes) < 2 or len(space[axes[0]]) > LONGEST_AXIS:
        return None
    best_of: dict[tuple[str, str], Score] = {}
    ordered = sorted(scores, key=_badness)
    for score in ordered:
        values = score.candidate.values
        if axes[0] in values and axes[1] in values:
            best_of.setdefault((str(values[axes[1]]), str(values[axes[0]])), score)
    means = [score.mean for score in best_of.values() if math.isfinite(score.mean)]
    columns, rows = (tuple(str(value) for value in space[name]) for name in axes)
    return Matrix(
        title=f"mean_test_score (std), {len(scores)} candidates" + (", best of each cell" if len(space) > 2 else ""),
        row_title=axes[1],
        column_title=axes[0],
        rows=tuple(map(_label, rows)),
        columns=tuple(map(_label, columns)),
        cells=tuple(
            tuple(_score_cell(best_of.get((row, column)), means, ordered[0]) for column in columns) for row in rows
        ),
    )


def best_confusion(scores: Sequence[Score], classes: Sequence[Any] | None) -> Matrix | None:
    """The out-of-fold predictions of the best candidate: rows are true classes, colours the share of the row.

    Args:
        scores: The whole candidates.
        classes: The classes' labels; None numbers them from 0.

    Returns:
        The content of the picture; None where no fold counted, or with more than 40 classes.
    """
    best = min(scores, key=_badness, default=None)
    if best is None or not math.isfinite(best.mean):
        return None
    counted = [fold.confusion for fold in best.candidate.folds if fold.confusion is not None]
    if not counted or len(counted[0]) > LONGEST_AXIS:
        return None
    total = np.sum(np.array(counted, dtype=np.int64), axis=0)
    shares = total / np.maximum(total.sum(axis=1, keepdims=True), 1)
    labels = tuple(_label(value) for value in (range(len(total)) if classes is None else classes))
    return Matrix(
        title=f"Out-of-fold predictions with {_values_text(best.candidate.values)}",
        row_title="true",
        column_title="predicted",
        rows=labels,
        columns=labels,
        cells=tuple(
            tuple(Cell(float(share), (str(count),)) for share, count in zip(*pair, strict=True))
            for pair in zip(shares, total, strict=True)
        ),
    )


def draw(matrix: Matrix) -> tuple[int, int, bytes]:
    """Draw a picture.

    Args:
        matrix: Its content.

    Returns:
        Width and height in pixels, and the PNG.
    """
    from PIL import Image, ImageDraw, ImageFont

    large, small = ImageFont.load_default(15), ImageFont.load_default(12)
    layout = _Layout.of(matrix, large.getlength)
    image = Image.new("RGB", (layout.width, layout.height), "white")
    pen = ImageDraw.Draw(image)
    pen.text((_MARGIN, 10), matrix.title, fill="black", font=large)
    pen.text((layout.left, 33), matrix.column_title, fill="#555555", font=large)
    pen.text((_MARGIN, 56), matrix.row_title, fill="#555555", font=large)
    for j, label in enumerate(matrix.columns):
        pen.text((layout.left + layout.cell_width * (j + 0.5), 67), label, fill="black", font=large, anchor="mm")
    for i, label in enumerate(matrix.rows):
        y = _TOP + layout.cell_height * i
        pen.text((layout.left - 8, y + layout.cell_height / 2), label, fill="black", font=large, anchor="rm")
        for j, cell in enumerate(matrix.cells[i]):
            _draw_cell(pen, cell, layout, layout.left + layout.cell_width * j, y, (large, small))
    buffer = io.BytesIO()
    # A palette makes the file a third as large: its checksum, in pure Python, is most of the cost of writing it.
    image.quantize(64, method=Image.Quantize.FASTOCTREE).save(buffer, "PNG")
    return layout.width, layout.height, buffer.getvalue()


@dataclasses.dataclass(frozen=True)
class _Layout:
    """Where the cells of a picture lie, in pixels."""

    left: int
    cell_width: int
    cell_height: int
    width: int
    height: int

    @classmethod
    def of(cls, matrix: Matrix, length: Callable[[str], float]) -> _Layout:
        cells = [cell for row in matrix.cells for cell in row]
        texts = [*matrix.columns, *(line for cell in cells for line in cell.text), "000"]
        cell_width = int(max(map(length, texts))) + 14
        cell_height = 14 + 18 * max(len(cell.text) for cell in cells)
        left = int(max(map(length, [matrix.row_title, *matrix.rows]))) + 2 * _MARGIN
        ends = (
            left + cell_width * len(matrix.columns),
            left + length(matrix.column_title),
            _MARGIN + length(matrix.title),
        )
        return cls(
            left, cell_width, cell_height, int(max(ends)) + _MARGIN, _TOP + cell_height * len(matrix.rows) + _MARGIN
        )


def _draw_cell(pen: Any, cell: Cell, layout: _Layout, x: int, y: int, fonts: tuple[Any, Any]) -> None:
    colour = _colour(cell.shade)
    box = (x, y, x + layout.cell_width - 2, y + layout.cell_height - 2)
    pen.rectangle(box, fill=colour, outline="red" if cell.marked else colour, width=3)
    middle = y + layout.cell_height / 2 - 9 * (len(cell.text) - 1)
    for k, line in enumerate(cell.text):
        place = (x + layout.cell_width / 2 - 1, middle + 18 * k)
        pen.text(place, line, fill=_ink(colour), font=fonts[min(k, 1)], anchor="mm")


def summary_table(scores: Sequence[Score], *, n_candidates: int, interrupted: bool) -> str:
    """The candidates as a Markdown table, best first, the first 50 of them.

    Args:
        scores: The whole candidates, in the order of the grid.
        n_candidates: How many the search has.
        interrupted: Whether it was stopped before the end.
    """
    ranked = ranks(np.array([score.mean for score in scores]))
    stopped = f"Interrupted after {len(scores)} of {n_candidates} candidates.\n\n" if interrupted else ""
    lines = [
        "| rank | mean_test_score | std_test_score | mean_fit_time | values |",
        "| ---: | ---: | ---: | ---: | --- |",
    ]
    for i in np.argsort(ranked, kind="stable")[:_SUMMARY_ROWS]:
        score = scores[i]
        values = _values_text(score.candidate.values).replace("`", "'")
        lines.append(f"| {ranked[i]} | {score.mean:f} | {score.std:f} | {score.fit_seconds:.2f} s | `{values}` |")
    more = len(scores) - _SUMMARY_ROWS
    return stopped + "\n".join(lines) + (f"\n\n{more} more are in results.csv." if more > 0 else "")


def _badness(score: Score) -> tuple[float, tuple[int, str]]:
    """The best first, of equals the first one asked for, whichever ended first."""
    return (-score.mean if math.isfinite(score.mean) else math.inf, trial_order(score.candidate.trial_id))


def _score_cell(score: Score | None, means: Sequence[float], best: Score) -> Cell:
    if score is None:
        return Cell()
    if not math.isfinite(score.mean):
        return Cell(None, (f"{score.mean}",))
    low, high = min(means), max(means)
    shade = (score.mean - low) / (high - low) if high > low else 1.0
    return Cell(shade, (f"{score.mean:.4f}", f"({score.std:.4f})"), marked=score is best)


def _colour(shade: float | None) -> tuple[int, int, int]:
    """From dark blue over green to yellow, brighter with every step, so that it also reads in grey."""
    if shade is None:
        return (238, 238, 238)
    stops = np.array([[52, 30, 98], [48, 104, 142], [53, 183, 121], [253, 231, 37]])
    red, green, blue = (int(np.interp(shade * 3, range(4), channel)) for channel in stops.T)
    return (red, green, blue)


def _ink(colour: tuple[int, int, int]) -> str:
    red, green, blue = colour
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 130 else "white"


def _label(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 24 else f"{text[:21]}..."


def _values_text(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_label(value)}" for name, value in values.items())


def _file_name(seconds: float, owner: str) -> str:
    return f"events.out.tfevents.{int(seconds):010d}.{owner}{_SUFFIX}"


def _fold_name(result: FoldResult) -> str:
    return f"{result.trial_id}.{result.fold}" + (f".{result.execution}" if result.execution else "")


def _ended(result: FoldResult) -> float:
    return result.started + result.total_seconds


def _write_both(folder: pathlib.Path, name: str, history: History, started: float, ended: float, *, keep: bool) -> None:
    """Training and validation metrics as two runs, with the tags of Keras's TensorBoard callback."""
    train = {f"epoch_{key}": values for key, values in history.items() if not key.startswith("val_")}
    validation = {f"epoch_{key[4:]}": values for key, values in history.items() if key.startswith("val_")}
    for run, curves in (("train", train), ("validation", validation)):
        if curves:
            events = _curve_events(curves, started, ended)
            _write_file(folder / run, name, _with_version(started, events), keep=keep)


def _write_file(folder: pathlib.Path, name: str, events: Iterable[event_pb2.Event], *, keep: bool) -> None:
    """Write a run's only file, whole: TensorBoard reads what has `tfevents` in its name, so the draft has not."""
    path = folder / name
    if keep and path.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    _remove_others(folder, name)
    draft = folder / ".draft"
    draft.write_bytes(_records(events))
    draft.replace(path)


def _remove_others(folder: pathlib.Path, name: str) -> None:
    """Remove what an earlier attempt wrote here; files of other programs stay."""
    for path in folder.glob(f"events.out.tfevents.*{_SUFFIX}"):
        if path.name != name:
            path.unlink(missing_ok=True)


def _records(events: Iterable[event_pb2.Event]) -> bytes:
    buffer = io.BytesIO()
    writer = RecordWriter(buffer)
    for event in events:
        writer.write(event.SerializeToString())
    return buffer.getvalue()


def _version_event(wall_time: float) -> event_pb2.Event:
    return event_pb2.Event(wall_time=wall_time, file_version="brain.Event:2")


def _with_version(wall_time: float, events: Iterable[event_pb2.Event]) -> Iterator[event_pb2.Event]:
    yield _version_event(wall_time)
    yield from events


def _curve_events(curves: Mapping[str, Sequence[float]], started: float, ended: float) -> Iterator[event_pb2.Event]:
    """One event for each epoch with all metrics in it; none for NaN, which stands where an epoch has no value."""
    epochs = max(map(len, curves.values()))
    begun: set[str] = set()
    for step in range(epochs):
        present = {tag: curve[step] for tag, curve in curves.items() if step < len(curve)}
        values = [
            _scalar(tag, number, first=tag not in begun) for tag, number in present.items() if not math.isnan(number)
        ]
        begun.update(value.tag for value in values)
        wall_time = started + (ended - started) * (step + 1) / epochs
        if values:
            yield event_pb2.Event(wall_time=wall_time, step=step, summary=summary_pb2.Summary(value=values))


def _scalar(tag: str, number: float, *, first: bool) -> summary_pb2.Summary.Value:
    """A scalar as TensorFlow 2 writes it; readers need the plugin's name only at a tag's first value."""
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[number])
    return summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=_SCALAR if first else None)


_SCALAR = scalar_metadata.create_summary_metadata(display_name=None, description=None)


def _session_events(
    fold: FoldResult, score: Score, rule: ScoreRule, epoch: int | None, group_name: str, kinds: Mapping[str, type]
) -> Iterator[event_pb2.Event]:
    """A session of the HParams plugin: its values, its scalars, and how it ended.

    The plugin shows a scalar's last value. So the objective has a tag of its own here: its curve up to the
    epoch at which the fold is scored.
    """
    start = plugin_data_pb2.SessionStartInfo(group_name=group_name, start_time_secs=fold.started)
    for name, value in fold.values.items():
        _set_value(start.hparams[name], value, kinds.get(name))
    status = api_pb2.STATUS_SUCCESS if fold.error is None else api_pb2.STATUS_FAILURE
    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=_ended(fold))
    numbers = {"mean_test_score": score.mean, "std_test_score": score.std, "mean_fit_time": score.fit_seconds}
    curves = {tag: [number] for tag, number in numbers.items() if math.isfinite(number)} | _scored_curves(
        fold, rule, epoch
    )

    yield _version_event(fold.started)
    yield _hparams_event(hparams_metadata.SESSION_START_INFO_TAG, fold.started, session_start_info=start)
    if curves:
        yield from _curve_events(curves, fold.started, _ended(fold))
    yield _hparams_event(hparams_metadata.SESSION_END_INFO_TAG, _ended(fold), session_end_info=end)


def _scored_curves(fold: FoldResult, rule: ScoreRule, epoch: int | None) -> History:
    """Each objective by epoch; its last value is the one that counts."""
    if fold.error is not None:
        return {}
    last = fold.at_epoch(epoch)
    curves = {}
    for name in (name for name, _ in rule.objectives if math.isfinite(last.get(name, math.nan))):
        shown = min(fold.final_epoch, epoch or fold.final_epoch)
        curves[name] = [*fold.history.get(name, [])[: max(0, shown - 1)], last[name]]
    return curves


def _config_event(plan: SearchPlan, kinds: Mapping[str, type]) -> event_pb2.Event:
    """The columns of the HParams table."""
    experiment = api_pb2.Experiment(name=plan.project.name, time_created_secs=time.time())
    types = {bool: api_pb2.DATA_TYPE_BOOL, float: api_pb2.DATA_TYPE_FLOAT64, str: api_pb2.DATA_TYPE_STRING}
    for name, values in plan.space.items():
        column = experiment.hparam_infos.add(name=name, type=types[kinds[name]])
        if len(values) <= _LONGEST_DOMAIN:
            column.domain_discrete.extend([kinds[name](value) for value in values])
        elif kinds[name] is float:
            column.domain_interval.min_value, column.domain_interval.max_value = sorted((values[0], values[-1]))
    for tag in ("mean_test_score", "std_test_score", "mean_fit_time", *(name for name, _ in plan.rule.objectives)):
        dataset = api_pb2.DATASET_VALIDATION if tag.startswith("val_") else api_pb2.DATASET_UNKNOWN
        experiment.metric_infos.add(name=api_pb2.MetricName(tag=tag), display_name=tag, dataset_type=dataset)
    return _hparams_event(hparams_metadata.EXPERIMENT_TAG, time.time(), experiment=experiment)


def _kind(values: Sequence[Any]) -> type:
    """Whether a column of the HParams table holds truth values, numbers or texts."""
    if values and all(isinstance(value, bool | np.bool_) for value in values):
        return bool
    numbers = (int, float, np.integer, np.floating)
    if values and all(isinstance(v, numbers) and not isinstance(v, bool) and math.isfinite(v) for v in values):
        return float
    return str


def _set_value(field: Any, value: Any, kind: type | None) -> None:
    names = {bool: "bool_value", float: "number_value", str: "string_value"}
    kind = kind or _kind([value])
    setattr(field, names[kind], kind(value))


def _hparams_event(tag: str, wall_time: float, **content: Any) -> event_pb2.Event:
    metadata = hparams_metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(**content))
    value = summary_pb2.Summary.Value(tag=tag, metadata=metadata, tensor=hparams_metadata.NULL_TENSOR)
    return event_pb2.Event(wall_time=wall_time, summary=summary_pb2.Summary(value=[value]))


def _image_event(tag: str, picture: tuple[int, int, bytes], step: int) -> event_pb2.Event:
    width, height, png = picture
    parts = [str(width).encode(), str(height).encode(), png]
    metadata = image_metadata.create_summary_metadata(display_name=None, description=None)
    return _bytes_event(tag, parts, metadata, step)


def _text_event(tag: str, text: str, step: int) -> event_pb2.Event:
    metadata = text_metadata.create_summary_metadata(display_name=None, description=None)
    return _bytes_event(tag, [text.encode()], metadata, step)


def _bytes_event(tag: str, parts: list[bytes], metadata: summary_pb2.SummaryMetadata, step: int) -> event_pb2.Event:
    shape = tensor_shape_pb2.TensorShapeProto(dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=len(parts))])
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, tensor_shape=shape, string_val=parts)
    value = summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=metadata)
    return event_pb2.Event(wall_time=time.time(), step=step, summary=summary_pb2.Summary(value=[value]))
