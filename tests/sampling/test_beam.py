"""Beam search: exact if the beam holds all beginnings, greedy if it holds one."""

from itertools import pairwise, product

import numpy as np
import pytest

from charrnn.backend import Backend
from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError, UsageError, VocabularyError
from charrnn.evaluate import score
from charrnn.model.language import LanguageModel
from charrnn.sampling import Frame, SampleOptions, Stepper, most_likely, stream
from charrnn.text.vocabulary import Vocabulary

CHARS = Vocabulary("char", tuple("\nabc"))
WORDS = Vocabulary("word", (" ", "ab", "b"))


def new_model(vocabulary, seed, **options):
    config = ModelConfig(**({"hidden": 6, "dtype": "float64", "layers": 2} | options))
    model = LanguageModel.fresh(config, len(vocabulary), seed)
    model.weights.flat[...] *= 4  # so that the choices differ
    return model


def best(model, vocabulary, prime, texts):
    """Return texts, each a sequence of symbols, by log-probability; the larger ones first."""
    read = list(vocabulary.encode(prime))
    index = {symbol: i for i, symbol in enumerate(vocabulary.symbols)}
    found = {}
    for text in texts:
        ids = np.array([*read, *(index[symbol] for symbol in text)])
        before = score(model, [ids[: len(read)]]).nats if len(read) > 1 else 0.0
        found["".join(text)] = before - score(model, [ids]).nats
    return sorted(found.items(), key=lambda item: -item[1])


