"""Dynamic evaluation: a model that learns from a text while the text is scored.

Krause, Kahembwe, Murray and Renals 2018 (arXiv 1709.07432). A window is scored first, by weights
that know nothing of it, and only then learned from:

    s = Σ -ln p(symbol | all before it)           over the T symbols of the window, with weights w
    g = ∂s/∂w / T                                  through S steps at most
    r² = mean of g² over the updates so far        of each weight by itself
    w ← w - η g / (r + ε r̄) + λ (w₀ - w)           r̄: root of the mean of all r²

w₀ are the trained weights, to which w is drawn back. The paper has r from the training text; here
it is found on the way, so nothing but the model is needed. ε r̄ keeps a weight that hardly ever had
a gradient, such as those of a rare symbol, from moving far by its first ones. A text that has a
style, names or a subject of its own is predicted better; one with nothing to learn a little worse.

The head of a large alphabet is most of the work, and costs three times as much to learn from as to
score. There g is the mean over some of the pieces of S steps alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from charrnn.backend import Array
from charrnn.evaluate.dynamic.learner import Learner
from charrnn.evaluate.dynamic.settings import Dynamic
from charrnn.evaluate.whole import Score, too_short
from charrnn.model.language import LanguageModel
from charrnn.text.tally import Tally
from charrnn.text.units.pieces import Ids


def score_dynamically(
    model: LanguageModel,
    chunks: Iterable[Ids],
    how: Dynamic | None = None,
    *,
    tally: Tally | None = None,
    progress: Callable[[int], object] | None = None,
) -> Score:
    """Score a text in one stream from a zero state by a copy of the model that learns from it.

    Parameters and errors are those of :func:`charrnn.evaluate.score`; ``model`` is not changed.
    """
    chars, nats, tally = 0, 0.0, tally or Tally(size=None)
    for targets, surprisal in learned_surprisals(model, chunks, how or Dynamic(), tally):
        nats += float(model.backend.get(surprisal.sum(dtype=np.float64)))
        chars += len(targets)
        if progress is not None:
            progress(len(targets))
    return Score(chars, nats, tally.skipped, tally.size)


def learned_surprisals(
    model: LanguageModel, chunks: Iterable[Ids], how: Dynamic, tally: Tally
) -> Iterator[tuple[Ids, Array]]:
    """Yield targets (host) and their surprisal (on the backend), 1-D, a window at a time."""
    learner = Learner(model, how)
    window, put = learner.window(), model.backend.put
    for ids in _windows(chunks, learner.steps, tally):
        inputs, targets = (put(np.ascontiguousarray(part[:, None])) for part in (ids[:-1], ids[1:]))
        yield ids[1:], learner.model.surprisal(window, inputs, targets)[:, 0]
        if len(ids) > learner.steps:  # only the last window is shorter
            learner.learn(window, ids)
            window.carry()


def _windows(chunks: Iterable[Ids], steps: int, tally: Tally) -> Iterator[Ids]:
    """Yield ``steps`` + 1 symbols at a time, each beginning with the last of those before.

    Where a chunk ends makes no difference: a window is the same for every way to read a text.
    """
    held: list[Ids] = []
    symbols, scored = 0, False
    for chunk in chunks:
        held.append(chunk)
        symbols += len(chunk)
        if symbols <= steps:
            continue
        ids = np.concatenate(held)
        whole = (len(ids) - 1) // steps * steps
        for start in range(0, whole, steps):
            yield ids[start : start + steps + 1]
        held, symbols, scored = [ids[whole:]], len(ids) - whole, True
    if symbols > 1:
        yield np.concatenate(held)
    elif not scored:
        raise too_short(symbols, tally)
