"""Who may import whom, and what must not be loaded."""

from __future__ import annotations

import ast
import functools
import graphlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tuner_app

PACKAGE = Path(tuner_app.__file__).parent
# From the bottom to the top; a module imports only from layers below its own, or from its own.
LAYERS = (
    {
        "layers",
        "registration",
        "callback_paths",
        "global_random",
        "errors",
        "versions",
        "interrupts",
        "runtime",
        "devices",
    },
    {"console", "copies", "fit_checks", "recompile", "project", "data", "hypermodels", "metric_values"},
    {"results", "folds", "description", "targets", "features", "fold_extras", "hyperparameters"},
    {
        "journal",
        "kept_folds",
        "schedule",
        "executors",
        "observers",
        "programs",
        "inputs",
        "refit_plan",
        "fingerprint",
        "grid",
    },
    {"results_file", "oracle", "compiled_fit", "predictor", "figures", "stages", "refit_callbacks", "model_file"},
    {"training", "progress", "pictures", "trials", "advice"},
    {"tensorboard_logs", "refit", "probe", "rebuilding", "fitted"},
    {"search"},
    {"tuner", "report"},
    {"tune", "predict"},
)
WITHOUT_TENSORFLOW = [
    *("errors", "project", "results", "journal", "observers", "folds", "schedule", "executors", "data", "results_file"),
    "metric_values",
    "advice",
    *(
        "description",
        "registration",
        "fold_extras",
        "kept_folds",
        "refit_plan",
        "figures",
        "features",
        "inputs",
        "progress",
        "interrupts",
        "versions",
        "predict",
        "tune",
        "report",
        "pictures",
        "targets",
        "fitted",
    ),
]
COMMANDS = ("tune", "predict", "report")


def modules() -> list[str]:
    return sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")


@functools.cache
def imports_of(module: str) -> frozenset[str]:
    """The package's modules that a module imports, late imports included, imports for types alone left out."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return
        if isinstance(node, ast.ImportFrom) and node.module == "tuner_app":
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tuner_app."):
            found.add(str(node.module).split(".")[1])
        elif isinstance(node, ast.Import):
            found.update(alias.name.split(".")[1] for alias in node.names if alias.name.startswith("tuner_app."))
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8")))
    return frozenset(found & set(modules()))


def layer_of(module: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if module in layer)


def loaded_after(code: str) -> set[str]:
    """The heavy packages that a fresh process has loaded after some code."""
    heavy = "{'tensorflow', 'keras', 'keras_tuner', 'pandas', 'sklearn', 'scipy', 'numpy', 'matplotlib', 'rich'}"
    script = f"{code}\nimport sys; print('loaded:', *({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.rpartition("loaded:")[2].split())


def test_every_module_has_a_layer() -> None:
    placed = [module for layer in LAYERS for module in layer]
    assert sorted(placed) == modules()


@pytest.mark.parametrize("module", modules())
def test_lower_layers_never_import_upper_ones(module: str) -> None:
    above = {other for other in imports_of(module) if layer_of(other) > layer_of(module)}
    assert not above


def test_imports_never_go_round_in_a_circle() -> None:
    order = graphlib.TopologicalSorter({module: imports_of(module) for module in modules()})
    order.prepare()


def test_everything_below_the_training_loads_without_tensorflow() -> None:
    code = "\n".join(f"import tuner_app.{module}" for module in WITHOUT_TENSORFLOW)
    assert not loaded_after(code) & {"tensorflow", "keras", "keras_tuner"}


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_after("import tuner_app; dir(tuner_app)") == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_answers_at_once_and_loads_nothing_heavy(command: str) -> None:
    code = (
        f"import runpy, sys, contextlib\nsys.argv = ['{command}', '--help']\n"
        f"with contextlib.suppress(SystemExit):\n    runpy.run_module('tuner_app.{command}', run_name='__main__')"
    )
    began = time.monotonic()
    assert loaded_after(code) == set()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_the_command(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"tuner_app.{command}", "--help"], capture_output=True, text=True, check=True, timeout=60
    )
    assert f"python -m tuner_app.{command}" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("module", modules())
def test_every_module_says_what_it_is_for(module: str) -> None:
    tree = ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
