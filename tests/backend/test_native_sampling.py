"""Sampling by the compiled core: its steps, and symbols drawn many steps at a time."""

from itertools import islice, product

import numpy as np
import pytest
from helpers.native import TARGETS, each_cell, opened

from charrnn.backend import numpy_backend
from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError
from charrnn.model.language import LanguageModel
from charrnn.sampling import ahead, samples
from charrnn.sampling.drawer import Drawer
from charrnn.sampling.options import SampleOptions
from charrnn.sampling.stepper import Stepper
from charrnn.sampling.steps import compiled as steps
from charrnn.text import Vocabulary

pytestmark = pytest.mark.usefixtures("however_little")


def steps_of(backend, config, V, streams, ids):
    """Return the logits after each of the symbols ``ids`` (T, N), and the states in the end."""
    weights = LanguageModel.fresh(config, V, 4).weights.flat
    stepper = Stepper(LanguageModel(config, V, backend, weights), streams)
    logits = np.array([stepper.step(row).copy() for row in ids])
    return logits, [stepper.state(n) for n in range(streams)], stepper


@each_cell
@pytest.mark.parametrize("embed", (0, 6))
@pytest.mark.parametrize("limit", (0, 1 << 24), ids=("no table", "table"))
def test_steps_equal_a_window_bit_for_bit_for_any_number_of_streams(
    core, cell, embed, limit, monkeypatch
):
    monkeypatch.setattr(steps, "TABLE_ELEMENTS", limit)
    config = ModelConfig(layers=2, hidden=37, embed=embed, **cell)
    backend = numpy_backend(core=core)
    ids = np.random.default_rng(2).integers(0, 50, (6, 3)).astype(np.uint8)
    logits, states, _ = steps_of(backend, config, 50, 3, ids)
    plain, _, _ = steps_of(numpy_backend(), config, 50, 3, ids)
    np.testing.assert_allclose(logits, plain, rtol=1e-4, atol=1e-5)
    for n in range(3):
        alone, mine, _ = steps_of(backend, config, 50, 1, ids[:, n : n + 1])
        np.testing.assert_array_equal(alone[:, 0], logits[:, n])
        np.testing.assert_array_equal(mine[0], states[n])
    weights = LanguageModel.fresh(config, 50, 4).weights.flat
    model = LanguageModel(config, 50, backend, weights)
    window = model.window(6, 3, backward=False)
    model.forward(window, ids)
    for index, (_, sequence) in enumerate(window.states()):
        np.testing.assert_array_equal(sequence[6].T, [states[n][index] for n in range(3)])


def test_a_stepper_goes_back_and_follows(core):
    config = ModelConfig(layers=2, hidden=16)
    ids = np.random.default_rng(2).integers(0, 9, (6, 2)).astype(np.uint8)
    logits, states, stepper = steps_of(numpy_backend(core=core), config, 9, 2, ids)
    stepper.follow(np.array([1, 1]))
    for mine, expected in zip(stepper.state(0), states[1], strict=True):
        np.testing.assert_array_equal(mine, expected)
    stepper.start(ids[:5, 0])
    again = stepper.step(np.array([ids[4, 0]] * 2))
    np.testing.assert_array_equal(again[0], logits[4, 0])


FILTERS = (
    {},
    {"temperature": 0.0},
    {"temperature": 1e-300},
    {"temperature": 2.0, "top_k": 3},
    {"temperature": 1.5, "top_p": 0.7},
    {"temperature": 1.5, "min_p": 0.1},
    {"temperature": 2.0, "top_k": 9, "top_p": 0.9, "min_p": 0.02},
    {"temperature": 0.1, "temperature_end": 2.0},
)


def symbols_drawn(core, V, N, unknown, steps=45, scale=3.0, kind=None, **options):
    """Return symbols (K, N), log-probabilities and states; the error, if one ended them."""
    config = ModelConfig(layers=2, hidden=9, **kind or {})
    weights = LanguageModel.fresh(config, V, 4).weights.flat * np.float32(scale)
    stepper = Stepper(LanguageModel(config, V, numpy_backend(core=core), weights), N)
    stepper.start(np.arange(4) % V)
    chosen, error = SampleOptions(**options), None
    how = {"seed": 3, "first": 1, "length": steps, "log_probs": True}
    drawn = []
    try:
        drawn += islice(Drawer(stepper, np.arange(4) % V, chosen, unknown, **how), steps)
    except CharRNNError as problem:
        error = str(problem)
    found = np.array([draw.ids for draw in drawn]), np.array([draw.log_probs for draw in drawn])
    return *found, [stepper.state(n) for n in range(N)] if error is None else None, error


