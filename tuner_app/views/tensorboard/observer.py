"""The observer that writes TensorBoard's files while a search runs.

Owns which file is written when, and when it is left alone. What stands in the files is made by `events`, `hparams`,
`pictures` and `summary`.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import pathlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tuner_app.errors import InputError
from tuner_app.records.results import Candidate, FoldResult, History
from tuner_app.search.observers import SearchObserver, SearchPlan
from tuner_app.views.restored import restored
from tuner_app.views.tensorboard.candidates import end_of
from tuner_app.views.tensorboard.events import curve_events, image_event, text_event, version_event
from tuner_app.views.tensorboard.files import append, file_name, remove_others, write_file
from tuner_app.views.tensorboard.hparams import candidate_numbers, column_kinds, config_event, session_events
from tuner_app.views.tensorboard.matrices import best_confusion, heat_map
from tuner_app.views.tensorboard.pictures import PictureBudget, draw
from tuner_app.views.tensorboard.summary import summary_table

logger = logging.getLogger(__name__)


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
        # Only what is set here: an observer may watch one search after another.
        self._plan = plan
        self._shown: set[str] = set()
        self._whole: dict[str, Candidate] = {}
        self._pictures = PictureBudget(plan.n_candidates)
        self._kinds = column_kinds(plan)
        self._root_file = plan.project.path / file_name(time.time(), "search")
        with self._tolerant():
            self._begin_root(plan)
            for candidate in restored(plan):
                self._restore(candidate, plan)

    def fold_ended(self, result: FoldResult) -> None:
        """Write the curves of the fold."""
        if self._plan is not None and self._has_place(result.trial_id):
            with self._tolerant():
                self._write_fold(result, self._plan)

    def candidate_ended(self, candidate: Candidate) -> None:
        """Write the sessions and the mean curves of the candidate; draw the pictures when it is time to."""
        if self._plan is None:
            return
        with self._tolerant():
            self._write_candidate(candidate, self._plan)
            # Over what has ended so far, in the order of the ends; the last pictures are of all.
            if self._pictures.is_due(len(self._whole)):
                self._draw(self._plan, list(self._whole.values()))

    def search_ended(self, candidates: Sequence[Candidate], *, table: Mapping[str, Any], interrupted: bool) -> None:
        """Draw the last pictures and write the summary of the whole candidates, also of a search that was stopped."""
        if self._plan is None or not candidates:
            return
        with self._tolerant():
            if len(candidates) > self._pictures.last_step:
                self._draw(self._plan, candidates)
            text = summary_table(candidates, n_candidates=self._plan.n_candidates, interrupted=interrupted)
            append(self._root_file, [text_event("summary", text, len(candidates))])
        self._plan = None

    @contextlib.contextmanager
    def _tolerant(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # No plan is no search to watch: whatever comes is passed over, and the warning is said once.
            self._plan = None
            logger.warning("TensorBoard's files cannot be written (%s). The search goes on without them.", error)

    def _has_place(self, trial_id: str) -> bool:
        if trial_id.isdecimal():
            # Keras Tuner counts its trials from 0, in the order of asking: which fits end first is the clock's affair.
            return int(trial_id) < self.max_candidates
        if trial_id not in self._shown and len(self._shown) < self.max_candidates:
            self._shown.add(trial_id)
        return trial_id in self._shown

    def _restore(self, candidate: Candidate, plan: SearchPlan) -> None:
        if self._has_place(candidate.trial_id):
            for fold in candidate.folds:
                self._write_fold(fold, plan, keep=True)
        # A journal whose last record was written just before a kill has candidates that nobody was told of.
        if candidate.is_whole:
            self._write_candidate(candidate, plan, keep=True)

    def _write_fold(self, result: FoldResult, plan: SearchPlan, *, keep: bool = False) -> None:
        folder = plan.project.fold_folder(result.trial_id, result.fold, result.execution)
        name = file_name(result.started, _name_of(result))
        _write_curves(folder, name, result.history, (result.started, end_of(result)), keep=keep)

    def _write_candidate(self, candidate: Candidate, plan: SearchPlan, *, keep: bool = False) -> None:
        self._whole[candidate.trial_id] = candidate
        if self._has_place(candidate.trial_id):
            # Named by the end of the candidate's last fit: a fit made anew gives all of them new names.
            ended = max(map(end_of, candidate.folds))
            self._write_sessions(candidate, plan, ended, keep=keep)
            folder = plan.project.trial_folder(candidate.trial_id) / "mean"
            name = file_name(ended, f"{candidate.trial_id}.mean")
            started = min(fold.started for fold in candidate.folds)
            _write_curves(folder, name, candidate.mean_curves(), (started, ended), keep=keep)

    def _write_sessions(self, candidate: Candidate, plan: SearchPlan, ended: float, *, keep: bool) -> None:
        numbers, epoch = candidate_numbers(candidate), plan.rule.chosen_epoch(candidate.folds)
        for fold in candidate.folds:
            folder = plan.project.fold_folder(fold.trial_id, fold.fold, fold.execution)
            events = session_events(fold, numbers, plan, epoch=epoch, kinds=self._kinds)
            write_file(folder, file_name(ended, _name_of(fold)), events, keep=keep)

    def _begin_root(self, plan: SearchPlan) -> None:
        # A new name, since a running TensorBoard reads on where it stopped in a file that it knows.
        remove_others(plan.project.path, self._root_file.name)
        self._root_file.unlink(missing_ok=True)
        append(self._root_file, [version_event(time.time()), config_event(plan, self._kinds)])

    def _draw(self, plan: SearchPlan, candidates: Sequence[Candidate]) -> None:
        began = time.perf_counter()
        matrices = {
            "heat_map": heat_map(plan.space, candidates),
            "confusion_matrix": best_confusion(candidates, plan.classes),
        }
        pictures = {tag: draw(matrix) for tag, matrix in matrices.items() if matrix is not None}
        append(self._root_file, [image_event(tag, picture, len(candidates)) for tag, picture in pictures.items()])
        self._pictures.record(len(candidates), time.perf_counter() - began)


def _name_of(result: FoldResult) -> str:
    return f"{result.trial_id}.{result.fold}" + (f".{result.execution}" if result.execution else "")


def _write_curves(folder: pathlib.Path, name: str, history: History, times: tuple[float, float], *, keep: bool) -> None:
    """Training and validation metrics as two runs, with the tags of Keras's TensorBoard callback."""
    train = {f"epoch_{key}": values for key, values in history.items() if not key.startswith("val_")}
    validation = {f"epoch_{key[4:]}": values for key, values in history.items() if key.startswith("val_")}
    for run, curves in (("train", train), ("validation", validation)):
        if curves:
            events = itertools.chain([version_event(times[0])], curve_events(curves, *times))
            write_file(folder / run, name, events, keep=keep)
