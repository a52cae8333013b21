"""Arguments, data and command lines that a search must refuse, each with what the message must say.

Tables, manifests, model files and the predict command have theirs in `bad_inputs_data`.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

X = np.zeros((12, 2), dtype=np.float32)
Y = np.arange(12) % 2


def _case(name: str, *values: Any) -> Any:
    return pytest.param(*values, id=name.replace(" ", "-"))


def _with(array: Any, row: int, value: Any) -> Any:
    changed = np.array(array, dtype=np.float64)
    changed[row] = value
    return changed


class _NoFolds:
    def split(self, x: Any, y: Any = None, groups: Any = None) -> list[Any]:
        return []


class _Words:
    def split(self, x: Any, y: Any = None, groups: Any = None) -> list[Any]:
        return [(["a"], ["b"])]


def _splitter(name: str, **options: Any) -> Any:
    import sklearn.model_selection

    return getattr(sklearn.model_selection, name)(**options)


# Arguments of GridSearchCV, what the message says. A callable is called for the value.
BAD_ARGUMENTS = [
    _case("one fold", {"cv": 1}, r"number of folds must be at least 2 .* Received: 1"),
    _case("no folds", {"cv": 0}, r"number of folds must be at least 2"),
    _case("negative folds", {"cv": -3}, r"number of folds must be at least 2"),
    _case("more folds than rows", {"cv": 13}, r"at most the number of rows \(12\)\. Received: 13"),
    _case("half a fold", {"cv": 2.5}, r"cv must be able to split 12 rows\. Received: cv=2\.5"),
    _case("truth as folds", {"cv": True}, r"cv must be able to split 12 rows\. Received: cv=True"),
    _case("word as folds", {"cv": "three"}, r"cv must be able to split 12 rows\. Received: cv='three'"),
    _case("splitter without folds", {"cv": _NoFolds()}, r"cv must give at least one fold"),
    _case("splitter of words", {"cv": _Words()}, r"the folds must be lists of row numbers"),
    _case("empty list of folds", {"cv": []}, r"cv must give at least one fold"),
    _case("row beyond the end", {"cv": [([0, 1], [12])]}, r"row numbers must lie between 0 and 11"),
    _case("negative row", {"cv": [([0, -1], [2])]}, r"row numbers must lie between 0 and 11"),
    _case("shared rows", {"cv": [([0, 1, 2], [2, 3])]}, r"No row may be in both parts of a fold\. Fold 0"),
    _case("nothing to train on", {"cv": [([], [1])]}, r"Each fold must have rows to train on"),
    _case("nothing to validate on", {"cv": [([0, 1], [])]}, r"rows to validate on\. Fold 0"),
    _case("triples", {"cv": [([0], [1], [2])]}, r"cv must be able to split 12 rows"),
    _case("groups missing", {"cv": lambda: _splitter("GroupKFold", n_splits=2)}, r"'groups' parameter should not"),
    _case("too few of a class", {"cv": lambda: _splitter("StratifiedKFold", n_splits=7)}, r"n_splits=7"),
    _case("no jobs", {"n_jobs": 0}, r"n_jobs must be a whole number from 1, or -1 .* Received: 0"),
    _case("minus two jobs", {"n_jobs": -2}, r"n_jobs must be a whole number from 1"),
    _case("half a job", {"n_jobs": 1.5}, r"n_jobs must be a whole number from 1"),
    _case("truth as jobs", {"n_jobs": True}, r"n_jobs must be a whole number from 1"),
    _case("word as error_score", {"error_score": "zero"}, r"error_score must be a number .* Received: 'zero'"),
    _case("truth as error_score", {"error_score": True}, r"error_score must be a number or 'raise'"),
    _case("nothing as error_score", {"error_score": None}, r"error_score must be a number or 'raise'"),
    _case("unknown score_epoch", {"score_epoch": "first"}, r"score_epoch must be 'last' or 'best'\. Received: 'first'"),
    _case("no trials", {"max_trials": 0}, r"max_trials must be a whole number from 1\. Received: 0"),
    _case("negative trials", {"max_trials": -1}, r"max_trials must be a whole number from 1"),
    _case("no executions", {"executions_per_trial": 0}, r"executions_per_trial must be a whole number from 1"),
    _case("nothing as executions", {"executions_per_trial": None}, r"executions_per_trial must be a whole number"),
    _case("negative seed", {"seed": -1}, r"seed must be a whole number from 0\. Received: -1"),
    _case("half a seed", {"seed": 0.5}, r"seed must be a whole number from 0"),
    _case("truth as seed", {"seed": True}, r"seed must be a whole number from 0"),
    _case("name that leads out", {"project_name": "../x"}, r"project name must be letters.* Received: '\.\./x'"),
    _case("absolute name", {"project_name": "/etc"}, r"project name must be"),
    _case("hidden name", {"project_name": ".git"}, r"project name must be"),
    _case("name with a slash", {"project_name": "a/b"}, r"project name must be"),
    _case("name with a backslash", {"project_name": "a\\b"}, r"project name must be"),
    _case("name of 101 letters", {"project_name": "a" * 101}, r"at most 100 characters"),
    _case("name that ends in a dot", {"project_name": "a."}, r"project name must be"),
    _case("number as a name", {"project_name": 3}, r"project name must be"),
    _case("unknown objective", {"objective": "val_precision"}, r"must be one of the metrics .*'val_precision'"),
]

# x, y, further arguments of search, what the message says.
BAD_DATA = [
    _case("no x", None, Y, {}, r"search\(\) needs x and y\. Received: None for x"),
    _case("no y", X, None, {}, r"Received: None for y"),
    _case("no rows", X[:0], Y[:0], {}, r"x must hold arrays .* with at least one row"),
    _case("a number", 3.0, Y, {}, r"x must be an array, or a list or dict of arrays\. Received: float"),
    _case("a scalar array", np.float32(1), Y, {}, r"x must be an array, .* Received: float32"),
    _case("a generator", (row for row in X), Y, {}, r"turn generators and tf\.data into arrays"),
    _case("fewer targets", X, Y[:-1], {}, r"x and y must have the same number of rows\. .*x with 12, y with 11"),
    _case("inputs of two lengths", [X, X[:5]], Y, {}, r"All arrays in x must have the same number of rows"),
    _case("NaN in x", _with(X, 3, np.nan), Y, {}, r"x must hold finite numbers\. .* in row 3"),
    _case("infinity in x", _with(X, 5, np.inf), Y, {}, r"x must hold finite numbers\. .* in row 5"),
    _case("NaN in y", X, _with(Y, 2, np.nan), {}, r"y must hold finite numbers\. .* in row 2"),
    _case("NaN in a weight", X, Y, {"sample_weight": _with(Y, 1, np.nan)}, r"sample_weight must hold finite numbers"),
    _case("fewer weights", X, Y, {"sample_weight": np.ones(3)}, r"sample_weight with 3"),
    _case("fewer groups", X, Y, {"groups": np.ones(3)}, r"groups with 3"),
    _case("validation data", X, Y, {"validation_data": (X, Y)}, r"validation_data must not be given"),
    _case("validation split", X, Y, {"validation_split": 0.2}, r"validation_split must not be given"),
    _case("no epochs", X, Y, {"epochs": 0}, r"epochs must be a whole number from 1\. Received: 0"),
    _case("half an epoch", X, Y, {"epochs": 0.5}, r"epochs must be a whole number from 1"),
    _case("word as epochs", X, Y, {"epochs": "3"}, r"epochs must be a whole number from 1\. Received: '3'"),
    _case("no batch", X, Y, {"batch_size": 0}, r"batch_size must be a whole number from 1"),
    _case("truth as a batch", X, Y, {"batch_size": True}, r"batch_size must be a whole number from 1"),
    _case("unknown verbosity", X, Y, {"verbose": 3}, r"verbosity must be 0, 1 or 2\. Received: 3"),
]

# What is given to the hypermodel of the tutorial, what the message says.
BAD_CHOICES = [
    _case("no nodes", {"nodes": []}, r"nodes must name at least one value"),
    _case("zero nodes", {"nodes": [0]}, r"nodes must be whole positive numbers\. Received: \[0\]"),
    _case("half a node", {"nodes": [1.5]}, r"nodes must be whole positive numbers"),
    _case("truth as nodes", {"nodes": [True]}, r"nodes must be whole positive numbers"),
    _case("nodes twice", {"nodes": [8, 8]}, r"nodes must not name a value twice"),
    _case("no rates", {"learning_rates": []}, r"learning_rates must name at least one value"),
    _case("negative rate", {"learning_rates": [-0.1]}, r"learning_rates must be positive numbers"),
    _case("NaN rate", {"learning_rates": [float("nan")]}, r"learning_rates must be positive numbers"),
    _case("infinite rate", {"learning_rates": [float("inf")]}, r"learning_rates must be positive numbers"),
]

_GOOD = "a,b,label\n" + "".join(f"{i},{i % 3},{'xy'[i % 2]}\n" for i in range(12))


def prepare(folder: pathlib.Path) -> None:
    """The files that the command lines below name, beside `{folder}/logs`."""
    (folder / "good.csv").write_text(_GOOD)
    (folder / "text.csv").write_text("a,b,label\n1,red,x\n2,3,y\n")
    (folder / "small.csv").write_text("a,label\n1,x\n2,y\n")
    (folder / "logs" / "mine").mkdir(parents=True)
    (folder / "logs" / "mine" / "thesis.txt").write_text("not made by a search")
    (folder / "logs" / "file").touch()
    (folder / "folder").mkdir()


# Arguments of `python -m tuner_app.tune`, the exit code, what stderr says. No TensorFlow is needed to refuse them.
BAD_TUNE = [
    _case("one fold", ["--folds", "1"], 1, r"--folds must be a whole number from 2\. Received: 1"),
    _case("negative folds", ["--folds", "-2"], 1, r"--folds must be a whole number from 2"),
    _case("word as folds", ["--folds", "x"], 2, r"argument --folds: invalid int value: 'x'"),
    _case("no epochs", ["--epochs", "0"], 1, r"--epochs must be a whole number from 1"),
    _case("half an epoch", ["--epochs", "0.5"], 2, r"argument --epochs: invalid int value"),
    _case("no batch", ["--batch-size", "0"], 1, r"--batch-size must be a whole number from 1"),
    _case("negative seed", ["--seed", "-1"], 1, r"--seed must be a whole number from 0"),
    _case("no jobs", ["--n-jobs", "0"], 1, r"--n-jobs must be a whole number from 1, or -1"),
    _case("zero nodes", ["--nodes", "8", "0"], 1, r"--nodes must be positive numbers\. Received: 8 0"),
    _case("nodes twice", ["--nodes", "8", "8"], 1, r"--nodes must not name a value twice"),
    _case("no nodes", ["--nodes"], 2, r"argument --nodes: expected at least one argument"),
    _case("half a node", ["--nodes", "1.5"], 2, r"argument --nodes: invalid int value"),
    _case("negative rate", ["--learning-rates", "-0.1"], 1, r"--learning-rates must be positive numbers"),
    _case("NaN rate", ["--learning-rates", "nan"], 1, r"--learning-rates must be positive numbers\. Received: nan"),
    _case("infinite rate", ["--learning-rates", "inf"], 1, r"--learning-rates must be positive numbers"),
    _case("rate twice", ["--learning-rates", "0.1", "0.10"], 1, r"--learning-rates must not name a value twice"),
    _case("unknown score epoch", ["--score-epoch", "first"], 2, r"invalid choice: 'first'"),
    _case("unknown option", ["--optimizer", "adam"], 2, r"unrecognized arguments: --optimizer adam"),
    _case("quiet and verbose", ["-q", "-v"], 2, r"not allowed with argument"),
    _case("unknown data", ["--data", "digit"], 1, r"'digit' is neither"),
    _case("absent file", ["--data", "{folder}/absent.csv"], 1, r"absent\.csv' is neither"),
    _case("folder as data", ["--data", "{folder}/folder"], 1, r"is a folder"),
    _case("text in a column", ["--data", "{folder}/text.csv"], 1, r"column 'b', line 2 of .*text\.csv holds 'red'"),
    _case("unknown target", ["--data", "{folder}/good.csv", "--target", "class"], 1, r"column 'class' .*'b', 'label'"),
    _case(
        "more folds than rows",
        ["--data", "{folder}/small.csv"],
        1,
        r"at least as many rows as folds\. .*2 rows and --folds 3",
    ),
]

# The same, but refused only by the search itself.
BAD_PROJECTS = [
    _case("name that leads out", ["--project-name", "../x"], r"project name must be .*Choose another --project-name"),
    _case("empty folder name", ["--project-name", "."], r"project name must be"),
    _case("file as a project", ["--project-name", "file"], r"folder .*file cannot be made: File exists"),
    _case("file as directory", ["--directory", "{folder}/good.csv"], r"good\.csv.* cannot be made"),
    _case("someone's own folder", ["--project-name", "mine"], r"mine was not made by a search .* not deleted"),
    _case("overwrite someone's own folder", ["--project-name", "mine", "--overwrite"], r"not made by a search"),
]

# The content of search.json, what the readers of a finished search (the report, for one) say.
BAD_SEARCHES: list[Any] = [
    _case("empty", "", r"cannot be read as JSON"),
    _case("truncated", '{"rule": {', r"cannot be read as JSON"),
    _case("not UTF-8", "\udcff", r"cannot be read as JSON"),
    _case("a list", "[]", r"must hold a JSON object, not a list"),
    _case("nested too deep", '{"a":' * 100_000, r"cannot be read as JSON"),
    _case("nothing in it", "{}", r"is damaged \(.*rule"),
    _case("rule as text", '{"rule": "x", "n_splits": 3}', r"is damaged"),
    *(
        _case(
            name,
            f'{{"rule": {{"objectives": {objectives}, "epoch": {epoch}, "error_score": {error_score}}}, '
            f'"n_splits": {n_splits}, "executions_per_trial": {executions}, "search_id": "s"}}',
            r"is damaged",
        )
        for name, (objectives, epoch, error_score, n_splits, executions) in {
            "no objective": ("[]", '"last"', "0", "3", "1"),
            "unknown direction": ('[["loss", "up"]]', '"last"', "0", "3", "1"),
            "unknown epoch": ('[["loss", "min"]]', '"first"', "0", "3", "1"),
            "word as error score": ('[["loss", "min"]]', '"last"', '"zero"', "3", "1"),
            "no folds": ('[["loss", "min"]]', '"last"', "0", "0", "1"),
            "half a fold": ('[["loss", "min"]]', '"last"', "0", "2.5", "1"),
            "truth as executions": ('[["loss", "min"]]', '"last"', "0", "3", "true"),
        }.items()
    ),
]


def called(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments, made now where making them takes an import."""
    return {name: value() if _is_recipe(value) else value for name, value in arguments.items()}


def _is_recipe(value: Callable[..., Any] | Any) -> bool:
    return callable(value) and not isinstance(value, type)
