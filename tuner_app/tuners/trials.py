"""Keras Tuner's trials, made from candidates and their folds.

Owns how a candidate's folds become a trial's values, metrics, score and status, and how the trials of a project are
shown to who reads them without a search. The journal alone is trusted: a `trial.json` is written for Keras Tuner's
readers. The order of trials is the business of `oracle`.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus

from tuner_app.data.fit_options import plain_option
from tuner_app.errors import InputError, ProjectError
from tuner_app.records.results import Candidate, FoldResult, Status
from tuner_app.records.score import ScoreRule
from tuner_app.storage import journal
from tuner_app.storage.project import Project
from tuner_app.training.declared import unequal
from tuner_app.tuners.oracle import GridOracle

logger = logging.getLogger(__name__)


def report(oracle: Any, rule: ScoreRule, trial: Trial, candidate: Candidate) -> None:
    """Tell a trial what came of its candidate: the means of the metrics over the folds, and whether it has failed."""
    if candidate.score is None or candidate.status is not Status.COMPLETE:
        trial.status = TrialStatus.FAILED
        trial.message = candidate.errors[0] if candidate.errors else "The score is not a finite number."
        return
    metrics = [fit for fit in rule.fold_metrics(candidate.folds) if fit is not None]
    shared = [name for name in metrics[0] if all(name in fit for fit in metrics)]
    means = {name: sum(fit[name] for fit in metrics) / len(metrics) for name in shared}
    if len(rule.objectives) == 1:
        [objective] = rule.objectives
        means[objective.name] = objective.natural(candidate.score.mean)
    else:
        means[oracle.objective.name] = -candidate.score.mean  # Keras Tuner minimises the sum of several.
    epoch = rule.refit_epochs(candidate.folds)
    oracle.update_trial(trial.trial_id, means, step=0 if epoch is None else epoch - 1)
    trial.status = TrialStatus.COMPLETED


def take_over(trial: Trial, folds: Sequence[FoldResult]) -> None:
    """Give a trial the hyperparameters that its fits have declared, in the order of the folds, whichever ended first.

    Args:
        trial: The trial; its hyperparameters are extended.
        folds: The candidate's records, in order.
    """
    hyperparameters = trial.hyperparameters
    for fold in folds:
        declared = fold.declared or {}
        if declared.get("space"):
            entries = json.loads(json.dumps(declared["space"]))  # Keras Tuner changes what it reads.
            found = keras_tuner.HyperParameters.from_config({"space": entries, "values": {}})
            new = [hp for hp in found.space if not hyperparameters._exists(hp.name, hp.conditions)]
            hyperparameters.space.extend(new)
            for hp in new:
                hyperparameters._hps[hp.name].append(hp)
        for name, value in declared.get("values", {}).items():
            hyperparameters.values.setdefault(name, value)


@dataclasses.dataclass(frozen=True)
class Recorded:
    """A candidate of an earlier run.

    Attributes:
        candidate: The candidate, with what its fits have declared.
        own: The values that it was proposed with.
        entries: What its fits have declared beyond the space, as `HyperParameters.get_config()["space"]` gives it.
        late: The names of what only its fits have asked for.
        is_settled: Whether its records say what its fits have asked for; those of version 0.1.0 do not.
    """

    candidate: Candidate
    own: dict[str, Any]
    entries: Sequence[dict[str, Any]]
    late: Sequence[str]
    is_settled: bool


def recorded(candidates: Sequence[Candidate], space: Sequence[Any], project: Project) -> list[Recorded]:
    """What is known of the candidates of a journal.

    Args:
        candidates: The candidates.
        space: The search space as it was asked for, as `HyperParameters.get_config()["space"]` gives it.
        project: Where their trials' files lie, in which version 0.1.0 kept what fits had declared.
    """
    return [_recorded(candidate, space, project) for candidate in candidates]


def show(oracle: GridOracle, rule: ScoreRule, project: Project, space: Sequence[Any]) -> None:
    """Give an oracle the trials of a search that was begun earlier. Nothing is changed on disk.

    A project that cannot be read, or that is another search's, gives none: the next `search` says what is wrong.
    """
    oracle.restart(space)
    try:  # A constructor must not fail over a project that its user may be about to overwrite.
        record = journal.load_search(project)
        asked = record.description.get("asked", {})
        if plain({entry["config"]["name"]: entry for entry in space}) != asked.get("space"):
            raise ProjectError("it was made by another search, of another space")
        if (record.rule.objectives, record.rule.epoch) != (rule.objectives, rule.epoch):
            raise ProjectError("it was made by another search, of another objective or score_epoch")
        # What is not whole is shown as running: only a search may say what becomes of it.
        whole = {candidate.trial_id for candidate in record.finished}
        for one in recorded(record.candidates, space, project):
            trial = oracle.show(one.candidate.trial_id, one.candidate.values, one.entries, one.late)
            if trial.trial_id in whole:
                report(oracle, rule, trial, one.candidate)
                oracle.conclude(trial)
    except (ProjectError, InputError) as error:
        logger.warning("The trials of %s are not read: %s", project.path, error)
        oracle.restart(space)


def agrees(path: pathlib.Path, state: Mapping[str, Any]) -> bool:
    """Whether a trial's file says what the journal says; its space may have grown since, its metrics nobody reads."""
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
        same = all(there[name] == state[name] for name in ("trial_id", "status"))
        ours, theirs = state["hyperparameters"], there["hyperparameters"]
        known = all(entry in ours["space"] for entry in theirs["space"])
        scores = there["score"], state["score"]
        close = scores[0] == scores[1] or (None not in scores and math.isclose(*scores, rel_tol=1e-9))
        return bool(same and known and close and theirs["values"] == ours["values"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def plain(content: Any) -> Any:
    """JSON content as it reads back from a file."""
    return json.loads(json.dumps(content, default=plain_option))


def _recorded(candidate: Candidate, space: Sequence[Any], project: Project) -> Recorded:
    if any(fold.declared is not None for fold in candidate.folds):
        entries = [entry for fold in candidate.folds for entry in (fold.declared or {}).get("space", [])]
        names = (name for fold in candidate.folds for name in (fold.declared or {}).get("values", {}))
        late = list(dict.fromkeys(names))
        own = {name: value for name, value in candidate.values.items() if name not in late}
        return Recorded(candidate, own, unequal(entries), late, is_settled=True)
    entries, values = _declared_in_file(candidate, space, project)
    if entries or values:
        declared = {"space": entries, "values": values}
        folds = tuple(dataclasses.replace(fold, declared=declared) for fold in candidate.folds)
        candidate = dataclasses.replace(candidate, values={**candidate.values, **values}, folds=folds)
    return Recorded(candidate, candidate.values, entries, (), is_settled=False)


def _declared_in_file(
    candidate: Candidate, space: Sequence[Any], project: Project
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The entries and values that a candidate's fits declared, as version 0.1.0 kept them: in the trial's file only."""
    try:
        content = json.loads((project.trial_folder(candidate.trial_id) / "trial.json").read_text(encoding="utf-8"))
        there, values = content["hyperparameters"]["space"], content["hyperparameters"]["values"]
        late = [entry for entry in there if entry not in space]
        defaults = {entry["config"]["name"]: entry["config"]["default"] for entry in late}
        fits = {**defaults, **candidate.values, **values} == {**defaults, **values, **candidate.values}
        # What no record has, was declared while its trial ran, which had the default value then.
        whole = set(values) <= {*candidate.values, *defaults} and all(entry in there for entry in space)
        extra = {name: value for name, value in values.items() if name not in candidate.values}
        if fits and whole and all(value == defaults[name] for name, value in extra.items()):
            return late, extra
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    return [], {}
