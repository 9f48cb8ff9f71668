"""Philox4x64-10 on a device: the same bits as :mod:`charrnn.randomness`.

Written as arithmetic on arrays of the array module; on a GPU, a CUDA function computes the same.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from charrnn.backend.array import Array
from charrnn.randomness import Purpose

ROUNDS = 10
MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_MASK = (1 << 64) - 1


class Key(NamedTuple):
    """Which stream of bits: the arguments of :func:`charrnn.randomness.stream`."""

    seed: int
    purpose: Purpose
    step: int = 0
    layer: int = 0

    @property
    def words(self) -> tuple[int, int, int, int]:
        """Layer, step, seed and purpose as unsigned 64-bit numbers, the form that a GPU needs."""
        return self.layer, self.step, self.seed & _MASK, int(self.purpose)


def words(xp: Any, key: Key, count: int) -> Array:
    """Return the first ``count`` 32-bit words of a stream as uint64, (count,), each below 2^32."""
    total = -(-count // 8)
    layer, step, seed, purpose = key.words
    zero = xp.zeros(total, xp.uint64)
    x = [
        xp.arange(total, dtype=xp.uint64),
        zero,
        zero + xp.uint64(layer),
        zero + xp.uint64(step),
    ]
    for _ in range(ROUNDS):
        high0, low0 = _product(xp, x[0], MULTIPLIERS[0])
        high1, low1 = _product(xp, x[2], MULTIPLIERS[1])
        x = [high1 ^ x[1] ^ xp.uint64(seed), low1, high0 ^ x[3] ^ xp.uint64(purpose), low0]
        seed, purpose = (seed + WEYL[0]) & _MASK, (purpose + WEYL[1]) & _MASK
    half, low = xp.uint64(32), xp.uint64(0xFFFFFFFF)
    parts = [part for value in x for part in (value & low, value >> half)]
    return xp.stack(parts, axis=1).reshape(-1)[:count]


def _product(xp: Any, x: Array, factor: int) -> tuple[Array, Array]:
    """Return the high and the low 64 bits of the 128-bit products x · factor."""
    half, low = xp.uint64(32), xp.uint64(0xFFFFFFFF)
    a, b = x >> half, x & low
    c, d = xp.uint64(factor >> 32), xp.uint64(factor & 0xFFFFFFFF)
    # x · factor = ac · 2^64 + (ad + bc) · 2^32 + bd; no sum below exceeds 64 bits
    middle = b * c + ((b * d) >> half)
    other = a * d + (middle & low)
    return a * c + (middle >> half) + (other >> half), x * xp.uint64(factor)
