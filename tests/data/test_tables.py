"""Tables: pieces, types and text, what pandas may read, and the second look that agrees with it."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.bad_inputs_data import BAD_FEATURES, write
from support.written_tables import csv_bytes

from tuner_app.data import second_look, tables
from tuner_app.data.datasets import load_dataset
from tuner_app.data.tables import read_features
from tuner_app.errors import DataError


def load(tmp_path: pathlib.Path, text: str):
    return load_dataset(write(tmp_path, "data.csv", text.encode()))


class TestPieces:
    def test_the_type_follows_from_all_rows_not_from_the_pieces_read(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tables, "_BLOCK_BYTES", 6)
        odd = {"1,2.5,x\n": [1, 2.5], "300,2,x\n": [300, 2], "-1,2,x\n": [-1, 2]}
        for line, numbers in odd.items():
            for before, after in ((0, 9), (9, 0), (5, 5)):
                dataset = load(tmp_path, "a,b,label\n" + "1,2,x\n" * before + line + "1,2,y\n" * after + "1,2,y\n")
                assert dataset.x.dtype == np.float32
                assert dataset.x.tolist() == [[1, 2]] * before + [numbers] + [[1, 2]] * (after + 1)

    def test_a_column_stays_one_of_truth_values_over_all_pieces(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tables, "_BLOCK_BYTES", 6)
        with pytest.raises(DataError, match=r"column 'a', line 6 of .* holds '2'"):
            load(tmp_path, "a,b,label\n" + "True,2,x\n" * 4 + "2,2,y\n")

    def test_a_cell_of_several_lines_is_never_cut(self, tmp_path, monkeypatch):
        monkeypatch.setattr(tables, "_BLOCK_BYTES", 4)
        labels = ["x", "two\nlines", "three\n\nlines", "x", 'a "quoted"\r\nword']
        dataset = load_dataset(write(tmp_path, "data.csv", csv_bytes(["a", "label"], enumerate(labels))))
        assert dataset.classes[dataset.y].tolist() == labels
        assert dataset.x.ravel().tolist() == [0, 1, 2, 3, 4]


def numbers_of(read: Any) -> tuple[Any, ...]:
    pieces, text = read
    array = pieces.array()
    return array.dtype, array.tolist(), text


# Rows of the columns a, b and the text c, which pandas must read by itself.
PLAIN = [
    pytest.param("1,2,x\n3,4,y\n", id="bytes"),
    pytest.param("1,2.5,x\n-3,4e-3,y", id="floats, no line end"),
    pytest.param("1,True,x\n\n3,FALSE,y\n", id="truth, blank line"),
    pytest.param('"1","2","a,b"\n3,4,"""y"""\n', id="quotes"),
    pytest.param("1,2,x\r\n300,-4,größer\r\n", id="lines of Windows"),
    pytest.param("0.1,1e23,NA\n0.30000000000000004,2.2250738585072011e-308,\n", id="floats to the last bit"),
    pytest.param("1,+5 ,\n1., .5,None\n", id="blanks around numbers"),
]
# And such as pandas would misread, or not read.
DOUBTFUL = [
    pytest.param("-0,300,x\n", id="minus zero"),
    pytest.param("1,2, x\n 3,4,y\n", id="blank at the start of a line"),
    pytest.param("1,2,x\r3,4,y\r", id="lines of an old Mac"),
    pytest.param('1,2,"two\nlines"\n', id="a cell of two lines"),
    pytest.param("1,2,x\0\n", id="NUL in text"),
    pytest.param('1,2,a"b"\n', id="quotes within a cell"),
    pytest.param("1,\u00a05,x\n", id="a blank beyond ASCII"),
    pytest.param("1,123456789012345678901,x\n0.5,0.5,x\n", id="a huge integer"),
]


class TestSecondLook:
    @pytest.mark.parametrize("rows", PLAIN)
    def test_plain_tables_need_none_and_it_would_agree(self, tmp_path, rows):
        path, names = write(tmp_path, "data.csv", f"a,b,c\n{rows}".encode()), ["a", "b", "c"]
        by_pandas = numbers_of(tables._read_by_pandas(path, names, {"c"}))
        assert by_pandas == numbers_of(second_look.read_rows(path, names, {"c"}))

    @pytest.mark.parametrize("rows", DOUBTFUL)
    def test_what_pandas_reads_otherwise_is_left_to_it(self, tmp_path, rows):
        path, names = write(tmp_path, "data.csv", f"a,b,c\n{rows}".encode()), ["a", "b", "c"]
        with pytest.raises(tables._Doubt):
            tables._read_by_pandas(path, names, {"c"})
        x, text = read_features(path, ["a", "b"], ignore=["c"])
        assert len(x) == len(text["c"]) == rows.count(",") // 2

    def test_a_zero_keeps_its_sign(self, tmp_path):
        x, _ = read_features(write(tmp_path, "data.csv", b"a,b\n-0,300\n0,-1\n"))
        assert np.signbit(x[:, 0]).tolist() == [True, False]

    def test_long_and_short_rows_do_not_make_up_for_each_other(self, tmp_path):
        path = write(tmp_path, "data.csv", b"a,b,c\n1,2\n1,2,3,4\n")
        with pytest.raises(DataError, match=r"must have 3 cells, .* line 2 of .* has 2"):
            read_features(path)


class TestReadFeatures:
    def test_columns_are_put_in_order_by_name(self, tmp_path):
        path = write(tmp_path, "data.csv", b"b,id,a,label\n2,x7,1,cat\n4,x9,3,\n")
        x, text = read_features(path, ["a", "b"], ignore=["id", "label"])
        assert (x.tolist(), x.dtype) == ([[1, 2], [3, 4]], np.uint8)
        assert text == {"id": ["x7", "x9"], "label": ["cat", ""]}

    def test_a_feature_is_never_ignored(self, tmp_path):
        path = write(tmp_path, "data.csv", b"a,id\n1,2\n")
        x, text = read_features(path, ["id", "a"], ignore=["id"])
        assert (x.tolist(), text) == ([[2, 1]], {})

    def test_without_names_all_columns_count(self, tmp_path):
        x, _ = read_features(write(tmp_path, "data.csv", b"b,id,a\n1,5,2\n"), ignore=["id"])
        assert x.tolist() == [[1, 2]]

    @pytest.mark.parametrize(("content", "message"), BAD_FEATURES)
    def test_bad_features(self, tmp_path, content, message):
        with pytest.raises(DataError, match=message):
            read_features(write(tmp_path, "data.csv", content), ["a", "b"], ignore=["id", "label"])


NUMBERS = {
    "bytes": st.integers(0, 255),
    "integers": st.integers(-(2**53), 2**53),
    "float32": st.floats(width=32, allow_nan=False, allow_infinity=False),
}
LABELS = st.one_of(
    st.integers(-(10**6), 10**6).map(str),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(str.strip),
)


@st.composite
def written_tables(draw):
    """Names, rows of numbers of one kind, and labels of at least two classes that are no measurements."""
    names = draw(st.lists(st.from_regex(r"[a-z]{1,3}", fullmatch=True), min_size=1, max_size=5, unique=True))
    number = NUMBERS[draw(st.sampled_from(sorted(NUMBERS)))]
    rows = draw(st.lists(st.lists(number, min_size=len(names), max_size=len(names)), min_size=2, max_size=12))
    labels = draw(st.lists(LABELS, min_size=len(rows), max_size=len(rows)))
    labels[0], labels[1] = "one class", "another"
    return names, rows, labels


class TestProperties:
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(table=written_tables(), cells=st.integers(1, 40))
    def test_a_table_survives_the_round_trip(self, tmp_path_factory, table, cells):
        names, rows, labels = table
        path = tmp_path_factory.mktemp("table") / "data.csv"
        path.write_bytes(
            csv_bytes([*names, "The Label"], [[*row, label] for row, label in zip(rows, labels, strict=True)])
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tables, "_BLOCK_BYTES", cells)
            dataset = load_dataset(path, target="The Label")
        assert dataset.feature_names == tuple(names)
        assert dataset.x.tolist() == [[float(number) for number in row] for row in rows]
        assert dataset.classes[dataset.y].tolist() == labels
        assert dataset.classes.tolist() == sorted(set(labels))

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(table=written_tables(), random=st.randoms(use_true_random=False))
    def test_shuffled_columns_give_the_same_features(self, tmp_path_factory, table, random):
        names, rows, _ = table
        order = list(range(len(names)))
        random.shuffle(order)
        folder = tmp_path_factory.mktemp("table")
        straight = write(folder, "straight.csv", csv_bytes(names, rows))
        mixed = write(
            folder, "mixed.csv", csv_bytes([names[i] for i in order], [[row[i] for i in order] for row in rows])
        )
        x, _ = read_features(straight, names)
        y, _ = read_features(mixed, names)
        assert x.dtype == y.dtype
        assert np.array_equal(x, y)

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        content=st.one_of(
            st.binary(max_size=60), st.text('a,"\n1.-x\0 ', max_size=60).map(lambda t: f"a,label\n{t}".encode())
        )
    )
    def test_garbage_is_read_or_refused_in_one_line(self, tmp_path_factory, content):
        path = write(tmp_path_factory.mktemp("garbage"), "data.csv", content)
        message, dataset = "", None
        try:
            dataset = load_dataset(path)
        except DataError as error:
            message = str(error)
        if dataset is None:
            assert re.fullmatch(r"[^\n]+", message)
        else:
            assert np.isfinite(dataset.x).all()
            assert dataset.x.shape == (len(dataset.y), 1)
