"""Bits drawn by array arithmetic, wherever the arrays are."""

import numpy as np
import pytest

from charrnn.backend import philox
from charrnn.backend.philox import Key
from charrnn.randomness import Purpose, words


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 1000])
@pytest.mark.parametrize("key", [(0, 0, 0), (-1, 2**40, 7), (2**64 - 1, 5, 0)])
def test_bits_drawn_by_array_arithmetic_are_those_of_the_host(count, key, device):
    seed, step, layer = key
    expected = words(seed, Purpose.DROPOUT, count, step=step, layer=layer)
    for xp in (np, device):
        found = philox.words(xp, Key(seed, Purpose.DROPOUT, step, layer), count)
        assert found.dtype == np.uint64
        host = found if xp is np else found.get()
        np.testing.assert_array_equal(host, expected.astype(np.uint64))
    assert device.uploads == []
