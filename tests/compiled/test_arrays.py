"""Arrays become tensors as Keras would feed them, with one copy."""

from __future__ import annotations

import pathlib
import re

import numpy as np
import pytest

from tuner_app.compiled.arrays import as_tensor

ROWS = 10_000  # of 1,000 numbers: 40 MB of float32


def _peak_bytes() -> int:
    match = re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path("/proc/self/status").read_text(encoding="ascii"))
    assert match is not None
    return int(match[1]) * 1024


@pytest.mark.parametrize("kind", ["float32", "float16", "float64", "uint8", "int64"])
@pytest.mark.parametrize("shape", [(3, 2), (30_000, 5, 10)], ids=["small", "large"])
def test_numbers_keep_their_type_but_for_floats(kind: str, shape: tuple[int, ...]) -> None:
    array = (np.random.default_rng(0).random(shape) * 100).astype(kind)
    tensor = as_tensor(array)
    assert tensor.dtype.name == ("float32" if kind.startswith("float") else kind)
    np.testing.assert_array_equal(tensor.numpy(), array.astype(tensor.dtype.name))


def test_columns_in_another_order_are_the_same_numbers() -> None:
    array = np.asfortranarray(np.random.default_rng(0).random((5_000, 60), np.float32))
    np.testing.assert_array_equal(as_tensor(array[::2]).numpy(), array[::2])


def test_a_tensor_does_not_change_with_the_array() -> None:
    array = np.zeros((ROWS, 50), np.float32)
    tensor = as_tensor(array)
    array += 1
    assert not tensor.numpy().any()


@pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="Linux tells its peak")
def test_a_large_array_is_copied_once() -> None:
    array = np.ones((ROWS, 1_000), np.float32)
    # 5 sets the peak back to what is held now.
    pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _peak_bytes()
    tensor = as_tensor(array)
    assert _peak_bytes() - before < 1.5 * array.nbytes
    assert tensor.shape == array.shape
