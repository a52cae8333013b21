"""Tables, manifests, models and command lines that must be refused, each with what the message must say."""

from __future__ import annotations

import gzip
import io
import json
import pathlib
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest


def _zip(members: Mapping[str, str]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return file.getvalue()


def _case(name: str, *values: Any) -> Any:
    return pytest.param(*values, id=name.replace(" ", "-"))


_GOOD = "a,b,label\n1,2,x\n3,4,y\n"

# File name, content, what the message says. The columns of the features are a and b, the target is label.
BAD_TABLES = [
    _case("empty file", "data.csv", b"", r"must begin with a line of column names, but .*data\.csv is empty"),
    _case("blank lines only", "data.csv", b"\n\n  \n", r"data\.csv is empty"),
    _case("header only", "data.csv", b"a,b,label\n", r"must have rows below its column names, but .* has none"),
    _case("header and blank lines", "data.csv", b"a,b,label\n\n\n", r"must have rows below its column names"),
    _case(
        "no target",
        "data.csv",
        b"a,b,class\n1,2,x\n",
        r"column 'label' .* has the columns 'a', 'b', 'class'\. .*the argument target",
    ),
    _case(
        "no target among many", "data.csv", ",".join(f"c{i}" for i in range(99)).encode(), r"'c7', \.\.\. \(99 in all\)"
    ),
    _case("no header", "data.csv", b"5,0,0\n3,1,1\n", r"first line must hold the names of the columns, and holds only"),
    _case(
        "duplicate columns",
        "data.csv",
        b"a,a,label\n1,2,x\n3,4,y\n",
        r"names must differ, but .* has 'a' more than once",
    ),
    _case("duplicate targets", "data.csv", b"a,label,label\n1,x,x\n3,y,y\n", r"has 'label' more than once"),
    _case("only the target", "data.csv", b"label\nx\ny\n", r"has only the target column 'label'"),
    _case("column without a name", "data.csv", b",a,b,label\n0,1,2,x\n", r"column 1 of .* has none\. .*index=False"),
    _case("semicolons", "data.csv", b"a;b;label\n1;2;x\n", r"separated by commas, but .* begins with 'a;b;label'"),
    _case("tabs", "data.csv", b"a\tb\tlabel\n1\t2\tx\n", r"separated by commas"),
    _case("text as a feature", "data.csv", b"a,b,label\n1,2,x\n3,red,y\n", r"column 'b', line 3 of .* holds 'red'"),
    _case("text in the first row", "data.csv", b"a,b,label\nred,2,x\n3,4,y\n", r"column 'a', line 2 of .* holds 'red'"),
    _case(
        "text far below",
        "data.csv",
        b"a,b,label\n" + b"1,2,x\n" * 50_000 + b"1,?,y\n",
        r"column 'b', line 50002 .*'\?'",
    ),
    _case("line after blank lines", "data.csv", b"\na,b,label\n\n1,2,x\n\n3,red,y\n", r"column 'b', line 6 of"),
    _case("line after a long label", "data.csv", b'a,b,label\n1,2,"x\n\ny"\n3,red,y\n', r"column 'b', line 5 of"),
    _case("empty feature", "data.csv", b"a,b,label\n1,,x\n3,4,y\n", r"column 'b', line 2 of .* is empty"),
    _case("NA feature", "data.csv", b"a,b,label\n1,2,x\nNA,4,y\n", r"column 'a', line 3 of .* holds 'NA'"),
    _case("nan feature", "data.csv", b"a,b,label\n1,2,x\nnan,4,y\n", r"column 'a', line 3 of .* holds 'nan'"),
    _case("infinite feature", "data.csv", b"a,b,label\n1,inf,x\n3,4,y\n", r"column 'b', line 2 of .* holds 'inf'"),
    _case(
        "beyond float64",
        "data.csv",
        b"a,b,label\n1,1e400,x\n3,4,y\n",
        r"finite .*column 'b', line 2 of .* holds '1e400'",
    ),
    _case(
        "beyond float32",
        "data.csv",
        b"a,b,label\n1,-1e39,x\n3,4,y\n",
        r"finite .*column 'b', line 2 of .* holds '-1e39'",
    ),
    _case("hexadecimal feature", "data.csv", b"a,b,label\n1,0x10,x\n3,4,y\n", r"column 'b', line 2 of .* holds '0x10'"),
    _case("underscored feature", "data.csv", b"a,b,label\n1,1_0,x\n3,4,y\n", r"holds '1_0'"),
    _case("truth and numbers", "data.csv", b"a,b,label\n1,True,x\n3,2,y\n", r"column 'b', line 3 of .* holds '2'"),
    _case("numbers and truth", "data.csv", b"a,b,label\n1,2,x\n3,True,y\n", r"column 'b', line 3 of .* holds 'True'"),
    _case(
        "too large a whole number",
        "data.csv",
        b"a,b,label\n1,2,x\n9007199254740993,4,y\n",
        r"2\*\*53 .*'a', line 3 .*740993",
    ),
    _case("long row", "data.csv", b"a,b,label\n1,2,x\n3,4,y,5\n", r"must have 3 cells, .* line 3 of .* has 4"),
    _case("long first row", "data.csv", b"a,b,label\n1,2,x,5\n3,4,y\n", r"line 2 of .* has 4"),
    _case("all rows long", "data.csv", b"a,b,label\n1,2,x,\n3,4,y,\n", r"line 2 of .* has 4"),
    _case("short row", "data.csv", b"a,b,label\n1,2,x\n3,4\n", r"line 3 of .* has 2"),
    _case(
        "unclosed quote", "data.csv", b'a,b,label\n1,2,"x\n3,4,y\n5,6,z\n', r"breaks off: .*begins in line 2.* quote"
    ),
    _case("empty quotes only", "data.csv", b'a,label\n""\n', r"data\.csv cannot be read: "),
    _case("unclosed quote far below", "data.csv", b'a,label\n1,x\n2,y\n3,"z\n4,x\n', r"begins in line 4"),
    _case("lone quotes below", "data.csv", b'a,label\n1,x\n2,y\n3,"z\n4,"x"\n5,y\n', r"begins in line 4"),
    _case("quote closed too late", "data.csv", b'a,b,label\n1,2,"x\n3,4,"y"\n5,6,z\n', r"begins in line 2"),
    _case("unclosed quote in the header", "data.csv", b'a,"b,label\n1,2,x\n', r"breaks off: .*begins in line 1"),
    _case("binary file", "data.csv", b"\x89PNG\r\n\x1a\n\x00\x00\xff", r"in UTF-8, but .* is not"),
    _case("NUL bytes", "data.csv", b"\x00\x01\x02,\x00\n\x00", r"is a binary file"),
    _case("NUL in a feature", "data.csv", b"a,b,label\n1,2\x00,x\n3,4,y\n", r"column 'b', line 2 of .* holds '2\\x00'"),
    _case("Latin-1", "data.csv", "a,b,label\n1,2,caf\xe9\n3,4,y\n".encode("latin-1"), r"in UTF-8, but .* is not"),
    _case("UTF-16", "data.csv", _GOOD.encode("utf-16"), r"in UTF-8, but .* is not"),
    _case("not gzip", "data.csv.gz", _GOOD.encode(), r"data\.csv\.gz cannot be read: "),
    _case("truncated gzip", "data.csv.gz", gzip.compress(_GOOD.encode())[:-12], r"data\.csv\.gz cannot be read: "),
    _case("not zip", "data.zip", _GOOD.encode(), r"data\.zip cannot be read: "),
    _case(
        "two files in a zip",
        "data.zip",
        _zip({"a.csv": _GOOD, "b.csv": _GOOD}),
        r"one CSV file, but .* 'a\.csv', 'b\.csv'",
    ),
    _case("empty zip", "data.zip", _zip({}), r"one CSV file, but .* holds none"),
    _case("one class", "data.csv", b"a,b,label\n1,2,x\n3,4,x\n", r"two classes or more, but .* holds only 'x'"),
    _case("one row", "data.csv", b"a,b,label\n1,2,x\n", r"two classes or more"),
    _case(
        "missing label",
        "data.csv",
        b"a,b,label\n1,2,x\n\n3,4,\n",
        r"must have a label, .*'label' is empty in line 4 of",
    ),
    _case("blank label", "data.csv", b"a,b,label\n1,2,  \n3,4,y\n", r"'label' is empty in line 2 of"),
    _case(
        "measurements as labels",
        "data.csv",
        b"a,b,label\n1,2,1.5\n3,4,2\n",
        r"must be classes .* such as 1\.5\. .*the argument target",
    ),
]

# Content, what the message says. The model's columns are a and b; id and label may be there too.
BAD_FEATURES = [
    _case("missing column", b"a\n1\n", r"2 columns that the model was trained on, but .* lacks 1 \('b'\)"),
    _case("extra column", b"a,b,c\n1,2,3\n", r"has 1 more \('c'\)"),
    _case("renamed column", b"a,B\n1,2\n", r"lacks 1 \('b'\) and has 1 more \('B'\)"),
    _case("no header", b"1,2\n3,4\n", r"first line must hold the names of the columns"),
    _case("duplicate column", b"a,b,b\n1,2,2\n", r"has 'b' more than once"),
    _case("duplicate id", b"id,id,a,b\n1,1,1,2\n", r"has 'id' more than once"),
    _case("text", b"id,b,a\nx,2,red\n", r"column 'a', line 2 of .* holds 'red'"),
    _case("gap", b"a,b\n1,2\n3,\n", r"column 'b', line 3 of .* is empty"),
    _case("empty file", b"", r"is empty"),
    _case("header only", b"b,a\n", r"must have rows below its column names"),
    _case("short row", b"a,b\n1,2\n3\n", r"line 3 of .* has 1"),
    _case("ids only", b"id,label\n1,2\n", r"lacks 2 \('a', 'b'\)"),
]


def _without(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda manifest: {key: value for key, value in manifest.items() if key != name}


def _with(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda manifest: {**manifest, **changes}


# How the manifest is changed (text stands for the whole file), what the message says.
BAD_MANIFESTS = [
    _case("no classes", _without("classes"), r"must have the field 'classes', but lacks it"),
    _case("no checksum", _without("model_sha256"), r"must have the field 'model_sha256'"),
    _case("text as a score", _with(score="0.9"), r"'score' must be a number, but is '0\.9'"),
    _case("truth as a score", _with(score=True), r"'score' must be a number, but is True"),
    _case("classes as text", _with(classes="abc"), r"'classes' must be null or a list"),
    _case("mixed classes", _with(classes=[0, "1", 2]), r"'classes' must be null or a list"),
    _case("classes twice", _with(classes=[0, 1, 1]), r"'classes' must be null or a list of different"),
    _case("nested classes", _with(classes=[[0], [1], [2]]), r"'classes' must be null or a list"),
    _case("empty shape", _with(input_shape=[]), r"must name each of the 1 features, but it names 4"),
    _case("negative shape", _with(input_shape=[-4]), r"'input_shape' must be null or a list of positive whole numbers"),
    _case("too few names", _with(feature_names=["a"]), r"must name each of the 4 features, but it names 1"),
    _case("numbers as names", _with(feature_names=[1, 2, 3, 4]), r"'feature_names' must be null or a list of texts"),
    _case("data as text", _with(data="digits"), r"'data' must be an object"),
    _case("source as a number", _with(data={"source": 3}), r"'data' must be an object whose source and target"),
    _case("no folds", _with(n_splits=0), r"'n_splits' must be a positive whole number"),
    _case("decoding of no kind", _with(decoding={"kind": "cat"}), r"'decoding' must be null or an object"),
    _case("columns of no names", _with(columns={"a": 3}), r"'columns' must be null, or lists of texts"),
    _case("decoding as text", _with(decoding="logits"), r"'decoding' must be null or an object"),
    _case("not JSON", "{", r"cannot be read as JSON"),
    _case("a list", "[]", r"must hold a JSON object, not a list"),
    _case("empty", "", r"cannot be read as JSON"),
    _case("not a number", json.dumps({"score": float("nan")}), r"best_model\.json"),
]

# How the manifest is changed, so that it is whole but of another model, what the message says.
MANIFESTS_OF_ANOTHER_MODEL = [
    _case(
        "too few classes",
        _with(classes=[0, 1]),
        r"a class for each of the model's outputs, \(None, 3\), but it names 2",
    ),
    _case("too many classes", _with(classes=[0, 1, 2, 3]), r"outputs, \(None, 3\), but it names 4"),
    _case(
        "other shape",
        _with(input_shape=[5], feature_names=None),
        r"input shape of its model, \[4\], but it gives \[5\]",
    ),
    _case("other checksum", _with(model_sha256="0" * 64), r"has another checksum: it was changed or damaged"),
]

# The model file's new content, with the manifest's checksum put right: a foreign file, not a damaged one.
FOREIGN_MODELS = [
    _case("not a zip", b"this is no model", r"must be a Keras model .* cannot be loaded"),
    _case("empty", b"", r"cannot be loaded"),
    _case("another zip", _zip({"readme.txt": "no model"}), r"cannot be loaded"),
    _case(
        "broken config", _zip({"config.json": "{", "metadata.json": "{}", "model.weights.h5": ""}), r"cannot be loaded"
    ),
]

# What is given to predict_proba of a model of 4 inputs, what the message says.
BAD_ROWS = [
    _case("too few columns", np.zeros((2, 3)), r"shape \(n_samples, 4\)\. Received: \(2, 3\)"),
    _case("one row alone", np.zeros(4), r"shape \(n_samples, 4\)\. Received: \(4,\)\. A single row is x\[None\]"),
    _case("a number", np.float64(3), r"Received: \(\)"),
    _case("one dimension more", np.zeros((2, 4, 1)), r"Received: \(2, 4, 1\)"),
    _case("text", np.array([["1", "2", "3", "4"]]), r"must hold numbers\. Received: an array of <U1"),
    _case("objects", np.array([[1, 2, None, 4]]), r"must be finite, but row 0 holds NaN"),
    _case("NaN", np.array([[0, 0, 0, 0], [0, np.nan, 0, 0]]), r"row 1 holds NaN or infinity"),
    _case("infinity", np.array([[0, -np.inf, 0, 0]]), r"row 0 holds NaN or infinity"),
]


def write(folder: pathlib.Path, name: str, content: bytes) -> str:
    """Put a file in a folder and answer with its path."""
    path = folder / name
    path.write_bytes(content)
    return str(path)


# The arguments ({folder} holds the projects in logs, good.csv, and the files named), what the message says.
BAD_COMMANDS = [
    _case(
        "no projects",
        ["--directory", "{folder}/nothing"],
        r"no tuned model in .*nothing yet\. Run `python -m tuner_app\.tune`",
    ),
    _case("directory is a file", ["--directory", "{folder}/good.csv"], r"no tuned model in"),
    _case(
        "unknown project",
        ["--project-name", "other"],
        r"'other' has no tuned model .*that have one: tiny.*--project-name other",
    ),
    _case("unfinished project", ["--project-name", "unfinished"], r"'unfinished' has no tuned model"),
    _case("project name that leads out", ["--project-name", "../x"], r"project name must be"),
    _case("no test part", [], r"'tiny' have no test part\. Name a CSV file .*--data"),
    _case("absent data", ["--data", "{folder}/absent.csv"], r"absent\.csv' is neither"),
    _case("empty path", ["--data", ""], r"'' is neither"),
    _case("folder as data", ["--data", "{folder}"], r"is a folder"),
    _case("text in data", ["--data", "{folder}/text.csv"], r"column 'a', line 2 of .*text\.csv holds 'red'"),
    _case("wrong columns", ["--data", "{folder}/columns.csv"], r"lacks 1 \('d'\) and has 1 more \('e'\)"),
    _case("ids under another name", ["--data", "{folder}/ids.csv"], r"has 1 more \('key'\)"),
    _case("no rows", ["--data", "{folder}/header.csv"], r"must have rows below its column names"),
    _case(
        "output over input",
        ["--data", "{folder}/good.csv", "--output", "{folder}/good.csv"],
        r"must not be the file that is read",
    ),
    _case(
        "output over input by another path",
        ["--data", "{folder}/good.csv", "--output", "{folder}/logs/../good.csv"],
        r"must not be the file that is read",
    ),
    _case(
        "output in no folder",
        ["--data", "{folder}/good.csv", "--output", "{folder}/no/out.csv"],
        r"in a folder that exists",
    ),
    _case(
        "output below a file",
        ["--data", "{folder}/good.csv", "--output", "{folder}/good.csv/out"],
        r"in a folder that exists",
    ),
    _case("output is a folder", ["--data", "{folder}/good.csv", "--output", "{folder}"], r"is a folder or a device"),
    _case("output is a device", ["--data", "{folder}/good.csv", "--output", "/dev/null"], r"is a folder or a device"),
    _case(
        "no batch",
        ["--data", "{folder}/good.csv", "--batch-size", "0"],
        r"--batch-size must be a positive whole number",
    ),
    _case("one name for two columns", ["--id-column", "Label"], r"--id-column and --label-column must differ"),
    _case(
        "damaged manifest",
        ["--project-name", "damaged", "--data", "{folder}/good.csv"],
        r"must have the field 'hyperparameters'",
    ),
    _case(
        "missing model",
        ["--project-name", "modelless", "--data", "{folder}/good.csv"],
        r"is not there, but its manifest is",
    ),
]