def assert_found(made, expected):
    assert [one.text for one in made] == [text for text, _ in expected[: len(made)]]
    for one, (_, nats) in zip(made, expected, strict=False):
        assert one.log_prob == pytest.approx(nats, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("prime", ["\n", "ab"])
def test_a_beam_of_all_beginnings_is_exact(cell, prime):
    model, texts = new_model(CHARS, 3, cell=cell), list(product("\nabc", repeat=3))
    made = most_likely(model, CHARS, beam=16, count=5, length=3, prime=prime)
    assert_found(made, best(model, CHARS, prime, texts))
    ended = {(*text[: text.index("b")], "b") if "b" in text else text for text in texts}
    made = most_likely(model, CHARS, beam=16, count=5, length=3, prime=prime, until="b")
    assert_found(made, best(model, CHARS, prime, ended))


def test_texts_that_repeat_themselves_do_not_count():
    model = new_model(CHARS, 1)

    def repeats(text):
        pairs = list(pairwise(text))
        return len(set(pairs)) < len(pairs)

    for prime in ("", "ab"):
        kept = [text for text in product("\nabc", repeat=3) if not repeats((*prime, *text))]
        made = most_likely(model, CHARS, beam=16, count=9, length=3, no_repeat=2, prime=prime)
        assert_found(made, best(model, CHARS, prime or "\n", kept))
    with pytest.raises(CharRNNError, match="every text would repeat 1 symbol; raise no_repeat"):
        most_likely(model, CHARS, beam=3, length=9, no_repeat=1)


def test_words_are_searched_and_cut_where_the_text_ends():
    model = new_model(WORDS, 2)
    texts = [text for n in (1, 2, 3) for text in product(WORDS.symbols, repeat=n)]
    ended = [t for t in texts if "b" in t[-1] and not any("b" in word for word in t[:-1])]
    whole = [t for t in texts if len(t) == 3 and not any("b" in word for word in t)]
    made = most_likely(model, WORDS, beam=27, count=3, length=3, until="b", prime=" ")
    assert_found(made, best(model, WORDS, " ", ended + whole))
    framed = most_likely(
        model, WORDS, beam=27, count=3, length=3, prime=" ", frame=Frame("b", until_join=True)
    )
    assert framed == made


@pytest.mark.parametrize("level", ["char", "byte"])
def test_one_hypothesis_is_greedy(level):
    symbols = tuple("\nabc") if level == "char" else (10, 97, 98, 99)
    vocabulary = Vocabulary(level, symbols)
    for seed in range(3):
        model = new_model(vocabulary, seed, hidden=12, dtype="float32")
        (made,) = most_likely(model, vocabulary, beam=1, length=80, prime="ab")
        greedy = stream(model, vocabulary, SampleOptions(0.0), length=80, prime="ab")
        assert made.text == vocabulary.join(greedy)


def test_a_search_ends_when_no_text_can_be_more_likely():
    vocabulary = Vocabulary("char", ("a", "b"))
    model = LanguageModel(ModelConfig(hidden=2, cell="rnn"), 2)
    model.weights["decoder.bias"][...] = np.log([0.4, 0.6])
    steps: list[int] = []
    (made,) = most_likely(model, vocabulary, beam=3, length=0, until="b", progress=steps.append)
    assert steps == list(range(1, len(steps) + 1)) != []
    assert (made.text, made.log_probs) == ("b", pytest.approx([np.log(0.6)]))
    two = most_likely(model, vocabulary, beam=3, count=2, length=0, until="b")
    assert [one.text for one in two] == ["b", "ab"]


def test_equals_keep_the_order_of_the_symbols():
    vocabulary = Vocabulary("char", tuple("abc"))
    model = LanguageModel(ModelConfig(hidden=2), 3)
    made = most_likely(model, vocabulary, beam=9, count=9, length=2)
    assert [one.text for one in made] == ["".join(pair) for pair in product("abc", repeat=2)]


def test_the_unknown_symbol_is_never_in_a_text():
    vocabulary = Vocabulary("char", ("a", "b", "\ufffd"), unknown=2)
    model = LanguageModel(ModelConfig(hidden=2), 3)
    model.weights["decoder.bias"][...] = [0.0, 1.0, 9.0]
    made = most_likely(model, vocabulary, beam=20, count=20, length=2)
    assert sorted(one.text for one in made) == ["aa", "ab", "ba", "bb"]


def test_a_device_finds_what_the_host_finds(device):
    host = new_model(CHARS, 5, embed=3)
    there = LanguageModel(host.config, len(CHARS), Backend("cupy", device), host.weights.flat)
    arguments = {"beam": 4, "count": 3, "length": 12, "prime": "ab", "until": "cab"}
    mine = most_likely(host, CHARS, **arguments)
    theirs = most_likely(there, CHARS, **arguments)
    assert [one.text for one in mine] == [one.text for one in theirs]
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(one.log_probs, other.log_probs, rtol=1e-9)


def test_a_stepper_is_used_again():
    model = new_model(CHARS, 4)
    stepper = Stepper(model, 3)
    for prime in ("a", "", "cabb", "a"):
        again = most_likely(model, CHARS, beam=3, length=9, prime=prime, stepper=stepper)
        assert again == most_likely(model, CHARS, beam=3, length=9, prime=prime)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"beam": 0}, "beam must be at least 1 and at most 10000, not 0"),
        ({"beam": 2, "count": 3}, "count must be at least 1 and at most 2, not 3; beam 2 finds"),
        ({"beam": 2, "length": 0}, "samples of length 0 never end; give until or a length"),
        ({"beam": 2, "length": -1}, "length must be at least 0, not -1; 0 means endless"),
        ({"beam": 2, "no_repeat": -1}, "no_repeat must be at least 0, not -1"),
    ],
)
def test_a_search_that_is_impossible_is_refused(options, says):
    with pytest.raises(UsageError) as told:
        most_likely(new_model(CHARS, 0), CHARS, **options)
    assert str(told.value).startswith(says)


def test_what_cannot_occur_or_has_diverged_is_an_error():
    model = new_model(CHARS, 0)
    with pytest.raises(VocabularyError, match="no character 'Z'"):
        most_likely(model, CHARS, beam=2, until="Z")
    model.weights.flat[...] = np.nan
    with pytest.raises(CharRNNError, match="not a finite number"):
        most_likely(model, CHARS, beam=2, length=3)
