"""The index of a text: nothing of it is missed, and little is taken for it by mistake."""

import numpy as np
import pytest

from charrnn.errors import CharRNNError
from charrnn.sampling import seen as module
from charrnn.sampling.seen import LineEnds, Seen

NEWLINE = LineEnds(0)


def encode(text):
    """Return ids, a newline 0."""
    return np.array([0 if c == "\n" else ord(c) - 96 for c in text], np.uint8)


TEXT = "anna\nbob\n\ncarolaislongindeed\nx\nanna\n"


@pytest.mark.parametrize("chunk", [1, 2, 5, 7, 1000])
@pytest.mark.parametrize("cuts", [(), (3,), (4, 5), (1, 20, 21)])
@pytest.mark.parametrize("end", ["", "ends without newline"])
def test_every_line_is_found(monkeypatch, chunk, cuts, end):
    monkeypatch.setattr(module, "_CHUNK", chunk)
    text = TEXT + end.replace(" ", "")
    seen = Seen.of(np.split(encode(text), cuts), NEWLINE)
    for line in text.split("\n"):
        assert seen.has_line(encode(line).tolist())
    for line in ("ann", "annaa", "nna", "bobb", "carola", "z", "annabob", "obb"):
        assert not seen.has_line(encode(line).tolist())


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("join", ["|", "ab", "\n||\n", "|\n|", "aa", "\n", "\n\n"])
def test_a_line_ends_where_its_text_ends(monkeypatch, chunk, join):
    """What is read symbol by symbol, as a sample is, is found line by line."""
    monkeypatch.setattr(module, "_CHUNK", chunk)
    ids = {"\n": 0, "|": 27} | {chr(97 + k): k + 1 for k in range(26)}
    texts = ["anna", "bob\nc", "", "aaa", "bob", "dora\n", "x|y", "baa"]
    joined = [ids[c] for c in join.join(texts) + join]
    ends = LineEnds(0, tuple(ids[c] for c in join))
    seen = Seen.of([np.array(joined, np.uint8)], ends)
    line, lines = [], []
    for k, symbol in enumerate(joined):
        line.append(symbol)
        if size := ends.size(joined[: k + 1]):
            lines.append(line[: max(0, len(line) - size)])
            line = []
    assert all(seen.has_line(line) for line in lines)
    if join in ("|", "\n||\n", "\n", "\n\n"):  # no part of it can belong to a line
        names = [[ids[c] for c in name] for name in ("anna", "bob", "c", "dora", "baa")]
        assert all(name in lines for name in names)
    assert not seen.has_line([ids[c] for c in "bobc"])
    assert not seen.has_line([ids[c] for c in "nna"])


def test_texts_that_lie_apart_share_no_line_and_no_span():
    parts = [encode("anna"), encode("bob\nc")]
    for line, there in (("anna", True), ("bob", True), ("annabob", False)):
        assert Seen.of(parts, NEWLINE, apart=True).has_line(encode(line).tolist()) is there
    spans = Seen.of(parts, NEWLINE, 2, apart=True)
    assert spans.completed(encode("bo"), encode("b"))
    assert not spans.completed(encode("na"), encode("b"))


@pytest.mark.parametrize("chunk", [1, 4, 1000])
@pytest.mark.parametrize("span", [1, 2, 5, 36, 50])
def test_every_span_is_found(monkeypatch, chunk, span):
    monkeypatch.setattr(module, "_CHUNK", chunk)
    ids = encode(TEXT)
    seen = Seen.of([ids[:9], ids[9:10], ids[10:]], NEWLINE, span)
    there = {tuple(ids[i : i + span + 1]) for i in range(len(ids) - span)}
    symbols, mistakes = np.arange(27), 0
    for start in range(len(ids) - span):
        last = ids[start : start + span]
        found = seen.completed(last, symbols)
        expected = np.array([(*last, symbol) in there for symbol in symbols])
        assert found[expected].all()
        mistakes += int(found[~expected].sum())
    assert mistakes <= 2


@pytest.mark.slow
def test_mistakes_are_as_rare_as_promised():
    chance = np.random.default_rng(5)
    lines = chance.integers(1, 27, (4096, 9)).astype(np.uint8)
    text = np.concatenate([np.append(line, 0) for line in lines])
    seen = Seen.of([text.astype(np.uint8)], NEWLINE)
    assert 8 * len(seen.bits) == 32 * 4096
    others = chance.integers(1, 27, (4_000, 9))
    mistakes = sum(seen.has_line(line) for line in others.tolist())
    assert mistakes < 4_000 / 1000
    spans = Seen.of([text.astype(np.uint8)], NEWLINE, 8)
    mistakes = sum(spans.completed(line[:8], np.arange(27)).sum() for line in others[:700])
    assert mistakes < 700 * 27 / 1000


def test_a_text_without_lines_is_one_line():
    seen = Seen.of([encode("abc")], LineEnds(None))
    assert seen.has_line(encode("abc").tolist())
    assert not seen.has_line([])
    assert not Seen.of([encode("ab")], NEWLINE, 5).completed(encode("ababa"), np.arange(3)).any()


def test_a_text_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(module, "MAX_UNITS", 6)
    with pytest.raises(
        CharRNNError, match=r"the text has 7 lines, .* at most 6; name a part of it"
    ):
        Seen.of([encode(TEXT)], NEWLINE)
    with pytest.raises(CharRNNError, match="the text has 34 spans of 3 symbols"):
        Seen.of([encode(TEXT)], NEWLINE, 2)
