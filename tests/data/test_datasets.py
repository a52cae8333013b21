from __future__ import annotations

import bz2
import gzip
import lzma
import pathlib
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from support.bad_inputs_data import BAD_TABLES, write
from support.written_tables import csv_bytes

from tuner_app.data.datasets import load_dataset
from tuner_app.errors import DataError
from tuner_app.storage.project import Project


def load(tmp_path: pathlib.Path, text: str, **options):
    return load_dataset(write(tmp_path, "data.csv", text.encode()), **options)


class TestBuiltIn:
    def test_digits_are_scikit_learns(self):
        from sklearn.datasets import load_digits

        digits, original = load_dataset("digits"), load_digits()
        assert (digits.x.shape, digits.x_test.shape, digits.x.dtype) == ((1437, 64), (360, 64), np.uint8)
        assert digits.feature_names == tuple(original.feature_names)
        assert (digits.image_shape, digits.input_scale, digits.classes.tolist()) == ((8, 8), 16.0, list(range(10)))
        rows = np.concatenate([digits.x, digits.x_test]).tolist()
        labels = np.concatenate([digits.y, digits.y_test]).tolist()
        pairs = zip(original.data.astype(int).tolist(), original.target.tolist(), strict=True)
        assert sorted(zip(rows, labels, strict=True)) == sorted(pairs)

    def test_the_test_part_of_digits_is_fixed_and_stratified(self):
        first, second = load_dataset("digits"), load_dataset("digits")
        assert np.array_equal(first.x_test, second.x_test)
        assert np.abs(np.bincount(first.y_test) - 36).max() <= 1

    @pytest.mark.parametrize(("name", "place"), [("mnist", r"mnist\.npz"), ("fashion_mnist", "fashion-mnist")])
    def test_a_failed_download_says_where_the_file_must_lie(self, name, place, monkeypatch):
        import keras

        def fail():
            raise Exception("URL fetch failure on https://example.org:\n no route")

        monkeypatch.setattr(getattr(keras.datasets, name), "load_data", fail)
        with pytest.raises(
            DataError, match=rf"URL fetch failure.*no route\)\. Connect, or put it at .*datasets.{place}"
        ) as caught:
            load_dataset(name)
        assert caught.value.__cause__ is None
        assert "\n" not in str(caught.value)

    def test_mnist_keeps_its_own_test_part(self, monkeypatch):
        import keras

        generator = np.random.default_rng(0)
        x = generator.integers(0, 256, (7, 28, 28), dtype=np.uint8)
        y = np.array([3, 1, 4, 1, 5, 9, 2], dtype=np.uint8)
        monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: ((x[:5], y[:5]), (x[5:], y[5:])))
        mnist = load_dataset("mnist")
        assert np.array_equal(mnist.x, x[:5].reshape(5, 784))
        assert np.array_equal(mnist.x_test, x[5:].reshape(2, 784))
        assert (mnist.y.dtype, mnist.y_test.tolist()) == (np.int64, [9, 2])
        assert (mnist.feature_names[-1], mnist.image_shape, mnist.input_scale) == ("pixel783", (28, 28), 255.0)


