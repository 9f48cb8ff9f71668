"""Dynamic evaluation: a model that learns from a text while the text is scored.

Krause, Kahembwe, Murray and Renals 2018 (arXiv 1709.07432). A window is scored first, by weights
that know nothing of it, and only then learned from:

    s = Σ -ln p(symbol | all before it)           over the window, with weights w
    g = ∂(s / T) / ∂w                              of the same pass
    r² = mean of ‖g‖² over the windows so far
    w ← w - η g / r + λ (w₀ - w)

w₀ are the trained weights, to which w is drawn back. The paper divides the gradient of each weight
by its own root mean square over the training text; here one number for all of them is found on the
way, so nothing but the model is needed, and a step costs less. A text that has a style, names or a
subject of its own is predicted better; one with nothing to learn a little worse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from charrnn.evaluate.dynamic.settings import Dynamic
from charrnn.evaluate.whole import Score, too_short
from charrnn.model.language import LanguageModel
from charrnn.model.parameters import norm
from charrnn.text.tally import Tally
from charrnn.text.units.pieces import Ids

STEPS = 128
"""T: symbols that are scored before the weights change."""


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
    how, tally = how or Dynamic(), tally or Tally(size=None)
    learner = type(model)(
        model.config, model.V, model.backend, model.backend.get(model.weights.flat).copy()
    )
    xp, put, weights = model.backend.xp, model.backend.put, learner.weights
    flat = weights.flat
    trained, gradient = flat.copy(), weights.like(xp.empty_like(flat))
    window = learner.window(STEPS, 1)
    lr, decay = (flat.dtype.type(value) for value in (how.dynamic_lr, how.dynamic_decay))
    chars, nats, squares, windows = 0, 0.0, 0.0, 0
    for ids in _windows(chunks, tally):
        inputs, targets = (put(np.ascontiguousarray(part[:, None])) for part in (ids[:-1], ids[1:]))
        loss = float(learner.loss_and_gradient(window, inputs, targets, gradient))
        window.carry()
        chars, nats, windows = chars + len(targets), nats + loss * len(targets), windows + 1
        squares += float(norm(xp, gradient.flat)) ** 2
        if squares > 0:
            gradient.flat *= -lr / flat.dtype.type((squares / windows) ** 0.5)
            flat += gradient.flat
        xp.subtract(trained, flat, out=gradient.flat)
        gradient.flat *= decay
        flat += gradient.flat
        if progress is not None:
            progress(len(targets))
    return Score(chars, nats, tally.skipped, tally.size)


def _windows(chunks: Iterable[Ids], tally: Tally) -> Iterator[Ids]:
    """Yield :data:`STEPS` + 1 symbols at a time, each beginning with the last of those before.

    Where a chunk ends makes no difference: a window is the same for every way to read a text.
    """
    held: list[Ids] = []
    symbols, scored = 0, False
    for chunk in chunks:
        held.append(chunk)
        symbols += len(chunk)
        if symbols <= STEPS:
            continue
        ids = np.concatenate(held)
        whole = (len(ids) - 1) // STEPS * STEPS
        for start in range(0, whole, STEPS):
            yield ids[start : start + STEPS + 1]
        held, symbols, scored = [ids[whole:]], len(ids) - whole, True
    if symbols > 1:
        yield np.concatenate(held)
    elif not scored:
        raise too_short(symbols, tally)
