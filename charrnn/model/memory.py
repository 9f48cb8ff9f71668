"""How much memory a training run needs, computed before anything is allocated.

The model and its windows are built on :class:`~charrnn.backend.meter.Meter`, an array module
without memory, so that the code that allocates is itself what is counted, whatever the cell. They
are built with one and two layers and for one and two steps: every further layer needs as much as
the second, and every further step as much as the second step. So the counts are exact integers, and
huge sizes are counted as fast as small ones.

Temporary arrays are added by formulas kept next to the code that allocates them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from charrnn.backend import Backend, memory
from charrnn.backend.meter import Meter, UnknownError
from charrnn.config import ModelConfig
from charrnn.display import count, size
from charrnn.errors import OutOfMemoryError
from charrnn.model import counted
from charrnn.model.dropout import RecurrentDropout
from charrnn.model.network import Network, recurrent_bytes
from charrnn.model.networks import NETWORKS
from charrnn.model.onehot import elements_of_sums
from charrnn.model.sequences import counts, ngrams, writer
from charrnn.text.windows import (
    EVALUATION_STEPS,
    EVALUATION_STREAMS,
    MIN_EVALUATION_LENGTH,
)

BASE = 45 << 20
"""Bytes of Python and NumPy themselves."""
_VIEWS = 1800  # bytes of the Python objects of one step of one layer


@dataclass(frozen=True)
class Estimate:
    """The memory that a training run needs.

    Attributes
    ----------
    parameters
        Trainable numbers.
    weights
        Bytes of the weights, gradients, moments and the weights' working copies.
    windows
        Bytes of the states, gates and logits of a window, forward and backward.
    evaluation
        Bytes of the states and gates of an evaluation.
    total
        All of it in bytes, with the program itself.
    counting
        The bytes of ``total`` by which counting n-grams, before the rest is there, exceeds that.
    """

    parameters: int
    weights: int
    windows: int
    evaluation: int
    total: int
    counting: int = 0

    def to_json(self) -> dict[str, int]:
        """Return the estimate as a plain dictionary."""
        return asdict(self)


class Sizes:
    """The sizes of a model of ``config.layers`` layers and V symbols, in bytes.

    Only :meth:`side_by_side` and :meth:`passing` count elements. What a plug-in's cell allocates
    with functions that the meter does not implement is not counted.
    """

    def __init__(self, config: ModelConfig, V: int, outputs: int | None = None) -> None:
        self.config = config
        self._meter = Meter()
        backend = Backend("numpy", self._meter)
        network = NETWORKS[config.task]
        self._models = [
            network(replace(config, layers=layers), V, backend, outputs=outputs)
            for layers in (1, 2)
        ]
        self.cell, self.head = self._models[0].stack.cell, self._models[0].head
        self.each: int = self._models[0].weights.flat.dtype.itemsize
        self.V = V

    def parameters(self) -> int:
        """Return the number of parameters."""
        return self._of_layers(lambda model: model.weights.flat.size)

    def trained(self) -> int:
        """Return the number of parameters that are trained."""
        return self._of_layers(lambda model: model.weights.trained.flat.size)

    def window(self, T: int, N: int, *, backward: bool) -> int:
        """Return the size of a window."""
        return self._of_layers(
            lambda model: self._of_steps(T, lambda steps: model.window(steps, N, backward))
        )

    def masks(self, T: int, N: int) -> int:
        """Return the size of a window's dropout masks."""
        return self._of_layers(lambda model: self._of_steps(T, lambda steps: model.masks(steps, N)))

    def dropped(self) -> int:
        """Return the size of the recurrent weights that are kept while some are dropped.

        With the random bits of a layer and what becomes of them, on NumPy: 5 bytes an element.
        """
        rate = self.config.recurrent_dropout
        kept = self._of_layers(
            lambda model: self._taken(lambda: RecurrentDropout(model.weights, rate, model.backend))
        )
        return kept + (5 * recurrent_bytes(self.config) // self.each if rate else 0)

    def staged(self, *, backward: bool) -> int:
        """Return the size of the working copies of the weights."""

        def stage(model: Network) -> Any:
            window = model.window(1, 1)
            return window, model.stage(window, backward=backward)

        return self._of_layers(
            lambda model: (
                self._taken(lambda: stage(model)) - self._taken(lambda: model.window(1, 1))
            )
        )

    def side_by_side(self, M: int) -> int:
        """Return the elements of the sequences laid out for products over M = T·N columns."""
        H, D = self.config.hidden, self._models[0].dense
        each = self.cell.blocks * H + max(H, D) + 3 * D
        if self.config.bidirectional:  # the inputs of each layer in the other direction, and dx
            each += H + 2 * (D + (self.config.layers - 1) * 2 * H)
        return M * each

    def passing(self, T: int, N: int) -> int:
        """Return the elements of the largest temporary arrays of one step of training."""
        rows = len(self.cell.gates) * self.config.hidden
        symbols = 0
        if not self._models[0].dense:
            table = 2 * rows * self.V if self.V <= T * N else 0
            symbols = max(elements_of_sums(rows, T * N, self.V), table)
        of_ngrams = 0
        if self.config.ngrams:
            sizes = self.config.ngrams, self.head.V, T, N, self.each
            of_ngrams = ngrams.elements(*sizes)
        return max(symbols, of_ngrams + self.head.elements_of_loss(T, N), self.writing(T, N))

    def writing(self, T: int, N: int, labels: int = 1) -> int:
        """Return the elements of the largest temporary arrays of a classifier's writer.

        ``labels`` are those that it decides among; when it learns, a text has one.
        """
        if not (self.config.writer and self.config.counts):
            return 0
        return writer.elements(self._models[0].shapes(), T, N, labels)

    def _of_layers(self, measure: Callable[[Network], int]) -> int:
        """Return the result of ``measure`` for a model of all the layers."""
        one, two = map(measure, self._models)
        return one + (self.config.layers - 1) * (two - one)

    def _of_steps(self, steps: int, make: Callable[[int], Any]) -> int:
        """Return the bytes that ``make(steps)`` would allocate."""
        one, two = (self._taken(lambda t=t: make(t)) for t in (1, 2))  # type: ignore[misc]
        return one + (steps - 1) * (two - one)

    def _taken(self, make: Callable[[], Any]) -> int:
        """Return the bytes held by the result of ``make``."""
        before = self._meter.bytes
        try:
            result = make()
        except UnknownError:
            return 0
        taken = self._meter.bytes - before
        del result
        return taken


def parameters(config: ModelConfig, V: int) -> int:
    """Return the number of trainable parameters of a model of V symbols."""
    return Sizes(config, V).trained()


def estimate(
    config: ModelConfig,
    V: int,
    batch: int,
    seq_len: int,
    *,
    moments: int = 2,
    shards: int = 1,
    scored: int = 1 << 20,
    text: int = 0,
) -> Estimate:
    """Return the memory that a training run needs.

    Parameters
    ----------
    config, V
        The model and its number of symbols.
    batch, seq_len
        N and T.
    moments
        Number of arrays of the size of the weights that the optimizer keeps.
    shards
        Number of threads that share the streams.
    scored
        Number of symbols of the validation text that an evaluation scores; 0 without one.
    text
        Number of symbols of the training text, whose n-grams may be counted.
    """
    sizes = Sizes(config, V)
    P, L, T, N = sizes.parameters(), config.layers, seq_len, batch
    weights = sizes.each * (P * (1 + shards) + moments * sizes.trained())
    weights += shards * sizes.staged(backward=True)
    weights += sizes.dropped()
    streams, larger = divmod(N, shards)
    shares = ((larger, streams + 1), (shards - larger, streams))
    windows = sum(n * sizes.window(T, each, backward=True) for n, each in shares if n)
    windows += 2 * sizes.masks(T, N)  # and the outputs that they are multiplied with
    windows += sizes.each * sizes.side_by_side(T * N) + _VIEWS * L * T * shards
    steps = EVALUATION_STEPS
    streams = min(EVALUATION_STREAMS, max(1, scored // MIN_EVALUATION_LENGTH))
    evaluation = 0
    if scored:
        evaluation = sizes.window(steps, streams, backward=False) + _VIEWS * L * steps
        if config.grams:
            at_once = streams * sizes.head.steps_at_once(steps, streams)
            evaluation += sizes.each * counted.elements(config.grams, V, at_once, sizes.each)
    windows += sizes.each * max(
        shards * sizes.passing(T, -(-N // shards)), sizes.head.elements_of_surprisal(steps, streams)
    )
    trained = weights + windows + evaluation
    first = sizes.each * P + counted.needed(text) if config.grams else 0
    more = max(0, first - trained)
    return Estimate(sizes.trained(), weights, windows, evaluation, BASE + trained + more, more)


def estimate_of_sequences(
    config: ModelConfig,
    V: int,
    outputs: int,
    shapes: Mapping[int, int],
    *,
    moments: int,
    shards: int,
    scored: Mapping[int, int],
) -> Estimate:
    """Return the memory that training on whole sequences needs.

    Parameters
    ----------
    config, V, outputs
        The network, its number of symbols and of labels.
    shapes
        For each number of sequences N in a batch the most steps T of such batches.
    moments, shards
        As for :func:`estimate`.
    scored
        The shapes of batches in an evaluation.
    """
    sizes = Sizes(config, V, outputs)
    P, L = sizes.parameters(), config.layers
    weights = sizes.each * (2 * P + moments * sizes.trained()) + shards * sizes.staged(
        backward=True
    )
    weights += sizes.each * P * (shards - 1) * len(shapes) + sizes.dropped()
    windows, most = 0, 0
    for N, T in shapes.items():
        windows += sizes.window(T, N, backward=True) + 2 * sizes.masks(T, N)
        windows += _VIEWS * L * T * shards
        most = max(most, sizes.side_by_side(T * N) + shards * sizes.passing(T, -(-N // shards)))
    evaluation = 0
    for N, T in scored.items():
        evaluation += sizes.window(T, N, backward=False) + _VIEWS * L * T
    if config.counts and scored:
        decided = (counts.elements(outputs, T, N, sizes.each) for N, T in scored.items())
        evaluation += sizes.each * max(decided)
        evaluation += sizes.each * max(sizes.writing(T, N, outputs) for N, T in scored.items())
    windows += sizes.each * most
    return Estimate(
        sizes.trained(), weights, windows, evaluation, BASE + weights + windows + evaluation
    )


def require(needed: Estimate, backend: Backend, processes: int = 1) -> None:
    """Raise :class:`OutOfMemoryError` if the memory of the backend is smaller than what is needed.

    On a CPU, ``processes`` of them need it at once; a GPU has one.
    """
    available = memory.limit(backend)
    total = needed.total * (processes if backend.name == "numpy" else 1)
    if available is None or total <= available:
        return
    if needed.weights >= needed.windows:
        largest, lower = count(needed.parameters, "parameter"), ("hidden", "layers", "embed")
    else:
        largest, lower = "windows", ("batch", "seq_len", "hidden")
    message = f"this needs about {size(total)} of memory, most of it for {largest}; "
    device = "this machine" if backend.name == "numpy" else "the GPU"
    raise OutOfMemoryError(f"{message}{device} has {size(available)}", memory.lower(lower))
