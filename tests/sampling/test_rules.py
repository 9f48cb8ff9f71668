"""Rules on what may come next: repetition and spans of a text, alone and taken back."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.backend import Backend
from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError, UsageError
from charrnn.evaluate import score
from charrnn.model.language import LanguageModel
from charrnn.sampling import Novelty, SampleOptions, in_order, next_symbols, samples, stream
from charrnn.sampling.draw import FREE
from charrnn.sampling.rules import NoCopy, NoRepeat, Penalty
from charrnn.sampling.seen import LineEnds, Seen
from charrnn.text.vocabulary import Vocabulary

CHARS = Vocabulary("char", tuple("abcd"))
P = np.array([0.5, 0.3, 0.15, 0.05])


def memoryless():
    """Return a model that gives the distribution P after anything."""
    model = LanguageModel(ModelConfig(hidden=2, cell="rnn", dtype="float64"), 4)
    model.weights["decoder.bias"][...] = np.log(P) + 7
    return model


def chances(prime, **options):
    found = next_symbols(
        memoryless(), CHARS, SampleOptions(temperature=1.0, **options), count=4, prime=prime
    )
    return {one.symbol: one.p for one in found}


def test_the_penalty_is_an_exponent_on_what_is_recent():
    expected = P ** np.array([1.5, 1, 1.5, 1])
    expected /= expected.sum()
    found = chances("dddacaa", repetition_penalty=1.5, repetition_window=4)
    assert [found[c] for c in "abcd"] == pytest.approx(expected)
    assert chances("dddacaa", repetition_penalty=1.5)["d"] < found["d"]
    assert chances("dddacaa", repetition_penalty=1.0) == chances("")


def test_the_penalty_comes_before_the_temperature():
    options = SampleOptions(temperature=0.5, repetition_penalty=2.0)
    found = next_symbols(memoryless(), CHARS, options, count=4, prime="a")
    expected = P ** np.array([4, 2, 2, 2])
    expected /= expected.sum()
    chosen = {one.symbol: one.p for one in found}
    assert [chosen[c] for c in "abcd"] == pytest.approx(expected)


def test_a_penalty_on_everything_changes_the_temperature_only():
    found = chances("abcd", repetition_penalty=2.0)
    assert [found[c] for c in "abcd"] == pytest.approx(P**2 / (P**2).sum())


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_no_symbols_are_written_twice(temperature, n):
    options = SampleOptions(temperature=temperature, no_repeat=n)
    for text in (
        "ab" + "".join(stream(memoryless(), CHARS, options, length=2 * n, prime="ab", seed=seed))
        for seed in range(5)
    ):
        spans = [text[i : i + n] for i in range(len(text) - n + 1)]
        assert len(set(spans)) == len(spans)
    assert chances("aabaca", no_repeat=2) == {"d": 1.0}


def test_a_text_that_cannot_go_on_is_an_error():
    with pytest.raises(
        CharRNNError, match="every possible next symbol would repeat 1 symbol in a row; raise no"
    ):
        list(stream(memoryless(), CHARS, SampleOptions(no_repeat=1), length=5, prime="a"))
    vocabulary = Vocabulary("char", ("a", "\ufffd"), unknown=1)
    model = LanguageModel(ModelConfig(hidden=2, cell="rnn"), 2)
    with pytest.raises(CharRNNError, match="would repeat 2 symbols in a row"):
        list(stream(model, vocabulary, SampleOptions(no_repeat=2), length=5, prime="a"))


def test_a_sample_that_has_ended_keeps_no_rules():
    """It is drawn on with the others of its batch, and would run out of symbols."""
    options = SampleOptions(temperature=1.0, no_repeat=1)
    made = samples(memoryless(), CHARS, options, count=8, length=4, until="a", seed=5)
    assert len({len(one.text) for one in made}) > 1
    assert all(len(set(one.text)) == len(one.text) for one in made)


def test_a_temperature_that_changes():
    options = SampleOptions(temperature=1.0, temperature_end=0.0)
    assert [options.at(i, 5) for i in range(6)] == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    assert options.at(0, 1) == 1.0
    assert SampleOptions(temperature=0.5, temperature_end=2.0).at(1, 3) == 1.25
    model = memoryless()
    changed = "".join(stream(model, CHARS, options, length=4000, seed=1))
    first, last = changed[:400], changed[-400:]
    assert first.count("a") < 280 < last.count("a")
    hotter, colder = (
        SampleOptions(0.0, temperature_end=9.0),
        SampleOptions(9.0, temperature_end=0.0),
    )
    pairs = {
        options: ["".join(stream(model, CHARS, options, length=2, seed=s)) for s in range(40)]
        for options in (hotter, colder)
    }
    assert {first for first, _ in pairs[hotter]} == {last for _, last in pairs[colder]} == {"a"}
    assert {last for _, last in pairs[hotter]} == {first for first, _ in pairs[colder]} > {"a"}
    same = SampleOptions(temperature=0.7, temperature_end=0.7)
    for length in (2, 90):
        plain = list(stream(model, CHARS, SampleOptions(0.7), length=length, seed=2))
        assert list(stream(model, CHARS, same, length=length, seed=2)) == plain


@pytest.mark.parametrize(
    ("options", "arguments", "says"),
    [
        (
            {"temperature_end": 1.0},
            {"length": 0},
            "temperature_end is reached at the end of length",
        ),
        ({"no_repeat": 3}, {"length": 0}, "no_repeat remembers the whole sample, but length 0 nev"),
    ],
)
def test_rules_without_an_end_are_refused(options, arguments, says):
    with pytest.raises(UsageError) as told:
        next(stream(memoryless(), CHARS, SampleOptions(**options), **arguments))
    assert str(told.value).startswith(says)


@pytest.mark.parametrize(
    "options",
    [
        {"repetition_penalty": 1.7, "repetition_window": 3},
        {"no_repeat": 3},
        {"temperature_end": 0.1},
        {"temperature_end": 0.0, "repetition_penalty": 1.2, "no_repeat": 4, "top_k": 3},
    ],
)
def test_a_device_follows_the_rules_of_the_host(device, options):
    config = ModelConfig(hidden=6, layers=2, dtype="float64")
    host = LanguageModel.fresh(config, len(CHARS), 4)
    there = LanguageModel(config, len(CHARS), Backend("cupy", device), host.weights.flat)
    arguments = {"count": 3, "length": 12, "prime": "ab"}
    mine, theirs = (
        samples(model, CHARS, SampleOptions(**options), **arguments) for model in (host, there)
    )
    assert [one.text for one in mine] == [one.text for one in theirs]


def test_a_device_takes_lines_back_as_the_host_does(device):
    vocabulary = Vocabulary("char", tuple("\nabc"))
    config = ModelConfig(hidden=6, layers=2, dtype="float64", cell="gru")
    host = LanguageModel.fresh(config, 4, 4)
    there = LanguageModel(config, 4, Backend("cupy", device), host.weights.flat)
    copied = vocabulary.encode("a\nb\nc\nab\nbc\nca\naa\n")
    novelty = Novelty(Seen.of([copied], LineEnds(0)), Seen.of([copied], LineEnds(0), 3))
    arguments = {"count": 3, "length": 25, "novelty": novelty, "log_probs": True, "prime": "b"}
    mine, theirs = (
        list(in_order(model, vocabulary, SampleOptions(1.0), **arguments))
        for model in (host, there)
    )
    assert [one.text for one in mine] == [one.text for one in theirs]
    known = set(vocabulary.decode(copied).split("\n")) - {""}
    for one, other in zip(mine, theirs, strict=True):
        assert not set(("b" + one.text).split("\n")) & known
        assert len(one.log_probs) == len(one.text) == 25
        exact = -score(host, [vocabulary.encode("b" + one.text)]).nats
        assert one.log_prob == pytest.approx(exact, rel=1e-9)  # those of kept symbols alone
        np.testing.assert_allclose(one.log_probs, other.log_probs, rtol=1e-9)
    plain = list(in_order(host, vocabulary, SampleOptions(1.0), **(arguments | {"novelty": FREE})))
    assert set("".join("b" + one.text for one in plain).split("\n")) & known


@pytest.mark.slow
def test_lines_that_are_drawn_again_come_from_what_is_left_of_the_distribution():
    """Lines of one symbol: a is in the text, so b, c and d keep their proportions."""
    vocabulary = Vocabulary("char", ("\n", "a", "b", "c"))
    model = LanguageModel(ModelConfig(hidden=2, cell="rnn"), 4)
    model.weights["decoder.bias"][...] = np.log([1e-12, 0.7, 0.2, 0.1])
    novelty = Novelty(Seen.of([vocabulary.encode("a\n")], LineEnds(0)))
    options = SampleOptions(1.0)
    made = samples(model, vocabulary, options, count=1500, length=1, novelty=novelty, seed=2)
    b = sum(one.text == "b" for one in made)
    assert {one.text for one in made} == {"b", "c"}
    assert abs(b - 1000) < 4 * np.sqrt(1500 * 2 / 9)
    first = samples(model, vocabulary, options, count=3, length=1, novelty=novelty, seed=2)
    assert [one.text for one in first] == [one.text for one in made[:3]]


IDS = st.lists(st.integers(0, 3), max_size=12)
SEEN = Seen.of([np.array([0, 1, 2, 3, 0, 2, 1, 1], np.uint8)], LineEnds(None), 2)
RULES = {
    "penalty": lambda: Penalty(2.0, 3, 2),
    "no repeat": lambda: NoRepeat(2, 2),
    "no copy": lambda: NoCopy(SEEN, 2, 4),
}


@pytest.mark.parametrize("make", RULES.values(), ids=RULES)
@settings(max_examples=25, deadline=None)
@given(first=IDS, then=IDS, other=IDS)
def test_what_is_taken_back_leaves_no_trace(make, first, then, other):
    rule, plain = make(), make()
    for symbol in first:
        rule.add(0, symbol)
        plain.add(0, symbol)
    mark = rule.mark(0)
    for symbol in then:
        rule.add(0, symbol)
    for symbol in other:
        rule.add(1, symbol)
    rule.rewind(0, mark)
    scores = np.log(np.tile(P, (2, 1)))

    def applied(each):
        try:
            return each.apply(scores, [0], None)[0].tolist()
        except CharRNNError as problem:
            return str(problem)

    assert applied(rule) == applied(plain)
    for symbol in then:  # and again, from the same mark
        rule.add(0, symbol)
        plain.add(0, symbol)
    assert applied(rule) == applied(plain)


def test_no_copy_leaves_the_first_symbols_alone():
    """Only spans of more than N symbols are copies; shorter ones are found in any text."""
    rule = NoCopy(SEEN, 1, 4)
    scores = np.zeros((1, 4))
    seen = []
    for before, after in pairwise([0, 1, 2]):
        rule.add(0, before)
        seen.append((rule.apply(scores, [0], None)[0] == -np.inf).tolist())
        assert after in (1, 2)
    assert seen == [[False] * 4, [False, False, True, False]]
