"""What a model of the default hyperparameters tells before the first fold: what would fail in every fit is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras_tuner

from tuner_app.data import features, prepare
from tuner_app.folds.rows import arrays_in
from tuner_app.records.score import ScoreRule
from tuner_app.training import fit_checks, probe
from tuner_app.training.spec import has_own_fit
from tuner_app.tuners import hooks


def check(
    tuner: keras_tuner.Tuner,
    rule: ScoreRule,
    looked_at: probe.Probe | None,
    data: prepare.SearchData,
    fit_options: Mapping[str, Any],
) -> None:
    """Refuse options, models and objectives with which no fit could work.

    Args:
        tuner: The tuner.
        rule: How histories become scores.
        looked_at: What is known of a model; None where there is none to look at.
        data: The checked data.
        fit_options: What `HyperModel.fit` gets beyond the data.

    Raises:
        InputError: Every fit would fail.
    """
    if has_own_fit(tuner.hypermodel):
        # A fit of the user's own tells by itself what it hands on to `model.fit`, and which metrics it returns.
        fit_checks.check_option_names(fit_options, tuner.hypermodel.fit, "HyperModel.fit")
        return
    if looked_at is None:
        return
    fit_checks.check_option_names(fit_options, type(looked_at.model).fit, "model.fit")
    fit_checks.check_is_compiled(looked_at.model)
    fit_checks.check_takes_text(looked_at.model, any(map(features.is_text, arrays_in(data.x))))
    if hooks.overridden_hooks(tuner):  # They may change the metrics.
        return
    names = probe.history_names(looked_at.model, data, fit_options.get("callbacks"))
    if names is not None:
        rule.check_names(names)
