"""Counter-based random numbers: a pure function of seed, purpose, step and layer.

Philox4x64-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
SC 2011). There is no generator state to save: the same key gives the same bits on any device, in
any order, in any number of processes. The key is (seed, purpose) and the counter is
(block, 0, layer, step), where ``block`` counts the 256-bit blocks of one draw.
"""

from __future__ import annotations

import secrets
from enum import IntEnum
from typing import Any

import numpy as np

_MASK = (1 << 64) - 1


class Purpose(IntEnum):
    """The uses of random bits; two purposes never share bits."""

    INIT = 1
    DROPOUT = 2
    SAMPLE = 3
    DIAGNOSE = 4
    RESTART = 5
    HOLD_OUT = 6
    ORDER = 7
    HIDE_SYMBOLS = 8
    RECURRENT_DROPOUT = 9


def stream(seed: int, purpose: Purpose, *, step: int = 0, layer: int = 0) -> np.random.Philox:
    """Return the bit generator at block 0 of the given key.

    ``seed`` is any integer, taken modulo 2^64; ``step`` and ``layer`` are non-negative.
    """
    key = (seed & _MASK) | (int(purpose) << 64)
    return np.random.Philox(counter=_start(step, layer), key=key)


def _start(step: int, layer: int) -> int:
    """Return the counter from which NumPy's Philox, which advances it first, gives block 0."""
    return ((layer << 128 | step << 192) - 1) % (1 << 256)


def generator(seed: int, purpose: Purpose, *, step: int = 0, layer: int = 0) -> np.random.Generator:
    """Return a NumPy generator over :func:`stream`, for draws on the host."""
    return np.random.Generator(stream(seed, purpose, step=step, layer=layer))


def words(seed: int, purpose: Purpose, count: int, *, step: int = 0, layer: int = 0) -> np.ndarray:
    """Return ``count`` random 32-bit words, uint32, shape (count,).

    Word w is the low half (even w) or the high half (odd w) of the 64-bit output w // 2.
    """
    return _next_words(stream(seed, purpose, step=step, layer=layer), count)


def _next_words(bits: np.random.Philox, count: int) -> np.ndarray:
    raw = bits.random_raw((count + 1) // 2)
    return np.asarray(raw).astype("<u8", copy=False).view("<u4")[:count]


class Words:
    """The words of one seed and purpose at any step: :func:`words`, without a new generator each.

    To make a generator costs 20 µs; one is used again here.
    """

    def __init__(self, seed: int, purpose: Purpose) -> None:
        self._stream = stream(seed, purpose)
        self._state: Any = self._stream.state

    def at(self, step: int, count: int) -> np.ndarray:
        """Return ``count`` random 32-bit words of a step, uint32, shape (count,)."""
        start = _start(step, layer=0)
        counter = self._state["state"]["counter"]
        counter[:] = [start >> shift & _MASK for shift in (0, 64, 128, 192)]
        self._stream.state = self._state
        return _next_words(self._stream, count)


def threshold(probability: float) -> int:
    """Return the number below which a word of :func:`words` lies with a probability below 1."""
    return min(round(probability * 2**32), 2**32 - 1)


def new_seed() -> int:
    """Return a seed that the operating system draws, below 2^32."""
    return secrets.randbits(32)
