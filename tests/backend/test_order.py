"""Orders of work in a stack: each keeps to what needs what, and gives the same numbers."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from charrnn.backend import numpy_backend, select
from charrnn.backend.gpu import wavefront
from charrnn.backend.order import LayerByLayer, LayerOrder
from charrnn.config import ModelConfig
from charrnn.model.stack import Stack


class AnyOrder(LayerOrder):
    """Parts of random sizes, in a random one of the orders that are allowed."""

    parallel = True

    def __init__(self, rng):
        self._rng = rng
        self.prepared = []

    def prepare(self, layers):
        self.prepared.append(layers)

    def forward(self, layers, steps):
        return iter(self._drawn(self._parts(layers, steps)))

    def backward(self, layers, steps):
        parts = [[*mine[::-1], None] for mine in self._parts(layers, steps)]
        last = layers - 1
        return iter([(last - layer, part) for layer, part in self._drawn(parts[::-1])])

    def _parts(self, layers, steps):
        """Return the same parts for all layers."""
        inner = 1 + np.flatnonzero(self._rng.random(steps - 1) < 0.5)
        bounds = [0, *map(int, inner), steps]
        return [[slice(*pair) for pair in pairwise(bounds)]] * layers

    def _drawn(self, parts):
        at, found = [0] * len(parts), []
        while len(found) < sum(map(len, parts)):
            layer = int(self._rng.integers(len(parts)))
            if at[layer] == len(parts[layer]):
                continue
            part = parts[layer][at[layer]]
            if part is None or not layer or at[layer] < at[layer - 1]:
                found.append((layer, part))
                at[layer] += 1
        return found


def assert_in_order(order, layers, steps):
    """Every part comes after those that it needs; every step of every layer is in one part."""
    for direction in (1, -1):
        make = order.forward if direction == 1 else order.backward
        done = {layer: [] for layer in range(layers)}
        over = set()
        for layer, part in make(layers, steps):
            if part is None:
                assert len(done[layer]) == steps and direction == -1
                over.add(layer)
                continue
            times = list(range(part.start, part.stop))[::direction]
            done[layer] += times
            needed = layer - direction
            if needed in done:
                assert set(times) <= set(done[needed])
        expected = list(range(steps))[::direction]
        assert all(found == expected for found in done.values())
        assert over == (set() if direction == 1 else set(range(layers)))


@pytest.mark.parametrize("layers", [1, 2, 4])
@pytest.mark.parametrize("steps", [1, 8, 21])
@pytest.mark.parametrize("kind", ["layer by layer", "wavefront", "any order"])
def test_a_part_comes_after_those_that_it_needs(kind, steps, layers, compiling, rng):
    schedules = {
        "layer by layer": LayerByLayer,
        "wavefront": lambda: select("cupy").order,
        "any order": lambda: AnyOrder(rng),
    }
    order = schedules[kind]()
    order.prepare(layers)
    assert_in_order(order, layers, steps)


def test_a_wavefront_goes_through_all_layers_chunk_by_chunk(compiling):
    order = select("cupy").order
    order.prepare(2)
    one, two = slice(0, wavefront.CHUNK), slice(wavefront.CHUNK, wavefront.CHUNK + 1)
    up = list(order.forward(2, wavefront.CHUNK + 1))
    assert up == [(0, one), (1, one), (0, two), (1, two)]
    down = list(order.backward(2, wavefront.CHUNK + 1))
    assert down == [(1, two), (0, two), (1, one), (1, None), (0, one), (0, None)]


def test_a_gpu_that_records_nothing_works_layer_by_layer(compiling, monkeypatch):
    monkeypatch.setattr("charrnn.backend.gpu.cublas.load", lambda cupy: 1 / 0)
    backend = select("cupy")
    assert isinstance(backend.order, LayerByLayer)
    assert not backend.batched


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_stack_gives_the_same_numbers_in_any_order(cell, rng):
    T, D, N, H, L = 7, 3, 2, 4, 3
    config = ModelConfig(cell=cell, layers=L, hidden=H, dtype="float64")
    x, d_top = rng.standard_normal((T, D, N)), rng.standard_normal((T, H, N))
    found = []
    for order in (LayerByLayer(), AnyOrder(rng), AnyOrder(rng)):
        stack = Stack(config, D, replace(numpy_backend(), order=order))
        weights = stack.initialise(seed=1)
        window = stack.workspace(T, N)
        top = stack.forward(weights, window, x).copy()
        grads = weights.like(np.zeros_like(weights.flat))
        dx = stack.backward(window, d_top, grads)
        found.append((top, dx, grads.flat))
        assert getattr(order, "prepared", [L]) == [L]
    for others in found[1:]:
        for mine, theirs in zip(others, found[0], strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)
