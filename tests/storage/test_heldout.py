"""The held-out texts of a run: as they were, or one line that says what is wrong."""

import numpy as np
import pytest

from charrnn.errors import CharRNNError
from charrnn.storage import heldout, runs


def make(name, *files):
    folder = runs.HOME / name
    folder.mkdir(parents=True)
    for file in files:
        (folder / file).write_bytes(b"")
    return folder


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_a_held_out_text_comes_back(dtype, home, rng):
    folder = make("run", runs.BEST)
    ids = rng.integers(0, 200, 12345).astype(dtype)
    ids.flags.writeable = False
    heldout.write(folder, "val", ids)
    found = heldout.read(folder / runs.BEST, "val")
    assert isinstance(found, np.memmap)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, ids)
    assert {path.name for path in folder.iterdir()} == {runs.BEST, "val.npy"}


def test_a_held_out_text_that_is_missing_or_no_text_is_an_error(home):
    folder = make("run", runs.BEST)
    with pytest.raises(CharRNNError, match=r"no test text .*test_frac or test,"):
        heldout.read(folder / runs.BEST, "test")
    (folder / "val.npy").write_bytes(b"not an array")
    with pytest.raises(CharRNNError):
        heldout.read(folder / runs.BEST, "val")
    for wrong in (np.zeros((2, 2), np.uint8), np.zeros(3), np.array([{"a": 1}], dtype=object)):
        np.save(folder / "val.npy", wrong, allow_pickle=True)
        with pytest.raises(CharRNNError):
            heldout.read(folder / runs.BEST, "val")
