"""Drawing the symbols of many steps at once: by the compiled core, or on a device.

The core then spends no time between steps, and a device need not be waited for at each of them. The
numbers are those of drawing one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.model.language import LanguageModel
from charrnn.randomness import Purpose, generator
from charrnn.sampling.filters import MIN_TEMPERATURE, log_probabilities, not_finite
from charrnn.sampling.on_device import choose, temper
from charrnn.sampling.on_device import log_probabilities as log_probabilities_there
from charrnn.sampling.options import SampleOptions
from charrnn.sampling.stepper import Stepper

MAX_STEPS = 32
"""Steps made at once in a long sample."""
MAX_WEIGHTS = 1 << 24
"""Weights that the core reads in one call for one stream: in a few milliseconds, its next symbols
are there."""
MAX_WEIGHTS_TOGETHER = 1 << 27
"""The same for each 64 of several streams, which nobody reads before they end: in some tens of
milliseconds, a keyboard interrupt is noticed."""
MAX_LOGITS = 1 << 24
"""Logits that the core keeps in one call."""
_BLOCK = 128
"""Random numbers of a stream made at once: more of them delay the first symbol."""

Step = tuple[NDArray[Any], NDArray[np.float64] | None]


class Uniforms:
    """Uniform numbers of N streams: stream k has those of ``generator(seed, SAMPLE, first + k)``.

    Parameters
    ----------
    seed, first, streams
        The seed of the random numbers, the number of the first stream, and N.
    """

    def __init__(self, seed: int, first: int, streams: int) -> None:
        self._sources = [generator(seed, Purpose.SAMPLE, layer=first + k) for k in range(streams)]
        self._left = np.empty((0, streams))

    def take(self, steps: int) -> NDArray[np.float64]:
        """Return the numbers of the next steps, (steps, N); at most :data:`MAX_STEPS`."""
        if len(self._left) < steps:
            more = np.stack([source.random(_BLOCK) for source in self._sources], axis=1)
            self._left = np.concatenate((self._left, more))
        taken, self._left = self._left[:steps], self._left[steps:]
        return taken


def source(
    stepper: Stepper,
    options: SampleOptions,
    unknown: int | None,
    first: NDArray[Any],
    uniforms: Uniforms,
    log_probs: bool,
    length: int,
    whole: bool,
) -> Iterator[Step] | None:
    """Return an iterator over the symbols (N,), and log-probabilities (N,) if asked for, of steps.

    It is None if symbols must be drawn one by one. No rules are applied.

    Parameters
    ----------
    first
        The symbol that each stream reads first, (N,).
    length
        Symbols of a sample; 0: endless.
    whole
        Whether all of them are taken: no sample ends before its length.

    Raises
    ------
    CharRNNError
        If the model's output is not finite.
    """
    if stepper.compiled is not None:
        return draw_compiled(stepper, options, unknown, first, uniforms, log_probs, length, whole)
    if is_worthwhile(stepper, options):
        return draw_ahead(stepper, options, unknown, first, uniforms, log_probs)
    return None


def draw_compiled(
    stepper: Stepper,
    options: SampleOptions,
    unknown: int | None,
    first: NDArray[Any],
    uniforms: Uniforms,
    log_probs: bool,
    length: int,
    whole: bool,
) -> Iterator[Step]:
    """Yield what the compiled core draws; see :func:`source`.

    If samples may end before their length, at most a quarter more symbols are drawn than are taken.
    """
    core, N = stepper.compiled, stepper.streams
    assert core is not None
    most, made, ids = most_steps(stepper.model, N, log_probs), 0, first
    while True:
        likely = most if whole else made // 4
        steps = max(1, min(most, likely, length - made if length else most))
        each = [options.at(made + k, length) for k in range(steps)]
        drawn, logits = core.draw(
            ids, options, unknown, np.array(each, np.float64), uniforms.take(steps), log_probs
        )
        chosen = drawn.astype(np.intp)
        if logits is None:
            for ids in chosen:
                yield ids, None
        else:
            for ids, row in zip(chosen, logits, strict=True):
                yield ids, log_probabilities(row, ids)
        if len(drawn) < steps:
            raise not_finite()
        made += steps


def most_steps(model: LanguageModel, streams: int, log_probs: bool) -> int:
    """Return how many steps of so many streams the core makes in one call at most."""
    weights = int(model.weights.trained.flat.size)
    each = 1 + MAX_WEIGHTS // weights
    if streams > 1:
        each = 1 + MAX_WEIGHTS_TOGETHER // (weights * (1 + streams // 64))
    kept = 1 + MAX_LOGITS // (streams * model.V) if log_probs else MAX_STEPS
    return min(MAX_STEPS, each, kept)


def is_worthwhile(stepper: Stepper, options: SampleOptions) -> bool:
    """Return whether waiting for the device costs time and it supports all the filters."""
    filtered = options.top_k or options.top_p < 1 or not options.by_symbol_alone
    return not (stepper.model.backend.synchronous or filtered)


def draw_ahead(
    stepper: Stepper,
    options: SampleOptions,
    unknown: int | None,
    first: NDArray[Any],
    uniforms: Uniforms,
    log_probs: bool,
) -> Iterator[Step]:
    """Yield what is drawn on the device; see :func:`source`."""
    backend, xp = stepper.model.backend, stepper.model.backend.xp
    ids, steps = backend.put(first), 1
    temperature = options.temperature and max(options.temperature, MIN_TEMPERATURE)
    while True:
        numbers = backend.put(uniforms.take(steps))
        chosen = xp.empty(numbers.shape, np.int64)
        nats = xp.empty(numbers.shape, np.float64) if log_probs else None
        for k in range(steps):
            logits = stepper.advance(ids)
            weights = temper(xp, logits, temperature, unknown, options.min_p)
            chosen[k] = choose(xp, weights, numbers[k])
            ids = xp.maximum(chosen[k], 0)  # -1 is not a symbol
            if nats is not None:
                nats[k] = log_probabilities_there(xp, logits, ids)
        drawn = backend.get(chosen)
        if (drawn < 0).any():
            raise not_finite()
        logs = [None] * steps if nats is None else backend.get(nats)
        yield from zip(drawn, logs, strict=True)
        steps = min(2 * steps, MAX_STEPS)
