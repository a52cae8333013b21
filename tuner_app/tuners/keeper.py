"""What becomes of the refit model: saved with its manifest, or taken over from an earlier run.

Owns what the manifest says. Training it is a task of the search; how files are written is the business of `storage`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
from collections.abc import Callable, Mapping
from typing import Any

import keras
import keras_tuner

from tuner_app.data import prepare, targets
from tuner_app.errors import ProjectError
from tuner_app.folds.rows import arrays_in
from tuner_app.prediction import rebuilding
from tuner_app.process.versions import package_versions
from tuner_app.records.refit_plan import refit_plan
from tuner_app.records.results import Candidate, FoldResult
from tuner_app.search.refit import ModelKeeper
from tuner_app.storage.manifest import Manifest, change_manifest, load_manifest
from tuner_app.training.fitter import FoldFitter
from tuner_app.tuners.opening import OpenProject
from tuner_app.tuners.settings import Settings

# What a manifest of an earlier version may have wrong, since it looked at the target alone.
_DECIDED_ANEW = ("classes", "decoding", "feature_names", "columns", "input_shape", "score")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class ProjectKeeper(ModelKeeper):
    """Keeps the model in the search's project.

    Attributes:
        settings: What the tuner was told.
        opened: The project.
        data: The checked data.
        fitter: What has trained the model.
        space: Gives a copy of the search space.
        score_label: How the columns end by which the best candidate is chosen.
    """

    settings: Settings
    opened: OpenProject
    data: prepare.SearchData
    fitter: FoldFitter
    space: Callable[[], keras_tuner.HyperParameters]
    score_label: str

    def kept(self, candidate: Candidate, table: Mapping[str, Any], index: int) -> tuple[keras.Model, float] | None:
        """The model that an earlier run of the same search has saved, and the seconds that its refit took."""
        project, manifest = self.settings.project, self._manifest(candidate, table, index)
        if not project.manifest_file.exists():
            return None
        with contextlib.suppress(ProjectError):  # A damaged model is trained again, as if there were none.
            known = load_manifest(project)
            same = ("search_id", "hyperparameters", "epochs")  # Together they decide every weight.
            if all(getattr(known, name) == getattr(manifest, name) for name in same):
                model, _ = rebuilding.kept_model(project, self.fitter.spec.build_apart, self.space)
                if known.decoding is None:  # of an earlier version, which did not know what the outputs are
                    change_manifest(project, model, {name: getattr(manifest, name) for name in _DECIDED_ANEW})
                return model, known.refit_seconds
        return None

    def keep(
        self, candidate: Candidate, table: Mapping[str, Any], index: int, record: FoldResult
    ) -> tuple[keras.Model, float]:
        """Save the model that a refit task has trained, and its manifest."""
        model = self.fitter.take_model(candidate.trial_id)
        manifest = self._manifest(candidate, table, index)
        manifest = dataclasses.replace(manifest, refit_seconds=record.fit_seconds)
        build = self.fitter.spec.build_apart
        rebuilding.keep_model(self.settings.project, model, manifest, build, self.space(), self.data.x)
        return model, record.fit_seconds

    def let_go(self, trial_id: str) -> None:
        """Forget a model: it would stay in memory as long as the tuner."""
        self.fitter.take_model(trial_id)

    def _manifest(self, candidate: Candidate, table: Mapping[str, Any], index: int) -> Manifest:
        settings, data, dataset = self.settings, self.data, self.data.dataset
        objective, score, std = self._chosen_score(table, index)
        inputs = arrays_in(data.x)
        is_one = inputs[0] is data.x and inputs[0].ndim > 1 and inputs[0].dtype.kind in "biuf"
        described = {"source": None if dataset is None else dataset.source, "target": data.label_column}
        return Manifest(
            hyperparameters=dict(candidate.values),
            score=score,
            score_std=std,
            objective=objective,
            n_splits=len(self.opened.splits),
            epochs=refit_plan(settings.rule, candidate.folds).epochs or 0,
            seed=self.opened.seed,
            classes=data.labels,
            decoding=targets.description(data.target),
            feature_names=data.columns if is_one else None,
            columns=None if is_one else data.columns,
            input_shape=list(inputs[0].shape[1:]) if is_one else None,
            image_shape=list(dataset.image_shape) if dataset is not None and dataset.image_shape else None,
            data={**described, "fingerprint": data.fingerprint()},
            versions=package_versions(),
            test_score=None,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            search_id=self.opened.search_id,
            refit_seconds=0.0,
        )

    def _chosen_score(self, table: Mapping[str, Any], index: int) -> tuple[str, float, float]:
        """The objective that chose the candidate, its mean in the objective's own sign, and its standard deviation."""
        label, objectives = self.score_label, self.settings.rule.objectives
        mean, std = (float(table[f"{statistic}_test_{label}"][index]) for statistic in ("mean", "std"))
        chosen = [objective for objective in objectives if label in ("score", objective.name.removeprefix("val_"))]
        if len(chosen) == 1:
            mean = chosen[0].natural(mean)
        return ", ".join(objective.name for objective in chosen), mean, std
