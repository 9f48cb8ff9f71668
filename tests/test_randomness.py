"""Counter-based random numbers: the published generator, and streams that share nothing."""

import itertools

import numpy as np
import pytest

from charrnn.randomness import Purpose, Words, generator, stream, words

MASK = (1 << 64) - 1


def philox(counter, key):
    """Philox4x64-10 as in the paper, on Python's integers."""
    x, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2E7470EE14C6C93 * x[0], 0xCA5A826395121157 * x[2]
        x = [(b >> 64) ^ x[1] ^ k[0], b & MASK, (a >> 64) ^ x[3] ^ k[1], a & MASK]
        k = [(k[0] + 0x9E3779B97F4A7C15) & MASK, (k[1] + 0xBB67AE8584CAA73B) & MASK]
    return x


def test_the_reference_gives_a_published_value():
    """Known answer of Random123 for counter and key zero."""
    expected = [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]
    assert philox([0] * 4, [0] * 2) == expected


@pytest.mark.parametrize(
    ("seed", "step", "layer"), [(0, 0, 0), (1, 0, 0), (7, 5, 2), (2**64 - 1, 2**40, 3), (-3, 9, 1)]
)
def test_bits_are_those_of_philox_from_block_zero(seed, step, layer):
    raw = stream(seed, Purpose.DROPOUT, step=step, layer=layer).random_raw(12).tolist()
    key = [seed & MASK, int(Purpose.DROPOUT)]
    blocks = [philox([block, 0, layer, step], key) for block in range(3)]
    assert raw == list(itertools.chain(*blocks))


@pytest.mark.parametrize("count", [0, 1, 2, 7, 64])
def test_words_are_the_halves_of_the_outputs_low_half_first(count):
    raw = stream(4, Purpose.DROPOUT, step=2).random_raw(40).tolist()
    halves = [half for value in raw for half in (value & 0xFFFFFFFF, value >> 32)]
    drawn = words(4, Purpose.DROPOUT, count, step=2)
    assert drawn.dtype == np.uint32
    assert drawn.tolist() == halves[:count]


@pytest.mark.parametrize("seed", (0, 7, 2**64 + 3, -1))
def test_words_of_many_steps_are_those_of_each_step_in_any_order(seed):
    many = Words(seed, Purpose.RESTART)
    for step, count in ((5, 9), (0, 1), (2**40, 50), (5, 9), (1, 64), (0, 33)):
        expected = words(seed, Purpose.RESTART, count, step=step)
        np.testing.assert_array_equal(many.at(step, count), expected)


def test_different_keys_share_no_bits():
    keys = itertools.product((0, 1, 2), Purpose, (0, 1, 2), (0, 1, 2))
    seen = [
        value
        for seed, purpose, step, layer in keys
        for value in stream(seed, purpose, step=step, layer=layer).random_raw(8).tolist()
    ]
    assert len(set(seen)) == len(seen)


def test_a_generator_draws_from_its_stream():
    one, again = (generator(3, Purpose.SAMPLE, layer=1).random(5) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    raw = stream(3, Purpose.SAMPLE, layer=1).random_raw(5)
    np.testing.assert_array_equal(one, (raw >> np.uint64(11)) * 2.0**-53)
    assert not np.isclose(one, generator(3, Purpose.SAMPLE, layer=2).random(5)).any()
