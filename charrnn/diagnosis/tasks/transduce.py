"""The diagnosis of a transducer: through the decoder, into the encoder, and past both.

For each pair one symbol y_t of the target is drawn, and ℓ = -ln p(y_t | y_1 … y_{t-1}, source) is
a single loss. In the decoder lag k is the step k before the one that predicts y_t; in the encoder
it is k steps before the end of the source, in reading order, where the states are that the bridge
hands to the decoder. G(k) is relative to lag 0 of the same states.

The gradient enters the encoder by two ways: through attention at each step, and at its end through
the decoder's initial states. The second way alone is what there would be without attention: the
profile ``alone`` is of it, relative to the whole gradient at lag 0, so that the two say what
attention shortcuts (Bahdanau, Cho and Bengio 2015, arXiv 1409.0473).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
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
from charrnn.errors import CorpusError
from charrnn.evaluate.pairs import BATCH, marked
from charrnn.model.parameters import Parameters
from charrnn.model.transducer.model import Transducer
from charrnn.randomness import Purpose, generator
from charrnn.tasks.transduce import TransduceTask
from charrnn.text.labelled.batches import SimilarLengths
from charrnn.text.pairs.dataset import Pairs

NO_CONTEXT = "a target depends on its whole source: the attention shows which symbols it reads"


class SourcesAndTargets(Examples):
    """A transducer and pairs."""

    missing: ClassVar = {"lyapunov": NO_TRAJECTORY, "context": NO_CONTEXT}
    unused: ClassVar = {
        **dict.fromkeys(("lyapunov_steps", "exponents"), NO_TRAJECTORY),
        **dict.fromkeys(("context", "targets"), NO_CONTEXT),
    }

    def task(self, model: Any, train: TrainConfig) -> TransduceTask:
        """Return the task of training a transducer on the pairs."""
        return TransduceTask(model, self._data, self._data.of(np.arange(0)), train)

    def passes(self, batches: int) -> Iterator[Pass]:
        """Read the longest pairs; yield what the forward passes of encoder and decoder left."""
        model, groups = self.model, SimilarLengths(self._data.lengths, BATCH, None)
        for step in range(min(batches, groups.per_epoch)):
            numbers, places, _ = groups.at(step)
            ids, lengths = self._data.sources.padded(numbers, places, model.source_end)
            targets, _ = marked(self._data, numbers, places, model.end)
            space = model.window(max(len(ids), len(targets)), places, backward=False)
            sources = model.sources(ids, lengths)
            model.surprisal(space, sources, model.backend.put(targets))
            real = sources.padding.real & (np.arange(places) < len(numbers))
            yield Pass("encoder", model.stack, space.source, real)
            ends = np.zeros(places, np.int64)
            ends[: len(numbers)] = self._data.targets.lengths[numbers] + 1
            written = np.arange(len(targets))[:, None] < ends
            yield Pass("decoder", model.decoder.stack, space.target, written)

    def profile(self, model: Any, settings: Settings, notes: list[str]) -> LagProfile:
        """Return the lag profiles of decoder and encoder."""
        sources, targets = self._data.sources.lengths + 1, self._data.targets.lengths + 1
        written = largest_lag(targets, settings.max_lag)
        long = np.flatnonzero(targets > written)
        read = largest_lag(sources[long], settings.max_lag)
        if settings.max_lag is not None and min(written, read) < settings.max_lag:
            notes.append(
                f"pairs are short: lags up to {written} in the decoder, {read} in the encoder"
            )
        numbers = drawn(long[sources[long] > read], settings.anchors, settings.seed)
        rng = generator(settings.seed, Purpose.DIAGNOSE, layer=1)
        steps = rng.integers(written, targets[numbers])
        known = self._known(numbers, steps)
        numbers, steps = numbers[known], steps[known]
        found = gradient_norms(model, self._data.of(numbers), steps, written, read)
        layers = [
            *layers_of(model.decoder.stack, found.decoder, "decoder"),
            *layers_of(model.stack, found.encoder, "encoder"),
        ]
        scales = {name: float(norms[0].mean()) for name, norms in found.encoder.items()}
        alone = layers_of(model.stack, found.alone, "encoder", scales)
        return LagProfile(numbers, None, max(written, read), found.loss, layers, alone=alone)

    def _known(self, numbers: NDArray[np.int64], steps: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of some pairs have a symbol that the model knows at these steps.

        Raises
        ------
        CorpusError
            If none has.
        """
        targets, unknown = self._data.targets, self.model.end
        symbols = zip(numbers.tolist(), steps.tolist(), strict=True)
        known = [t == targets.lengths[n] or targets.text(n)[t] != unknown for n, t in symbols]
        if not any(known):
            raise CorpusError("the model knows no symbol of the targets", "name other pairs")
        return np.array(known)