class TestCsv:
    def test_columns_and_labels(self, tmp_path):
        dataset = load(tmp_path, "a,label,b\n1,dog,2.5\n3,cat,4\n5,dog,-6\n")
        assert dataset.x.tolist() == [[1, 2.5], [3, 4], [5, -6]]
        assert (dataset.feature_names, dataset.classes.tolist(), dataset.y.tolist()) == (
            ("a", "b"),
            ["cat", "dog"],
            [1, 0, 1],
        )
        assert (dataset.x_test, dataset.input_scale, dataset.image_shape, dataset.target) == (None, None, None, "label")

    def test_another_target(self, tmp_path):
        dataset = load(tmp_path, "label,kind\n1,x\n2,y\n", target="kind")
        assert (dataset.feature_names, dataset.classes.tolist()) == (("label",), ["x", "y"])

    @pytest.mark.parametrize(
        ("cells", "dtype"),
        [
            (["0", "255"], np.uint8),
            (["0.0", "7."], np.uint8),
            (["True", "False"], np.uint8),
            (["0", "256"], np.float32),
            (["-1", "255"], np.float32),
            (["0.5", "2"], np.float32),
            (["0.1", "1e-3"], np.float32),
            (["-16777216", "16777216"], np.float32),
            (["0", "16777217"], np.float64),
            (["0", "-9007199254740992"], np.float64),
            (["16777217", "0.5"], np.float32),
        ],
    )
    def test_the_smallest_type_that_holds_the_numbers(self, tmp_path, cells, dtype):
        dataset = load(tmp_path, f"a,b,label\n{cells[0]},1,x\n{cells[1]},1,y\n")
        expected = [{"True": 1.0, "False": 0.0}.get(cell) or float(cell.replace("False", "0")) for cell in cells]
        assert dataset.x.dtype == dtype
        assert dataset.x[:, 0].tolist() == np.array(expected, dtype=dtype).tolist()

    @pytest.mark.parametrize(
        ("labels", "classes"),
        [
            (["10", "9", "-1"], [-1, 9, 10]),
            (["01", "2", "10"], ["01", "10", "2"]),
            (["0", "00"], ["0", "00"]),
            (["-0", "0"], ["-0", "0"]),
            (["x\0", "x"], ["x", "x\0"]),
            (["1.0", "2.0"], ["1.0", "2.0"]),
            (["1", "cat"], ["1", "cat"]),
            (["NA", "None", "nan", "null"], ["NA", "None", "nan", "null"]),
            (["True", "False"], ["False", "True"]),
            ([" x", "x"], [" x", "x"]),
            (["größer", "大"], ["größer", "大"]),
            (["1" * 30, "2" * 30], ["1" * 30, "2" * 30]),
            (['a,"b"', "c\nd"], ['a,"b"', "c\nd"]),
        ],
    )
    def test_labels_are_kept_unchanged(self, tmp_path, labels, classes):
        content = csv_bytes(["a", "label"], enumerate(labels))
        dataset = load_dataset(write(tmp_path, "data.csv", content))
        assert dataset.classes.tolist() == classes
        assert [str(label) for label in dataset.classes[dataset.y].tolist()] == labels

    def test_pixels_are_pictures(self, tmp_path):
        pictures = load(tmp_path, "label,pixel0,pixel1,pixel2,pixel3\n1,0,255,0,9\n2,1,2,3,4\n")
        assert (pictures.input_scale, pictures.image_shape) == (255.0, (2, 2))
        oblong = load(tmp_path, "label,pixel0,pixel1\n1,0,255\n2,1,2\n")
        assert (oblong.input_scale, oblong.image_shape) == (255.0, None)
        scaled = load(tmp_path, "label,pixel0,pixel1,pixel2,pixel3\n1,0,0.5,0,1\n2,1,0,1,0\n")
        assert (scaled.input_scale, scaled.image_shape) == (None, None)

    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    @pytest.mark.parametrize("start", ["", "\ufeff", "\n"])
    def test_line_ends_and_byte_order_marks(self, tmp_path, newline, start):
        text = f"{start}a,label\n1,x\n\n2,y\n   \n3,z".replace("\n", newline)
        dataset = load_dataset(write(tmp_path, "data.csv", text.encode()))
        assert (dataset.x.tolist(), dataset.classes.tolist()) == ([[1], [2], [3]], ["x", "y", "z"])
        assert dataset.feature_names == ("a",)

    @pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zip"])
    def test_packed_files(self, tmp_path, suffix):
        content = b"a,label\n1,x\n2,y\n"
        path = tmp_path / f"train.csv{suffix}"
        if suffix == ".zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("inside.csv", content)
        else:
            pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[suffix]
            path.write_bytes(pack(content))
        dataset = load_dataset(path)
        assert (dataset.name, dataset.x.tolist()) == ("train", [[1], [2]])

    @pytest.mark.parametrize(
        ("file", "name"),
        [
            ("train.csv", "train"),
            ("Train Data (1).csv", "Train Data _1_"),
            ("..data..csv", "data"),
            ("données.csv", "donn_es"),
            ("-x.v2.csv", "x.v2"),
            ("日.csv", "_"),
            ("-.csv", "data"),
            (f"{'n' * 120}.csv", "n" * 100),
            ("no suffix", "no suffix"),
        ],
    )
    def test_the_file_gives_a_valid_project_name(self, tmp_path, file, name):
        dataset = load_dataset(write(tmp_path, file, b"a,label\n1,x\n2,y\n"))
        assert dataset.name == name
        Project(tmp_path, dataset.name)

    @pytest.mark.parametrize(("file", "content", "message"), BAD_TABLES)
    def test_bad_tables(self, tmp_path, file, content, message):
        with pytest.raises(DataError, match=message) as caught:
            load_dataset(write(tmp_path, file, content))
        assert "\n" not in str(caught.value)
        assert caught.value.__cause__ is None

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            (
                "absent.csv",
                "one of digits, mnist, fashion_mnist or the path of a CSV file, but 'absent.csv' is neither",
            ),
            ("", "'' is neither"),
            ("digit", "'digit' is neither"),
            ("x" * 5000, "cannot be read: File name too long|is neither"),
            ("a\0b", "is neither"),
        ],
    )
    def test_no_such_source(self, source, message):
        with pytest.raises(DataError, match=message):
            load_dataset(source)

    def test_a_folder(self, tmp_path):
        with pytest.raises(DataError, match=r"is a folder\. Name a file in it"):
            load_dataset(tmp_path)


def test_reading_imports_no_tensorflow():
    code = "import sys, tuner_app; tuner_app.load_dataset('digits'); print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
