"""The head of a language model by the compiled core.

It computes what :class:`~charrnn.model.head.LanguageModelHead` defines, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import byref
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from charrnn.backend import Array, Backend
from charrnn.backend.native import jobs
from charrnn.backend.native.core import Core, address, empty, rows, rows_of
from charrnn.backend.native.routine import Routine
from charrnn.model.head import Beside, LanguageModelHead
from charrnn.model.parameters import Parameters


class Buffers(NamedTuple):
    """What a pass over a window needs, for at most M rows.

    Attributes
    ----------
    forth, back
        Panels of the decoder's matrix and of its transpose.
    d_logits
        Room for ∂L/∂logits of some rows at a time.
    ids, nats
        The targets (M,) and what each costs.
    passes
        The calls of the pass.
    """

    forth: Array
    back: Array
    d_logits: Array
    ids: Array
    nats: Array
    passes: Routine[None]


class CompiledHead(LanguageModelHead):
    """The head of a language model whose layers the compiled core computes."""

    def __init__(self, hidden: int, vocabulary: int, backend: Backend, prefix: str) -> None:
        super().__init__(hidden, vocabulary, backend, prefix)
        assert backend.core is not None
        self._core: Core = backend.core

    def surprisal(
        self, weights: Parameters, top: Array, targets: Array, beside: Beside | None = None
    ) -> Array:
        core, weight = self._core, weights[self._weight]
        forth = core.pack(weight, 1, core.panels(*weight.shape))
        ids, nats = np.ascontiguousarray(targets, np.int32), np.empty(targets.size)
        job = self._job(weights, rows(top), ids, forth, nats)
        if beside is not None:
            job.added, job.kept = address(beside.added), beside.kept
        core.call("loss", job, 2.0 * ids.size * weight.size)
        return nats.reshape(targets.shape).astype(top.dtype)

    def loss(
        self,
        weights: Parameters,
        top: Array,
        targets: Array,
        grads: Parameters,
        d_top: Array,
        buffers: dict[str, Array],
        *,
        mask: Array | None = None,
        symbols: int | None = None,
        added: Array | None = None,
    ) -> Array:
        if added is not None:  # the core knows no further logits
            given: dict[str, Any] = {"mask": mask, "symbols": symbols, "added": added}
            return super().loss(weights, top, targets, grads, d_top, buffers, **given)
        outputs, below = rows(top), rows_of(d_top)
        ids = targets.reshape(-1)
        if mask is None:
            return self._loss(weights, outputs, ids, grads, below, buffers, symbols or ids.size)
        counted = np.flatnonzero(mask)
        d_counted = empty(counted.size, self.H)
        count = symbols or counted.size
        loss = self._loss(weights, outputs[counted], ids[counted], grads, d_counted, buffers, count)
        below[...] = 0.0
        below[counted] = d_counted
        return loss

    def _loss(
        self,
        weights: Parameters,
        outputs: Array,
        ids: Array,
        grads: Parameters,
        below: Array,
        buffers: dict[str, Array],
        count: int,
    ) -> Array:
        """Compute the loss of rows of outputs (M, H), some at a time, and its gradients."""
        own, M = self._buffers(buffers, ids.size), ids.size
        d_weight, d_bias = grads[self._weight], grads[self._bias]
        if not M:
            d_weight[...], d_bias[...] = 0.0, 0.0
            return np.float32(0.0)
        self._core.do(partial(np.copyto, own.ids[:M], ids, "unsafe"))
        arrays = weights[self._weight], weights[self._bias], d_weight, d_bias
        places = address(outputs), outputs.strides, address(below), below.strides
        compute = partial(self._compute, weights, outputs, own, (d_weight, d_bias), below, M, count)
        own.passes.run(self._core, arrays, (places, M, count), compute)
        total = jobs.Nats(M, address(own.nats))
        return self._core.do(partial(_mean, self._core.function("nats"), total, count))

    def _compute(
        self,
        weights: Parameters,
        outputs: Array,
        own: Buffers,
        grads: tuple[Array, Array],
        below: Array,
        M: int,
        count: int,
    ) -> None:
        """Compute the surprisal of M rows of outputs, and the gradients of the loss."""
        core = self._core
        weight = weights[self._weight]
        core.pack(weight, 1, own.forth)
        core.pack_transposed(weight, own.back)
        for start in range(0, M, len(own.d_logits)):
            part = slice(start, min(start + len(own.d_logits), M))
            d_logits = own.d_logits[: part.stop - start]
            job = self._job(weights, outputs[part], own.ids[part], own.forth, own.nats[part])
            job.back, job.scale = address(own.back), 1.0 / count
            job.d_logits, job.d_top = address(d_logits), address(below[part])
            core.call("loss", job, 4.0 * d_logits.size * self.H)
            core.outer(d_logits, [(outputs[part], grads[0])], grads[1], add=start > 0)

    def _buffers(self, buffers: dict[str, Any], M: int) -> Buffers:
        """Return the buffers for M rows, which are kept among those of the window."""
        own: Buffers | None = buffers.get("head")
        if own is None or own.nats.size < M:
            own = buffers["head"] = Buffers(
                forth=self._core.panels(self.V, self.H),
                back=self._core.panels(self.H, self.V),
                d_logits=empty(self.steps_at_once(M, 1), self.V),
                ids=np.empty(M, np.int32),
                nats=np.empty(M),
                passes=Routine(),
            )
        return own

    def _job(
        self, weights: Parameters, outputs: Array, ids: Array, forth: Array, nats: Array
    ) -> Any:
        """Return the C structure to compute the surprisal of each row of outputs, no gradients."""
        return jobs.Loss(
            rows=len(outputs),
            H=self.H,
            V=self.V,
            top=address(outputs),
            top_ld=outputs.strides[0] // outputs.itemsize,
            forth=address(forth),
            bias=address(weights[self._bias]),
            targets=address(ids),
            nats=address(nats),
        )


def _mean(add: Callable[[int, Any], None], total: Any, count: int) -> Array:
    """Return a sum of nats divided by ``count``, 0-d; they are added in order."""
    add(1, byref(total))
    return np.float32(total.sum / count)
