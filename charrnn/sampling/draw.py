"""Samples: streams of symbols drawn from a model, until each is complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import CharRNNError, UsageError, setting
from charrnn.model.language import LanguageModel
from charrnn.sampling.drawer import DEFAULTS, Draw, Drawer, Text, encode_prime, primed
from charrnn.sampling.filters import weights
from charrnn.sampling.frame import PLAIN, Frame
from charrnn.sampling.options import DEFAULT_LENGTH, SampleOptions, check_end
from charrnn.sampling.rules import rules_of
from charrnn.sampling.seen import Novelty
from charrnn.sampling.stepper import Stepper
from charrnn.sampling.written import Outcome, Sample, Written
from charrnn.text.vocabulary import Unknown, Vocabulary

FREE = Novelty()
TOGETHER = 1024
"""Samples that are computed together."""
STEPS_ADDED = 32
"""Steps whose symbols are added to the texts at once, where no text can end before."""
LONGEST = 100_000
"""Symbols of a sample without a length after which whole samples are given up."""


class Prediction(NamedTuple):
    """A symbol that may come next (an integer at byte level) and its probability."""

    symbol: str | int
    p: float


def draws(
    model: LanguageModel,
    vocabulary: Vocabulary,
    prime: NDArray[Any],
    options: SampleOptions = DEFAULTS,
    *,
    streams: int = 1,
    stepper: Stepper | None = None,
    **more: Any,
) -> Drawer:
    """Draw symbols endlessly, ``streams`` at once, after the symbols ``prime`` (1-D).

    ``stepper`` is a stepper of the model to use again; see :class:`Drawer` for the other parameters
    and the errors, and :func:`primed`.
    """
    ready = primed(model, vocabulary, prime, streams, stepper)
    return Drawer(ready, prime, options, vocabulary.unknown, **more)


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
    novelty: Novelty = FREE,
    first: int = 0,
    stepper: Stepper | None = None,
) -> Iterator[Text]:
    """Yield a sample symbol by symbol, as it is drawn: strings, or bytes at byte level.

    Parameters
    ----------
    length
        The maximum number of symbols; 0 means endless.
    prime
        The text that the model reads first; it is not part of the sample.
    until
        The sample ends with the first occurrence of this text in it.
    seed, first
        The seed of the random numbers, and the number of the stream that uses them: sample k of
        :func:`samples` is that of stream k, from 0.
    unknown
        What to do with symbols of the prime that the vocabulary lacks: ``"error"`` or ``"skip"``.
    frame
        The symbols that are read if there is no prime, and another text that ends the sample.
    novelty
        A text that must not be copied. With ``lines``, whole lines are yielded.
    stepper
        A stepper of the model, with one stream, to use again.

    Raises
    ------
    UsageError
        If ``length`` is negative, or :meth:`SampleOptions.check_sample` refuses it.
    VocabularyError, CharRNNError
        If ``until`` can never occur; and see :func:`encode_prime` and :func:`draws`.
    """
    options.check_sample(length, until or frame.end, novelty.lines is not None)
    ids = encode_prime(vocabulary, prime, unknown, frame)
    ends, read = (until, frame.end), ids if prime else ids[:0]
    written = Written(vocabulary, ends, length, novelty.lines, frame.own(read))
    drawer = draws(
        model,
        vocabulary,
        ids,
        options,
        stepper=stepper,
        seed=seed,
        first=first,
        length=length,
        spans=novelty.spans,
        rewinding=novelty.lines is not None,
        before=read,
    )
    mark = drawer.mark(0) if novelty.lines else None
    for draw in drawer:
        outcome = written.add(int(draw.ids[0]))
        if outcome is Outcome.AGAIN:
            drawer.rewind(0, mark)
            continue
        if outcome is Outcome.LINE:
            mark = drawer.mark(0)
        if mark is None or outcome is not Outcome.MORE:
            yield from written.release()
        if outcome is Outcome.END:
            return


def samples(
    model: LanguageModel,
    vocabulary: Vocabulary,
    options: SampleOptions = DEFAULTS,
    **more: Any,
) -> list[Sample]:
    """Return samples as a list; see :func:`in_order`."""
    return list(in_order(model, vocabulary, options, **more))


def in_order(
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
    novelty: Novelty = FREE,
    first: int = 0,
    stepper: Stepper | None = None,
    log_probs: bool = False,
    progress: Callable[[int], object] = lambda drawn: None,
) -> Iterator[Sample]:
    """Yield ``count`` samples, each once it and those before end.

    They are computed in batches of at most :data:`TOGETHER`, so that memory does not grow.

    See :func:`stream` for the other parameters. With ``log_probs`` each has its log-probabilities.
    ``progress`` is called with the number of symbols drawn for each, after each of them.

    Raises
    ------
    UsageError
        If ``count`` is below 1, ``length`` is negative, or nothing ends the samples; and as
        :func:`stream` does.
    CharRNNError
        If with ``length`` 0 a sample has not ended after :data:`LONGEST` symbols.
    """
    _check_count(count)
    options.check_sample(length, until or frame.end, novelty.lines is not None)
    check_end(length, until or frame.end)
    how: dict[str, Any] = {"length": length, "prime": prime, "until": until, "seed": seed}
    how |= {"unknown": unknown, "frame": frame, "novelty": novelty, "stepper": stepper}
    how |= {"log_probs": log_probs, "progress": progress}
    for start in range(0, count, TOGETHER):
        size = min(TOGETHER, count - start)
        yield from _batch(model, vocabulary, options, count=size, first=first + start, **how)


def _batch(
    model: LanguageModel,
    vocabulary: Vocabulary,
    options: SampleOptions,
    *,
    count: int,
    length: int,
    prime: Text,
    until: Text,
    seed: int,
    unknown: Unknown,
    frame: Frame,
    novelty: Novelty,
    first: int,
    stepper: Stepper | None,
    log_probs: bool,
    progress: Callable[[int], object],
) -> Iterator[Sample]:
    """Yield the samples of one batch; see :func:`in_order`."""
    ids, lines = encode_prime(vocabulary, prime, unknown, frame), novelty.lines
    ends, read = (until, frame.end), ids if prime else ids[:0]
    begun = frame.own(read)
    written = [Written(vocabulary, ends, length, lines, begun) for _ in range(count)]
    whole = all(each.only_by_length for each in written)
    drawer = draws(
        model,
        vocabulary,
        ids,
        options,
        streams=count,
        stepper=stepper,
        seed=seed,
        first=first,
        length=length,
        whole=whole,
        spans=novelty.spans,
        rewinding=lines is not None,
        log_probs=log_probs,
        before=read,
    )
    if whole:
        steps = _steps_of_equal(drawer, written, length, progress)
    else:
        steps = _steps(drawer, written, lines is not None, progress, endless=not length)
    # one stream alone disturbs little, and to ask BLAS for its threads takes 10 ms
    context = model.inference(count) if count > 1 else nullcontext()
    while True:
        with context:  # not while the caller has the samples
            ended = next((some for some in steps if some), None)
        if ended is None:
            return
        yield from ended


def _steps_of_equal(
    drawer: Drawer, written: list[Written], length: int, progress: Callable[[int], object]
) -> Iterator[list[Sample]]:
    """Draw samples that nothing but their length ends; yield them all at the end.

    Symbols are added many steps at a time, which takes a tenth of the time.
    """
    draws: list[Draw] = []
    for made, draw in enumerate(islice(drawer, length), 1):
        draws.append(draw)
        if len(draws) == STEPS_ADDED or made == length:
            ids = np.stack([each.ids for each in draws], axis=1).tolist()
            nats = [each.log_probs for each in draws if each.log_probs is not None]
            logs = np.stack(nats, axis=1).tolist() if nats else [[]] * len(written)
            for text, symbols, log_probs in zip(written, ids, logs, strict=True):
                text.extend(symbols, log_probs)
            draws = []
        if made < length:
            progress(made)
    yield [each.sample() for each in written]


def _steps(
    drawer: Drawer,
    written: list[Written],
    novel: bool,
    progress: Callable[[int], object],
    endless: bool,
) -> Iterator[list[Sample]]:
    """Draw step by step until all samples have ended; yield those that are next, if any."""
    count = len(written)
    marks = [drawer.mark(k) for k in range(count)] if novel else []
    unfinished, given = list(range(count)), 0
    for made, draw in enumerate(drawer, 1):
        chosen = draw.ids.tolist()
        nats = [None] * count if draw.log_probs is None else draw.log_probs.tolist()
        for k in tuple(unfinished):
            outcome = written[k].add(chosen[k], nats[k])
            if outcome is Outcome.END:
                unfinished.remove(k)
                drawer.end(k)
            elif outcome is Outcome.AGAIN:
                drawer.rewind(k, marks[k])
            elif outcome is Outcome.LINE:
                marks[k] = drawer.mark(k)
        first = unfinished[0] if unfinished else count
        yield [each.sample() for each in written[given:first]]
        given = first
        if not unfinished:
            return
        progress(made)
        if endless and made == LONGEST:
            raise CharRNNError(
                f"a sample has not ended after {LONGEST:,} symbols", f"give a {setting('length')}"
            )


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
    scores = primed(model, vocabulary, ids, 1).step(ids[-1:])
    for rule in rules_of(options, 1, len(vocabulary)):
        for symbol in ids.tolist() if prime else ():
            rule.add(0, symbol)
        scores = rule.apply(scores, [0], vocabulary.unknown)
    p = weights(scores, options, vocabulary.unknown)[0]
    p /= p.sum()
    order = np.argsort(-p, kind="stable")[:count]
    return [Prediction(vocabulary.symbols[i], float(p[i])) for i in order if p[i] > 0]


def _check_count(count: int) -> None:
    if count < 1:
        raise UsageError(f"{setting('count')} must be at least 1, not {count}")
