"""The most likely text, by beam search: K hypotheses, each a stream of one batch.

Every step extends each hypothesis by each symbol and keeps the K most likely results (Lowerre
1976); among equals, those of the more likely hypothesis and then of the earlier symbol. Texts that
have ended leave the beam. The search ends when no hypothesis can become more likely than the
finished texts, because a log-probability never rises. Nothing is normalised by length: the search
looks for the most likely text among those that end with ``until`` or have ``length`` symbols. With
K = 1 the result is the text drawn at temperature 0; with K at least the number of all prefixes it
is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.display import count as count_of
from charrnn.errors import CharRNNError, setting
from charrnn.model.language import LanguageModel
from charrnn.options import Option
from charrnn.sampling.drawer import Text, encode_prime, primed
from charrnn.sampling.filters import log_softmax
from charrnn.sampling.frame import PLAIN, Frame
from charrnn.sampling.options import DEFAULT_LENGTH, check_beam
from charrnn.sampling.stepper import Stepper
from charrnn.sampling.until import End
from charrnn.sampling.written import Sample, shown
from charrnn.text.vocabulary import Unknown, Vocabulary

_NO_REPEAT = Option(0, "", least=0)
LONGEST = 10_000
"""Symbols of a text after which a search without a length is given up."""


class Hypothesis(NamedTuple):
    """The beginning of a text, which the search may extend."""

    ids: tuple[int, ...]
    nats: tuple[float, ...]
    end: End
    text: tuple[Any, ...]
    total: float


def most_likely(
    model: LanguageModel,
    vocabulary: Vocabulary,
    *,
    beam: int,
    count: int = 1,
    length: int = DEFAULT_LENGTH,
    prime: Text = "",
    until: Text = "",
    no_repeat: int = 0,
    unknown: Unknown = "error",
    frame: Frame = PLAIN,
    stepper: Stepper | None = None,
    progress: Callable[[int], object] = lambda read: None,
) -> list[Sample]:
    """Return the ``count`` most likely texts that a beam of ``beam`` hypotheses finds, in order.

    Parameters
    ----------
    length, prime, until, unknown, frame
        As for :func:`charrnn.sampling.stream`.
    no_repeat
        Exclude texts in which a sequence of ``no_repeat`` symbols occurs twice, the prime included;
        0 excludes none.
    stepper
        A stepper of the model, with ``beam`` streams, to use again.
    progress
        Called with the number of symbols of the hypotheses, after each of them.

    Raises
    ------
    UsageError
        If ``count`` exceeds ``beam``, or neither ``length`` nor ``until`` ends the texts.
    CharRNNError
        If the model's output is not finite, every text would repeat itself, or with ``length`` 0
        none has ended after :data:`LONGEST` symbols.
    """
    beam = check_beam(beam, count, length, until or frame.end)
    no_repeat = _NO_REPEAT.check("no_repeat", no_repeat)
    ids, texts = encode_prime(vocabulary, prime, unknown, frame), shown(vocabulary)
    stepper = primed(model, vocabulary, ids, beam, stepper)
    read, before = tuple(ids.tolist()), tuple(ids.tolist() if prime else ())
    live = [Hypothesis((), (), End(vocabulary, until, frame.end), (), 0.0)]
    ended: list[Hypothesis] = []
    step, parents = 0, [0]
    with model.inference(beam):
        while live and not _is_decided(live, ended, count):
            if step == (length or LONGEST):
                ended += live if length else []
                break
            last = [(read + one.ids)[-1] for one in live]
            feed = np.resize(np.array(last, np.intp), beam)
            stepper.follow(np.resize(np.array(parents, np.intp), beam))
            nats = _log_softmax(stepper.step(feed)[: len(live)], vocabulary.unknown)
            for row, one in zip(nats, live, strict=True):
                row[_repeated(before + one.ids, no_repeat)] = -np.inf
            grown, parents = [], []
            for parent, symbol in _best(nats + np.array([[one.total] for one in live]), beam):
                one, end = live[parent], copy(live[parent].end)
                text, over = end.take(texts[symbol])
                nat = float(nats[parent, symbol])
                new = Hypothesis(
                    (*one.ids, symbol), (*one.nats, nat), end, (*one.text, text), one.total + nat
                )
                if over:
                    ended.append(new)
                else:
                    grown.append(new)
                    parents.append(parent)
            live, step = grown, step + 1
            progress(step)
    if not ended:
        raise _endless() if live else _repeating(no_repeat)
    ended.sort(key=lambda one: -one.total)
    return [Sample(vocabulary.join(one.text), one.nats) for one in ended[:count]]


def _endless() -> CharRNNError:
    return CharRNNError(
        f"none of the texts searched has ended after {LONGEST:,} symbols",
        f"give a {setting('length')}, or a larger {setting('beam')}",
    )


def _repeating(no_repeat: int) -> CharRNNError:
    return CharRNNError(
        f"every text would repeat {count_of(no_repeat, 'symbol')}",
        f"raise {setting('no_repeat')}, or give a shorter {setting('length')}",
    )


def _is_decided(live: list[Hypothesis], ended: list[Hypothesis], count: int) -> bool:
    """Return whether no live hypothesis can surpass the ``count`` best finished texts."""
    best = sorted((one.total for one in ended), reverse=True)
    return len(best) >= count and best[count - 1] >= max(one.total for one in live)


def _log_softmax(logits: NDArray[Any], unknown: int | None) -> NDArray[np.float64]:
    """Return ln p under the model's own distribution (K, V); -∞ for the unknown symbol."""
    scores = log_softmax(logits)
    if unknown is not None:
        scores[:, unknown] = -np.inf
    return scores


def _repeated(ids: tuple[int, ...], length: int) -> list[int]:
    """Return the symbols that would make the last ``length`` ids a repetition."""
    if not length or len(ids) < length:
        return []
    end = ids[len(ids) - length + 1 :]
    places = range(len(ids) - length + 1)
    return [ids[at + length - 1] for at in places if ids[at : at + length - 1] == end]


def _best(totals: NDArray[np.float64], beam: int) -> list[tuple[int, int]]:
    """Return row and column of the ``beam`` largest finite elements; equals in their order."""
    flat = totals.ravel()
    if len(flat) > beam:
        least = np.partition(flat, len(flat) - beam)[len(flat) - beam]
        chosen = np.flatnonzero(flat >= least)
    else:
        chosen = np.arange(len(flat))
    chosen = chosen[np.argsort(-flat[chosen], kind="stable")][:beam]
    symbols = totals.shape[1]
    return [divmod(int(i), symbols) for i in chosen if flat[i] != -np.inf]
