"""What a training will take before anything of it is allocated: parameters, and bytes of memory.

Counted are the arrays that live through a training, and the largest of those that come and go. The
counts are exact integers, so absurd sizes cost no more to estimate than small ones.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import prod

from charrnn import cells
from charrnn.backend import Backend, memory
from charrnn.config import ModelConfig
from charrnn.display import size
from charrnn.errors import CharRNNError
from charrnn.model.head import SLAB_ELEMENTS
from charrnn.text.windows import MIN_EVALUATION_LENGTH

BASE = 45 << 20
"""Bytes of Python and NumPy themselves."""
_VIEWS = 1800  # bytes of the Python objects of one step of one layer
_EVALUATION = (32, 64)  # steps and streams of a window of the validation text, at most


@dataclass(frozen=True)
class Estimate:
    """What a training takes.

    Attributes
    ----------
    parameters
        Trainable numbers.
    weights, windows, evaluation
        Bytes: of weights, gradients, moments and their working copies; of the states, gates and
        logits of a window forward and backward; of the states and gates of an evaluation.
    total
        All of it in bytes, with the program itself.
    """

    parameters: int
    weights: int
    windows: int
    evaluation: int
    total: int

    def to_json(self) -> dict[str, int]:
        """Return the record as a plain dictionary."""
        return asdict(self)


def parameters(config: ModelConfig, V: int) -> int:
    """Return the number of trainable parameters of a model of V symbols."""
    H, L = config.hidden, config.layers
    cell = cells.create(config)
    layers = [cell.shapes(D, H) for D in (config.embed or V, H)]
    first, other = (sum(prod(shape) for shape in shapes.values()) for shapes in layers)
    return V * config.embed + first + (L - 1) * other + V * H + V


def estimate(
    config: ModelConfig,
    V: int,
    batch: int,
    seq_len: int,
    *,
    moments: int = 2,
    shards: int = 1,
    scored: int = 1 << 20,
) -> Estimate:
    """Return what a training takes.

    Parameters
    ----------
    config, V
        The model and its number of symbols.
    batch, seq_len
        N and T.
    moments
        Arrays of the optimizer as large as the weights.
    shards
        Threads that have a share of the streams each.
    scored
        Symbols of the validation text that are scored; 0 without one.
    """
    H, L, T, N = config.hidden, config.layers, seq_len, batch
    cell = cells.create(config)
    size = 8 if config.dtype == "float64" else 4
    P, rows = parameters(config, V), len(cell.gates) * H
    inputs = rows * config.embed + rows * H * (L - 1)
    copies = shards * 2 * (L * rows * H + inputs)  # scaled and transposed
    arrays = 2 + moments + shards - 1
    states, kept = len(cell.states), len(cell.saved)
    step = (cell.blocks + states + kept) * H * N
    window = L * (T * step + 2 * states * H * N + shards * 2 * cell.blocks * H * (N // shards + 1))
    window += L * T * H * N * (3 if config.dropout else 1)  # gradients, and what dropout leaves
    window += T * N * (cell.blocks * H + max(H, config.embed) + 3 * config.embed)  # side by side
    places = T * -(-N // shards)
    hot = shards * places * min(V, places)  # symbols as one-hot rows
    columns = 0 if config.embed else shards * 2 * rows * V  # what a symbol feeds into the layer
    steps, streams = _EVALUATION
    streams = min(streams, max(1, scored // MIN_EVALUATION_LENGTH))
    evaluation = L * steps * streams * (cell.blocks + states + kept) * H if scored else 0
    window += max(hot, columns, _logits(V, H, T, N, shards), 2 * _logits(V, 0, steps, streams))
    sizes = (
        size * (arrays * P + copies),
        size * window + _VIEWS * L * T * shards,
        size * evaluation + _VIEWS * L * steps * (scored > 0),
    )
    return Estimate(P, *sizes, BASE + sum(sizes))


def _logits(V: int, H: int, T: int, N: int, shards: int = 1) -> int:
    """Return the elements of the logits that exist at once, and of what comes of them."""
    streams = -(-N // shards)
    steps = min(T, max(1, SLAB_ELEMENTS // (V * streams)))
    pieces = 2 if steps < T else 1  # the last one lives until the next is there
    return shards * (pieces * steps * streams * (V + H) + (V * H if steps < T else 0))


def require(needed: Estimate, backend: Backend) -> None:
    """Refuse what cannot fit into memory.

    Raises
    ------
    CharRNNError
        With what it needs and what there is.
    """
    there = memory.limit(backend)
    if there is None or needed.total <= there:
        return
    if needed.weights >= needed.windows:
        what, remedy = f"{needed.parameters:,} parameters", "lower --hidden, --layers or --embed"
    else:
        what, remedy = "windows", "lower --batch, --seq-len or --hidden"
    message = f"this takes about {size(needed.total)} of memory, most of it for {what}; "
    where = "this machine" if backend.name == "numpy" else "the GPU"
    raise CharRNNError(f"{message}{where} has {size(there)}", remedy)