@dataclass
class Found:
    """‖∂ℓ/∂state‖ by full name, (lags + 1, pairs), and the mean of ℓ in nats.

    ``alone`` is of the encoder without attention's own way; empty without attention.
    """

    decoder: dict[str, Floats] = field(default_factory=dict)
    encoder: dict[str, Floats] = field(default_factory=dict)
    alone: dict[str, Floats] = field(default_factory=dict)
    loss: float = 0.0


def gradient_norms(
    model: Transducer, pairs: Pairs, steps: NDArray[np.int64], written: int, read: int
) -> Found:
    """Measure the gradients of one loss for each pair.

    Parameters
    ----------
    model
        In float64.
    pairs
        Sources of at least ``read`` symbols and targets of at least ``written``, without their
        ends.
    steps
        (pairs,): of each target the number of the symbol whose loss it is, from 0.
    written, read
        The largest lags of decoder and encoder.
    """
    found, groups = Found(), SimilarLengths(pairs.lengths, BATCH, None)
    for group in range(groups.per_epoch):
        numbers = groups.at(group).numbers
        of_decoder, of_encoder, alone, loss = _gradients(model, pairs, numbers, steps[numbers])
        ends = np.full(len(numbers), len(next(iter(of_encoder.values()))) - 1)
        for rows, into, last, most in (
            (of_decoder, found.decoder, steps[numbers], written),
            (of_encoder, found.encoder, ends, read),
            (alone, found.alone, ends, read),
        ):
            for name, norms in rows.items():
                kept = into.setdefault(name, np.empty((most + 1, len(pairs))))
                kept[:, numbers] = by_lag(norms, last, most)
        found.loss += loss / len(pairs)
    return found


Rows = dict[str, Floats]


def _gradients(
    model: Transducer, pairs: Pairs, numbers: NDArray[Any], steps: NDArray[np.int64]
) -> tuple[Rows, Rows, Rows, float]:
    """Return the norms of decoder, encoder, and encoder without attention's way; the sum of ℓ.

    They are (T, N) by state; all sources end at the last step.
    """
    backend, weights, decoder, N = model.backend, model.weights, model.decoder, len(numbers)
    ids, lengths = pairs.sources.padded(numbers, N, model.source_end)
    host, _ = marked(pairs, numbers, N, model.end)
    space = model.window(max(len(ids), len(host)), N)
    sources, targets = model.sources(ids, lengths), backend.put(host)
    mask = backend.put(np.arange(len(host))[:, None] == steps)
    unused = Parameters.zeros(model.shapes(), backend.xp, np.dtype(model.config.dtype))
    crossed, memory = model.encode(space.source, sources, backward=True)
    decoder.begin(space.target, crossed.states)
    loss, d_top, d_memory = decoder.loss_at_top(
        weights, space.target, model.before(targets), targets, memory, unused, mask=mask, symbols=1
    )  # divided by one pair, not by all: each column is the gradient of its own ℓ
    of_decoder = total_norms(decoder.stack, space.target, d_top)
    d_final = decoder.bridge.backward(weights, crossed, space.target.state_gradients, unused)
    nothing = backend.xp.zeros_like(space.source.d_top)
    whole = nothing if d_memory is None else d_memory.transpose(1, 2, 0)
    of_encoder = total_norms(model.stack, space.source, whole, d_final)
    alone: Rows = {}
    if d_memory is not None:
        model.encode(space.source, sources, backward=True)  # a backward pass overwrites it
        alone = total_norms(model.stack, space.source, nothing, d_final)
    return of_decoder, of_encoder, alone, float(backend.get(loss))
