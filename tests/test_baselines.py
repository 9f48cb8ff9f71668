"""What simple models and a compressor reach on a text."""

import builtins
import lzma
from collections import Counter
from math import log2

import numpy as np
import pytest

from charrnn.evaluate import baselines as module
from charrnn.evaluate.baselines import baselines, pairs
from charrnn.evaluate.guess import guess
from charrnn.text import corpus_from_text
from charrnn.text.layout import Layout
from charrnn.text.units.examples import Units

RNG = np.random.default_rng(5)
LETTERS = "".join("aab cd\n"[i] for i in RNG.integers(0, 7, 6000))


def naive_bigram(train, val, symbols):
    """Return the bits of (before, after) pairs by Witten-Bell's method C, pair by pair."""
    follows, known = Counter(train), Counter(a for a, _ in train)
    kinds, single = Counter(a for a, _ in follows), Counter(b for _, b in train)
    total = sum(single.values()) + symbols
    bits = 0.0
    for a, b in val:
        p = (single[b] + 1) / total
        if kinds[a]:
            p = (follows[a, b] + kinds[a] * p) / (known[a] + kinds[a])
        bits -= log2(p)
    return bits / len(val)


@pytest.mark.parametrize("dense", [1 << 22, 0])
def test_the_bigram_model_is_witten_and_bells(dense, monkeypatch):
    monkeypatch.setattr(module, "DENSE", dense)
    train, val = RNG.integers(0, 5, 400), RNG.integers(0, 7, 200)  # 5 and 6 are new
    vocabulary = corpus_from_text("abcdefg" * 9).vocabulary
    found = baselines(train, val, vocabulary, 10**6)
    both = [list(zip(ids[:-1].tolist(), ids[1:].tolist(), strict=True)) for ids in (train, val)]
    counted = [*both[0]]
    # The unigram model also counts the first symbol, which no pair ends with.
    expected = naive_bigram([(-1, int(train[0])), *counted], both[1], 7)
    assert found.bigram == pytest.approx(expected, rel=1e-12)
    cut = baselines(train, val, vocabulary, 50)
    assert cut.bigram == pytest.approx(
        naive_bigram([(-1, int(train[0])), *counted], both[1][:50], 7), rel=1e-12
    )


def test_the_unigram_model_is_that_of_the_guess():
    corpus = corpus_from_text(LETTERS, val_frac=0.2)
    found = baselines(corpus.train, corpus.val, corpus.vocabulary, 10**6)
    # The guess is about the first symbol, too.
    assert found.unigram == pytest.approx(guess(corpus).unigram / np.log(2), abs=2e-3)
    assert found.bigram == pytest.approx(found.unigram, abs=0.02)  # the letters are independent


def test_the_first_symbol_of_an_example_follows_its_start():
    parts = [np.array(ids, np.uint8) for ids in ([1, 2, 0], [3, 0], [1, 0])]
    units = Units.joined(parts, 0)
    for limit, length in ((100, 7), (4, 4), (3, 3)):
        before, after = pairs(units, limit)
        assert before.tolist() == [0, 1, 2, 0, 3, 0, 1][:length]
        assert after.tolist() == [1, 2, 0, 3, 0, 1, 0][:length]


def test_xz_is_measured_without_its_header():
    corpus = corpus_from_text(LETTERS, val_frac=0.5)
    found = baselines(corpus.train, corpus.val, corpus.vocabulary, 10**6)
    ids = np.asarray(corpus.val)[1:]
    packed = len(lzma.compress(corpus.vocabulary.decode(ids).encode(), preset=9))
    assert packed - 80 <= found.xz * len(ids) / 8 < packed


@pytest.mark.parametrize("level", ["char", "byte", "word"])
def test_every_level_of_text_is_compressed(level, monkeypatch):
    monkeypatch.setattr(module, "MIN_PACKED", 100)
    monkeypatch.setattr(module, "MAX_BYTES", 4096)
    text = "Ein Wörterbuch, ein Wörtchen: größer, größer. \N{GRINNING FACE}\n" * 300
    corpus = corpus_from_text(text.encode() if level == "byte" else text, level=level, val_frac=0.5)
    found = baselines(corpus.train, corpus.val, corpus.vocabulary, 10**6)
    assert 0 < found.xz < found.unigram
    assert found.bigram < found.unigram


def test_what_is_left_out(monkeypatch):
    short = corpus_from_text(LETTERS[:900], val_frac=0.5)
    assert baselines(short.train, short.val, short.vocabulary, 10**6).xz is None
    none = corpus_from_text(LETTERS, val_frac=0)
    assert baselines(none.train, none.val, none.vocabulary, 10**6) is None
    full = corpus_from_text(LETTERS, val_frac=0.5)
    loaded = builtins.__import__

    def without_lzma(name, *rest):
        if name == "lzma":
            raise ImportError(name)
        return loaded(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_lzma)
    assert baselines(full.train, full.val, full.vocabulary, 10**6).xz is None


def test_examples_have_baselines_too():
    corpus = corpus_from_text(LETTERS, val_frac=0.3, layout=Layout(examples="line"))
    found = baselines(corpus.train, corpus.val, corpus.vocabulary, 10**6)
    assert 2 < found.unigram < 3
    assert found.xz is not None
