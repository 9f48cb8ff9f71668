"""How much each earlier symbol mattered for a symbol of a text.

With p the probability that the model gave to the symbol that came, its logit is

    z = ln (p / (1 - p)),

the log-odds of that symbol against all others. For the symbol at position t and the one k places
before it, which the model read as the vector x (the row of the embedding, or a one-hot vector),

    influence(t, k) = ‖∂z_t / ∂x_{t-k}‖,   k = 1 … K.

Of the top layer's output h, with the head's rows w and all symbols j but the one that came, y,

    ∂z/∂h = w_y - Σ_j q_j w_j,   q_j = p_j / (1 - p_y).

What raises all scores alike cancels, as in ∂ ln p/∂h, which is (1 - p) times this: but that goes to
zero where the model is certain, while the question of what made it certain has an answer. (These
are the saliency maps of Simonyan, Vedaldi and Zisserman 2013, arXiv 1312.6034, for text.)

The gradients are exact and total: along every path through time and layers. The text is read once,
and what the forward pass left at each step is kept. Going back one step takes the same equations at
every position, and the values at position t - k for all t are a piece of what was kept: all
positions are streams of one backward pass, which takes K steps whatever the length.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array, numpy_backend
from charrnn.backend.threads import Threads
from charrnn.cells.base import Workspace
from charrnn.diagnosis.measures.totals import column_norms
from charrnn.diagnosis.measures.values import Floats, copied_to, in_float64
from charrnn.model.language import LanguageModel
from charrnn.model.layer import Layer, Staged
from charrnn.model.network import DECODER, RNN
from charrnn.view.passage import Passage

REACH = 64
"""K, by default."""
CHUNK = 256
"""Positions that are computed side by side."""


def influence(
    model: LanguageModel, passage: Passage, reach: int = REACH, chunk: int = CHUNK
) -> Floats:
    """Return ‖∂z_t/∂x_{t-k}‖ for each of the L symbols, (L, reach); column k - 1 is that of k.

    It is 0 where t - k is before the part of the passage that the symbol is in. It is computed on
    the host in float64.

    Parameters
    ----------
    reach
        K, the largest distance.
    chunk
        Positions that are computed side by side; it does not change the result.
    """
    model = copied_to(in_float64(model), numpy_backend())
    ids, own = _led(passage)
    fresh = np.zeros(len(ids), bool)
    fresh[own[list(passage.begins)] - int(passage.before is not None)] = True
    found = np.zeros((len(ids), reach))
    kept = _Kept(model, reach, chunk)
    for start in range(0, len(ids) - 1, chunk):
        inputs = ids[start : min(start + chunk, len(ids) - 1)]
        targets = ids[start + 1 : start + 1 + len(inputs)]
        top = kept.read(inputs, fresh[start : start + len(inputs)])
        rows = kept.back(log_odds_gradient(model, top, targets))
        found[start + 1 : start + 1 + len(inputs)] = rows.T
    found = found[own]
    inside = np.arange(len(own)) - np.repeat(passage.begins, np.diff([*passage.begins, len(own)]))
    found[np.arange(1, reach + 1) > inside[:, None]] = 0.0
    return found


def _led(passage: Passage) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return all symbols that are read, and where among them those of the passage are."""
    if passage.before is None:
        return passage.ids, np.arange(len(passage))
    begins = list(passage.begins)
    ids = np.insert(passage.ids, begins, passage.before)
    own = np.arange(len(passage))
    return ids, own + np.searchsorted(begins, own, side="right")


@np.errstate(all="ignore")
def log_odds_gradient(model: LanguageModel, top: Floats, targets: NDArray[Any]) -> Floats:
    """Return ∂z/∂h of each target, (H, N), for outputs ``top`` (H, N) of the stack.

    It is zero if there is no other symbol.
    """
    here = np.arange(len(targets))
    others = model.head.logits(model.weights, top[None])[0]
    others[targets, here] = -np.inf
    if len(others) > 1:
        np.exp(others - others.max(axis=0), out=others)
        others /= -others.sum(axis=0)
        others[targets, here] = 1.0
    else:
        others[...] = 0.0
    found: Floats = model.weights[DECODER + "weight"].T @ others
    return found


