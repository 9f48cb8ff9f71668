"""What a model expected of a text: as it is scored, and by plain arithmetic."""

from math import log

import numpy as np
import pytest

from charrnn.config import ModelConfig
from charrnn.errors import CorpusError
from charrnn.evaluate import example_surprisals, surprisals
from charrnn.model.language import LanguageModel
from charrnn.view.passage import Passage
from charrnn.view.predictions import Predictions

V = 11


def new_model(**options):
    settings = {"hidden": 9, "layers": 2} | options
    model = LanguageModel.fresh(ModelConfig(**settings), V, 2)
    model.weights.flat[...] *= 2.5  # so that context matters
    return model


def text(seed, n):
    return np.random.default_rng(seed).integers(0, V, n).astype(np.uint8)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_surprisals_are_those_of_eval(cell):
    model, ids = new_model(cell=cell), text(1, 700)
    scored = np.concatenate([nats for _, nats in surprisals(model, [ids])])
    found = Predictions.of(model, Passage.of_text([ids[:300], ids[300:]], 1000))
    np.testing.assert_array_equal(np.isnan(found.bits), np.isnan(scored))
    np.testing.assert_allclose(found.bits[1:] * log(2), scored[1:], rtol=0, atol=1e-6)


def test_examples_are_read_each_from_a_zero_state():
    model, examples = new_model(), [text(k, 3 + 150 * k) for k in range(4)]
    scored = [nats for _, nats in example_surprisals(model, examples, 5)]
    passage = Passage.of_examples(examples, 5, 10_000)
    assert passage.begins == (0, 3, 156, 459)
    found = Predictions.of(model, passage)
    np.testing.assert_allclose(found.bits * log(2), np.concatenate(scored), rtol=0, atol=1e-6)


def test_alternatives_are_the_likeliest_other_symbols():
    model, ids = new_model(dtype="float64"), text(3, 50)
    window = model.window(49, 1, backward=False)
    logits = model.head.logits(model.weights, model.forward(window, ids[:-1, None]))[:, :, 0]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = Predictions.of(model, Passage(ids), 4)
    for t in range(1, 50):
        order = [k for k in np.argsort(-p[t - 1]).tolist() if k != ids[t]][:4]
        assert found.others[t].tolist() == order
        np.testing.assert_allclose(found.chances[t], p[t - 1, order], rtol=1e-12)
    assert np.isnan(found.chances[0]).all()
    assert Predictions.of(model, Passage(ids), 99).others.shape == (50, V - 1)


def test_no_more_is_read_than_is_viewed():
    def chunks():
        yield text(0, 10)
        yield text(1, 10)
        raise AssertionError

    assert len(Passage.of_text(chunks(), 15)) == 15
    with pytest.raises(CorpusError, match="at least 2"):
        Passage.of_text([text(0, 1)], 15)


def test_a_part_of_examples_begins_where_they_do():
    passage = Passage(text(0, 20), (0, 5, 12), 3)
    assert passage.part(5, 15).begins == (0, 7)
    assert passage.part(6, 10).begins == (0,)