@pytest.mark.parametrize("options", FILTERS, ids=str)
@pytest.mark.parametrize(("V", "N", "unknown"), [(1, 1, None), (40, 1, 2), (21, 19, None)])
def test_symbols_of_many_steps_equal_those_drawn_one_by_one(
    core, V, N, unknown, options, monkeypatch
):
    together = symbols_drawn(core, V, N, unknown, **options)
    monkeypatch.setattr(ahead, "source", lambda *arguments: None)
    alone = symbols_drawn(core, V, N, unknown, **options)
    for found, expected in zip(together, alone, strict=True):
        np.testing.assert_array_equal(found, expected)
    if V > 1 and options.get("temperature", 0.8) >= 0.8:
        assert len(np.unique(together[0])) > 2
    assert unknown is None or unknown not in together[0]


@pytest.mark.parametrize("N", (5, 37), ids=("units", "streams"))  # what threads divide
def test_bits_of_drawn_symbols_depend_neither_on_threads_nor_on_the_library(N, monkeypatch):
    monkeypatch.setattr("charrnn.sampling.steps.compiled.TABLE_ELEMENTS", 0)
    first = None
    for target, threads in product(TARGETS or ["none"], (1, 3)):
        found = symbols_drawn(
            opened(target, threads), 300, N, 7, 20, kind={"embed": 5}, temperature=1.3, top_p=0.9
        )
        first = first or found
        for mine, expected in zip(found, first, strict=True):
            np.testing.assert_array_equal(mine, expected)


@pytest.mark.parametrize("N", (3, 24), ids=("units", "streams"))  # what threads divide
def test_what_is_drawn_before_a_state_is_not_finite_is_given(core, N, monkeypatch):
    kind = {"cell": "rnn", "activation": "relu"}
    together = symbols_drawn(core, 5, N, None, 45, 60.0, kind)
    monkeypatch.setattr(ahead, "source", lambda *arguments: None)
    alone = symbols_drawn(core, 5, N, None, 45, 60.0, kind)
    assert "not a finite number" in together[-1]
    assert 4 < len(together[0]) < 45
    for found, expected in zip(together, alone, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_samples_that_only_their_length_ends_are_drawn_in_few_calls(core, monkeypatch):
    made, draw = [], steps.CompiledSteps.draw

    def counted(self, ids, options, unknown, temperatures, uniforms, kept):
        made.append(len(uniforms))
        return draw(self, ids, options, unknown, temperatures, uniforms, kept)

    monkeypatch.setattr(steps.CompiledSteps, "draw", counted)
    model = LanguageModel.fresh(ModelConfig(hidden=5), 3, 0, numpy_backend(core=core))
    vocabulary = Vocabulary("char", tuple("abc"))
    drawn = samples(model, vocabulary, count=4, length=45)
    assert made == [32, 13]
    made.clear()
    cut = samples(model, vocabulary, count=4, length=45, until="ab")
    assert made[:9] == [1] * 8 + [2]
    assert all(each.text.startswith(other.text) for each, other in zip(drawn, cut, strict=True))


def test_a_call_makes_fewer_steps_of_a_large_model(core):
    model = LanguageModel.fresh(ModelConfig(hidden=256), 65, 0, numpy_backend(core=core))
    assert ahead.most_steps(model, 64, False) == ahead.MAX_STEPS
    assert ahead.most_steps(model, 1 << 20, False) == 1
    small = LanguageModel.fresh(ModelConfig(hidden=4), 4096, 0, numpy_backend(core=core))
    assert ahead.most_steps(small, 1024, False) == ahead.MAX_STEPS
    assert ahead.most_steps(small, 1024, True) == 5  # their logits are kept
