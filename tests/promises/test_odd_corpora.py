"""Odd texts, from the shell: each has a defined result."""

import os

import numpy as np
import pytest
from helpers.memory import told_by

from charrnn.text import corpus_from_text, iter_lines

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")


@pytest.fixture(autouse=True)
def _alone(home, monkeypatch):
    monkeypatch.setenv("PYTHONWARNINGS", "error")


REFUSED = {
    "empty": (b"", "text is empty"),
    "one character": (b"a", "1 symbol, but at least 2 are needed; use a longer text\n"),
    "two characters": (b"ab", "has 1 symbol, but at least 2 are needed"),  # one is held out
    "invalid UTF-8": (b"abc\xff" * 50, "not valid utf-8 at byte offset 3 (0xff)"),
    "UTF-8 that is cut off": (
        ("abc" * 50 + "é").encode()[:-1],
        "not valid utf-8 at byte offset 150",
    ),
    "a surrogate as UTF-8": (b"abc\xed\xa0\x80" * 20, "not valid utf-8 at byte offset 3"),
}


@pytest.mark.parametrize(("content", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_in_one_line(home, content, said, train):
    (home / "text").write_bytes(content)
    done = train("text")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert not (home / "checkpoints").exists()


ACCEPTED = {
    "three characters": (b"abc", 3, "instead"),
    "shorter than a window": (b"abcde\n", 6, "instead"),
    "one repeated character": (b"a" * 300, 1, ""),
    "NUL bytes": (b"a\0b" * 80, 3, ""),  # a\0b\0 would be UTF-16
    "CRLF": (b"ab\r\n" * 80, 4, ""),
    "lone CR": (b"ab\r" * 80, 3, ""),
    "a byte order mark": (b"\xef\xbb\xbfabc" * 60, 4, ""),
    "control sequences": (b"\x1b[31mred\x1b[0m\x07" * 30, 10, ""),
    "the last code point": (("a\U0010ffff" * 100).encode(), 2, ""),
    "the replacement character": (("a\ufffd" * 100).encode(), 2, ""),
}


@pytest.mark.parametrize(("content", "symbols", "said"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_trained_on_as_it_is(home, content, symbols, said, train, trained, call):
    (home / "text").write_bytes(content)
    done = train("text")
    assert done.returncode == 0, done.stderr
    assert said in done.stderr
    vocabulary = trained()["vocabulary"]
    assert len(vocabulary) == symbols
    assert set(vocabulary) == set(content.decode())  # nothing translated, nothing dropped
    sample = call("sample", "run", "--length", "20", "--seed", "1")
    assert sample.returncode == 0
    assert set(sample.stdout) <= set(content.decode())


def test_any_bytes_train_at_byte_level(home, train, trained):
    (home / "text").write_bytes(bytes(range(256)) * 3)
    done = train("text", "--level", "byte")
    assert done.returncode == 0, done.stderr
    assert trained()["vocabulary"] == list(range(256))


def test_invalid_bytes_can_be_replaced(home, train, trained):
    (home / "text").write_bytes(b"abc\xff\xc3" * 50)
    assert train("text", "--errors", "replace").returncode == 0
    assert trained()["vocabulary"] == ["a", "b", "c", "\ufffd"]


def test_a_mark_is_dropped_where_that_is_asked_for(home, train, trained):
    (home / "text").write_bytes(b"\xef\xbb\xbfabc" * 40)
    assert train("text", "--encoding", "utf-8-sig").returncode == 0
    assert trained()["vocabulary"] == ["a", "b", "c", "\ufeff"]  # the first alone is a mark


@pytest.mark.parametrize("held", ["val", "test"])
@pytest.mark.parametrize("content", [b"", b"\xff"])
def test_a_held_out_text_that_is_none(home, held, content, train):
    (home / "text").write_text("abc" * 50)
    (home / "held").write_bytes(content)
    done = train("text", f"--{held}", "held")
    assert done.returncode == 1
    assert "held" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("held", ["val", "test"])
def test_a_held_out_text_of_one_character_has_no_score(home, held, train, trained):
    (home / "text").write_text("abc" * 50)
    (home / "held").write_text("x")
    done = train("text", f"--{held}", "held")
    assert done.returncode == 0, done.stderr
    assert trained()["vocabulary"] == ["a", "b", "c", "x"]


# Very long, very many


OPEN = """
import sys
from charrnn.errors import CorpusError
from charrnn.text import open_corpus
open_corpus("hello")
base = peak()
try:
    corpus = open_corpus(sys.argv[1], level=sys.argv[2])
    found = len(corpus.vocabulary), corpus.chars
except CorpusError as problem:
    found = 0, 0
print(*found, peak() - base)
"""


def opened(path, level):
    """Open a text in a fresh process; return its symbols, length and bytes of memory taken."""
    symbols, length, taken = map(float, told_by(OPEN, path, level).split())
    return symbols, length, taken


@posix
@pytest.mark.slow
@pytest.mark.parametrize(("level", "memory"), [("char", 60e6), ("byte", 60e6), ("word", 700e6)])
def test_a_line_of_100_megabytes(home, level, memory):
    path = home / "line"
    with path.open("wb") as file:
        for _ in range(100):
            file.write(b"abcdefghij" * 100_000)
    symbols, length, taken = opened(path, level)
    assert (symbols, length) == ((0, 0) if level == "word" else (10, 100_000_000))
    assert taken < memory


@pytest.mark.slow
def test_a_line_of_100_megabytes_is_trained_on_and_scored(home, train, call):
    path = home / "line"
    path.write_bytes(b"abcdefghij" * 10_000_000)
    assert train("line", "--val-frac", "0.001").returncode == 0
    (home / "short").write_bytes(b"abcdefghij" * 100_000)
    done = call("eval", "short", "--per-line", "--run", "run")
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1


@pytest.mark.slow
def test_a_word_too_long_for_a_checkpoint_is_refused_before_training(home, train):
    (home / "text").write_text("a" * 65_000_000)
    done = train("text", "--level", "word")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "vocabulary" in done.stderr


def many_characters(count):
    codes = [c for c in range(0x20, 0x11_0000) if not 0xD800 <= c <= 0xDFFF][:count]
    return "".join(map(chr, codes))


@posix
def test_100000_distinct_characters_are_encoded_in_little_memory(home):
    text = many_characters(100_000)
    (home / "text").write_text(text * 3, encoding="utf-8")
    symbols, length, taken = opened(home / "text", "char")
    assert (symbols, length) == (100_000, 300_000)
    assert taken < 80e6


@posix
@pytest.mark.slow
def test_100000_distinct_characters_are_trained_on_and_saved(home, train, trained, call):
    text = many_characters(100_000)
    (home / "text").write_text(text * 3, encoding="utf-8")
    done = train("text", "--embed", "4")
    assert done.returncode == 0, done.stderr
    assert "".join(trained()["vocabulary"]) == text
    assert call("sample", "run", "--length", "5").returncode == 0
    assert call("train", "--resume", "run", "--steps", "6").returncode == 0


@pytest.mark.parametrize("count", [80_000, pytest.param(0x11_0000, marks=pytest.mark.slow)])
def test_every_character_there_is_comes_back(count):
    text = many_characters(count)
    corpus = corpus_from_text(text, val_frac=0)
    assert len(corpus.vocabulary) == min(count, 0x11_0000 - 0x800 - 0x20)
    assert corpus.vocabulary.decode(corpus.train) == text


def test_lines_of_an_endless_line_are_cut_nowhere(home):
    (home / "text").write_text("ab" * 3_000_000)
    corpus = corpus_from_text("ab")
    lines = list(iter_lines(home / "text", corpus.vocabulary))
    assert [len(line) for line, _ in lines] == [6_000_000]
    assert np.array_equal(lines[0][1][:4], [0, 1, 0, 1])
