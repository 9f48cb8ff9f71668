"""Arguments for every operation, in several sizes: what its parity tests compare on.

A case holds the arguments of one call, on the host. What is compared is the result and all array
arguments afterwards, but those in ``used_up``.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from charrnn.backend.philox import Key
from charrnn.cells import gru, lstm, rnn
from charrnn.cells.base import Workspace
from charrnn.randomness import Purpose
from charrnn.train.optimizers.adam import Rule

IDS = (np.uint8, np.uint16, np.uint32, np.int64)


@dataclass(frozen=True)
class Case:
    arguments: tuple
    used_up: tuple = ()
    exact: bool = False
    rounding: float = 8.0
    """Units of rounding by which results may differ, in proportion to the largest element."""
    arrange: Callable | None = None
    """Turns the arguments of the case into those of the operation, if they differ."""


def cross_entropy(rng, dtype):
    for n, (V, M, scale) in enumerate(
        ((1, 1, 1), (2, 33, 1), (65, 96, 3), (9, 31, 40), (300, 5, 1))
    ):
        products = (scale * rng.standard_normal((V, M))).astype(dtype)
        bias = rng.standard_normal(V).astype(dtype)
        targets = rng.integers(0, V, M).astype(IDS[n % len(IDS)])
        yield Case((products, bias, targets, 3 * M + 1), rounding=32)


def vectors(rng, dtype, count):
    return (rng.standard_normal(count)).astype(dtype)


def updates(numbers, moments):
    def cases(rng, dtype):
        for size in (1, 255, 257, 3001):
            for scale in (1.0, np.asarray(0.3, dtype)):
                state = [vectors(rng, dtype, size) ** 2 for _ in range(moments)]
                w, g, a = (vectors(rng, dtype, size) for _ in range(3))
                for rest in numbers:
                    copies = [part.copy() for part in state]
                    arguments = (w.copy(), g.copy(), *copies, a, scale, *rest)
                    yield Case(arguments, used_up=(1, 2 + moments))

    return cases


ADAM = (0.9, 0.999, 1e-8)


def directions(rng, dtype):
    numbers = [(Rule(0.0, 1.0, 1.7, *ADAM),), (Rule(0.1, 0.99, 1.1, *ADAM),)]
    for case in updates(numbers, 2)(rng, dtype):
        yield replace(case, used_up=(4,))


def moves(rng, dtype):
    for size in (1, 255, 257, 3001):
        for rate in (0.01, np.asarray(0.3, dtype)):
            w, u, a = (vectors(rng, dtype, size) for _ in range(3))
            yield Case((w, u, a, rate), used_up=(2,))


def norm(rng, dtype):
    for size in (1, 2, 1023, 5000):
        yield Case((vectors(rng, dtype, size) * dtype(1e-3),))


def scale_for_norm(rng, dtype):
    for size in (0.0, 0.5, 1.0, 7.3):
        yield Case((np.asarray(size, dtype), 1.0))


KEYS = (Key(0, Purpose.DROPOUT), Key(-5, Purpose.DROPOUT, 2**40, 3))


def mask(rng, dtype):
    for key in KEYS:
        for shape in ((1,), (3, 7, 5), (8, 8), (2, 1031)):
            yield Case((np.full(shape, np.nan, dtype), key, 2**30, 1.25), exact=True)


def columns(rng, dtype):
    for n, (T, F, N, D) in enumerate(
        ((1, 1, 1, 1), (5, 12, 3, 7), (3, 40, 33, 300), (70, 4, 2, 65))
    ):
        weight = vectors(rng, dtype, F * D).reshape(F, D)
        ids = rng.integers(0, D, (T, N)).astype(IDS[n])
        yield Case((weight, ids, np.full((T, F, N), np.nan, dtype)), exact=True)


def column_sums(rng, dtype):
    for n, (F, T, N, V) in enumerate(
        ((1, 1, 1, 1), (12, 5, 3, 7), (3, 9, 31, 300), (5, 70, 20, 2))
    ):
        rows = vectors(rng, dtype, F * T * N).reshape(F, T * N)
        ids = rng.integers(0, V, (T, N)).astype(IDS[n])
        yield Case((rows, ids, np.full((F, V), np.nan, dtype)), rounding=64)


SHAPES = ((1, 1), (2, 3), (65, 4), (128, 2), (1000, 3))


def temper(rng, dtype):
    for V, N in SHAPES:
        logits = (4 * vectors(rng, dtype, V * N)).reshape(V, N)
        yield Case((logits, 0.8, None, 0.0), rounding=64)
        yield Case((np.round(logits), 0.0, None, 0.0), exact=True)  # ties: the first counts
        if V > 1:
            yield Case((logits, 1.3, V // 2, 0.1), rounding=64)
            yield Case((logits, 0.0, int(logits[:, 0].argmax()), 0.0), exact=True)
            for bad in (np.nan, np.inf):
                broken = logits.copy()
                broken[V - 1, 0] = bad
                yield Case((broken, 1.0, None, 0.01), rounding=64)
                yield Case((broken, 0.0, None, 0.0), exact=True)


def choose(rng, dtype):
    for V, N in SHAPES:
        for empty in (0.0, 0.9):
            weights = np.where(rng.random((N, V)) < empty, 0.0, rng.random((N, V)))
            weights[:, rng.integers(0, V)] = 0.25
            for uniforms in (np.zeros(N), rng.random(N), np.full(N, 1 - 2.0**-53)):
                yield Case((weights, uniforms), exact=True)
    weights[0, 0], weights[1, 1] = np.nan, np.inf
    yield Case((weights, rng.random(N)), exact=True)


def log_p(rng, dtype):
    for V, N in SHAPES:
        logits = (4 * vectors(rng, dtype, V * N)).reshape(V, N)
        yield Case((logits, rng.integers(0, V, N)), rounding=64)


def module_of(array):
    """Return the module that an array of NumPy, CuPy or the double of CuPy belongs to."""
    return (
        np if isinstance(array, np.ndarray) else sys.modules[type(array).__module__.split(".")[0]]
    )


def cell_step(cell, names):
    """Return what makes of a layer's arrays for one step what a cell's operation takes.

    The arrays are work (R·H, N), each state before and after, each saved one, dh, each state's
    gradient, and the operands that the scratch holds, by ``names``.
    """

    def arrange(work, *arrays):
        N, H = work.shape[1], work.shape[0] // cell.blocks
        arrays = list(arrays)
        states = {name: arrays.pop(0) for name in cell.states}
        saved = {name: arrays.pop(0)[None] for name in cell.saved}
        ws = Workspace(work[None], states, saved, {})
        empty = cell.make_scratch(module_of(work), work.dtype, N, H)
        step = cell.view(ws, 0, H)
        dh, gradients = arrays.pop(0), {name: arrays.pop(0) for name in cell.states}
        held = dict(zip(names, arrays, strict=True))
        if "recurrent" in held:
            held |= {"first": held["recurrent"][:H], "rest": held["recurrent"][H:]}
        return step, dh, gradients, empty._replace(**held)

    return arrange


def cell_cases(cell, scratch, choose, left=()):
    """Return cases for an operation of a cell; ``choose`` names its arguments.

    ``scratch`` gives the names in the scratch that the operation reads or leaves, and their blocks;
    those that it leaves are in ``left``.
    """

    def cases(rng, dtype):
        for H, N in ((1, 1), (3, 5), (7, 33), (64, 9)):
            shapes = [(cell.blocks * H, N), *[(2, H, N)] * len(cell.states)]
            shapes += [(H, N)] * (len(cell.saved) + 1 + len(cell.states))
            shapes += [(blocks * H, N) for _, blocks in scratch]
            arrays = [vectors(rng, dtype, int(np.prod(shape))).reshape(shape) for shape in shapes]
            arrays[0][:, ::3] *= 0.4
            before = len(shapes) - len(scratch)
            used_up = tuple(n for n, (name, _) in enumerate(scratch, before) if name not in left)
            view = cell_step(cell, [name for name, _ in scratch])

            def arrange(*given, view=view):
                return choose(*view(*given))

            yield Case(tuple(arrays), used_up, rounding=16, arrange=arrange)

    return cases


LSTM, AFTER, BEFORE, RNN = lstm.LSTM(), gru.GRUAfter(), gru.GRUBefore(), rnn.RNN()


def rectified_too(choose, scratch=()):
    """Return cases for an operation of the vanilla cell, in both its forms."""

    def cases(rng, dtype):
        for activation in rnn.ACTIVATIONS:
            for case in cell_cases(RNN, scratch, choose)(rng, dtype):
                view = case.arrange
                yield replace(case, arrange=lambda *a, v=view, f=activation: (*v(*a), f))

    return cases


def lstm_backward(rng, dtype):
    """Backward of what forward left: h = o tanh(c), which both ways to write it rely on."""
    for case in cell_cases(LSTM, (), lambda s, d, g, r: (s, d, g["h"], g["c"], r))(rng, dtype):
        work, h, _, tanh_c = case.arguments[:4]
        tanh_c[...] = np.tanh(tanh_c)
        h[1] = np.split(work, 4)[3] * tanh_c
        yield case


def add_product(rng, dtype):
    for M, K, N in ((1, 1, 1), (4, 3, 7), (33, 65, 2)):
        a, b, out, scratch = (
            vectors(rng, dtype, m * n).reshape(m, n) for m, n in ((M, K), (K, N), (M, N), (M, N))
        )
        yield Case((a, b, out, scratch), used_up=(3,), rounding=64)


def transpose(rng, dtype):
    for M, N in ((1, 1), (3, 7), (64, 33), (70, 2)):
        yield Case((vectors(rng, dtype, M * N).reshape(M, N), np.zeros((N, M), dtype)), exact=True)


CASES = {
    "backend.products.add_product": add_product,
    "backend.products.transpose": transpose,
    "cells.gru.after_forward": cell_cases(
        AFTER, [("recurrent", 3)], lambda s, d, g, r: (s, d[:, :1].copy(), r)
    ),
    "cells.gru.candidate_forward": cell_cases(BEFORE, [("one", 1)], lambda s, d, g, r: (s, r)),
    "cells.gru.before_gates_forward": cell_cases(
        BEFORE, [("recurrent", 2)], lambda s, d, g, r: (s, r)
    ),
    "cells.gru.after_backward": cell_cases(AFTER, (), lambda s, d, g, r: (s, d, g["h"], r)),
    "cells.gru.candidate_backward": cell_cases(
        BEFORE, [("d_z", 1)], lambda s, d, g, r: (s, d, g["h"], r), left=("d_z",)
    ),
    "cells.gru.before_gates_backward": cell_cases(
        BEFORE, [("one", 1), ("d_z", 1)], lambda s, d, g, r: (s, g["h"], r)
    ),
    "cells.lstm.pointwise_forward": cell_cases(LSTM, [("all", 4)], lambda s, d, g, r: (s, r)),
    "cells.lstm.add_output_path": cell_cases(LSTM, (), lambda s, d, g, r: (s, d, g["c"], r)),
    "cells.lstm.pointwise_backward": lstm_backward,
    "cells.rnn.pointwise_forward": rectified_too(lambda s, d, g, r: (s,)),
    "cells.rnn.pointwise_backward": rectified_too(lambda s, d, g, r: (s, d, g["h"], r)),
    "model.dropout.draw": mask,
    "model.head.cross_entropy": cross_entropy,
    "model.onehot.column_sums": column_sums,
    "model.onehot.columns": columns,
    "sampling.on_device.choose": choose,
    "sampling.on_device.log_probabilities": log_p,
    "sampling.on_device.temper": temper,
    "model.parameters.norm": norm,
    "train.clipping.scale_for_norm": scale_for_norm,
    "train.optimizers.adam.adam": updates(
        [
            (0.01, Rule(0.0, 1.0, 1.7, *ADAM)),
            (0.02, Rule(0.1, 1.0, 1.1, *ADAM)),
            (0.02, Rule(0.0, 0.99, 1.1, *ADAM)),
        ],
        2,
    ),
    "train.optimizers.cautious.direct": directions,
    "train.optimizers.cautious.move": moves,
    "train.optimizers.rmsprop.rmsprop": updates(
        [(0.0, 0.01, 0.99, 1e-8), (0.1, 0.02, 0.9, 1e-6)], 1
    ),
    "train.optimizers.sgd.sgd": updates([(0.0, 0.01, 0.9), (0.1, 0.02, 0.0)], 1),
}


def run(call, case, put, get):
    """Run an operation on copies of a case's arguments; return the arrays that it leaves."""

    def there(value):
        return put(value) if isinstance(value, np.ndarray) else value

    arguments = [there(np.copy(v)) if isinstance(v, np.ndarray) else v for v in case.arguments]
    with np.errstate(all="ignore"):
        result = call(*(case.arrange(*arguments) if case.arrange else arguments))
    result = result if isinstance(result, tuple) else (result,)
    result = [value for value in result if not isinstance(value, bool | None)]
    left = [
        value
        for at, value in enumerate(arguments)
        if at not in case.used_up and isinstance(case.arguments[at], np.ndarray)
    ]
    return [np.asarray(get(value)) for value in (*result, *left)]


def assert_equal(found, expected, case, dtype):
    """Compare what two runs of a case left."""
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.dtype == theirs.dtype
        assert mine.shape == theirs.shape
        if case.exact or theirs.dtype.kind != "f":
            np.testing.assert_array_equal(mine, theirs)
        else:
            unit = case.rounding * np.finfo(dtype).eps
            largest = np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0)
            np.testing.assert_allclose(mine, theirs, rtol=unit, atol=unit * largest)
