"""The diagnosis of a generator: one symbol of each text, and how far back it reaches.

For each text one symbol y_t is drawn, and ℓ = -ln p(y_t | y_1 … y_{t-1}, label) is a single loss.
Lag 0 is the state that has just read y_{t-1}, as in :mod:`charrnn.diagnosis.measures.lag`; each
text begins from a zero state, with the symbol that ends the one before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from charrnn.config import TrainConfig
from charrnn.diagnosis.measures.curves import LagProfile
from charrnn.diagnosis.measures.totals import by_lag, total_norms
from charrnn.diagnosis.measures.values import Floats
from charrnn.diagnosis.settings import Settings
from charrnn.diagnosis.tasks.base import (
    NO_TRAJECTORY,
    Examples,
    Pass,
    drawn,
    largest_lag,
    layers_of,
)
from charrnn.evaluate.generated import BATCH
from charrnn.model.parameters import Parameters
from charrnn.model.sequences.generator import Generator
from charrnn.model.sequences.padding import Padding
from charrnn.randomness import Purpose, generator
from charrnn.tasks.generate import GenerateTask
from charrnn.text.labelled.batches import SimilarLengths
from charrnn.text.labelled.examples import Labelled

NO_CONTEXT = "each text is read whole, from its label and its beginning"


class TextsToWrite(Examples):
    """A generator, and labelled texts with their ends.

    ``start`` is the symbol that is read before each text.
    """

    missing: ClassVar = {"lyapunov": NO_TRAJECTORY, "context": NO_CONTEXT}
    unused: ClassVar = {
        **dict.fromkeys(("lyapunov_steps", "exponents"), NO_TRAJECTORY),
        **dict.fromkeys(("context", "targets"), NO_CONTEXT),
    }

    def __init__(self, model: Any, texts: Labelled, start: int) -> None:
        super().__init__(model, texts)
        self._start = start

    def task(self, model: Any, train: TrainConfig) -> GenerateTask:
        """Return the task of training a generator on the texts."""
        none = self._data.of(np.arange(0))
        return GenerateTask(model, self._data, none, train, start=self._start)

    def passes(self, batches: int) -> Iterator[Pass]:
        """Read the longest texts; yield what the forward passes left."""
        model, put = self.model, self.model.backend.put
        groups = SimilarLengths(self._data.lengths, BATCH, None)
        for step in range(min(batches, groups.per_epoch)):
            numbers, places, _ = groups.at(step)
            targets, lengths = self._data.padded(numbers, places)
            labels = self._data.labels_of(numbers, places)
            window = model.window(len(targets), places, backward=False)
            read = model.inputs(targets, labels, self._start)
            model.surprisal(window, put(read), put(targets))
            real = Padding(lengths, len(targets), model.backend).real
            yield Pass("", model.stack, window, real)

    def profile(self, model: Any, settings: Settings, notes: list[str]) -> LagProfile:
        """Return the lag profile."""
        lengths = self._data.lengths
        max_lag = largest_lag(lengths, settings.max_lag)
        if settings.max_lag is not None and max_lag < settings.max_lag:
            notes.append(f"texts are short: lags up to {max_lag}")
        numbers = drawn(np.flatnonzero(lengths > max_lag), settings.anchors, settings.seed)
        rng = generator(settings.seed, Purpose.DIAGNOSE, layer=1)
        steps = rng.integers(max_lag, lengths[numbers])
        texts = self._data.of(numbers)
        norms, loss = gradient_norms(model, texts, self._start, steps, max_lag)
        return LagProfile(numbers, None, max_lag, loss, layers_of(model.stack, norms))


def gradient_norms(
    model: Generator, texts: Labelled, start: int, steps: NDArray[np.int64], max_lag: int
) -> tuple[dict[str, Floats], float]:
    """Return ‖∂ℓ/∂state‖ for every state, lag and text, and the mean of ℓ in nats.

    Parameters
    ----------
    model
        In float64.
    start
        The symbol that is read before each text.
    steps
        (texts,): of each text the number of the symbol whose loss it is, at least ``max_lag``.

    Returns
    -------
    norms, loss
        ``norms`` maps ``h_l0``, ``c_l0``, … to (max_lag + 1, texts).
    """
    backend, groups = model.backend, SimilarLengths(texts.lengths, BATCH, None)
    norms: dict[str, Floats] = {}
    total = 0.0
    unused = Parameters.zeros(model.head.shapes(), backend.xp, np.dtype(model.config.dtype))
    for group in range(groups.per_epoch):
        numbers = groups.at(group).numbers
        targets, _ = texts.padded(numbers, len(numbers))
        read = model.inputs(targets, texts.labels_of(numbers, len(numbers)), start)
        window = model.window(len(targets), len(numbers))
        top = model.forward(window, backend.put(read), backward=True)
        mask = backend.put(np.arange(len(targets))[:, None] == steps[numbers])
        d_top = backend.xp.empty_like(window.d_top)
        # divided by one text, not by all: each column is the gradient of its own ℓ
        loss = model.head.loss(
            model.weights,
            top,
            backend.put(targets),
            unused,
            d_top,
            window.buffers,
            mask=mask,
            symbols=1,
        )
        total += float(backend.get(loss))
        for name, rows in total_norms(model.stack, window, d_top).items():
            kept = norms.setdefault(name, np.empty((max_lag + 1, len(texts))))
            kept[:, numbers] = by_lag(rows, steps[numbers], max_lag)
    return norms, total / len(texts)
