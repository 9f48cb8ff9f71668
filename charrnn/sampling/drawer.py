"""Drawing the symbols of several streams, step by step.

Stream k draws its uniform numbers from ``generator(seed, Purpose.SAMPLE, layer=k)``, one per
symbol, so they do not depend on the number of streams. (The logits do, in the last bit: matrix
products of another width may round differently.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import CharRNNError, setting
from charrnn.model.language import LanguageModel
from charrnn.sampling import ahead
from charrnn.sampling.filters import Weights, choose, log_probabilities, weights
from charrnn.sampling.frame import PLAIN, Frame
from charrnn.sampling.options import SampleOptions
from charrnn.sampling.rules import Rule, rules_of
from charrnn.sampling.seen import Seen
from charrnn.sampling.stepper import Stepper
from charrnn.text.vocabulary import Unknown, Vocabulary

Text = str | bytes
DEFAULTS = SampleOptions()


class Draw(NamedTuple):
    """One symbol of every stream.

    ``ids`` is (N,); ``log_probs`` (N,) are their log-probabilities in nats under the model's own
    distribution, before temperature and filters, or None if they were not asked for.
    """

    ids: NDArray[np.intp]
    log_probs: NDArray[np.float64] | None


class Drawer:
    """Draws the symbols of several streams, endlessly, after the symbols ``prime`` (1-D).

    The unknown symbol is never drawn.

    Parameters
    ----------
    stepper
        A stepper that :func:`primed` returned, with one stream for each sample.
    prime
        The symbols that it was primed with, 1-D.
    options
        How symbols are drawn.
    unknown
        The unknown symbol, if there is one.
    seed, first
        The seed of the random numbers, and the number of the first stream.
    length
        Symbols of a sample, for a temperature that changes; 0: endless.
    whole
        Whether no sample ends before that.
    spans
        Spans that must not be written.
    rewinding
        Whether :meth:`mark` and :meth:`rewind` will be used.
    log_probs
        Whether to return log-probabilities.
    before
        The symbols before the samples, 1-D: the prime, unless it only replaces an empty one.
    """

    def __init__(
        self,
        stepper: Stepper,
        prime: NDArray[Any],
        options: SampleOptions = DEFAULTS,
        unknown: int | None = None,
        *,
        seed: int = 0,
        first: int = 0,
        length: int = 0,
        whole: bool = False,
        spans: Seen | None = None,
        rewinding: bool = False,
        log_probs: bool = False,
        before: Sequence[int] | NDArray[Any] = (),
    ) -> None:
        count, symbols = stepper.streams, stepper.model.V
        self._stepper, self._options, self._unknown = stepper, options, unknown
        self._ids: NDArray[np.intp] = np.repeat(prime[-1:], count).astype(np.intp)
        self._uniforms = ahead.Uniforms(seed, first, count)
        self._log_probs = log_probs
        self._length = length
        self._drawn = [0] * count
        self._active = list(range(count))
        self._rules: list[Rule] = rules_of(options, count, symbols, spans)
        for rule in self._rules:
            for stream in self._active:
                for symbol in before:
                    rule.add(stream, int(symbol))
        self._ahead: Iterator[Any] | None = None
        if not (self._rules or rewinding):
            self._ahead = ahead.source(
                stepper, options, unknown, self._ids, self._uniforms, log_probs, length, whole
            )

    def __iter__(self) -> Iterator[Draw]:
        return self

    def __next__(self) -> Draw:
        """Draw one symbol of every stream.

        Raises
        ------
        CharRNNError
            If the model's output is not finite, or a stream has no symbol left to draw.
        """
        if self._ahead is not None:
            return Draw._make(next(self._ahead))
        logits = scores = self._stepper.step(self._ids)
        for rule in self._rules:
            scores = rule.apply(scores, self._active, self._unknown)
        self._ids = choose(self._weights(scores), self._uniforms.take(1)[0])
        for rule in self._rules:
            for stream in self._active:
                rule.add(stream, int(self._ids[stream]))
        if self._options.temperature_end is not None:
            for stream in self._active:
                self._drawn[stream] += 1
        return Draw(self._ids, log_probabilities(logits, self._ids) if self._log_probs else None)

    def end(self, stream: int) -> None:
        """Stop applying rules to a stream whose sample is complete."""
        self._active.remove(stream)

    def mark(self, stream: int) -> Any:
        """Return the state of a stream for :meth:`rewind`."""
        rules = [rule.mark(stream) for rule in self._rules]
        state = self._stepper.state(stream)
        return state, int(self._ids[stream]), self._drawn[stream], rules

    def rewind(self, stream: int, mark: Any) -> None:
        """Put a stream back to a mark; its random numbers continue."""
        state, symbol, self._drawn[stream], marks = mark
        self._stepper.restore(stream, state)
        self._ids = self._ids.copy()
        self._ids[stream] = symbol
        for rule, each in zip(self._rules, marks, strict=True):
            rule.rewind(stream, each)

    def _weights(self, scores: NDArray[Any]) -> Weights:
        options = self._options
        if options.temperature_end is None:
            return weights(scores, options, self._unknown)
        each = [options.at(drawn, self._length) for drawn in self._drawn]
        if len(set(each)) == 1:
            return weights(scores, options, self._unknown, each[0])
        rows = zip(scores, each, strict=True)
        return np.concatenate([weights(row[None], options, self._unknown, t) for row, t in rows])


def primed(
    model: LanguageModel,
    vocabulary: Vocabulary,
    prime: NDArray[Any],
    streams: int,
    stepper: Stepper | None = None,
) -> Stepper:
    """Return a stepper that has read all of the prime but its last symbol.

    Raises
    ------
    CharRNNError
        If the model knows only the unknown symbol.
    """
    if len(vocabulary) == 1 and vocabulary.unknown is not None:
        raise CharRNNError(
            "the model knows only the unknown symbol, which is never drawn",
            f"train it with a lower {setting('min_count')}",
        )
    stepper = stepper or Stepper(model, streams)
    stepper.start(prime)
    return stepper


def encode_prime(
    vocabulary: Vocabulary, prime: Text, unknown: Unknown = "error", frame: Frame = PLAIN
) -> NDArray[Any]:
    """Return the symbols that the model reads before it draws, 1-D, at least one.

    An empty prime is replaced by the start of ``frame``, which precedes every prime of an example.
    At byte level a ``str`` stands for its UTF-8 bytes.

    Raises
    ------
    VocabularyError
        If the vocabulary lacks a symbol of the prime, and ``unknown`` is ``"error"``.
    """
    ids = vocabulary.encode(vocabulary.text(prime), unknown) if prime else None
    if ids is not None and len(ids):
        return np.concatenate((frame.start(vocabulary), ids)) if frame.examples else ids
    return frame.start(vocabulary)
