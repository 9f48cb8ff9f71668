"""Streams of symbols drawn from a model.

Stream k draws its uniform numbers from ``generator(seed, Purpose.SAMPLE, layer=k)``, one per
symbol, so they do not depend on the number of streams. (The logits do, in the last bit: matrix
products of another width may round differently.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import CharRNNError, UsageError, setting
from charrnn.model.language import LanguageModel
from charrnn.randomness import Purpose, generator
from charrnn.sampling import ahead
from charrnn.sampling.filters import choose, log_probabilities, weights
from charrnn.sampling.frame import PLAIN, Frame
from charrnn.sampling.options import DEFAULT_LENGTH, SampleOptions
from charrnn.sampling.stepper import Stepper
from charrnn.sampling.until import End
from charrnn.text.vocabulary import Unknown, Vocabulary

Text = str | bytes
DEFAULTS = SampleOptions()
_BLOCK = 1024


class Draw(NamedTuple):
    """One symbol of every stream.

    ``ids`` is (N,); ``log_probs`` (N,) are their log-probabilities in nats under the model's own
    distribution, before temperature and filters, or None if they were not asked for.
    """

    ids: NDArray[np.intp]
    log_probs: NDArray[np.float64] | None


@dataclass(frozen=True)
class Sample:
    """One finished sample.

    Attributes
    ----------
    text
        What was drawn, without the prime; bytes at byte level.
    log_probs
        For each symbol its log-probability in nats under the model's own distribution, before
        temperature and filters. If ``until`` ends inside a symbol, the whole symbol counts. Empty
        if they were not asked for.
    """

    text: Text
    log_probs: tuple[float, ...]


class Prediction(NamedTuple):
    """A symbol that may come next (an integer at byte level) and its probability."""

    symbol: str | int
    p: float


def encode_prime(
    vocabulary: Vocabulary, prime: Text, unknown: Unknown = "error", frame: Frame = PLAIN
) -> NDArray[Any]:
    """Return the symbols that the model reads before it draws, 1-D, at least one.

    An empty prime is replaced by the start of the frame. At byte level a ``str`` stands for its
    UTF-8 bytes.

    Raises
    ------
    VocabularyError
        If the vocabulary lacks a symbol of the prime, and ``unknown`` is ``"error"``.
    """
    if vocabulary.level == "byte" and isinstance(prime, str):
        prime = prime.encode("utf-8", "surrogateescape")
    ids = vocabulary.encode(prime, unknown) if prime else None
    if ids is not None and len(ids):
        return ids
    return frame.start(vocabulary)


def draws(
    model: LanguageModel,
    vocabulary: Vocabulary,
    prime: NDArray[Any],
    options: SampleOptions = DEFAULTS,
    *,
    seed: int = 0,
    streams: int = 1,
    log_probs: bool = False,
) -> Iterator[Draw]:
    """Draw symbols endlessly, ``streams`` at once, after the symbols ``prime`` (1-D).

    The unknown symbol is never drawn.

    Raises
    ------
    CharRNNError
        If the model knows only the unknown symbol, or its output is not finite.
    """
    stepper = _primed(model, vocabulary, prime, streams)
    first: NDArray[Any] = np.repeat(prime[-1:], streams).astype(np.intp)
    draw = ahead.draw_ahead if ahead.is_worthwhile(stepper, options) else _draw_by_step
    uniforms = _uniforms(seed, streams)
    drawn = draw(stepper, options, vocabulary.unknown, first, uniforms, log_probs)
    yield from map(Draw._make, drawn)


def _draw_by_step(
    stepper: Stepper,
    options: SampleOptions,
    unknown: int | None,
    first: NDArray[Any],
    uniforms: Iterator[NDArray[np.float64]],
    log_probs: bool,
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64] | None]]:
    """Yield what :func:`ahead.draw_ahead` does, drawn on the host."""
    ids = first
    for numbers in uniforms:
        logits = stepper.step(ids)
        ids = choose(weights(logits, options, unknown), numbers)
        yield ids, log_probabilities(logits, ids) if log_probs else None


def stream(
    model: LanguageModel,
    vocabulary: Vocabulary,
    options: SampleOptions = DEFAULTS,
    *,
    length: int = DEFAULT_LENGTH,
    prime: Text = "",
    until: Text = "",
    seed: int = 0,
    unknown: Unknown = "error",
    frame: Frame = PLAIN,
) -> Iterator[Text]:
    """Yield a sample symbol by symbol, as it is drawn: strings, or bytes at byte level.

    Parameters
    ----------
    length
        The maximum number of symbols; 0 means endless.
    prime
        What the model reads first; it is not part of the sample.
    until
        The sample ends with the first occurrence of this text in it.
    unknown
        What to do with symbols of the prime that the vocabulary lacks: ``"error"`` or ``"skip"``.
    frame
        What is read if there is no prime, and what else ends the sample.

    Raises
    ------
    UsageError
        If ``length`` is negative.
    VocabularyError, CharRNNError
        If ``until`` can never occur; and see :func:`encode_prime` and :func:`draws`.
    """
    _check_length(length)
    shown = _shown(vocabulary)
    end = End(vocabulary, until, frame.end)
    ids = encode_prime(vocabulary, prime, unknown, frame)
    for count, draw in enumerate(draws(model, vocabulary, ids, options, seed=seed), 1):
        symbol, over = end.take(shown[draw.ids[0]])
        yield symbol
        if over or count == length:
            return


def samples(
    model: LanguageModel,
    vocabulary: Vocabulary,
    options: SampleOptions = DEFAULTS,
    *,
    count: int = 1,
    length: int = DEFAULT_LENGTH,
    prime: Text = "",
    until: Text = "",
    seed: int = 0,
    unknown: Unknown = "error",
    frame: Frame = PLAIN,
    log_probs: bool = False,
    progress: Callable[[int], object] = lambda drawn: None,
) -> list[Sample]:
    """Return ``count`` samples that are computed as one batch; see :func:`stream`.

    With ``log_probs`` each has its log-probabilities. ``progress`` is called with the number of
    symbols drawn for each, after each of them.

    Raises
    ------
    UsageError
        If ``count`` is below 1, ``length`` is negative, or nothing ends the samples.
    """
    _check_count(count)
    _check_length(length)
    if length == 0 and not until and not frame.end:
        raise UsageError(
            f"samples of {setting('length')} 0 never end",
            f"give {setting('until')} or a {setting('length')}",
        )
    shown = _shown(vocabulary)
    ends = [End(vocabulary, until, frame.end) for _ in range(count)]
    texts: list[list[Any]] = [[] for _ in range(count)]
    nats: list[list[float]] = [[] for _ in range(count)]
    unfinished = list(range(count))
    ids = encode_prime(vocabulary, prime, unknown, frame)
    for made, draw in enumerate(
        draws(model, vocabulary, ids, options, seed=seed, streams=count, log_probs=log_probs), 1
    ):
        chosen = draw.ids.tolist()
        for k in tuple(unfinished):
            symbol, over = ends[k].take(shown[chosen[k]])
            texts[k].append(symbol)
            if draw.log_probs is not None:
                nats[k].append(float(draw.log_probs[k]))
            if over:
                unfinished.remove(k)
        if not unfinished or made == length:
            break
        progress(made)
    return [Sample(vocabulary.join(t), tuple(n)) for t, n in zip(texts, nats, strict=True)]


def next_symbols(
    model: LanguageModel,
    vocabulary: Vocabulary,
    options: SampleOptions = DEFAULTS,
    *,
    count: int,
    prime: Text = "",
    unknown: Unknown = "error",
    frame: Frame = PLAIN,
) -> list[Prediction]:
    """Return the ``count`` symbols that are most likely to be drawn after ``prime``, in order.

    Their probabilities are those after temperature and filters; symbols of probability 0 are left
    out.

    Raises
    ------
    UsageError
        If ``count`` is below 1.
    """
    _check_count(count)
    ids = encode_prime(vocabulary, prime, unknown, frame)
    logits = _primed(model, vocabulary, ids, 1).step(ids[-1:])
    p = weights(logits, options, vocabulary.unknown)[0]
    p /= p.sum()
    order = np.argsort(-p, kind="stable")[:count]
    return [Prediction(vocabulary.symbols[i], float(p[i])) for i in order if p[i] > 0]


def _primed(
    model: LanguageModel, vocabulary: Vocabulary, prime: NDArray[Any], streams: int
) -> Stepper:
    """Return a stepper that has read all of the prime but its last symbol."""
    if len(vocabulary) == 1 and vocabulary.unknown is not None:
        raise CharRNNError(
            "the model knows only the unknown symbol, which is never drawn",
            f"train it with a lower {setting('min_count')}",
        )
    stepper = Stepper(model, streams)
    if len(prime) > 1:
        stepper.read(prime[:-1])
    return stepper


def _check_count(count: int) -> None:
    if count < 1:
        raise UsageError(f"{setting('count')} must be at least 1, not {count}")


def _check_length(length: int) -> None:
    if length < 0:
        raise UsageError(f"{setting('length')} must be at least 0, not {length}", "0 means endless")


def _uniforms(seed: int, streams: int) -> Iterator[NDArray[np.float64]]:
    """Yield one uniform number per stream, (N,), endlessly."""
    sources = [generator(seed, Purpose.SAMPLE, layer=k) for k in range(streams)]
    while True:
        yield from np.stack([source.random(_BLOCK) for source in sources], axis=1)


def _shown(vocabulary: Vocabulary) -> list[Any]:
    """Return every symbol as text, or as bytes at byte level (empty for the unknown symbol)."""
    if vocabulary.level == "byte":
        return [bytes([s]) if isinstance(s, int) and s < 256 else b"" for s in vocabulary.symbols]
    return list(vocabulary.symbols)
