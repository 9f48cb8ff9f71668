"""Calls that are made once and repeated compute what they would compute if made anew."""

import threading
from functools import partial

import numpy as np
import pytest
from helpers.native import opened

from charrnn.backend import numpy_backend
from charrnn.backend.native.routine import Passes, Routine
from charrnn.config import ModelConfig
from charrnn.model.language import LanguageModel


@pytest.fixture
def core():
    return opened()


class Sums:
    """Sums of the rows of arrays, by a routine; ``described`` counts its descriptions."""

    def __init__(self, core):
        self.core, self.routine, self.described = core, Routine(), 0

    def __call__(self, d, key=None, fails=False):
        out = self.routine.run(self.core, [d], key, partial(self._sum, d, fails))
        return out.tolist()

    def _sum(self, d, fails):
        self.described += 1
        out = np.empty(d.shape[1], np.float32)
        self.core.sum(d, out)
        if fails:
            raise ValueError("after its call")
        return out


def test_calls_are_described_once_and_read_what_the_arrays_hold_now(core):
    sums, d = Sums(core), np.ones((3, 2), np.float32)
    assert sums(d) == [3, 3]
    d[1] = 5
    assert sums(d) == [7, 7]
    assert sums.described == 1


def test_calls_are_described_anew_for_other_arrays_keys_and_threads(core):
    sums, d = Sums(core), np.ones((3, 2), np.float32)
    assert sums(d) == [3, 3]
    assert sums(d.copy() * 2) == [6, 6]
    assert sums(d, key=1) == [3, 3]
    assert sums(d, key=1) == [3, 3]
    assert sums.described == 3
    core.threads = 1
    assert sums(d, key=1) == [3, 3]
    assert sums.described == 4


def test_a_description_that_failed_is_not_repeated(core):
    sums, d = Sums(core), np.ones((3, 2), np.float32)
    with pytest.raises(ValueError, match="after"):
        sums(d, fails=True)
    assert sums(d) == [3, 3]
    assert sums.described == 2
    with pytest.raises(ValueError, match="after"):
        sums(d, key=1, fails=True)
    assert sums(d) == [3, 3]  # as before the failure, and described anew
    assert sums.described == 4


class Means:
    """Means of the rows of arrays, as a recorded pass; ``computed`` counts its computations."""

    def __init__(self, core):
        self.core, self.computed, self.fails = core, 0, False
        self.total = np.empty(2, np.float32)
        self.record = Passes(core).record(self._mean, lambda: self.total)

    def _mean(self, d):
        self.computed += 1
        self.core.sum(d, self.total)
        mean = self.core.do(lambda: self.total / np.float32(len(d)))
        self.core.do(lambda: self.total.fill(-1))
        if self.fails:
            raise ValueError("after its calls")
        return mean


def test_a_pass_is_computed_once_and_then_repeated_on_other_inputs(core):
    means = Means(core)
    first = means.record(np.array([[1, 2], [3, 4]], np.float32))
    again = means.record(np.array([[10, 20], [30, 40]], np.float32))
    assert (first.tolist(), again.tolist()) == ([2, 3], [20, 30])
    assert means.total.tolist() == [-1, -1]
    assert means.computed == 1


def test_a_pass_is_computed_anew_with_other_threads_and_after_a_failure(core):
    means, d = Means(core), np.ones((2, 2), np.float32)
    means.fails = True
    with pytest.raises(ValueError, match="after"):
        means.record(d)
    means.fails = False
    assert means.record(d).tolist() == [1, 1]
    assert means.computed == 2
    core.threads += 1
    assert means.record(d * 2).tolist() == [2, 2]
    assert means.computed == 3


def test_a_recording_holds_what_routines_within_it_did_and_only_of_its_own_thread(core):
    sums, d = Sums(core), np.ones((3, 2), np.float32)
    sums(d)
    with core.recording() as recording:
        repeated = sums.routine.run(core, [d], None, None)
        other = threading.Thread(target=Sums(core), args=[d])
        other.start()
        other.join()
    sums(d)
    assert len(recording.calls) == 1
    d[...] = 4
    recording.calls[0]()
    assert repeated.tolist() == [12, 12]


CELLS = (
    {"cell": "lstm"},
    {"cell": "gru"},
    {"cell": "gru", "gru_reset": "before"},
    {"cell": "rnn", "activation": "relu"},
)


def draws(rng, V, T, N):
    """Return ids and targets of a window of T steps or fewer, as numbers of some type."""
    steps = int(rng.choice([T, T, T - 1, 1]))
    return rng.integers(0, V, (2, steps, N)).astype(rng.choice([np.uint8, np.uint8, np.int64]))


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(cell.values()))
@pytest.mark.parametrize("more", ({}, {"embed": 5}, {"dropout": 0.3}), ids=str)
def test_a_window_used_again_computes_what_a_new_one_does(core, cell, more, rng, monkeypatch):
    """Whatever changes: weights in place or as a whole, gradients, steps, states, threads."""
    monkeypatch.setattr("charrnn.backend.native.core.SMALL", 1e-3)
    V, T, N = 7, 6, 5
    config = ModelConfig(layers=2, hidden=9, **cell, **more)
    model = LanguageModel.fresh(config, V, 1, numpy_backend(core=core))
    others = [model.weights, model.weights.like(model.weights.flat[::-1].copy())]
    grads = [model.weights.like(np.empty_like(model.weights.flat)) for _ in range(2)]
    used, masks = model.window(T, N), model.masks(T, N)
    for step in range(60):
        weights, out = others[rng.integers(2)], grads[rng.integers(2)]
        if rng.random() < 0.5:
            weights.flat[rng.integers(weights.flat.size)] += 0.5
        core.threads = int(rng.integers(1, 4))
        (ids, targets), own = draws(rng, V, T, N), model.at(weights)
        dropped = masks.draw(3, step, len(ids), lambda tasks: [task() for task in tasks])
        mask = rng.integers(0, 2, ids.shape) if rng.random() < 0.3 else None
        new = own.window(T, N)
        for (_, mine), (_, theirs) in zip(new.states(), used.states(), strict=True):
            mine[0] = theirs[0]
        expected = own.weights.like(np.empty_like(own.weights.flat))
        how = {"mask": mask, "symbols": None if mask is None else 11}
        losses = [
            own.loss_and_gradient(window, ids, targets, to, dropped if more else None, **how)
            for window, to in ((used, out), (new, expected))
        ]
        assert losses[0] == losses[1]
        np.testing.assert_array_equal(out.flat, expected.flat)
        used.carry()
