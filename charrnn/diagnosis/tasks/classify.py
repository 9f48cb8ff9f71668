"""The diagnosis of a classifier: one loss, at the end of the text.

Here the accumulated gradient is the textbook's picture of vanishing gradients (Bengio, Simard and
Frasconi 1994): ℓ = -ln p(label) is a single loss. For a text of n symbols, lag k is the step
k before its end; for a layer that reads backwards, whose end is the text's beginning, the step k
after its beginning. G(k) is defined as in :mod:`charrnn.diagnosis.measures.lag`, the mean over
texts of more than the largest lag. With the mean or the maximum over the steps, ℓ has a gradient
at each step directly, and G says how the two ways add up; with the last step alone (``pool``),
all of it passes through the recurrence.

Context is counted from the end of the text, too: L(k) is the loss if only the last k symbols are
read, R(k) if all but the last k are replaced by those of another text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from charrnn.config import TrainConfig
from charrnn.diagnosis.measures.context import Context, shortened
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
from charrnn.evaluate.labels import Labeller
from charrnn.model.parameters import Parameters
from charrnn.model.sequences.classifier import Classifier
from charrnn.model.sequences.padding import Padding
from charrnn.tasks.classify import ClassifyTask
from charrnn.text.entropy import entropy
from charrnn.text.labelled.batches import SimilarLengths
from charrnn.text.labelled.examples import Labelled

POOLED = {"mean": "mean", "max": "maximum"}
BATCH = 64
"""Texts that are read together, at most."""


class LabelledTexts(Examples):
    """A classifier and labelled texts."""

    missing: ClassVar = {
        "lyapunov": NO_TRAJECTORY,
        "position": "texts are read whole: there are no windows",
    }
    unused: ClassVar = dict.fromkeys(("lyapunov_steps", "exponents"), NO_TRAJECTORY)

    def task(self, model: Any, train: TrainConfig) -> ClassifyTask:
        """Return the task of training a classifier on the texts."""
        return ClassifyTask(model, self._data, self._data.of(np.arange(0)), train)

    def passes(self, batches: int) -> Iterator[Pass]:
        """Read the longest texts; yield what the forward passes left."""
        groups = SimilarLengths(self._data.lengths, BATCH, None)
        for step in range(min(batches, groups.per_epoch)):
            numbers, places, _ = groups.at(step)
            ids, lengths = self._data.padded(numbers, places)
            padding = Padding(lengths, len(ids), self.model.backend)
            window = self.model.window(len(ids), places, backward=False)
            self.model.log_p(window, self.model.backend.put(ids), padding)
            yield Pass("", self.model.stack, window, padding.real)

    def profile(self, model: Any, settings: Settings, notes: list[str]) -> LagProfile:
        """Return the lag profile, from the end of the texts to their beginning."""
        lengths = self._data.lengths
        max_lag = largest_lag(lengths, settings.max_lag)
        if settings.max_lag is not None and max_lag < settings.max_lag:
            notes.append(f"texts are short: lags up to {max_lag}")
        if model.config.pool != "last":
            notes.append(
                f"the model decides by the {POOLED[model.config.pool]} over the steps, so each "
                "step has a gradient directly, besides the one through time"
            )
        numbers = drawn(np.flatnonzero(lengths > max_lag), settings.anchors, settings.seed)
        norms, loss = gradient_norms(model, self._data.of(numbers), max_lag)
        return LagProfile(numbers, None, max_lag, loss, layers_of(model.stack, norms))

    def context(self, settings: Settings, profile: LagProfile) -> Context | None:
        """Return the loss with only the last symbols, or with others before them."""
        longest = settings.context or 2 * profile.max_lag
        longest = min(longest, int(self._data.lengths.max()))
        wanted = min(settings.targets, len(self))
        enough = np.flatnonzero(self._data.lengths >= min(longest, profile.max_lag))
        numbers = drawn(enough, wanted, settings.seed + 1)
        texts = self._data.of(numbers)
        counts = np.bincount(texts.labels, minlength=self.model.outputs)
        measured = _Shortened(self.model, texts)
        cut = shortened(measured.cut, measured.replaced, longest)
        return Context(cut, None, None, entropy(counts / counts.sum()))


def gradient_norms(
    model: Classifier, texts: Labelled, max_lag: int
) -> tuple[dict[str, Floats], float]:
    """Return ‖∂ℓ/∂state‖ for every state, lag and text, and the mean of ℓ in nats.

    Parameters
    ----------
    model
        In float64.
    texts
        Each of more than ``max_lag`` symbols.

    Returns
    -------
    norms, loss
        ``norms`` maps ``h_l0``, ``c_l0``, ``h_l0_reverse``, … to (max_lag + 1, texts).
    """
    backend, groups = model.backend, SimilarLengths(texts.lengths, BATCH, None)
    norms: dict[str, Floats] = {}
    total = 0.0
    unused = Parameters.zeros(model.shapes_above(), backend.xp, np.dtype(model.config.dtype))
    for step in range(groups.per_epoch):
        numbers = groups.at(step).numbers
        ids, lengths = texts.padded(numbers, len(numbers))
        window = model.window(len(ids), len(numbers))
        padding = Padding(lengths, len(ids), backend)
        labels = backend.put(texts.labels[numbers])
        # divided by one text, not by all: each column is the gradient of its own ℓ
        loss = model.loss_at_top(window, backend.put(ids), labels, unused, padding, symbols=1)
        total += float(backend.get(loss))
        d_top = window.d_top.copy()
        for name, rows in total_norms(model.stack, window, d_top).items():
            kept = norms.setdefault(name, np.empty((max_lag + 1, len(texts))))
            kept[:, numbers] = by_lag(rows, lengths - 1, max_lag)
    return norms, total / len(texts)


class _Shortened:
    """The loss of texts that are cut, or in part replaced."""

    def __init__(self, model: Classifier, texts: Labelled) -> None:
        self._labeller, self._labels = Labeller(model), texts.labels
        starts = zip(texts.begins.tolist(), texts.lengths.tolist(), strict=True)
        self._ids = [np.asarray(texts.ids[at : at + length]) for at, length in starts]

    def cut(self, k: int) -> Floats:
        """Return -ln p(label) of each text, of which only the last k symbols are read."""
        return self._losses([ids[max(0, len(ids) - k) :] for ids in self._ids])

    def replaced(self, k: int) -> Floats:
        """Return -ln p(label) of each text, all but its last k symbols replaced by another's."""
        half = max(1, len(self._ids) // 2)
        others = [self._ids[(n + half) % len(self._ids)] for n in range(len(self._ids))]
        return self._losses([_after(o, ids, k) for o, ids in zip(others, self._ids, strict=True)])

    def _losses(self, ids: list[NDArray[Any]]) -> Floats:
        p = self._labeller.of_texts(ids)[self._labels, np.arange(len(ids))]
        found: Floats = -np.log(np.maximum(p, np.finfo(np.float64).tiny))
        return found


def _after(other: NDArray[Any], ids: NDArray[Any], k: int) -> NDArray[Any]:
    """Return a text with the symbols of another one, again and again, before its last k."""
    before = max(0, len(ids) - k)
    if not len(other):
        return ids[before:]
    return np.concatenate((np.resize(other, before), ids[before:]))
