"""The HParams table: its columns once for a search, and a session for each fit.

Owns what the plugin's messages say; `files` brings them onto the disk.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2
from tensorboard.plugins.hparams import metadata as hparams_metadata

from tuner_app.records.results import Candidate, FoldResult, History
from tuner_app.search.observers import SearchPlan
from tuner_app.views.tensorboard.candidates import end_of
from tuner_app.views.tensorboard.events import curve_events, version_event

# A hyperparameter of more values than this is shown by its range.
_LONGEST_DOMAIN = 1_000
_TYPES = {bool: api_pb2.DATA_TYPE_BOOL, float: api_pb2.DATA_TYPE_FLOAT64, str: api_pb2.DATA_TYPE_STRING}
_FIELDS = {bool: "bool_value", float: "number_value", str: "string_value"}


def config_event(plan: SearchPlan, kinds: Mapping[str, type]) -> event_pb2.Event:
    """The columns of the HParams table.

    Exactly one for a project, at its root: TensorBoard takes the columns of the first that it meets.

    Args:
        plan: The search.
        kinds: As `column_kinds` says.
    """
    experiment = api_pb2.Experiment(name=plan.project.name, time_created_secs=time.time())
    for name, values in plan.space.items():
        kind = kinds[name]
        column = experiment.hparam_infos.add(name=name, type=_TYPES[kind])
        # The page offers a box to tick for each value of a discrete domain, and two fields for an interval.
        if len(values) <= _LONGEST_DOMAIN:
            column.domain_discrete.extend([kind(value) for value in values])
        elif kind is float:
            column.domain_interval.min_value, column.domain_interval.max_value = sorted((values[0], values[-1]))
    for tag in ("mean_test_score", "std_test_score", "mean_fit_time", *(name for name, _ in plan.rule.objectives)):
        dataset = api_pb2.DATASET_VALIDATION if tag.startswith("val_") else api_pb2.DATASET_UNKNOWN
        experiment.metric_infos.add(name=api_pb2.MetricName(tag=tag), display_name=tag, dataset_type=dataset)
    return _event(hparams_metadata.EXPERIMENT_TAG, time.time(), experiment=experiment)


def column_kinds(plan: SearchPlan) -> dict[str, type]:
    """Whether each column of the HParams table holds truth values (`bool`), numbers (`float`) or texts (`str`)."""
    return {name: _kind(values[:_LONGEST_DOMAIN]) for name, values in plan.space.items()}


def candidate_numbers(candidate: Candidate) -> dict[str, float]:
    """The numbers of a whole candidate by their tags, but for those that are not finite, which no cell can show."""
    numbers = {
        "mean_test_score": candidate.mean_score,
        "std_test_score": candidate.std_score,
        "mean_fit_time": candidate.mean_fit_seconds,
    }
    return {tag: number for tag, number in numbers.items() if math.isfinite(number)}


def session_events(
    fold: FoldResult, numbers: Mapping[str, float], plan: SearchPlan, *, epoch: int | None, kinds: Mapping[str, type]
) -> Iterator[event_pb2.Event]:
    """A session of the HParams plugin: its values, its scalars, and how it ended.

    Args:
        fold: The fit.
        numbers: Those of its candidate, of which each session has a copy: the table shows a group's mean.
        plan: The search.
        epoch: At which the candidate is scored, from 1; None is each fit's final one.
        kinds: As `column_kinds` says; made once for a search.
    """
    # Two projects below one --logdir must not share a row, and both have a trial 0000.
    group_name = f"{plan.project.name}/{fold.trial_id}"
    start = plugin_data_pb2.SessionStartInfo(group_name=group_name, start_time_secs=fold.started)
    for name, value in fold.values.items():
        kind = kinds.get(name) or _kind([value])
        setattr(start.hparams[name], _FIELDS[kind], kind(value))
    status = api_pb2.STATUS_SUCCESS if fold.error is None else api_pb2.STATUS_FAILURE
    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=end_of(fold))
    curves = {tag: [number] for tag, number in numbers.items()} | _scored_curves(fold, plan, epoch)

    yield version_event(fold.started)
    yield _event(hparams_metadata.SESSION_START_INFO_TAG, fold.started, session_start_info=start)
    if curves:
        yield from curve_events(curves, fold.started, end_of(fold))
    yield _event(hparams_metadata.SESSION_END_INFO_TAG, end_of(fold), session_end_info=end)


def _scored_curves(fold: FoldResult, plan: SearchPlan, epoch: int | None) -> History:
    """Each objective by epoch, up to the epoch that counts: the plugin shows a scalar's last value."""
    if fold.error is not None:
        return {}
    last = fold.at_epoch(epoch)
    curves = {}
    for name in (name for name, _ in plan.rule.objectives if math.isfinite(last.get(name, math.nan))):
        epochs = min(fold.final_epoch, epoch or fold.final_epoch)
        # The last number is the score's own, also where the epoch was not measured or there is no history at all.
        curves[name] = [*fold.history.get(name, [])[: max(0, epochs - 1)], last[name]]
    return curves


def _kind(values: Sequence[Any]) -> type:
    if values and all(isinstance(value, bool | np.bool_) for value in values):
        return bool
    numbers = (int, float, np.integer, np.floating)
    # Python's truth values are whole numbers too.
    if values and all(isinstance(v, numbers) and not isinstance(v, bool) and math.isfinite(v) for v in values):
        return float
    return str


def _event(tag: str, wall_time: float, **content: Any) -> event_pb2.Event:
    metadata = hparams_metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(**content))
    # The plugin reads the metadata alone; a tensor must be there all the same.
    value = summary_pb2.Summary.Value(tag=tag, metadata=metadata, tensor=hparams_metadata.NULL_TENSOR)
    return event_pb2.Event(wall_time=wall_time, summary=summary_pb2.Summary(value=[value]))
