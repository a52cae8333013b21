"""How TensorFlow is loaded: quietly, and not at all where Keras runs on something else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tuner_app
from tuner_app.errors import InputError
from tuner_app.process import loading

ROOT = Path(tuner_app.__file__).parent.parent
LINE = "Keras must run on TensorFlow. Received: the backend 'jax', from {}. Set KERAS_BACKEND to tensorflow and start "


def run(arguments: list[str], **changes: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | changes
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, timeout=60)


def test_a_command_with_another_backend_says_so_in_one_line(tmp_path: Path) -> None:
    done = run(["-m", "tuner_app.tune", "--directory", str(tmp_path)], KERAS_BACKEND="jax")
    assert done.returncode == 1
    assert done.stderr.startswith("error: " + LINE.format("the environment variable KERAS_BACKEND"))
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_import_with_another_backend_says_so_before_keras_is_imported() -> None:
    code = "import sys\ntry:\n    from tuner_app import GridSearchCV\n"
    code += "except ValueError as error:\n    print(error, 'keras' in sys.modules)"
    done = run(["-c", code], KERAS_BACKEND="jax")
    assert done.stdout.startswith(LINE.format("the environment variable KERAS_BACKEND"))
    assert done.stdout.endswith(" False\n")


def test_the_file_of_keras_counts_where_the_variable_is_not_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    file = tmp_path / "keras.json"
    for content in ('{"backend": "tensorflow"}', "{}", "[]", "{damaged"):
        file.write_text(content)
        loading._check_backend()
    file.write_text('{"backend": "jax"}')
    with pytest.raises(InputError, match=r"from .*keras\.json"):
        loading._check_backend()


def test_keras_as_it_is_imported_counts_most(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert keras.backend.backend() == "tensorflow"
    loading._check_backend()


class TestQuiet:
    @pytest.mark.slow
    def test_tensorflow_says_nothing_from_import_to_compiled_program(self) -> None:
        code = """
import sys
from tuner_app.process.loading import import_tensorflow_quietly
tf = import_tensorflow_quietly()
print(tf.function(lambda x: x + x, jit_compile=True)(tf.ones(())).numpy())
print("a line of our own", file=sys.stderr)
"""
        environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
        assert (done.stdout, done.stderr) == ("2.0\n", "a line of our own\n")
