"""Held-out texts of a run: written, mapped again, and checked."""

import os

import numpy as np
import pytest

from charrnn.errors import CharRNNError
from charrnn.storage import heldout, runs

CHECKPOINT = runs.BEST


@pytest.fixture
def folder(tmp_path):
    (tmp_path / CHECKPOINT).touch()
    return tmp_path


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_a_held_out_text_comes_back(dtype, folder, rng):
    ids = rng.integers(0, 200, 12345).astype(dtype)
    ids.flags.writeable = False
    heldout.write(folder, "val", ids)
    found = heldout.read(folder / CHECKPOINT, "val")
    assert isinstance(found, np.memmap)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, ids)
    assert {path.name for path in folder.iterdir()} == {CHECKPOINT, "val.npy"}


def test_a_held_out_text_that_is_missing_or_no_text_is_an_error(folder):
    with pytest.raises(CharRNNError, match=r"no test text .*test_frac or test,"):
        heldout.read(folder / CHECKPOINT, "test")
    (folder / "val.npy").write_bytes(b"not an array")
    with pytest.raises(CharRNNError):
        heldout.read(folder / CHECKPOINT, "val")
    for wrong in (np.zeros((2, 2), np.uint8), np.zeros(3), np.array([{"a": 1}], dtype=object)):
        np.save(folder / "val.npy", wrong, allow_pickle=True)
        with pytest.raises(CharRNNError):
            heldout.read(folder / CHECKPOINT, "val")


def test_ids_outside_the_vocabulary_are_refused(folder):
    heldout.write(folder, "val", np.array([0, 1, 7], np.uint8))
    assert len(heldout.read(folder / CHECKPOINT, "val", 8)) == 3
    with pytest.raises(CharRNNError, match="the run's vocabulary"):
        heldout.read(folder / CHECKPOINT, "val", 7)


def test_an_empty_text_is_empty(folder):
    heldout.write(folder, "test", np.empty(0, np.uint16))
    ids = heldout.read(folder / CHECKPOINT, "test", 3)
    assert (len(ids), ids.dtype) == (0, np.uint16)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_fifo_is_not_waited_for(folder):
    os.mkfifo(folder / "val.npy")
    with pytest.raises(CharRNNError, match="no validation text"):
        heldout.read(folder / CHECKPOINT, "val")
