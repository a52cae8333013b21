from __future__ import annotations

import csv
import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from support.bad_inputs_data import BAD_COMMANDS, write
from support.manifests import manifest

from tuner_app.commands import console, predict
from tuner_app.data.datasets import load_dataset
from tuner_app.errors import InputError, ProjectError, SearchInterrupted
from tuner_app.prediction.predictor import load_predictor
from tuner_app.process.loading import import_tensorflow_quietly
from tuner_app.storage.files import read_json, sealed, write_json
from tuner_app.storage.manifest import save_predictor
from tuner_app.storage.project import Project

# Keras 3.15 reads its variables in the way of NumPy 1 when it saves a model.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")

MANIFEST = manifest()
FILES = {
    "good.csv": b"a,b,c,d\n1,2,3,4\n-5,6,0.5,8\n",
    "text.csv": b"a,b,c,d\nred,2,3,4\n",
    "columns.csv": b"a,b,c,e\n1,2,3,4\n",
    "ids.csv": b"key,a,b,c,d\nx,1,2,3,4\n",
    "header.csv": b"a,b,c,d\n",
}


def make_model(inputs: int, outputs: int, activation: str = "softmax"):
    import_tensorflow_quietly()
    import keras

    keras.utils.set_random_seed(1)
    layers = [keras.layers.Dense(8, activation="relu"), keras.layers.Dense(outputs, activation=activation)]
    return keras.Sequential([keras.Input((inputs,)), *layers])


@pytest.fixture(name="template", scope="module")
def template_fixture(tmp_path_factory):
    """Good and bad data, one whole project, and others that lack something."""
    folder = tmp_path_factory.mktemp("template")
    for name, content in FILES.items():
        write(folder, name, content)
    logs = folder / "logs"
    save_predictor(Project(logs, "tiny"), make_model(4, 3), MANIFEST)
    for name in ("unfinished", "damaged", "modelless"):
        shutil.copytree(logs / "tiny", logs / name)
    (logs / "unfinished" / "search.json").write_text("{}")
    (logs / "unfinished" / "best_model.json").unlink()
    (logs / "damaged" / "best_model.json").write_text("{}")
    (logs / "modelless" / "best_model.keras").unlink()
    for name in ("damaged", "modelless"):
        os.utime(logs / name / "best_model.json", (1, 1))
    return folder


