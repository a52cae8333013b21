"""Callbacks that write files: a place for each fold, and nothing of another fold or run in it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
import pytest
from support.small_models import lines, small

from tuner_app.compiled.callback_paths import OwnPaths

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

Make = Callable[..., Any]
Data = tuple[Any, Any]
CALLBACKS = keras.callbacks


def build(hp: Any) -> keras.Model:
    return small(hp.Choice("units", [2, 3]))


def losses(path: Path) -> list[float]:
    with path.open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def places(folder: Path, name: str) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(name))


FOLDS = [f"{trial}/fold_{fold}" for trial in ("0000", "0001") for fold in (0, 1)]


def histories(tuner: Any) -> dict[str, list[float]]:
    """Each fold's losses by its place."""
    return {
        f"{record.trial_id}/fold_{record.fold}": record.history["loss"]
        for candidate in tuner.candidates()
        for record in candidate.folds
    }


@pytest.mark.parametrize("compile_epochs", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_each_fold_and_the_refit_write_to_a_place_of_their_own(
    make_tuner: Make, data: Data, tmp_path: Path, compile_epochs: bool
) -> None:
    out = tmp_path / "out"
    given = [
        CALLBACKS.CSVLogger(str(out / "log.csv")),
        CALLBACKS.ModelCheckpoint(out / "last.weights.h5", "loss", save_weights_only=True),
        CALLBACKS.ModelCheckpoint(str(out / "models" / "{epoch}.keras"), "loss"),
        CALLBACKS.TensorBoard(str(out / "board")),
        CALLBACKS.BackupAndRestore(str(out / "backup"), delete_checkpoint=False),
    ]
    tuner = make_tuner(build, cv=2, n_jobs=2, fold_fitter=None, compile_epochs=compile_epochs)
    tuner.search(*data, epochs=2, batch_size=8, callbacks=given)
    refit = f"{tuner.oracle.get_best_trials()[0].trial_id}/refit"
    assert {f"{place}/log.csv" for place in [*FOLDS, refit]} <= set(places(out, "log.csv"))
    for place, history in histories(tuner).items():
        assert losses(out / place / "log.csv") == pytest.approx(history, rel=1e-6)
        assert sorted(path.name for path in (out / "models" / place).iterdir()) == ["1.keras", "2.keras"]
        assert sorted(path.name for path in (out / "board" / place).iterdir()) == ["train", "validation"]
        assert (out / "backup" / place / "latest.weights.h5").exists()
        whole = keras.models.load_model(out / "models" / place / "2.keras")
        weights = small(whole.layers[0].units)
        weights.load_weights(out / place / "last.weights.h5")
        np.testing.assert_array_equal(whole.get_weights()[0], weights.get_weights()[0])
    np.testing.assert_array_equal(
        keras.models.load_model(out / "models" / refit / "2.keras").get_weights()[0], tuner.best_model_.get_weights()[0]
    )
    assert given[0].filename == str(out / "log.csv")
    assert given[1].filepath == str(out / "last.weights.h5")
    assert not any((out / name).exists() for name in ("log.csv", "last.weights.h5"))


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_backup_is_no_other_folds_and_no_earlier_runs(
    make_tuner: Make, data: Data, tmp_path: Path, n_jobs: int
) -> None:
    found = []
    for _ in range(2):
        backup = CALLBACKS.BackupAndRestore(str(tmp_path / "backup"), delete_checkpoint=False)
        tuner = make_tuner(build, cv=2, n_jobs=n_jobs, fold_fitter=None, refit=False, overwrite=True)
        tuner.search(*data, epochs=3, batch_size=8, callbacks=[backup])
        found.append(histories(tuner))
    assert [len(history) for history in found[0].values()] == [3] * 4
    assert found[0] == found[1]
    without = make_tuner(build, cv=2, fold_fitter=None, refit=False, project_name="without")
    without.search(*data, epochs=3, batch_size=8)
    assert histories(without) == found[0]


class Fitting(keras_tuner.HyperModel):
    """Makes its callbacks itself, and goes back to the best weights by the path that it has given."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        found: list[Any] = []
        self.note, self.noted = found.append, lambda: found

    def build(self, hp: Any) -> keras.Model:
        return build(hp)

    def fit(self, hp: Any, model: keras.Model, x: Any, y: Any, **kwargs: Any) -> Any:
        path = str(self.folder / "best.weights.h5")
        first = CALLBACKS.ModelCheckpoint(path, "loss", save_weights_only=True, save_best_only=True, mode="max")
        log = CALLBACKS.CSVLogger(str(self.folder / "log.csv"))
        kwargs["callbacks"] = [*kwargs["callbacks"], first, log]
        kwargs.setdefault("epochs", 3)
        kwargs.setdefault("batch_size", 8)
        history = model.fit(x, y, **kwargs)
        after_all = model.get_weights()[0]
        model.load_weights(path)  # of the highest loss: the first epoch's
        self.note((first.filepath, after_all, model.get_weights()[0], model))
        return history


def test_callbacks_made_in_fit_write_to_places_of_their_own(
    make_tuner: Make, data: Data, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "out"
    hypermodel = Fitting(out)
    tuner = make_tuner(hypermodel, cv=2, n_jobs=2, fold_fitter=None, refit=False)
    tuner.search(*data)
    assert places(out, "log.csv") == [f"{place}/log.csv" for place in FOLDS]
    for place, history in histories(tuner).items():
        assert losses(out / place / "log.csv") == pytest.approx(history, rel=1e-6)
    assert sorted(noted[0] for noted in hypermodel.noted()) == [str(out / f"{p}/best.weights.h5") for p in FOLDS]
    for path, last, loaded, model in hypermodel.noted():
        assert not np.array_equal(last, loaded)
        kept = small(model.layers[0].units)
        kept.load_weights(path)
        np.testing.assert_array_equal(kept.get_weights()[0], loaded)
        assert "load_weights" not in vars(model)
    said = lines(caplog)
    assert [line.split(" made in HyperModel.fit")[0] for line in said] == ["ModelCheckpoint", "CSVLogger"]
    assert "read it from the callback's filepath" in said[0]


def test_a_second_fit_with_the_same_callbacks_stays_where_the_first_was(
    make_tuner: Make, data: Data, tmp_path: Path
) -> None:
    class Twice(keras_tuner.HyperModel):
        def build(self, hp: Any) -> keras.Model:
            return small()

        def fit(self, hp: Any, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
            log = CALLBACKS.CSVLogger(str(tmp_path / "log.csv"), append=True)
            kwargs["callbacks"] = [*kwargs["callbacks"], log]
            model.fit(*args, epochs=2, **kwargs)
            return model.fit(*args, epochs=1, **kwargs)

    given = CALLBACKS.CSVLogger(str(tmp_path / "given.csv"), append=True)
    make_tuner(Twice(), cv=2, fold_fitter=None, refit=False).search(*data, callbacks=[given])
    for name in ("log.csv", "given.csv"):
        assert places(tmp_path, name) == [f"0000/fold_{fold}/{name}" for fold in (0, 1)]
        assert [len(losses(tmp_path / "0000" / f"fold_{fold}" / name)) for fold in (0, 1)] == [3, 3]


@pytest.mark.parametrize("given", ["backup", "backup/"])
def test_a_slash_at_the_end_of_a_folder_says_nothing(tmp_path: Path, given: str) -> None:
    backup = CALLBACKS.BackupAndRestore(f"{tmp_path}/{given}")
    OwnPaths(lambda folder: str(Path(folder) / "0" / "fold_1")).move([backup])
    assert backup._weights_path == f"{tmp_path}/backup/0/fold_1/latest.weights.h5"
    assert backup._prev_training_metadata_path == f"{tmp_path}/backup/0/fold_1/training_metadata.json.bkp"


def test_a_board_that_has_its_model_already_moves_as_a_whole(tmp_path: Path) -> None:
    board = CALLBACKS.TensorBoard(str(tmp_path / "board"), write_graph=False)
    board.set_model(small())
    OwnPaths(lambda folder: str(Path(folder) / "0" / "fold_1")).move([board], made_in_fit=True)
    kept = [value for value in vars(board).values() if isinstance(value, str) and str(tmp_path) in value]
    assert len(kept) >= 3
    assert all(value.startswith(str(tmp_path / "board" / "0" / "fold_1")) for value in kept)


def test_another_attempt_does_not_go_on_from_a_backup(make_tuner: Make, data: Data, tmp_path: Path) -> None:
    failed: list[int] = []

    class FailsOnce(CALLBACKS.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1 and not failed:
                failed.append(epoch)
                raise ValueError("once")

    backup = CALLBACKS.BackupAndRestore(str(tmp_path / "backup"))
    tuner = make_tuner(lambda hp: small(), cv=2, n_jobs=1, fold_fitter=None, refit=False, max_retries_per_trial=1)
    tuner.search(*data, epochs=3, batch_size=8, callbacks=[backup, FailsOnce()])
    assert failed == [1]
    assert [len(history) for history in histories(tuner).values()] == [3, 3]


def test_paths_of_their_own(tmp_path: Path) -> None:
    paths = OwnPaths(lambda folder: str(Path(folder) / "0007" / "fold_1"))

    class Mine(CALLBACKS.ModelCheckpoint):
        pass

    checkpoint = Mine(tmp_path / "{epoch}.weights.h5", save_weights_only=True)
    relative = CALLBACKS.CSVLogger("log.csv")
    backup = CALLBACKS.BackupAndRestore(str(tmp_path / "backup"), double_checkpoint=True)
    stopping = CALLBACKS.EarlyStopping()
    paths.move([checkpoint, backup, stopping])
    own = tmp_path / "0007" / "fold_1"
    assert checkpoint.filepath == str(own / "{epoch}.weights.h5")
    kept = [value for value in vars(backup).values() if isinstance(value, str) and str(tmp_path) in value]
    assert len(kept) == 5
    assert all(value.startswith(str(tmp_path / "backup" / "0007" / "fold_1")) for value in kept)
    paths.move([checkpoint, backup])
    assert checkpoint.filepath == str(own / "{epoch}.weights.h5")
    assert paths.of(tmp_path / "3.weights.h5") == tmp_path / "3.weights.h5"
    (own / "3.weights.h5").write_text("")
    assert paths.of(tmp_path / "3.weights.h5") == str(own / "3.weights.h5")
    assert paths.of("elsewhere.h5") == "elsewhere.h5"
    OwnPaths().move([relative])
    assert relative.filename == "log.csv"
