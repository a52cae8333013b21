"""The package's layers are known to Keras after `import tuner_app`, in either order, and at no cost before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import keras_tuner
import numpy as np
import pytest

import tuner_app

ROOT = Path(tuner_app.__file__).parent.parent
# Stands for Keras, whose import takes seconds: it can fail once, and keeps what is registered.
FAKE = """
import os, pathlib, sys, types
flag = pathlib.Path(__file__).with_name("fail")
if flag.exists():
    flag.unlink()
    raise ImportError("not today")
registered = []
layers = types.SimpleNamespace(Layer=object)
saving = types.SimpleNamespace(
    register_keras_serializable=lambda package: lambda cls: registered.append(f"{package}>{cls.__name__}") or cls
)
"""


def answer(code: str, *folders: Path) -> str:
    """The last line that a fresh process prints."""
    paths = os.pathsep.join(map(str, [*folders, ROOT]))
    environment = os.environ | {"PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.fixture(name="fake")
def fake_fixture(tmp_path: Path) -> Path:
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras" / "__init__.py").write_text(FAKE)
    return tmp_path


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.slow
@pytest.mark.parametrize("imports", ["import tuner_app; import keras", "import keras; import tuner_app"])
def test_models_of_tables_load_with_keras_alone(tmp_path: Path, imports: str) -> None:
    model = tuner_app.DenseHyperModel((3,), 2, nodes=[2]).build(keras_tuner.HyperParameters())
    assert "Standardization" in [type(layer).__name__ for layer in model.layers]
    model.save(tmp_path / "model.keras")
    code = f"{imports}\nm = keras.models.load_model({str(tmp_path / 'model.keras')!r})\nprint(m(m.inputs[0]).shape)"
    assert answer(code) == "(None, 2)"
    assert np.isfinite(model.predict(np.zeros((1, 3)), verbose=0)).all()


@pytest.mark.parametrize(
    "imports",
    [
        "import tuner_app, keras",
        "import keras, tuner_app",
        "import tuner_app, importlib; importlib.reload(tuner_app); import keras",
        "import tuner_app; from keras import layers; import keras",
    ],
)
def test_the_layers_are_registered_once_and_the_finder_goes(fake: Path, imports: str) -> None:
    code = f"import sys; before = list(sys.meta_path)\n{imports}\nprint(keras.registered, sys.meta_path == before)"
    assert answer(code, fake) == "['tuner_app>Standardization'] True"


def test_nothing_is_left_on_the_loader_of_keras(fake: Path) -> None:
    code = "import tuner_app, keras; print('exec_module' in vars(keras.__spec__.loader), keras.__loader__.name)"
    assert answer(code, fake) == "False keras"


def test_an_import_of_keras_that_fails_may_be_tried_again(fake: Path) -> None:
    (fake / "keras" / "fail").touch()
    code = "import tuner_app\ntry:\n    import keras\nexcept ImportError:\n    import keras\nprint(keras.registered)"
    assert answer(code, fake) == "['tuner_app>Standardization']"


def test_keras_is_not_imported_for_it(fake: Path) -> None:
    assert answer("import sys, tuner_app; print('keras' in sys.modules, 'numpy' in sys.modules)", fake) == "False False"
