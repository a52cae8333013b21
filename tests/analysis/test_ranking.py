"""The ranking agrees with the table, in the objective's own units."""

from __future__ import annotations

import math
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from support.written_searches import (
    ACCURACY,
    LOSS,
    TUTORIAL,
    by_nodes,
    grid_of,
    itertools_all,
    nodes,
    record_of,
    tutorial_score,
)

import tuner_app.analysis
from tuner_app.analysis.comparison import significance_of
from tuner_app.analysis.confusion import confusion_of
from tuner_app.analysis.curves import learning_curves
from tuner_app.analysis.edges import edge_warnings
from tuner_app.analysis.effects import effects_of, heat_map
from tuner_app.analysis.ranking import ranking_of
from tuner_app.records.tables import best_index, cv_results


def test_it_agrees_with_the_table(tmp_path: pathlib.Path) -> None:
    record = record_of(tmp_path, grid_of(TUTORIAL), tutorial_score)
    ranking = ranking_of(record)
    table = cv_results(record.finished, record.rule, n_splits=3)
    best = best_index(table)
    assert ranking.best is not None
    assert ranking.best.values == table["params"][best] == {"nodes": 512, "learning_rate": 0.002}
    assert ranking.best.mean == pytest.approx(0.942)
    assert ranking.best.std == pytest.approx(table["std_test_score"][best])
    assert ranking.best.fold_scores == pytest.approx((0.941, 0.942, 0.943))
    assert [row.rank for row in ranking.rows] == sorted(table["rank_test_score"])
    means = [row.mean for row in ranking.rows]
    assert means == sorted(means, reverse=True)


def test_a_loss_is_positive_and_the_lowest_is_first(tmp_path: pathlib.Path) -> None:
    record = record_of(tmp_path, nodes(32, 64), by_nodes({32: [0.8] * 3, 64: [0.9] * 3}), objectives=LOSS)
    ranking = ranking_of(record)
    assert ranking.measure.label == "loss (lower is better)"
    assert [row.mean for row in ranking.rows] == pytest.approx([0.1, 0.2])
    assert ranking.rows[0].fold_scores == pytest.approx((0.1, 0.1, 0.1))


def test_several_objectives_keep_their_parts(tmp_path: pathlib.Path) -> None:
    record = record_of(tmp_path, nodes(32), by_nodes({32: [0.8] * 3}), objectives=ACCURACY + LOSS)
    ranking = ranking_of(record)
    assert ranking.measure.name == "accuracy - loss"
    assert ranking.rows[0].mean == pytest.approx(0.6)
    assert ranking.rows[0].parts == pytest.approx({"accuracy": 0.8, "loss": 0.2})


def test_objectives_on_training_and_validation_rows_are_told_apart(tmp_path: pathlib.Path) -> None:
    both = (("val_loss", "min"), ("loss", "min"))
    record = record_of(tmp_path, nodes(32), by_nodes({32: [0.8] * 3}), objectives=both)
    ranking = ranking_of(record)
    assert ranking.measure.name == "- val_loss - loss"
    assert ranking.rows[0].parts == pytest.approx({"val_loss": 0.2, "loss": 0.2})
    assert [curve.metric for curve in learning_curves(record, ranking)[0].curves] == ["loss"]


def test_executions_are_averaged(tmp_path: pathlib.Path) -> None:
    record = record_of(tmp_path, nodes(32), by_nodes({32: [0.7, 0.8, 0.9]}), executions=2)
    assert ranking_of(record).rows[0].fold_scores == pytest.approx((0.7, 0.8, 0.9))


def test_ties_failures_and_unfinished_candidates(tmp_path: pathlib.Path) -> None:
    scores = by_nodes(dict.fromkeys((16, 32, 64, 128), [0.5] * 3))
    record = record_of(tmp_path, nodes(16, 32, 64, 128), scores, failed=[(0, 1)], missing=[(3, 2)])
    ranking = ranking_of(record)
    assert [row.trial_id for row in ranking.rows] == ["0001", "0002", "0000"]
    assert [(row.rank, row.tied, row.failures) for row in ranking.rows] == [
        (1, True, 0),
        (1, True, 0),
        (3, False, 1),
    ]
    assert math.isnan(ranking.rows[2].mean)
    assert [row.trial_id for row in ranking.scored] == ["0001", "0002"]


def test_nothing_has_a_score(tmp_path: pathlib.Path) -> None:
    record = record_of(tmp_path, nodes(16, 32), by_nodes({}), failed=itertools_all(2))
    ranking = ranking_of(record)
    assert ranking.best is None
    assert significance_of(ranking) is None
    assert edge_warnings(ranking) == ()
    assert learning_curves(record, ranking) == ()
    assert confusion_of(record, ranking) is None
    assert effects_of(ranking)[0].spreads[0].n_candidates == 0
    assert np.isnan(heat_map(ranking, "nodes", "nodes").mean).all()


def test_no_tensorflow_and_no_drawing_is_imported() -> None:
    heavy = "{'tensorflow', 'keras', 'matplotlib'}"
    modules = ", ".join(path.stem for path in pathlib.Path(tuner_app.analysis.__file__).parent.glob("[a-z]*.py"))
    code = f"import sys; from tuner_app.analysis import {modules}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
