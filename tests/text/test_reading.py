"""Texts read once: ids in chunks, line by line, or whole."""

import io
import os
import sys

import numpy as np
import pytest

from charrnn.errors import CorpusError, UsageError, VocabularyError
from charrnn.text import corpus_from_text, iter_ids, iter_lines, read_text
from charrnn.text.tally import Tally
from charrnn.text.vocabulary import build_vocabulary

TEXT = "Größe  und_Form\r\n\n中文 😀 text\x0c one\u2028two\nlast line"


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "never-used"))
    yield
    assert not (tmp_path / "never-used").exists()


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "text"
    file.write_bytes(TEXT.encode())
    return file


def vocabulary_at(level, text=TEXT):
    return corpus_from_text(text, level=level).vocabulary


@pytest.mark.parametrize("level", ["char", "word", "byte"])
@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1 << 20])
def test_ids_of_any_chunk_size_are_those_of_the_text(path, level, chunk):
    vocabulary = vocabulary_at(level)
    parts = list(iter_ids(path, vocabulary, chunk=chunk))
    assert vocabulary.decode(np.concatenate(parts)) == (TEXT.encode() if level == "byte" else TEXT)
    assert all(len(part) and part.dtype == vocabulary.dtype for part in parts)
    assert len(parts) > 1 or chunk > len(TEXT)


@pytest.mark.parametrize("level", ["char", "word", "byte"])
@pytest.mark.parametrize("chunk", [1, 4, 1 << 20])
def test_lines_end_with_newlines_alone(path, level, chunk):
    vocabulary = vocabulary_at(level, TEXT + TEXT)  # a word goes on from file to file
    lines = list(iter_lines([path, path], vocabulary, chunk=chunk))
    expected = (TEXT + TEXT).split("\n")
    expected = [line + "\n" for line in expected[:-1]] + expected[-1:]
    if level == "byte":
        expected = [line.encode() for line in expected]
    assert [line for line, _ in lines] == expected
    assert [vocabulary.decode(ids) for _, ids in lines] == expected


def test_a_final_newline_starts_no_line():
    vocabulary = vocabulary_at("char", "ab\n")
    lines = iter_lines("-", vocabulary, stdin=io.BytesIO(b"a\n\nb\n"))
    assert [line for line, _ in lines] == ["a\n", "\n", "b\n"]


def test_an_unknown_symbol_is_named_with_its_offset_in_the_whole_text():
    vocabulary = vocabulary_at("char", "abc\n")
    data = b"abc\n" * 10 + b"abxc"
    with pytest.raises(VocabularyError, match="offset 42"):
        list(iter_ids("-", vocabulary, stdin=io.BytesIO(data), chunk=5))
    with pytest.raises(VocabularyError, match="offset 42"):
        list(iter_lines("-", vocabulary, stdin=io.BytesIO(data), chunk=5))
    skipped = iter_ids("-", vocabulary, stdin=io.BytesIO(data), unknown="skip")
    assert vocabulary.decode(np.concatenate(list(skipped))) == "abc\n" * 10 + "abc"
    lines = list(iter_lines("-", vocabulary, stdin=io.BytesIO(b"xyz\nab"), unknown="skip"))
    assert [(line, len(ids)) for line, ids in lines] == [("xyz\n", 1), ("ab", 2)]


def test_chunks_of_nothing_but_unknown_symbols_are_left_out():
    vocabulary = vocabulary_at("char", "ab")
    parts = list(iter_ids("-", vocabulary, stdin=io.BytesIO(b"xxaxx"), chunk=1, unknown="skip"))
    assert [part.tolist() for part in parts] == [[0]]


@pytest.mark.parametrize("level", ["char", "byte", "word"])
def test_skipped_symbols_are_tallied_whatever_the_chunks(level):
    vocabulary, text = vocabulary_at(level, "ab cd\n"), b"ab xy? cd\nxy\n"
    for chunk in (1, 4, 100):
        tally = Tally()
        read = iter_ids(
            "-", vocabulary, stdin=io.BytesIO(text), chunk=chunk, unknown="skip", tally=tally
        )
        kept = sum(map(len, read))
        assert tally.skipped == (3 if level == "word" else 5)
        assert kept + tally.skipped == vocabulary.count(text if level == "byte" else text.decode())
    assert tally.note().startswith(f"{tally.skipped} symbols ")
    assert Tally().note() == ""
    folded = build_vocabulary("char", {"a": 5, "b": 1}.items(), 2)
    tally = Tally()
    ids = list(iter_ids("-", folded, stdin=io.BytesIO(b"axb"), unknown="skip", tally=tally))
    assert (len(ids[0]), tally.skipped) == (3, 0)  # the unknown symbol stands for them
    assert tally.folded == 2
    assert tally.note().startswith(
        "2 symbols that the model does not know were read as its unknown"
    )


@pytest.mark.parametrize("read", [iter_ids, iter_lines])
def test_invalid_bytes_and_empty_text(read, tmp_path):
    vocabulary = vocabulary_at("char", "abc\n\ufffd")
    with pytest.raises(CorpusError, match=r"byte offset 6 \(0xff\)"):
        list(read("-", vocabulary, stdin=io.BytesIO(b"abc\nab\xff"), chunk=4))
    assert list(read("-", vocabulary, stdin=io.BytesIO(b"\xff"), errors="replace"))
    with pytest.raises(CorpusError, match="standard input is empty"):
        list(read("-", vocabulary, stdin=io.BytesIO(b"")))
    with pytest.raises(CorpusError, match="does not exist"):
        list(read(tmp_path / "missing", vocabulary))
    with pytest.raises(UsageError, match="is not a text encoding"):
        list(read("-", vocabulary, stdin=io.BytesIO(b"a"), encoding="nonsense"))


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
def test_a_line_is_scored_before_the_pipe_is_closed():
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as stdin:
        os.write(writer, b"first\nsec")
        lines = iter_lines("-", vocabulary_at("char", "first second\n"), stdin=stdin)
        assert next(lines)[0] == "first\n"
        os.write(writer, b"ond\n")
        assert next(lines)[0] == "second\n"
        os.close(writer)
        assert list(lines) == []


def test_binary_files_of_a_directory_are_left_out(path):
    (path.parent / "binary").write_bytes(b"\0")
    vocabulary = vocabulary_at("char")
    assert vocabulary.decode(np.concatenate(list(iter_ids(path.parent, vocabulary)))) == TEXT


def test_read_text(path, monkeypatch):
    assert read_text(path) == TEXT
    assert read_text(path, "byte") == TEXT.encode()
    assert read_text("-", "word", stdin=io.BytesIO(TEXT.encode())) == TEXT
    assert read_text("-", "char", "utf-16", stdin=io.BytesIO("ab".encode("utf-16"))) == "ab"
    assert read_text("-", stdin=io.BytesIO(b"a\xff"), errors="replace") == "a\ufffd"
    assert read_text("-", stdin=io.BytesIO()) == ""
    assert read_text("-", "byte", stdin=io.BytesIO()) == b""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"typed")))
    assert read_text("-") == "typed"
    with pytest.raises(CorpusError, match="byte offset 1"):
        read_text("-", stdin=io.BytesIO(b"a\xff"))
    with pytest.raises(CorpusError, match="does not exist"):
        read_text(path.parent / "missing")
