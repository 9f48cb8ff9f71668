"""Drawing on a device ahead of the host, which fetches the symbols of many steps at once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.sampling.filters import MIN_TEMPERATURE, not_finite
from charrnn.sampling.on_device import choose, log_probabilities, temper
from charrnn.sampling.options import SampleOptions
from charrnn.sampling.stepper import Stepper

MAX_STEPS = 32
"""Steps whose symbols are fetched at once in a long sample; the first symbol is fetched alone."""


def is_worthwhile(stepper: Stepper, options: SampleOptions) -> bool:
    """Return whether waiting for the device costs time and it supports all the filters."""
    filtered = options.top_k or options.top_p < 1 or not options.by_symbol_alone
    return not (stepper.model.backend.synchronous or filtered)


def draw_ahead(
    stepper: Stepper,
    options: SampleOptions,
    unknown: int | None,
    first: NDArray[Any],
    uniforms: Iterator[NDArray[np.float64]],
    log_probs: bool,
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64] | None]]:
    """Yield symbols (N,) and, if asked for, their log-probabilities (N,), step by step.

    Parameters
    ----------
    first
        The symbol that each stream reads first, (N,).
    uniforms
        One number per stream, (N,), for every step.

    Raises
    ------
    CharRNNError
        If the model's output is not finite.
    """
    backend, xp = stepper.model.backend, stepper.model.backend.xp
    ids, steps = backend.put(first), 1
    temperature = options.temperature and max(options.temperature, MIN_TEMPERATURE)
    while True:
        numbers = backend.put(np.stack(list(islice(uniforms, steps))))
        chosen = xp.empty(numbers.shape, np.int64)
        nats = xp.empty(numbers.shape, np.float64) if log_probs else None
        for k in range(steps):
            logits = stepper.advance(ids)
            weights = temper(xp, logits, temperature, unknown, options.min_p)
            chosen[k] = choose(xp, weights, numbers[k])
            ids = xp.maximum(chosen[k], 0)  # -1 is not a symbol
            if nats is not None:
                nats[k] = log_probabilities(xp, logits, ids)
        drawn = backend.get(chosen)
        if (drawn < 0).any():
            raise not_finite()
        logs = [None] * steps if nats is None else backend.get(nats)
        yield from zip(drawn, logs, strict=True)
        steps = min(2 * steps, MAX_STEPS)
