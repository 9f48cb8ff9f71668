"""Units that mean something are found, and nothing is found where there is nothing."""

import json

import numpy as np
import pytest
from helpers.commands import inside

from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError
from charrnn.model.language import LanguageModel
from charrnn.text.vocabulary import Vocabulary
from charrnn.view import controls, meanings
from charrnn.view.meanings import find
from charrnn.view.passage import Passage

WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "he",
    "was",
    "that",
    "it",
    "his",
    "her",
    "with",
    "as",
    "had",
]
UNIT = 5


def prose(seed, symbols, opening="(", closing=")"):
    """Return sentences of random words, some of them inside brackets."""
    rng = np.random.default_rng(seed)

    def some(most):
        return " ".join(rng.choice(WORDS, rng.integers(2, most)))

    text = ""
    while len(text) < symbols:
        more = f" {opening}{some(9)}{closing} {some(5)}" if rng.random() < 0.6 else ""
        text += f"{some(8).capitalize()}{more}.\n"
    return text[:symbols]


def encoded(text):
    vocabulary = Vocabulary("char", tuple(sorted(set(text))))
    return vocabulary, Passage(vocabulary.encode(text))


def fresh(vocabulary, seed, scale=1.0, **options):
    settings = {"hidden": 16} | options
    model = LanguageModel.fresh(ModelConfig(**settings), len(vocabulary), seed)
    model.weights.flat[...] *= scale
    return model


def plant(model, vocabulary):
    """Make unit 5 of an LSTM count open parentheses: c changes by +1 and -1 there."""
    H = model.config.hidden
    rows = {gate: k * H + UNIT for k, gate in enumerate("ifgo")}
    W, U, b = (model.weights[f"rnn.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih"))
    for row in rows.values():
        W[row] = U[row] = b[row] = 0.0
    b[rows["i"]], b[rows["f"]], b[rows["o"]] = -20.0, 20.0, 20.0
    for symbol, change in (("(", 20.0), (")", -20.0)):
        column = vocabulary.symbols.index(symbol)
        W[rows["i"], column], W[rows["g"], column] = 40.0, change


def test_a_planted_unit_is_found(monkeypatch):
    monkeypatch.setattr(meanings, "PAIRS", 3)  # of networks that are read; all are for slow tests
    vocabulary, passage = encoded(prose(0, 2400))
    model = fresh(vocabulary, 50, hidden=8)
    plant(model, vocabulary)
    found = find(model, vocabulary, passage)
    assert found.found
    units = {(one.name, one.unit.layer, one.unit.number) for one in found.found}
    assert units == {("inside parentheses", 0, UNIT), ("depth of brackets", 0, UNIT)}
    assert all(one.area > 0.99 and one.sign == 1 and one.p < 0.05 for one in found.found)
    assert "digit" in found.absent
    assert "inside parentheses" in found.sought


@pytest.mark.parametrize(
    ("seed", "options"),
    [(60, {}), (62, {"cell": "rnn", "layers": 2})],
)
def test_nothing_is_found_in_an_untrained_model(seed, options):
    vocabulary, passage = encoded(prose(seed, 2000, '"', '"'))
    assert find(fresh(vocabulary, seed, **options), vocabulary, passage).found == []


def test_a_planted_unit_is_not_found_where_its_property_is_rare():
    text = prose(1, 3000).replace("(", "").replace(")", "")
    vocabulary, _ = encoded(text + "()")
    passage = Passage(vocabulary.encode(text[:2500] + "(" + text[2500:] + ")"))
    model = fresh(vocabulary, 51)
    plant(model, vocabulary)
    found = find(model, vocabulary, passage)
    assert found.found == []
    assert "inside parentheses" in found.absent


def test_a_shuffled_model_has_the_same_weights_in_each_gate():
    model = fresh(range(9), 3, layers=2)
    other = controls.shuffled(model, 1)
    for name in model.weights:
        gates = 4 if name.startswith("rnn.") else 1
        before, after = (m.weights[name].reshape(gates, -1) for m in (model, other))
        assert not np.array_equal(before, after)
        np.testing.assert_array_equal(np.sort(before), np.sort(after))


def test_a_short_text_or_a_broken_model_is_refused():
    vocabulary, passage = encoded(prose(0, 300))
    model = fresh(vocabulary, 1)
    with pytest.raises(CharRNNError, match="too few"):
        find(model, vocabulary, passage.part(0, 100))
    model.weights.flat[...] = np.nan
    with pytest.raises(CharRNNError, match=r"not finite; charrnn\.diagnose says why"):
        find(model, vocabulary, passage)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_nothing_is_found_in_many_untrained_models(cell, seed):
    texts = [
        prose(seed, 4000),
        "".join(f"{k},{k * k % 97}\t[{'ab ' * (k % 5)}] X\n" for k in range(500))[:5000],
        "def f(a):\n    return g(a, [1, 2])  # the\n" * 60 + prose(seed, 2000, "{", "}"),
    ]
    for text in texts:
        vocabulary, passage = encoded(text)
        for layers, scale in ((1, 1.0), (2, 1.0), (1, 3.0)):
            model = fresh(vocabulary, 70 + seed, scale, cell=cell, layers=layers)
            assert find(model, vocabulary, passage).found == []


@pytest.mark.slow
@pytest.mark.parametrize(("marks", "name"), [("()", "inside parentheses"), ('""', "inside quotes")])
def test_a_model_trained_on_marks_has_a_unit_for_them(marks, name, tmp_path):
    (tmp_path / "t.txt").write_text(prose(0, 300_000, *marks))
    small = ("--hidden", "48", "--seq-len", "64", "--batch", "32", "--lr", "0.01")
    options = (*small, "--steps", "1500", "--seed", "1", "--quiet")
    done = inside("train", "t.txt", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = inside("view", "t", "--units", "--json", cwd=tmp_path)
    found = [json.loads(line) for line in shown.stdout.splitlines()]
    assert name in {one["property"] for one in found}
    assert all(one["auc"] > 0.75 for one in found)
