"""Streams of symbols: seeds, ends, primes, and the distribution that they come from."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest

from charrnn.backend import Backend
from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError, UsageError, VocabularyError
from charrnn.evaluate import score
from charrnn.model.language import LanguageModel
from charrnn.sampling import (
    Novelty,
    SampleOptions,
    in_order,
    next_symbols,
    samples,
    stream,
)
from charrnn.sampling import draw as drawing
from charrnn.sampling.draw import STEPS_ADDED, draws
from charrnn.sampling.drawer import encode_prime
from charrnn.sampling.frame import Frame
from charrnn.sampling.seen import LineEnds, Seen
from charrnn.sampling.until import End
from charrnn.text.vocabulary import Vocabulary

CHARS = Vocabulary("char", tuple("\n abcdefgh"))
WORDS = Vocabulary("word", (" ", "abc", "cab", "x"))
BYTES = Vocabulary("byte", (0, 10, 65, 200, 255))


def new_model(vocabulary: Vocabulary, seed: int = 3, **options: object) -> LanguageModel:
    settings: dict[str, object] = {"hidden": 12, "dtype": "float64"} | options
    config = ModelConfig(**settings)  # type: ignore[arg-type]
    return LanguageModel.fresh(config, len(vocabulary), seed)


def memoryless(vocabulary: Vocabulary, p: list[float]) -> LanguageModel:
    """Return a model that gives the same distribution after anything."""
    model = LanguageModel(ModelConfig(hidden=2, cell="rnn"), len(vocabulary))
    model.weights["decoder.bias"][...] = np.log(p)
    return model


def text(*arguments: object, **options: object) -> str:
    return "".join(stream(*arguments, **options))  # type: ignore[arg-type]


def test_the_seed_decides_the_text() -> None:
    model = new_model(CHARS)
    first = text(model, CHARS, length=80, seed=5)
    assert text(model, CHARS, length=80, seed=5) == first
    assert text(model, CHARS, length=80, seed=6) != first
    assert text(model, CHARS, length=50, seed=5) == first[:50]


@pytest.mark.parametrize("length", [1, 2, 1500])
def test_length_counts_the_new_symbols(length: int) -> None:
    assert len(text(new_model(CHARS), CHARS, length=length, prime="abc")) == length


def test_length_zero_does_not_end() -> None:
    assert len(list(islice(stream(new_model(CHARS), CHARS, length=0), 1300))) == 1300


def test_a_stream_of_a_batch_does_not_depend_on_the_others() -> None:
    model = new_model(CHARS, cell="gru", layers=2)
    five = samples(model, CHARS, count=5, length=60, seed=9, prime="bad")
    two = samples(model, CHARS, count=2, length=60, seed=9, prime="bad")
    assert [s.text for s in five[:2]] == [s.text for s in two]
    assert five[0].text == text(model, CHARS, length=60, seed=9, prime="bad")
    assert len({s.text for s in five}) == 5


def test_temperature_zero_is_the_argmax_of_the_model() -> None:
    model = new_model(CHARS, layers=2, embed=4)
    ids = CHARS.encode("face")
    for _ in range(20):
        window = model.window(len(ids), 1, backward=False)
        logits = model.head.logits(model.weights, model.forward(window, ids[:, None]))
        ids = np.append(ids, logits[-1, :, 0].argmax())
    greedy = SampleOptions(0.0)
    assert text(model, CHARS, greedy, length=20, prime="face") == CHARS.decode(ids[4:])
    assert text(model, CHARS, greedy, length=20, prime="face", seed=8) == CHARS.decode(ids[4:])


def test_top_k_of_one_is_the_argmax() -> None:
    model = new_model(CHARS)
    greedy = text(model, CHARS, SampleOptions(0.0), length=40)
    assert text(model, CHARS, SampleOptions(1.7, top_k=1), length=40, seed=2) == greedy


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_frequencies_are_those_of_the_tempered_distribution(temperature: float) -> None:
    vocabulary = Vocabulary("char", tuple("abcd"))
    p = [0.5, 0.3, 0.15, 0.05]
    model = memoryless(vocabulary, p)
    n = 4000
    counts = Counter(text(model, vocabulary, SampleOptions(temperature), length=n, seed=12))
    expected = np.array(p) ** (1 / temperature)
    expected /= expected.sum()
    found = np.array([counts[c] for c in "abcd"])
    assert (np.abs(found - n * expected) < 4 * np.sqrt(n * expected * (1 - expected))).all()


def test_the_unknown_symbol_is_never_drawn() -> None:
    vocabulary = Vocabulary("char", ("a", "b", "\ufffd"), unknown=2)
    model = memoryless(vocabulary, [0.01, 0.01, 0.98])
    for options in (SampleOptions(0.0), SampleOptions(1.0), SampleOptions(50.0, top_k=1)):
        made = samples(model, vocabulary, options, count=3, length=200)
        assert {c for one in made for c in one.text} <= {"a", "b"}
    assert [one.symbol for one in next_symbols(model, vocabulary, count=9)] == ["a", "b"]


def test_a_model_of_nothing_but_the_unknown_symbol_is_an_error() -> None:
    vocabulary = Vocabulary("char", ("\ufffd",), unknown=0)
    with pytest.raises(CharRNNError, match="unknown symbol"):
        text(memoryless(vocabulary, [1.0]), vocabulary, length=3)


def test_a_diverged_model_is_an_error() -> None:
    model = new_model(CHARS)
    model.weights.flat[...] = np.nan
    with pytest.raises(CharRNNError, match="not a finite number"):
        text(model, CHARS, length=3)


def test_log_probabilities_add_up_to_the_score_of_the_text() -> None:
    model = new_model(CHARS, cell="gru", embed=3)
    options = SampleOptions(0.4, top_k=5)
    made = samples(model, CHARS, options, count=3, length=33, prime="g", seed=4, log_probs=True)
    for one in made:
        exact = score(model, [CHARS.encode("g" + one.text)])
        assert len(one.log_probs) == exact.chars == 33
        assert -sum(one.log_probs) == pytest.approx(exact.nats, rel=1e-10)


def test_every_symbol_of_the_prime_counts() -> None:
    model = new_model(CHARS)
    primes = ("ab", "bb", "ba", "aab", "b")
    found = {tuple(next_symbols(model, CHARS, count=9, prime=prime)) for prime in primes}
    assert len(found) == len(primes)


def test_a_long_prime_counts_whole() -> None:
    model = new_model(CHARS)
    model.weights.flat[...] *= 3
    prime = "abc def\n" * 100
    ids = CHARS.encode(prime)
    window = model.window(len(ids), 1, backward=False)
    logits = model.head.logits(model.weights, model.forward(window, ids[:, None]))[-1, :, 0]
    found = next_symbols(model, CHARS, SampleOptions(1.0), count=9, prime=prime)
    expected = dict(zip(CHARS.symbols, np.exp(logits) / np.exp(logits).sum(), strict=True))
    assert {one.symbol: one.p for one in found} == {
        one.symbol: pytest.approx(expected[one.symbol], rel=1e-9) for one in found
    }


def test_without_a_prime_the_text_starts_as_after_a_newline() -> None:
    model = new_model(CHARS)
    assert text(model, CHARS, length=30) == text(model, CHARS, length=30, prime="\n")
    assert encode_prime(CHARS, "").tolist() == [0]
    assert encode_prime(BYTES, "").tolist() == [1]
    assert encode_prime(Vocabulary("char", tuple("xyz")), "").tolist() == [0]
    assert encode_prime(Vocabulary("char", ("\t", "\n", "a")), "").tolist() == [1]


def test_unknown_symbols_of_the_prime() -> None:
    model = new_model(CHARS)
    with pytest.raises(VocabularyError, match="'Z'"):
        text(model, CHARS, prime="aZb", length=1)
    skipped = text(model, CHARS, prime="aZb", length=40, unknown="skip")
    assert skipped == text(model, CHARS, prime="ab", length=40)
    assert encode_prime(CHARS, "ZZ", "skip").tolist() == [0]


def test_until_ends_the_text_and_is_part_of_it() -> None:
    model = new_model(CHARS)
    whole = text(model, CHARS, length=400, seed=7)
    end = whole[200:203]
    cut = whole[: whole.index(end) + 3]
    assert text(model, CHARS, length=500, seed=7, until=end) == cut
    assert text(model, CHARS, length=500, seed=7, until=end, prime="\n" + end + "\n")[-3:] == end


@pytest.mark.parametrize(
    ("vocabulary", "until", "why"),
    [
        (Vocabulary("char", ("\n", "a")), "ab", "no character 'b'"),
        (Vocabulary("char", ("a", "\ufffd"), unknown=1), "a\ufffd", "no character '\ufffd'"),
        (Vocabulary("byte", (10, 97)), "é", "no byte 0xc3"),
        (Vocabulary("byte", (10, 97)), b"a\0", "no byte 0x00"),
        (Vocabulary("word", (" ", "one", "two")), "three", "no words of the vocabulary form"),
        (Vocabulary("word", (" ", "one", "two")), "one, two", "no words of the vocabulary form"),
    ],
)
def test_a_text_that_is_never_drawn_cannot_be_the_end(vocabulary, until, why) -> None:
    model = LanguageModel.fresh(ModelConfig(hidden=4), len(vocabulary), 1)
    for draw in (stream, samples):
        with pytest.raises(VocabularyError, match=f"until .* cannot occur: .*{why}"):
            list(draw(model, vocabulary, until=until, length=2))


@pytest.mark.parametrize("until", ["", "w", "ne", "et", "e two", "eone t", "oneone", "two "])
def test_every_text_that_words_can_form_can_be_the_end(until) -> None:
    vocabulary = Vocabulary("word", (" ", "one", "two"))
    End(vocabulary, until)


def test_until_is_not_looked_for_in_the_prime() -> None:
    vocabulary = Vocabulary("char", ("a", "b"))
    model = memoryless(vocabulary, [0.999999999, 1e-9])
    assert text(model, vocabulary, until="aaa", length=9, prime="aa") == "aaa"
    assert text(model, vocabulary, until="ba", length=9, prime="b") == "a" * 9


def test_until_may_lie_across_and_inside_words() -> None:
    model = new_model(WORDS)
    whole = text(model, WORDS, length=300, seed=2)
    for end in ("c c", "ab", "bcx", "xx"):
        cut = whole[: whole.index(end) + len(end)]
        assert text(model, WORDS, length=400, seed=2, until=end) == cut


def test_each_sample_of_a_batch_ends_for_itself() -> None:
    model = new_model(CHARS)
    made = samples(model, CHARS, count=4, length=900, until="a", seed=3, log_probs=True)
    assert all(one.text.index("a") == len(one.text) - 1 for one in made)
    assert len({len(one.text) for one in made}) > 1
    assert [len(one.log_probs) for one in made] == [len(one.text) for one in made]


@pytest.mark.parametrize("novel", [False, True])
def test_many_samples_are_those_of_one_batch(monkeypatch, novel: bool) -> None:
    model, seen = new_model(CHARS), Seen.of([np.array([1, 2, 0])], LineEnds(0))
    options = {"count": 11, "length": 20, "until": "\n", "seed": 4, "log_probs": True}
    options["novelty"] = Novelty(seen if novel else None)
    once = samples(model, CHARS, **options)
    monkeypatch.setattr(drawing, "TOGETHER", 4)
    made = in_order(model, CHARS, **options)
    assert next(made) == once[0]
    assert [each.text for each in made] == [each.text for each in once[1:]]
    assert samples(model, CHARS, **options | {"first": 3, "count": 8}) == once[3:]


def test_bytes_come_as_bytes() -> None:
    model = new_model(BYTES)
    made = list(stream(model, BYTES, length=50, prime=b"\xff\n", until=b"\x00\x00\x00\x00\x00"))
    assert all(isinstance(one, bytes) and one[0] in BYTES.symbols for one in made)
    assert samples(model, BYTES, length=7)[0].text == b"".join(stream(model, BYTES, length=7))
    assert encode_prime(BYTES, "A\udcc8").tolist() == [2, 3]


def test_the_next_symbols_are_those_drawn() -> None:
    model = new_model(CHARS, seed=11)
    options = SampleOptions(0.6, top_k=4)
    found = next_symbols(model, CHARS, options, count=20, prime="hag")
    assert len(found) == 4
    assert sum(one.p for one in found) == pytest.approx(1.0)
    assert [one.p for one in found] == sorted((one.p for one in found), reverse=True)
    n = 3000
    counts = Counter(
        text(model, CHARS, options, length=1, prime="hag", seed=seed) for seed in range(n // 100)
    )
    assert set(counts) <= {one.symbol for one in found}
    made = samples(model, CHARS, options, count=n, length=1, prime="hag")
    counts = Counter(one.text for one in made)
    for symbol, p in found:
        assert abs(counts[str(symbol)] - n * p) < 4 * np.sqrt(n * p * (1 - p))


def test_the_next_symbols_at_temperature_zero_are_one() -> None:
    (only,) = next_symbols(new_model(CHARS), CHARS, SampleOptions(0.0), count=5)
    assert only.p == 1.0


@pytest.mark.parametrize("count", [0, -3])
def test_impossible_counts(count: int) -> None:
    with pytest.raises(UsageError, match="count must be at least 1"):
        samples(new_model(CHARS), CHARS, count=count)
    with pytest.raises(UsageError, match="count must be at least 1"):
        next_symbols(new_model(CHARS), CHARS, count=count)


def test_a_batch_without_end_is_refused() -> None:
    with pytest.raises(UsageError, match="samples of length 0 never end; give until or a length"):
        samples(new_model(CHARS), CHARS, length=0)


def test_whole_samples_whose_end_does_not_come_are_given_up(monkeypatch) -> None:
    monkeypatch.setattr("charrnn.sampling.draw.LONGEST", 40)
    model, never = new_model(CHARS), "a" * 40 + "b"
    with pytest.raises(CharRNNError, match="has not ended after 40 symbols; give a length"):
        samples(model, CHARS, length=0, until=never)
    assert len(samples(model, CHARS, length=50, until=never)[0].text) == 50
    assert len(list(islice(stream(model, CHARS, length=0, until=never), 50))) == 50


@pytest.mark.parametrize("embed", [0, 3])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_device_gives_the_text_of_the_host(device, cell: str, embed: int) -> None:
    host = new_model(CHARS, cell=cell, layers=2, embed=embed)
    there = LanguageModel(host.config, len(CHARS), Backend("cupy", device), host.weights.flat)
    arguments = {"count": 3, "length": 12, "prime": "ha ha\n", "log_probs": True}
    for mine, theirs in zip(
        samples(host, CHARS, **arguments), samples(there, CHARS, **arguments), strict=True
    ):
        assert mine.text == theirs.text
        np.testing.assert_allclose(mine.log_probs, theirs.log_probs, rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "on_device"),
    [
        (SampleOptions(), True),
        (SampleOptions(0.5, min_p=0.1), True),
        (SampleOptions(top_k=3), False),
        (SampleOptions(top_p=0.9), False),
    ],
)
def test_symbols_are_drawn_in_one_place(device, monkeypatch, options, on_device: bool) -> None:
    """On the device if it can apply the filters, else on the host; never on both."""
    model = LanguageModel(new_model(CHARS).config, len(CHARS), Backend("cupy", device))
    made = [(np.array([-1]), None)] * 3
    monkeypatch.setattr("charrnn.sampling.ahead.draw_ahead", lambda *arguments: iter(made))
    drawn = list(islice(draws(model, CHARS, np.array([0]), options), 5))
    assert len(drawn) == (3 if on_device else 5)
    assert all((draw.ids == -1).all() == on_device for draw in drawn)


@pytest.mark.parametrize("temperature", [0.0, 1e-300, 1e-200])
def test_a_device_that_is_very_cold_takes_the_most_likely_symbol(
    device, temperature: float
) -> None:
    host = new_model(CHARS)
    there = LanguageModel(host.config, len(CHARS), Backend("cupy", device), host.weights.flat)
    options = SampleOptions(temperature)
    assert text(there, CHARS, options, length=20) == text(host, CHARS, SampleOptions(0), length=20)


@pytest.mark.parametrize("length", [1, STEPS_ADDED, 2 * STEPS_ADDED + 5])
def test_samples_of_one_length_are_those_of_their_streams(length: int) -> None:
    model, told = new_model(CHARS), []
    how = {"length": length, "seed": 4}
    made = samples(model, CHARS, count=3, log_probs=True, progress=told.append, **how)
    assert [each.text for each in made] == [
        "".join(stream(model, CHARS, first=k, **how)) for k in range(3)
    ]
    assert told == list(range(1, length))
    until = samples(model, CHARS, count=3, log_probs=True, until="ha ha ha ha ha", **how)
    assert [each.log_probs for each in made] == [each.log_probs for each in until]


def test_a_negative_length_is_refused() -> None:
    for make in (stream, samples):
        with pytest.raises(UsageError, match="length must be at least 0, not -2; 0 means endless"):
            list(make(new_model(CHARS), CHARS, length=-2))


def test_draws_of_many_blocks_use_new_numbers() -> None:
    vocabulary = Vocabulary("char", tuple(chr(33 + i) for i in range(60)))
    model = memoryless(vocabulary, [1 / 60] * 60)
    ids = [int(d.ids[0]) for d in islice(draws(model, vocabulary, np.array([0])), 2100)]
    assert ids[:1024] != ids[1024:2048]


def test_a_model_of_joined_texts_starts_from_the_join_and_can_stop_at_it():
    vocabulary = Vocabulary("char", ("\n", "a", "b", "|"))
    model = new_model(vocabulary)
    joined = Frame("|b")
    assert encode_prime(vocabulary, "", frame=joined).tolist() == [3, 2]
    assert encode_prime(vocabulary, "a", frame=joined).tolist() == [1]
    assert encode_prime(vocabulary, "", frame=Frame("xy")).tolist() == [0]
    plain = list(stream(model, vocabulary, length=50, prime="|b"))
    assert list(stream(model, vocabulary, length=50, frame=joined)) == plain
    text = "".join(plain)
    assert "|b" in text
    ending = Frame("|b", until_join=True)
    found = "".join(stream(model, vocabulary, length=0, frame=ending))
    assert found == text[: text.index("|b") + 2]
    for parts in (found, [found[:2], found[2:]], [found]):
        assert "".join(ending.shown(parts)) == found[:-2]
    assert [s.text for s in samples(model, vocabulary, length=0, frame=ending)] == [found]
    assert "".join(ending.shown("aab|")) == "aab|"
    assert b"".join(ending.shown([b"a", b"|", b"|", b"b"])) == b"a|"


def test_the_first_of_several_ends_counts():
    vocabulary = Vocabulary("word", ("a", "abcd", "b", "x"))
    end = End(vocabulary, "x", "bc", "", "cd")
    assert [end.take("a"), end.take("b"), end.take("abcd")] == [
        ("a", False),
        ("b", False),
        ("abc", True),
    ]
