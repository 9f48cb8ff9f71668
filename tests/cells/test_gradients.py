"""Every gradient against central differences of the loss, along random directions, in float64."""

import numpy as np
import pytest
from helpers import reference
from helpers.differences import check

from charrnn.config import ModelConfig
from charrnn.model import head
from charrnn.model.language import LanguageModel
from charrnn.model.stack import Stack
from charrnn.registry import CELLS

forms = pytest.mark.parametrize("form", reference.FORMS)
depths = pytest.mark.parametrize("layers", [1, 2, 3])


class Language:
    """A small character model, a window of text, initial states: a point, a loss, a gradient."""

    def __init__(self, rng, steps=5, streams=3, symbols=7, room=0, key=None, **options):
        config = ModelConfig(hidden=4, dtype="float64", **options)
        self.model = LanguageModel.fresh(config, symbols, seed=int(rng.integers(1000)))
        weights = self.model.weights
        weights.flat[...] += 0.3 * rng.standard_normal(weights.flat.size)  # no bias is left at 0
        self.ids, self.targets = rng.integers(0, symbols, (2, steps, streams))
        self.window = self.model.window(steps + room, streams)
        self.grads = weights.like(np.full_like(weights.flat, np.nan))
        self.masks = key and self.model.stack.masks(steps, streams).draw(*key, steps)
        states = {n: rng.standard_normal(a[0].shape) for n, a in self.window.states()}
        self.point = dict(weights) | states

    def gradient(self):
        self.run()
        return {n: a.copy() for n, a in self.grads.items()} | {
            n: a.copy() for n, a in self.window.state_gradients.items()
        }

    def run(self):
        for name, sequence in self.window.states():
            sequence[0] = self.point[name]
        return float(
            self.model.loss_and_gradient(
                self.window, self.ids, self.targets, self.grads, self.masks
            )
        )

    def loss(self):
        """The loss by the forward pass of evaluation, which shares no buffers with training."""
        if self.masks is not None:
            return self.run()
        window = self.model.window(len(self.ids), self.ids.shape[1], backward=False)
        for name, sequence in window.states():
            sequence[0] = self.point[name]
        return float(self.model.surprisal(window, self.ids, self.targets).mean())


@forms
@depths
@pytest.mark.parametrize("embed", [0, 4])
def test_gradient_of_a_language_model(form, layers, embed, rng):
    language = Language(rng, layers=layers, embed=embed, **reference.FORMS[form])
    gradient = language.gradient()
    states = [name for name, _ in language.window.states()]
    check(language.loss, language.point, gradient, rng)
    check(language.loss, language.point, gradient, rng, states)
    check(language.loss, language.point, gradient, rng, list(language.grads))


@forms
@depths
def test_gradient_of_a_stack_on_dense_inputs(form, layers, rng):
    T, D, N, H = 4, 3, 2, 5
    stack = Stack(ModelConfig(layers=layers, hidden=H, dtype="float64", **reference.FORMS[form]), D)
    weights = stack.initialise(seed=11)
    weights.flat[...] += 0.2 * rng.standard_normal(weights.flat.size)
    window = stack.workspace(T, N)
    x, slope = rng.standard_normal((T, D, N)), rng.standard_normal((T, H, N))
    states = {name: rng.standard_normal((H, N)) for name, _ in window.states()}

    def loss():
        for name, sequence in window.states():
            sequence[0] = states[name]
        return float(np.sum(slope * stack.forward(weights, window, x)))

    loss()
    grads = weights.like(np.full_like(weights.flat, np.nan))
    dx = stack.backward(window, slope, grads)
    gradient = dict(grads) | {"x": dx} | window.state_gradients
    gradient = {name: array.copy() for name, array in gradient.items()}
    point = dict(weights) | {"x": x} | states
    for names in (list(point), list(weights), ["x"], list(states)):
        check(loss, point, gradient, rng, names)


@forms
@pytest.mark.parametrize("embed", [0, 4])
def test_gradient_where_the_alphabet_is_larger_than_the_window(form, embed, rng):
    language = Language(rng, symbols=23, embed=embed, **reference.FORMS[form])
    check(language.loss, language.point, language.gradient(), rng)


@pytest.mark.parametrize("slab", [1, 2 * 7 * 3, 3 * 7 * 3 + 5])
@pytest.mark.parametrize("form", ["lstm", "gru-before"])
def test_gradient_where_the_logits_are_computed_in_pieces(form, slab, rng, monkeypatch):
    language = Language(rng, layers=2, **reference.FORMS[form])
    whole, loss = language.gradient(), language.run()
    monkeypatch.setattr(head, "SLAB_ELEMENTS", slab)
    pieces = language.gradient()
    check(language.loss, language.point, pieces, rng)
    assert language.run() == pytest.approx(loss, rel=1e-14)
    for name, array in whole.items():
        np.testing.assert_allclose(pieces[name], array, rtol=1e-12, atol=1e-15)


@forms
def test_gradient_of_a_short_window_in_a_workspace_used_before(form, rng):
    language = Language(rng, layers=2, embed=4, room=3, **reference.FORMS[form])
    text = rng.integers(0, 7, (2, 8, 3))
    language.model.loss_and_gradient(language.window, *text, language.grads)
    check(language.loss, language.point, language.gradient(), rng)


@forms
@pytest.mark.parametrize("embed", [0, 4])
def test_gradient_with_dropout(form, embed, rng):
    options = {"layers": 2, "embed": embed, "dropout": 0.3} | reference.FORMS[form]
    language = Language(rng, key=(5, 17), **options)
    check(language.run, language.point, language.gradient(), rng)


@pytest.mark.parametrize("form", ["lstm", "gru-after", "gru-before", "rnn-tanh"])
def test_the_check_finds_a_gradient_that_is_off_by_a_factor_or_missing(form, rng):
    language = Language(rng, layers=2, embed=4, **reference.FORMS[form])
    gradient = {name: array.copy() for name, array in language.gradient().items()}
    check(language.loss, language.point, gradient, rng)
    for name, array in gradient.items():
        for wrong in (1.0005 * array, 0.0 * array):
            with pytest.raises(AssertionError):
                check(language.loss, language.point, gradient | {name: wrong}, rng)


@pytest.mark.parametrize("form", ["lstm", "gru-after", "gru-before", "rnn-tanh"])
def test_the_check_finds_a_gradient_that_is_shifted_by_one_step(form, rng):
    stack = Stack(ModelConfig(hidden=4, dtype="float64", **reference.FORMS[form]), 3)
    weights, window = stack.initialise(seed=2), stack.workspace(5, 2)
    x, slope = rng.standard_normal((5, 3, 2)), rng.standard_normal((5, 4, 2))
    stack.forward(weights, window, x)
    grads = weights.like(np.empty_like(weights.flat))
    dx = stack.backward(window, slope, grads)

    def loss():
        return float(np.sum(slope * stack.forward(weights, window, x)))

    check(loss, {"x": x}, {"x": dx}, rng)
    with pytest.raises(AssertionError):
        check(loss, {"x": x}, {"x": np.roll(dx, 1, axis=0)}, rng)


def test_every_cell_is_checked():
    assert {options["cell"] for options in reference.FORMS.values()} == set(CELLS.builtin())