@pytest.fixture(name="folder")
def folder_fixture(template, tmp_path, monkeypatch):
    """A copy of the template as the working folder."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(name="digits", scope="module")
def digits_fixture(tmp_path_factory):
    """A project on digits whose model has been trained a little."""
    dataset = load_dataset("digits")
    model = make_model(64, 10)
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(dataset.x / np.float32(16), dataset.y, epochs=2, verbose=0)
    project = Project(tmp_path_factory.mktemp("digits"), "digits")
    manifest = dataclasses.replace(
        MANIFEST,
        classes=dataset.classes.tolist(),
        feature_names=list(dataset.feature_names),
        input_shape=[64],
        data={"source": "digits", "target": "label"},
    )
    save_predictor(project, model, manifest)
    return project


def read(path: str | pathlib.Path) -> list[list[str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


class TestAnswers:
    def test_a_table_gives_ids_from_1_and_labels(self, folder, capsys):
        assert predict.main(["--data", "good.csv"]) == 0
        x = np.array([[1, 2, 3, 4], [-5, 6, 0.5, 8]], dtype=np.float32)
        labels = load_predictor(Project("logs", "tiny")).predict(x).tolist()
        assert read("submission.csv") == [["ImageId", "Label"], ["1", labels[0]], ["2", labels[1]]]
        assert capsys.readouterr().out == "Wrote 2 predictions of the project 'tiny' to submission.csv\n"

    def test_order_of_columns_ids_and_known_labels(self, folder, capsys):
        predict.main(["--data", "good.csv"])
        first, second = (row[1] for row in read("submission.csv")[1:])
        wrong = next(label for label in MANIFEST.classes if label != second)
        write(
            folder,
            "mixed.csv",
            f"d,kind,b,ImageId,a,c\n4,{first},2,007,1,3\n8,{wrong},6,x,-5,0.5\n4,,2,,1,3\n".encode(),
        )
        capsys.readouterr()
        predict.main(["--data", "mixed.csv", "--output", "out.csv"])
        assert read("out.csv") == [["ImageId", "Label"], ["007", first], ["x", second], ["", first]]
        assert capsys.readouterr().out.startswith("Accuracy: 0.5000 (1 of 2)\nWrote 3 predictions")

    @pytest.mark.parametrize("labels", [("", ""), ("dog", "fish")])
    def test_labels_that_are_not_known_give_no_accuracy(self, folder, capsys, labels):
        write(folder, "data.csv", f"a,b,c,d,kind\n1,2,3,4,{labels[0]}\n1,2,3,4,{labels[1]}\n".encode())
        predict.main(["--data", "data.csv"])
        assert "ccuracy" not in capsys.readouterr().out

    def test_names_of_the_columns(self, folder):
        write(folder, "data.csv", b"key,a,b,c,d\nx,1,2,3,4\n")
        predict.main(["--data", "data.csv", "--id-column", "key", "--label-column", "kind, guessed"])
        assert read("submission.csv")[0] == ["key", "kind, guessed"]
        assert read("submission.csv")[1][0] == "x"

    def test_probabilities(self, folder):
        predict.main(["--data", "good.csv", "--probabilities"])
        header, *rows = read("submission.csv")
        assert header == ["ImageId", "Label", "Probability_cat", "Probability_01", "Probability_NA"]
        for row in rows:
            numbers = [float(cell) for cell in row[2:]]
            assert sum(numbers) == pytest.approx(1, abs=1e-6)
            assert row[1] == MANIFEST.classes[int(np.argmax(numbers))]

    def test_the_batch_size_does_not_change_a_byte(self, folder):
        for size in ("1", "3", "1024"):
            predict.main(["--data", "good.csv", "--probabilities", "--batch-size", size, "--output", f"{size}.csv"])
        assert len({(folder / f"{size}.csv").read_bytes() for size in ("1", "3", "1024")}) == 1

    def test_an_old_output_is_replaced_through_a_link(self, folder):
        (folder / "real.csv").write_text("old")
        (folder / "link.csv").symlink_to("real.csv")
        predict.main(["--data", "good.csv", "--output", "link.csv"])
        assert (folder / "link.csv").is_symlink()
        assert read("real.csv")[0] == ["ImageId", "Label"]

    def test_the_newest_model_is_taken(self, folder, capsys):
        shutil.copytree("logs/tiny", "logs/older")
        os.utime("logs/older/best_model.json", (2, 2))
        predict.main(["--data", "good.csv"])
        assert "the project 'tiny'" in capsys.readouterr().out
        os.utime("logs/older/best_model.json")
        os.utime("logs/tiny/best_model.json", (2, 2))
        predict.main(["--data", "good.csv"])
        assert "the project 'older'" in capsys.readouterr().out

    def test_a_regression(self, folder, capsys):
        manifest = dataclasses.replace(MANIFEST, classes=None)
        save_predictor(Project("logs", "numbers"), make_model(4, 1, "linear"), manifest)
        predict.main(["--data", "good.csv", "--project-name", "numbers"])
        assert [float(row[1]) for row in read("submission.csv")[1:]]
        options = ["--data", "good.csv", "--project-name", "numbers", "--probabilities"]
        with pytest.raises(InputError, match=r"'numbers' is a regression\. Leave the option out"):
            predict.main(options)

    def test_a_model_of_several_inputs(self, folder):
        path = folder / "logs/tiny/best_model.json"
        changes = {"input_shape": None, "feature_names": None}
        write_json(path, sealed(read_json(path) | changes))
        with pytest.raises(InputError, match=r"'tiny' has several\. Predict in Python"):
            predict.main(["--data", "good.csv"])


class TestDigits:
    def test_no_arguments_but_the_folder_predict_the_test_part(self, digits, tmp_path, capsys, monkeypatch):
        monkeypatch.chdir(tmp_path)
        predict.main(["--directory", str(digits.directory)])
        dataset = load_dataset("digits")
        labels = load_predictor(digits).predict(dataset.x_test)
        right = int((labels == dataset.y_test).sum())
        assert capsys.readouterr().out == (
            f"Test accuracy: {right / 360:.4f} ({right} of 360)\n"
            "Wrote 360 predictions of the project 'digits' to submission.csv\n"
        )
        rows = read("submission.csv")
        assert rows[0] == ["ImageId", "Label"]
        assert rows[1:] == [[str(i), str(label)] for i, label in enumerate(labels.tolist(), 1)]

    def test_the_same_rows_from_a_file(self, digits, tmp_path, capsys):
        dataset = load_dataset("digits")
        names = [*dataset.feature_names[::-1], "label"]
        lines = [",".join(names)]
        lines += [
            ",".join(map(str, [*row[::-1], label]))
            for row, label in zip(dataset.x_test.tolist(), dataset.y_test.tolist(), strict=True)
        ]
        data = write(tmp_path, "digits.csv", "\n".join(lines).encode())
        common = ["--directory", str(digits.directory), "--output"]
        predict.main([*common, str(tmp_path / "built-in.csv")])
        predict.main([*common, str(tmp_path / "file.csv"), "--data", data])
        assert (tmp_path / "built-in.csv").read_bytes() == (tmp_path / "file.csv").read_bytes()
        built_in, _, file, _ = capsys.readouterr().out.splitlines()
        assert file == built_in.removeprefix("Test ").capitalize()


class TestRefusals:
    @pytest.mark.parametrize(("arguments", "message"), BAD_COMMANDS)
    def test_one_line_on_stderr(self, folder, capsys, arguments, message):
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        code = console.run(predict.main, [argument.format(folder=folder) for argument in arguments])
        captured = capsys.readouterr()
        assert (code, captured.out) == (1, "")
        assert captured.err.startswith("error: ")
        assert captured.err.count("\n") == 1
        with pytest.raises(AssertionError, match=message):
            raise AssertionError(captured.err)
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before

    @pytest.mark.parametrize("arguments", [["--batch-size", "many"], ["--unknown"], ["surplus"], ["--data"]])
    def test_argparse_refuses_with_2(self, capsys, arguments):
        with pytest.raises(SystemExit) as caught:
            console.run(predict.main, arguments)
        assert caught.value.code == 2
        assert "error: " in capsys.readouterr().err

    def test_the_process_ends_with_the_code_and_without_a_traceback(self, tmp_path):
        command = [sys.executable, "-m", "tuner_app.predict", "--directory", str(tmp_path)]
        environment = os.environ | {"PYTHONPATH": str(pathlib.Path(predict.__file__).parent.parent)}
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert (
            done.stderr == f"error: There is no tuned model in {tmp_path} yet. Run `python -m tuner_app.tune` first.\n"
        )

    def test_help_loads_nothing_heavy(self):
        code = (
            "import sys, tuner_app.predict\n"
            "try: tuner_app.predict.main(['--help'])\n"
            "except SystemExit: print(sorted({'numpy', 'pandas', 'sklearn', 'tensorflow', 'keras'} & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]"


class TestConsole:
    @pytest.mark.parametrize(
        ("error", "code", "line"),
        [
            (ProjectError("first\n  second\n"), 1, "error: first second\n"),
            (MemoryError("Unable to allocate 9 GiB."), 1, "error: Out of memory. Unable to allocate 9 GiB. Close"),
            (SearchInterrupted("Stopped; 3 folds are kept."), 130, "Stopped; 3 folds are kept.\n"),
            (SearchInterrupted("Stopped.", 15), 143, "Stopped.\n"),
            (KeyboardInterrupt(), 130, "Interrupted.\n"),
        ],
    )
    def test_errors_become_a_line_and_a_code(self, capsys, error, code, line):
        def fail(argv):
            raise error

        assert console.run(fail) == code
        assert capsys.readouterr().err.startswith(line)

    @pytest.mark.parametrize(("answer", "code"), [(None, 0), (0, 0), (3, 3)])
    def test_the_answer_of_main_is_the_code(self, answer, code):
        assert console.run(lambda argv: answer, ["x"]) == code

    def test_a_bug_shows_its_traceback(self):
        def fail(argv):
            raise ZeroDivisionError("a bug")

        with pytest.raises(ZeroDivisionError, match="a bug"):
            console.run(fail)

    def test_a_reader_that_went_away_is_no_error(self):
        code = (
            "import sys; from tuner_app.commands import console\n"
            "def main(argv):\n"
            "    for i in range(100_000): print(i)\n"
            "sys.exit(console.run(main))"
        )
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait(timeout=60) == 141