class _Kept:
    """What the forward pass left at the last ``reach`` + ``chunk`` steps."""

    def __init__(self, model: LanguageModel, reach: int, chunk: int) -> None:
        self._model, self._reach = model, reach
        self._threads = Threads(model.backend)
        self._window = model.window(chunk, 1)
        self._layers = [
            _KeptLayer(layer, ws, reach + chunk)
            for layer, ws in zip(model.stack.layers, self._window.layers, strict=True)
        ]
        self._fresh = np.ones(reach + chunk, bool)
        self._matrix = _norm_matrix(model.stack.layers[0], model)

    @np.errstate(all="ignore")
    def read(self, inputs: NDArray[Any], fresh: NDArray[np.bool_]) -> Floats:
        """Read symbols (N,) after those before; return the outputs of the stack, (H, N).

        ``fresh`` says which of them are read from a zero state.
        """
        window, n = self._window, len(inputs)
        for layer in self._layers:
            layer.make_room(n)
        self._fresh[:-n], self._fresh[-n:] = self._fresh[n:].copy(), fresh
        bounds = [0, *(at for at in np.flatnonzero(fresh).tolist() if at), n]
        tops = []
        for start, stop in pairwise(bounds):
            if fresh[start]:
                window.reset()
            top = self._model.forward(window, inputs[start:stop, None], backward=True)
            tops.append(top[:, :, 0].T.copy())
            for layer in self._layers:
                layer.keep(stop - start, n - start)
            window.carry()
        return np.concatenate(tops, axis=1)

    def back(self, d_top: Floats) -> Floats:
        """Return the norms of ∂z/∂x (reach, N), given ∂z/∂h (H, N) at the N steps read last."""
        shares = np.array_split(np.arange(d_top.shape[1]), self._threads.count)
        tasks = [partial(self._back, d_top, some) for some in shares if len(some)]
        with self._threads.serial_blas():
            return np.concatenate(self._threads.run(tasks), axis=1)

    @np.errstate(all="ignore")  # weights may be non-finite; it shows in the result
    def _back(self, d_top: Floats, some: NDArray[np.int64]) -> Floats:
        """Return the norms of some of the streams, which follow each other."""
        end = len(self._fresh) - d_top.shape[1] + int(some[-1]) + 1
        d_top, N = d_top[:, some], len(some)
        norms = np.zeros((self._reach, N))
        spaces = [layer.space(N) for layer in self._layers]
        for k in range(self._reach):
            at = slice(end - N - k, end - k)
            above, received = (d_top if k == 0 else np.zeros_like(d_top)), d_top
            for index in range(len(spaces) - 1, -1, -1):
                layer, staged = self._layers[index], self._window.staged[index]
                received = layer.back(spaces[index], staged, above, at)
                if index:
                    above = staged.weight_ih.T @ received
            norms[k] = column_norms(np, self._matrix @ received)
            for ws in spaces:
                for gradient in ws.gradients.values():
                    gradient[:, self._fresh[at]] = 0.0
        return norms


class _KeptLayer:
    """One layer's part of it: an array (features, steps), the last step last."""

    def __init__(self, layer: Layer, source: Workspace, steps: int) -> None:
        self._layer, self._source = layer, source
        features = sum(part.shape[1] for part in _parts(source, 1))
        self._values = np.zeros((features, steps))

    def make_room(self, n: int) -> None:
        """Forget the ``n`` oldest steps."""
        self._values[:, :-n] = self._values[:, n:].copy()

    def keep(self, steps: int, before_end: int) -> None:
        """Keep the steps of the last forward pass; the first goes ``before_end`` from the end."""
        values = np.concatenate([part[:, :, 0] for part in _parts(self._source, steps)], axis=1)
        start = self._values.shape[1] - before_end
        self._values[:, start : start + steps] = values.T

    def space(self, N: int) -> Workspace:
        """Return a workspace for one step back of N streams; no gradient arrives from later."""
        return self._layer.workspace(self._values.dtype, 1, N)

    def back(self, ws: Workspace, staged: Staged, d_out: Floats, at: slice) -> Floats:
        """Take the steps ``at`` back, side by side; return the gradient of the input product.

        ``d_out`` (H, N) is that of the outputs, from above, and ``ws.gradients`` holds those of the
        states.
        """
        row = 0
        for part in _parts(ws, 1):
            part[0] = self._values[row : row + part.shape[1], at]
            row += part.shape[1]
        self._layer.backward(staged, ws, d_out[None], None, slice(0, 1))
        received: Floats = ws.work[0, self._layer.cell.input_rows(self._layer.H)]
        return received


def _parts(ws: Workspace, steps: int) -> list[Array]:
    """Return views of all that a backward pass reads of the first steps, (steps, F, N) each."""
    states = [array[first : first + steps] for array in ws.states.values() for first in (0, 1)]
    return [ws.work[:steps], *(array[:steps] for array in ws.saved.values()), *states]


def _norm_matrix(layer: Layer, model: LanguageModel) -> Floats:
    """Return a matrix M with ‖M δ‖ = ‖Wᵀ δ‖ for all δ, for the input weights W (G·H, D).

    It has at most G·H rows: with the QR decomposition Wᵀ = Q R, ‖Wᵀ δ‖ = ‖R δ‖.
    """
    transposed: Floats = model.weights[RNN + layer.full_name("weight_ih", 0)].T
    if transposed.shape[0] <= transposed.shape[1] or not np.isfinite(transposed).all():
        return transposed
    return np.asarray(np.linalg.qr(transposed, mode="r"))
