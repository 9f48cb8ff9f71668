"""From bytes to split ids: encodings, chunk edges, fractions, vocabularies."""

import hashlib
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from helpers.corpora import whole

from charrnn.errors import CorpusError, UsageError
from charrnn.text import corpus_from_text, encode, open_corpus
from charrnn.text.decoding import decode_chunks, whole_words
from charrnn.text.reading import read_text


def cut(data, size):
    return [data[i : i + size] for i in range(0, len(data), size)]


@pytest.mark.parametrize(
    ("n", "val_frac", "test_frac", "sizes"),
    [
        (1_115_394, 0.1, 0.0, (1_003_854, 111_540, 0)),
        (1000, 0.1, 0.2, (700, 100, 200)),
        (10, 0.1, 0.2, (7, 1, 2)),
        (1000, 0.0, 0.3, (700, 0, 300)),
        (1000, 0, 0, (1000, 0, 0)),
        (7, 0.5, 0.0, (3, 4, 0)),
        (1000, 1e-3, 0.0, (999, 1, 0)),
        (100, 0.29, 0.0, (71, 29, 0)),  # 100·(1 - 0.29) is below 71 in binary
    ],
)
def test_split_sizes(n, val_frac, test_frac, sizes):
    corpus = corpus_from_text(
        "abc" * (n // 3) + "x" * (n % 3), val_frac=val_frac, test_frac=test_frac
    )
    assert (len(corpus.train), len(corpus.val), len(corpus.test)) == sizes


def test_split_is_contiguous_train_val_test(tmp_path):
    path = tmp_path / "a"
    path.write_text("0123456789")
    corpus = open_corpus(path, val_frac=0.2, test_frac=0.3)
    decode = corpus.vocabulary.decode
    assert (decode(corpus.train), decode(corpus.val), decode(corpus.test)) == ("01234", "56", "789")


@pytest.mark.parametrize(
    ("val", "test"), [(1.0, 0), (-0.1, 0), (0, 1.5), (0.6, 0.4), (float("nan"), 0)]
)
def test_impossible_fractions_are_usage_errors(val, test):
    with pytest.raises(UsageError, match="frac"):
        corpus_from_text("text", val_frac=val, test_frac=test)


def test_fractions_of_files_given_are_not_applied(tmp_path):
    for name, text in (("train", "aaaabbbb"), ("val", "cc"), ("test", "d")):
        (tmp_path / name).write_text(text)
    corpus = open_corpus(tmp_path / "train", val=tmp_path / "val", val_frac=2.0)
    decode = corpus.vocabulary.decode
    assert (decode(corpus.train), decode(corpus.val), len(corpus.test)) == ("aaaabbbb", "cc", 0)
    corpus = open_corpus(
        tmp_path / "train", test=[tmp_path / "test", tmp_path / "val"], val_frac=0.25
    )
    decode = corpus.vocabulary.decode
    assert (decode(corpus.train), decode(corpus.val)) == ("aaaabb", "bb")
    assert decode(corpus.test) == "dcc"
    assert corpus.vocabulary.symbols == ("a", "b", "c", "d")
    assert corpus.heldout_sha256 == hashlib.sha256(b"dcc").hexdigest()
    assert corpus.sha256 == hashlib.sha256(b"aaaabbbb").hexdigest()
    assert (corpus.chars, corpus.bytes) == (11, 11)


def test_words_do_not_run_from_training_into_validation(tmp_path):
    (tmp_path / "a").write_text("end")
    (tmp_path / "b").write_text("ing")
    corpus = open_corpus(tmp_path / "a", val=tmp_path / "b", level="word")
    assert corpus.vocabulary.symbols == ("end", "ing")


def test_min_count_counts_the_whole_text(tmp_path):
    (tmp_path / "a").write_text("aab")
    (tmp_path / "b").write_text("bc")
    corpus = open_corpus(tmp_path / "a", val=tmp_path / "b", min_count=2)
    assert corpus.vocabulary.symbols == ("a", "b", "\ufffd")
    assert whole(corpus) == "aabb\ufffd"
    with pytest.raises(UsageError, match="folds every symbol"):
        open_corpus(tmp_path / "a", min_count=3)
    with pytest.raises(UsageError, match="below 1"):
        open_corpus(tmp_path / "a", min_count=0)


@pytest.mark.parametrize("level", ["char", "word", "byte"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 64])
def test_chunk_edges_do_not_show(tmp_path, monkeypatch, level, size):
    text = "naïve 中文 words_and 😀\r\nmore, wörds\u0301 " * 3 + "end"
    path = tmp_path / "a"
    path.write_bytes(text.encode())
    expected = corpus_from_text(text, level=level)
    monkeypatch.setattr("charrnn.text.source.Source.chunks", small_chunks(size))
    corpus = open_corpus(path, level=level)
    assert corpus.vocabulary == expected.vocabulary
    assert whole(corpus) == (text.encode() if level == "byte" else text)
    assert corpus.sha256 == expected.sha256 == hashlib.sha256(text.encode()).hexdigest()
    np.testing.assert_array_equal(corpus.train, expected.train)


def small_chunks(size):
    def chunks(self, **_):
        return iter(cut(Path(self.name).read_bytes(), size))

    return chunks


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_words_are_left_whole(size):
    text = "a longer_word,  and " + "w" * 40 + "\n'tis"
    parts = list(whole_words(cut(text, size)))
    assert "".join(parts) == text
    for left, right in pairwise(parts):
        assert not (left[-1].isalnum() and right[0].isalnum())


@pytest.mark.parametrize(
    ("encoding", "text", "bad"),
    [
        ("utf-8", "aé中😀", b"\xe4\xb8"),
        ("utf-8", "aé中😀", b"\xff"),
        ("utf-8-sig", "\ufeffé中", b"\x80"),
        ("ascii", "plain", b"\xe9"),
        ("utf-16-le", "aé中", b"\x00\xdc"),
        ("utf-32-le", "aé", b"\xff\xff\xff\xff"),
        ("shift_jis", "日本語", b"\x81\x20"),
        ("euc_kr", "한국어", b"\xff"),
        ("cp1252", "é€", b"\x81"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_invalid_bytes_are_named_with_their_offset(encoding, text, bad, size):
    for data in (text.encode(encoding) * 2 + bad, text.encode(encoding) + bad + b"abcd"):
        with pytest.raises(UnicodeDecodeError) as whole_error:
            data.decode(encoding.removesuffix("-sig"))  # which leaves the mark out of its offset
        with pytest.raises(CorpusError) as caught:
            list(decode_chunks(cut(data, size), "name.txt", encoding, "strict"))
        assert f"at byte offset {whole_error.value.start} (" in str(caught.value)
        assert "name.txt" in str(caught.value)
        assert "or set errors to replace" in str(caught.value)


def test_a_binary_file_is_called_one(tmp_path):
    """To replace its bytes would train on garbage, so that is not proposed."""
    picture = tmp_path / "picture"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0" + bytes(range(256)))
    with pytest.raises(CorpusError) as caught:
        open_corpus(picture)
    expected = "(0x89), and has NUL bytes, as binary files have; name a text, or its encoding, or "
    assert expected + "set level to byte" in str(caught.value)
    with pytest.raises(CorpusError, match=r"name a text, or its encoding$"):
        read_text(picture)
    assert open_corpus(picture, level="byte").chars == picture.stat().st_size


def test_the_offset_counts_in_the_file_that_is_wrong(tmp_path):
    (tmp_path / "good").write_bytes(b"x" * 100)
    (tmp_path / "bad").write_bytes(b"x" * 5 + b"\xe9 more")
    with pytest.raises(CorpusError, match=r"bad is not valid utf-8 at byte offset 5 \(0xe9\)"):
        open_corpus([tmp_path / "good", tmp_path / "bad"])
    corpus = open_corpus(tmp_path / "bad", errors="replace")
    assert whole(corpus) == "xxxxx\ufffd more"
    assert whole(open_corpus(tmp_path / "bad", encoding="latin1")) == "xxxxxé more"


def test_a_byte_order_mark_is_a_character(tmp_path):
    (tmp_path / "a").write_bytes("\ufeffabc".encode())
    assert whole(open_corpus(tmp_path / "a")) == "\ufeffabc"
    assert whole(open_corpus([tmp_path / "a"] * 2, encoding="utf-8-sig")) == "abcabc"


def test_newlines_are_not_translated(tmp_path):
    (tmp_path / "a").write_bytes(b"a\r\nb\rc\n")
    assert whole(open_corpus(tmp_path / "a")) == "a\r\nb\rc\n"


def test_lone_surrogates_never_appear(tmp_path):
    (tmp_path / "a").write_bytes(b"a+2AA-b")  # U+D800 in UTF-7
    with pytest.raises(CorpusError):
        open_corpus(tmp_path / "a", encoding="utf-7")
    text = whole(open_corpus(tmp_path / "a", encoding="utf-7", errors="replace"))
    assert not any("\ud800" <= c <= "\udfff" for c in text)
    with pytest.raises(CorpusError, match="surrogate at character offset 1"):
        corpus_from_text("a\udc80")


@pytest.mark.parametrize("encoding", ["no-such", "hex", "rot13", "idna\0", "undefined"])
def test_an_impossible_encoding_is_a_usage_error(tmp_path, encoding):
    (tmp_path / "a").write_text("text")
    with pytest.raises(UsageError, match=r"encoding .* is not a text encoding") as caught:
        open_corpus(tmp_path / "a", encoding=encoding)
    assert str(caught.value).isprintable()


def test_impossible_options_are_usage_errors(tmp_path):
    (tmp_path / "a").write_text("text")
    with pytest.raises(UsageError, match="errors 'ignore' is invalid"):
        open_corpus(tmp_path / "a", errors="ignore")
    with pytest.raises(UsageError, match="level 'letter' is invalid"):
        open_corpus(tmp_path / "a", level="letter")


def test_arrays_are_mapped_and_read_only(tmp_path):
    (tmp_path / "a").write_text("some text to read")
    corpus = open_corpus(tmp_path / "a")
    assert isinstance(corpus.train, np.memmap)
    for ids in (corpus.train, corpus_from_text("text").train):
        assert ids.dtype == np.uint8
        with pytest.raises(ValueError, match="read-only"):
            ids[0] = 0


@pytest.mark.parametrize("level", ["char", "word", "byte"])
def test_text_in_memory_gives_what_a_file_gives(tmp_path, level):
    text = "Fünf mal fünf\nist 25.\n" * 9
    (tmp_path / "a").write_bytes(text.encode())
    options = {"level": level, "min_count": 10, "val_frac": 0.25, "test_frac": 0.05}
    memory = corpus_from_text(text, **options)
    file = open_corpus(tmp_path / "a", **options)
    for name in ("train", "val", "test"):
        np.testing.assert_array_equal(getattr(memory, name), getattr(file, name))
    for name in ("vocabulary", "sha256", "heldout_sha256", "chars", "bytes"):
        assert getattr(memory, name) == getattr(file, name)


def test_text_in_memory_of_the_wrong_kind(tmp_path):
    with pytest.raises(UsageError, match="needs str"):
        corpus_from_text(b"text")
    with pytest.raises(CorpusError, match="empty"):
        corpus_from_text("")
    assert whole(corpus_from_text(b"\0\xff", level="byte")) == b"\0\xff"


@pytest.mark.parametrize("change", ["longer", "shorter", "replaced"])
def test_a_file_that_changes_between_the_passes_is_noticed(tmp_path, monkeypatch, change):
    path = tmp_path / "a"
    path.write_text("some text " * 10)
    count = encode._count

    def count_then_change(request):
        result = count(request)
        if change == "longer":
            path.write_text("some text " * 11)
        elif change == "shorter":
            path.write_text("some")
        else:
            os.utime(path, (1, 1))
        return result

    monkeypatch.setattr(encode, "_count", count_then_change)
    with pytest.raises(CorpusError, match="changed while being read"):
        open_corpus(path)
    monkeypatch.undo()


PEAK = """
import sys
from charrnn.text import Streams, iter_ids, open_corpus
corpus = open_corpus(sys.argv[1], level=sys.argv[2])
Streams(corpus.train, 8, 32).batch_at(100)
print(sum(map(len, iter_ids(sys.argv[1], corpus.vocabulary))) == corpus.chars)
print(*[line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's peak memory")
@pytest.mark.parametrize("level", ["char", "byte", "word"])
def test_memory_does_not_grow_with_the_text(tmp_path, level):
    peaks = []
    for megabytes in (2, 30):
        path = tmp_path / f"{megabytes}"
        line = "The text goes on — naïve as ever — for long.\n".encode()
        path.write_bytes(line * (megabytes * 1_000_000 // len(line)))
        run = [sys.executable, "-c", PEAK, str(path), level]
        complete, peak = subprocess.run(run, capture_output=True, check=True).stdout.split()
        assert complete == b"True"
        peaks.append(int(peak))  # KiB
    assert peaks[1] - peaks[0] < 15_000
