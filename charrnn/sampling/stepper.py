"""The model one symbol at a time, for N streams."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array
from charrnn.model.counted import ALL, READ
from charrnn.model.language import LanguageModel

if TYPE_CHECKING:
    from charrnn.sampling.steps.compiled import CompiledSteps
    from charrnn.sampling.steps.plain import PlainSteps

READ_STEPS = 256
"""Symbols of a prime read in one window."""

_quiet = np.errstate(all="ignore")  # weights may be non-finite; the output is checked


class Stepper:
    """N streams of a model, from zero states, one symbol of each at a time.

    Parameters
    ----------
    model
        Its weights are read now; make a new stepper if they change. If it has counted n-grams, so
        do the logits.
    streams
        N.

    Attributes
    ----------
    compiled
        The steps of the compiled core, if it computes them.
    """

    def __init__(self, model: LanguageModel, streams: int = 1) -> None:
        self.model = model
        self.streams = streams
        self._window = model.window(1, streams, backward=False)
        self._steps: PlainSteps | CompiledSteps
        self.compiled: CompiledSteps | None = None
        if model.core:
            from charrnn.sampling.steps.compiled import CompiledSteps

            self._steps = self.compiled = CompiledSteps(model, self._window)
        else:
            from charrnn.sampling.steps.plain import PlainSteps

            self._steps = PlainSteps(model, self._window)

    def start(self, prime: NDArray[Any]) -> None:
        """Let every stream read ``prime`` (1-D, host) but its last symbol from a zero state."""
        for _, states in self._window.states():
            states[0] = 0.0
        self._steps.current = 0
        if len(prime) > 1:
            self.read(prime[:-1])

    def state(self, stream: int) -> list[Array]:
        """Return a copy of the current states of one stream, (H,) each."""
        return [
            states[self._steps.current, :, stream].copy() for _, states in self._window.states()
        ]

    def restore(self, stream: int, state: list[Array]) -> None:
        """Put one stream into an earlier state of a stream."""
        for (_, states), earlier in zip(self._window.states(), state, strict=True):
            states[self._steps.current, :, stream] = earlier

    def follow(self, streams: NDArray[Any]) -> None:
        """Let stream n continue from the current state of stream ``streams[n]`` (host)."""
        xp, index = self.model.backend.xp, self.model.backend.put(streams)
        for _, states in self._window.states():
            states[self._steps.current] = xp.take(states[self._steps.current], index, axis=1)

    @_quiet
    def read(self, ids: NDArray[Any]) -> None:
        """Let every stream read the symbols ``ids`` (1-D, host) from a zero state."""
        model = self.model
        source = model.window(min(READ_STEPS, max(1, len(ids))), 1, backward=False)
        with model.inference(1) if len(ids) > READ_STEPS else nullcontext():
            for start in range(0, len(ids), source.steps):
                model.forward(source, model.backend.put(ids[start : start + source.steps, None]))
                source.carry()
        for (_, mine), (_, read) in zip(self._window.states(), source.states(), strict=True):
            mine[0] = read[0]
        self._steps.current = 0

    @_quiet
    def step(self, ids: NDArray[Any]) -> NDArray[Any]:
        """Let stream n read the symbol ``ids[n]``; return the logits of what follows, (N, V).

        Both are on the host; the next step may overwrite the logits.
        """
        backend = self.model.backend
        return backend.get(self.advance(backend.put(ids))).T

    def advance(self, ids: Array) -> Array:
        """Let stream n read the symbol ``ids[n]``; return the logits of what follows, (V, N).

        Both are on the backend; the next step overwrites the logits.
        """
        steps, counted = self._steps, self.model.counted
        if counted is None or self.compiled:
            return steps.advance(ids)
        states = self._window.sequences[READ]
        read = counted.read(states[steps.current], ids[None])
        logits = steps.advance(ids)
        states[steps.current] = read[1:]
        return counted.beside(self.model.weights, read).mixed(logits[None], ALL)[0]
