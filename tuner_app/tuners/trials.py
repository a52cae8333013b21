"""Keras Tuner's trials, made from the journal's records.

Owns how a candidate's folds become a trial's values, metrics, score and status, at the end of a candidate and when a
search is read back. The journal alone is trusted: a `trial.json` is written for Keras Tuner's readers, and looked at
only to see whether it still says what the journal says. The order of trials is the business of `oracle`.
"""

from __future__ import annotations

import json
import logging
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus

from tuner_app.data import prepare
from tuner_app.errors import InputError, ProjectError
from tuner_app.records.results import Candidate, FoldResult
from tuner_app.records.score import ScoreRule
from tuner_app.records.seeds import fit_seed
from tuner_app.records.tables import mean_and_std
from tuner_app.storage import journal
from tuner_app.storage.files import read_json, set_aside
from tuner_app.storage.project import Project
from tuner_app.training.declared import unequal
from tuner_app.tuners.oracle import GridOracle

logger = logging.getLogger(__name__)


def report(oracle: GridOracle, rule: ScoreRule, trial: Trial, candidate: Candidate) -> None:
    """Tell a trial what came of its candidate: the means of the metrics over the folds, and whether it has failed."""
    metrics = [found for found in rule.fold_metrics(candidate.folds) if found is not None]
    score = mean_and_std(candidate, rule)[0]
    if not metrics or math.isnan(score):
        trial.status = TrialStatus.FAILED
        trial.message = candidate.errors[0] if candidate.errors else "The score is not a finite number."
        return
    means = {
        name: sum(m[name] for m in metrics) / len(metrics) for name in metrics[0] if all(name in m for m in metrics)
    }
    if len(rule.objectives) == 1:
        name, direction = rule.objectives[0]
        means[name] = score * (-1.0 if direction == "min" else 1.0)
    else:
        means[oracle.objective.name] = -score
    epoch = rule.refit_epochs(candidate.folds)
    oracle.update_trial(trial.trial_id, means, step=0 if epoch is None else epoch - 1)
    trial.status = TrialStatus.COMPLETED


def restore(
    oracle: GridOracle,
    rule: ScoreRule,
    candidates: Sequence[Candidate],
    *,
    space: Sequence[Any],
    fits: int,
    project: Project,
) -> None:
    """Give an oracle the trials of a journal, and no others; what is not whole is handed out first.

    Args:
        oracle: The oracle.
        rule: How folds become a score.
        candidates: What the journal holds.
        space: The search space as it was asked for, as `HyperParameters.get_config()["space"]` gives it.
        fits: How many fits make a candidate whole.
        project: Where the trials' files lie.
    """
    oracle.restart(space)
    for candidate in candidates:
        entries, values = _declared_by_fits(candidate, space, project)
        oracle.adopt(candidate.trial_id, {**candidate.values, **values}, entries, _asked_by_fits(candidate))
    for candidate in candidates:
        if len(candidate.folds) == fits:
            trial = oracle.trials[candidate.trial_id]
            report(oracle, rule, trial, candidate)
            oracle.conclude(trial)
    oracle.reopen([candidate.trial_id for candidate in candidates if len(candidate.folds) != fits])


def reload(oracle: GridOracle, rule: ScoreRule, project: Project, space: Sequence[Any]) -> None:
    """Give an oracle the trials of a search that was begun earlier. Nothing is changed on disk.

    A project that cannot be read, or that is another search's, gives none: the next `search` says what is wrong.
    """
    try:
        record = journal.load_search(project)
        asked = record.description.get("asked", {})
        if _plain({entry["config"]["name"]: entry for entry in space}) != asked.get("space"):
            raise ProjectError("it was made by another search, of another space")
        if (record.rule.objectives, record.rule.epoch) != (rule.objectives, rule.epoch):
            raise ProjectError("it was made by another search, of another objective or score_epoch")
        fits = record.n_splits * record.executions
        restore(oracle, rule, record.candidates, space=space, fits=fits, project=project)
    except (ProjectError, InputError) as error:
        logger.warning("The trials of %s are not read: %s", project.path, error)
        oracle.restart(space)


def set_aside_contradictions(oracle: GridOracle, project: Project) -> None:
    """Have every file of a trial say what the journal says: one that does not is set aside and written anew.

    Only for who holds the project's lock, after `restore`.
    """
    for path in sorted(project.path.glob("trial_*/trial.json")):
        if not any(path.parent.glob("fold_*.json")):
            set_aside(path, "there is no fold of this trial in the journal")
    ended, again = set(oracle.end_order), []
    for trial_id, trial in oracle.trials.items():
        path = project.trial_folder(trial_id) / "trial.json"
        if trial_id in ended and path.exists() and not _agrees(path, json.loads(oracle.state_text(trial))):
            set_aside(path, "it does not say what the folds of its trial say")
        if trial_id not in ended or not path.exists():
            again.append(trial_id)
    oracle.reopen(again)


def drawn_seed(project: Project) -> int | None:
    """The seed that a search drew, where its `search.json` is lost: that of `oracle.json`, if a fit was made with it.

    None where there is no such fit: then no seed is proven, and another is drawn.
    """
    try:
        seed = read_json(project.oracle_file)["seed"]
    except (ProjectError, KeyError):
        return None
    made = (
        record.seed == fit_seed(seed, record.values, record.fold, record.execution)
        for _, record in journal.whole_records(project)
    )
    return int(seed) if isinstance(seed, int) and any(made) else None


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


def _asked_by_fits(candidate: Candidate) -> list[str] | None:
    """The names of what only the fits of a candidate have asked for, in their order; None where no record tells."""
    if all(fold.declared is None for fold in candidate.folds):
        return None
    return list(dict.fromkeys(name for fold in candidate.folds for name in (fold.declared or {}).get("values", {})))


def _declared_by_fits(
    candidate: Candidate, space: Sequence[Any], project: Project
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The entries and values that a candidate's fits declared; version 0.1.0 kept them in the trial's file only."""
    if any(fold.declared is not None for fold in candidate.folds):
        entries = [entry for fold in candidate.folds for entry in (fold.declared or {}).get("space", [])]
        return unequal(entries), {}
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


def _agrees(path: pathlib.Path, state: Mapping[str, Any]) -> bool:
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


def _plain(content: Any) -> Any:
    return json.loads(json.dumps(content, default=prepare.plain))
