"""Who may import whom, what must not be loaded, and how large and how well commented the parts are."""

from __future__ import annotations

import ast
import collections
import functools
import graphlib
import re
import subprocess
import sys
import time
import tokenize
from pathlib import Path

import pytest

import tuner_app

PACKAGE = Path(tuner_app.__file__).parent
# From the bottom to the top; a folder imports only from lower floors, and floors of equal height do not see each other.
FLOORS = (
    {"errors"},
    {"records", "process"},
    {"folds", "execution"},
    {"data", "models"},
    {"storage", "compiled"},
    {"training", "analysis"},
    {"search", "prediction"},
    {"views"},
    {"tuners"},
    {"commands"},
)
# The doors of the commands, at the very top, and what they open.
DOORS = {"tune", "predict", "report"}
WITHOUT_TENSORFLOW = (
    *("errors", "records", "process", "folds", "execution", "data", "analysis", "views"),
    *("storage", "models.registration", "prediction.predictor", "prediction.rows", "prediction.mistakes", "search"),
    *("commands.console", "commands.tune", "commands.predict", "commands.report"),
)
COMMANDS = ("tune", "predict", "report")


def modules() -> list[str]:
    """Every module with its folder, such as `storage.journal`; a folder's `__init__` is the folder's name."""
    paths = (path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py"))
    names = (".".join(path.parts).removesuffix(".__init__") for path in paths)
    return sorted(name for name in names if name != "__init__")


def path_of(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@functools.cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(path_of(module).read_text(encoding="utf-8"))


@functools.cache
def imports_of(module: str) -> frozenset[str]:
    """The package's modules that a module imports, late imports and imports for types alone included."""
    names: set[str] = set()
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tuner_app":
            base = str(node.module).removeprefix("tuner_app").removeprefix(".")
            names.add(base)
            names.update(f"{base}.{alias.name}".removeprefix(".") for alias in node.names)
        elif isinstance(node, ast.Import):
            names.update(alias.name.removeprefix("tuner_app.") for alias in node.names)
    return frozenset(names & set(modules()) - {module})


def floor_of(module: str) -> int:
    folder = module.split(".")[0]
    return next((number for number, floor in enumerate(FLOORS) if folder in floor), len(FLOORS))


def sees(module: str, other: str) -> bool:
    """Whether a module may import another: of its own folder, or of a lower floor."""
    folders = module.split(".")[0], other.split(".")[0]
    return folders[0] == folders[1] or floor_of(other) < floor_of(module)


def loaded_after(code: str) -> set[str]:
    """The heavy packages that a fresh process has loaded after some code."""
    heavy = "{'tensorflow', 'keras', 'keras_tuner', 'pandas', 'sklearn', 'scipy', 'numpy', 'matplotlib', 'rich'}"
    script = f"{code}\nimport sys; print('loaded:', *({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.rpartition("loaded:")[2].split())


def test_every_folder_has_a_floor() -> None:
    placed = [folder for floor in FLOORS for folder in floor]
    assert sorted([*placed, *DOORS]) == sorted({module.split(".")[0] for module in modules()})


def test_a_module_sees_only_its_own_folder_and_lower_floors() -> None:
    looks_up = {module: {other for other in imports_of(module) if not sees(module, other)} for module in modules()}
    assert not {module: others for module, others in looks_up.items() if others}


def test_imports_never_go_round_in_a_circle() -> None:
    order = graphlib.TopologicalSorter({module: imports_of(module) for module in modules()})
    order.prepare()


def test_everything_below_the_training_loads_without_tensorflow() -> None:
    names = [
        name for name in modules() if any(name == part or name.startswith(f"{part}.") for part in WITHOUT_TENSORFLOW)
    ]
    code = "\n".join(f"import tuner_app.{module}" for module in names)
    assert not loaded_after(code) & {"tensorflow", "keras", "keras_tuner"}


def test_the_records_load_with_numpy_only() -> None:
    code = "\n".join(f"import tuner_app.{module}" for module in modules() if module.startswith("records"))
    assert loaded_after(code) == {"numpy"}


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


def test_every_module_says_what_it_is_for() -> None:
    assert not [module for module in modules() if not ast.get_docstring(tree_of(module))]


MOST_LINES = 400
MOST_LINES_OF_A_CLASS = 200
MOST_LINES_OF_A_BODY = 40


def lines_of(node: ast.AST) -> int:
    return int(node.end_lineno) - int(node.lineno) + 1  # type: ignore[attr-defined]


def body_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function's body, its docstring left out."""
    statements = function.body[1:] if ast.get_docstring(function) else function.body
    return int(statements[-1].end_lineno or 0) - statements[0].lineno + 1 if statements else 0


def large_parts() -> set[str]:
    large = set()
    for module in modules():
        tree = tree_of(module)
        if tree.body[-1].end_lineno > MOST_LINES:  # type: ignore[operator]
            large.add(module)
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and lines_of(node) > MOST_LINES_OF_A_CLASS:
                large.add(f"{module}:{node.name}")
            if isinstance(node, ast.FunctionDef) and body_of(node) > MOST_LINES_OF_A_BODY:
                large.add(f"{module}:{node.name}()")
    return large


def test_no_module_class_or_function_is_too_large() -> None:
    assert large_parts() == set()


# Keras Tuner's own, which a folder of ours reads too.
NOT_OURS = {"_hps"}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@functools.cache
def private_names_of(folder: str) -> frozenset[str]:
    """The private functions, classes, variables and attributes that a folder's modules define."""
    names = set()
    for module in modules():
        for node in ast.walk(tree_of(module)) if module.split(".")[0] == folder else ():
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                names.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                names.add(node.attr)
    return frozenset(filter(is_private, names))


def private_names_read(module: str) -> set[str]:
    """The private names that a module imports, or reads from anything but `self` and `cls`."""
    names = set()
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tuner_app"):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.Attribute) and getattr(node.value, "id", None) not in ("self", "cls"):
            names.add(node.attr)
    return set(filter(is_private, names))


def test_no_folder_reads_the_private_names_of_another() -> None:
    folders = {module.split(".")[0] for module in modules()}
    foreign = {}
    for module in modules():
        own = module.split(".")[0]
        others = frozenset().union(*(private_names_of(folder) for folder in folders - {own}))
        if names := private_names_read(module) & others - private_names_of(own) - NOT_OURS:
            foreign[module] = names
    assert foreign == {}


LEAST_COMMENTS = 0.03
_PRAGMA = re.compile(r"# *(noqa|type: ignore)")


def comments_of(module: str) -> int:
    """The lines that hold a comment, those for ruff and mypy left out."""
    with path_of(module).open("rb") as file:
        tokens = [token for token in tokenize.tokenize(file.readline) if token.type == tokenize.COMMENT]
    return len({token.start[0] for token in tokens if not _PRAGMA.match(token.string)})


def test_comments_say_what_a_reader_cannot_see() -> None:
    lines, comments = collections.Counter[str](), collections.Counter[str]()
    for module in modules():
        folder = module.split(".")[0]
        lines[folder] += path_of(module).read_text(encoding="utf-8").count("\n")
        comments[folder] += comments_of(module)
    for folder in sorted(lines):
        share = comments[folder] / lines[folder]
        print(f"{folder:12} {comments[folder]:4} comments in {lines[folder]:5} lines: {share:.1%}")
    assert comments.total() >= LEAST_COMMENTS * lines.total()
