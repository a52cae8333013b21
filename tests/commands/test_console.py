"""The library's messages in Python's words, and the same messages in the words of the commands."""

from __future__ import annotations

import argparse
import ast
import io
import logging
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tuner_app
from tuner_app.commands import console, predict, report, tune
from tuner_app.errors import ProjectError, Remedy, SearchError, SearchInterrupted

PACKAGE = Path(tuner_app.__file__).parent
# Those that only a command's user meets; `edges` and `advice` have the options that the report advises to their user.
FOLDERS_OF_COMMANDS = ("commands.", "analysis.")
OF_COMMANDS = ("tune", "predict", "report")
_OPTION = re.compile(r"--[a-z][a-z-]*")
_COMMAND = re.compile(r"python -m tuner_app\.(\w+)")


def texts(module: str) -> Iterator[tuple[int, str]]:
    """The lines and texts of a module's strings, but for docstrings; f-strings with `{}` where a value goes."""
    tree = ast.parse((PACKAGE / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    owners = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    skipped = {id(node.body[0].value) for node in owners if isinstance(node.body[0], ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values}
            yield node.lineno, "".join(getattr(part, "value", "{}") if _is_text(part) else "{}" for part in node.values)
        elif _is_text(node) and id(node) not in skipped:
            yield node.lineno, str(node.value)  # type: ignore[attr-defined]


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


NAMES = (".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py"))
LIBRARY = sorted(name for name in NAMES if not name.startswith(FOLDERS_OF_COMMANDS) and name not in OF_COMMANDS)


def test_the_library_speaks_python() -> None:
    of_a_command = re.compile(rf"{_OPTION.pattern}|{_COMMAND.pattern}|[Rr]un the same command")
    spoken = [(module, line, text) for module in LIBRARY for line, text in texts(module)]
    assert not [place for place in spoken if of_a_command.search(place[-1])]


def test_no_remedy_in_words_of_a_message_stays_python_in_a_command() -> None:
    """What no `Remedy` covers would reach a command's user as an argument or a call of Python."""
    python = re.compile(r"overwrite=True|\bproject_name\b|another cv\b|argument target")
    calls = re.compile(r"[Cc]all search\(\)")
    for module, line, text in [(name, *spoken) for name in LIBRARY for spoken in texts(name)]:
        said = console.in_options(text)
        assert " " not in text or not python.search(said), f"{module}.py:{line}: {said}"
        # Those of a tuner are for who has one in hand.
        assert module.startswith("tuners.") or not calls.search(said), f"{module}.py:{line}: {said}"


def test_every_remedy_is_said_in_options() -> None:
    assert set(console.IN_OPTIONS) == set(Remedy)
    for remedy in Remedy:
        assert console.in_options(f"It failed. {remedy}.") == f"It failed. {console.IN_OPTIONS[remedy]}."


def options_of(command: str) -> str:
    parser = {"tune": tune.parser, "predict": predict.parser, "report": report.parser}[command]()
    return parser.format_help()


@pytest.mark.parametrize(("remedy", "said"), console.IN_OPTIONS.items())
def test_every_option_that_is_named_exists(remedy: Remedy, said: str) -> None:
    assert not _OPTION.search(remedy)
    command = _COMMAND.search(said)
    for option in _OPTION.findall(said):
        assert option in _OPTION.findall(options_of(command[1] if command else "tune"))


@pytest.mark.parametrize("command", ["predict", "report"])
def test_remedies_of_all_commands_name_options_that_all_have(command: str) -> None:
    assert {"--directory", "--project-name"} <= set(_OPTION.findall(options_of(command)))


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            ProjectError(
                "p was made by another search. Start over with overwrite=True, or choose another project_name."
            ),
            "error: p was made by another search. Start over with --overwrite, or choose another --project-name.",
        ),
        (
            SearchInterrupted("Interrupted. Call search() again (without overwrite=True) to continue."),
            "Interrupted. Run the same command again (without --overwrite) to continue.",
        ),
        (
            ProjectError("It is absent. Call search() first."),
            "error: It is absent. Run `python -m tuner_app.tune` first.",
        ),
        (
            ProjectError("It is damaged. Search anew with overwrite=True."),
            "error: It is damaged. Start over with `python -m tuner_app.tune --overwrite`.",
        ),
    ],
)
def test_a_command_says_options(capsys: pytest.CaptureFixture[str], error: BaseException, line: str) -> None:
    def fail(argv: Any) -> None:
        raise error

    assert console.run(fail) in (1, 130)
    assert capsys.readouterr().err == f"{line}\n"


def test_the_traceback_of_a_fit_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(argv: Any) -> None:
        raise SearchError("All 3 fits failed. Use overwrite=True. 3 of them with:\n  f(overwrite=True)\n")

    assert console.run(fail) == 1
    said = "error: All 3 fits failed. Use --overwrite. 3 of them with:\n  f(overwrite=True)\n"
    assert capsys.readouterr().err == said


def test_a_warning_says_what_it_says_without_a_line_of_code(capsys: pytest.CaptureFixture[str]) -> None:
    def warn(argv: Any) -> None:
        text = warnings.formatwarning("3 fits failed; use overwrite=True.\nValueError: no", UserWarning, "tune.py", 7)
        print(text, end="", file=sys.stderr)

    assert console.run(warn) == 0
    assert capsys.readouterr().err == "warning: 3 fits failed; use --overwrite.\nValueError: no\n"
    assert "tune.py:7" in warnings.formatwarning("again", UserWarning, "tune.py", 7)


def test_a_column_of_labels_is_named_with_an_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    assert console.run(tune.main, ["--data", str(tmp_path / "data.csv"), "--directory", str(tmp_path)]) == 1
    assert capsys.readouterr().err.endswith("has the columns 'a', 'b'. Name it with --target.\n")


def test_what_the_library_logs_is_said_in_options_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.WARNING)
    monkeypatch.setattr(logging.getLogger("tuner_app"), "level", logging.WARNING)
    tune._configure_logging(argparse.Namespace(verbose=False))
    logging.getLogger("tuner_app.search.loop").warning("%s has changed; start over with overwrite=True.", "It")
    assert capsys.readouterr().err == "It has changed; start over with --overwrite.\n"
    display = io.StringIO()
    monkeypatch.setattr(sys, "stderr", display)
    logging.getLogger("tuner_app.search.loop").warning("Stopping.")
    assert display.getvalue() == "Stopping.\n"
