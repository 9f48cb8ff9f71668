"""The part of a text that is viewed, and how a model reads it.

It is read as it is scored: by one stream, from a zero state; examples each from a zero state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array
from charrnn.evaluate.whole import STEPS, too_short
from charrnn.model.language import LanguageModel
from charrnn.model.window import Window
from charrnn.text.tally import Tally

Ids = NDArray[Any]


@dataclass(frozen=True)
class Passage:
    """Symbols that are viewed.

    Attributes
    ----------
    ids
        L symbols, 1-D.
    begins
        Where each part begins that is read from a zero state, ascending from 0.
    before
        The symbol that is read before each part; None if its first symbol has no context.
    """

    ids: Ids
    begins: tuple[int, ...] = (0,)
    before: int | None = None

    @classmethod
    def of_text(cls, chunks: Iterable[Ids], length: int, tally: Tally | None = None) -> Passage:
        """Return the first ``length`` symbols of a text, which is read no further than that.

        Raises
        ------
        CorpusError
            If the text has fewer than 2 symbols.
        """
        kept, count = [], 0
        for chunk in chunks:
            kept.append(np.asarray(chunk[: length - count]))
            count += len(kept[-1])
            if count >= length:
                break
        if count < 2:
            raise too_short(count, tally or Tally())
        return cls(np.concatenate(kept))

    @classmethod
    def of_examples(cls, examples: Iterable[Ids], before: int, length: int) -> Passage:
        """Return the first ``length`` symbols of examples.

        Raises
        ------
        CorpusError
            If they have no symbol.
        """
        kept, begins, count = [], [], 0
        for example in examples:
            part = np.asarray(example[: length - count])
            if len(part):
                begins.append(count)
                kept.append(part)
            count += len(part)
            if count >= length:
                break
        if not count:
            raise too_short(0, Tally())
        return cls(np.concatenate(kept), tuple(begins), before)

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, first: int, last: int) -> Passage:
        """Return the symbols from ``first`` up to ``last`` as a passage of their own."""
        inside = [at - first for at in self.begins if first < at < last]
        return Passage(self.ids[first:last], (0, *inside), self.before)


class Pass(NamedTuple):
    """One forward pass over some of the symbols.

    Attributes
    ----------
    read
        The symbols that were read.
    skip
        How many steps precede them: 1 if the pass began with :attr:`Passage.before`, else 0.
    predicted
        The symbols that the steps predict, from the first step on: those of the same part.
    window
        Holds what the pass computed; the next pass overwrites it.
    inputs
        What was read at each step, (steps, 1).
    top
        The output of the top layer, (steps, H, 1).
    """

    read: slice
    skip: int
    predicted: slice
    window: Window
    inputs: Array
    top: Array


def passes(model: LanguageModel, passage: Passage) -> Iterator[Pass]:
    """Read a passage, some steps at a time."""
    ids, led = passage.ids, int(passage.before is not None)
    window = model.window(min(STEPS, len(ids) + led), 1, backward=False)
    for begin, end in pairwise((*passage.begins, len(ids))):
        before = np.array([passage.before] * led, ids.dtype)
        inputs = np.concatenate((before, ids[begin:end]))
        window.reset()
        for start in range(0, len(inputs), window.steps):
            part = model.backend.put(inputs[start : start + window.steps, None])
            with model.inference(1):
                top = model.forward(window, part)
            first, skip = begin + start - led, led if start == 0 else 0
            yield Pass(
                slice(first + skip, first + len(part)),
                skip,
                slice(first + 1, min(first + 1 + len(part), end)),
                window,
                part,
                top,
            )
            window.carry()
