"""Statistics of a text, against counts made the slow way."""

import hashlib
import io
import itertools
import math
import tracemalloc
from collections import Counter

import pytest

from charrnn.errors import CorpusError, UsageError
from charrnn.text.statistics import text_statistics
from charrnn.text.symbols.lookup import TOKEN

TEXTS = {
    "ascii": "the cat sat on the mat.\nThe dog,\r\n did not\n" * 9,
    "mixed": "naïve — 中文字中文 🙂🙂 x\n" * 7 + "end",
    "one": "q",
    "same": "aaaaaaa",
}


def write(tmp_path, data, name="text.txt"):
    path = tmp_path / name
    path.write_bytes(data)
    return str(path)


def slow(symbols):
    n = len(symbols)
    ones = Counter(symbols)
    pairs = Counter(itertools.pairwise(symbols))
    firsts = Counter(symbols[:-1])
    unigram = -sum(c / n * math.log(c / n) for c in ones.values())
    bigram = -sum(c / (n - 1) * math.log(c / firsts[a]) for (a, _), c in pairs.items())
    return unigram, bigram if n > 1 else None


@pytest.mark.parametrize("level", ["char", "byte", "word"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("chunk", [1 << 20, 5])
def test_agrees_with_the_slow_way(tmp_path, text, level, chunk):
    data = text.encode("utf-8")
    found = text_statistics(write(tmp_path, data), level=level, chunk=chunk)
    symbols = {"char": list(text), "byte": list(data), "word": TOKEN.findall(text)}[level]
    unigram, bigram = slow(symbols)
    assert (found.bytes, found.chars, found.distinct) == (
        len(data),
        len(symbols),
        len(set(symbols)),
    )
    assert found.lines == len(data.split(b"\n")) - data.endswith(b"\n")
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    assert found.unigram == pytest.approx(unigram, abs=1e-12)
    assert found.bigram is None if bigram is None else abs(found.bigram - bigram) < 1e-12
    counts = Counter(symbols)
    assert dict(found.frequent) == {symbol: counts[symbol] for symbol, _ in found.frequent}
    assert [c for _, c in found.frequent] == sorted(counts.values(), reverse=True)[:10]


def test_pairs_are_counted_across_pieces_of_either_width():
    # Narrow and wide chunks alternate, so one pair is counted in two places.
    text = ("ab" * 40 + "é中" + "ab" * 40 + "\n") * 5
    found = text_statistics("-", stdin=io.BytesIO(text.encode()), chunk=16)
    unigram, bigram = slow(list(text))
    assert found.unigram == pytest.approx(unigram, abs=1e-12)
    assert found.bigram == pytest.approx(bigram, abs=1e-12)
    assert found.name == "-"


def test_a_directory_is_its_text_files_in_order(tmp_path):
    write(tmp_path, b"second", "b.txt")
    write(tmp_path, b"first ", "a.txt")
    write(tmp_path, b"\0\1", "c.bin")
    assert text_statistics(str(tmp_path)).sha256 == hashlib.sha256(b"first second").hexdigest()
    assert text_statistics(str(tmp_path), level="byte").bytes == 14


def test_errors_name_the_place(tmp_path):
    path = write(tmp_path, b"abc" * 10 + b"\xff")
    with pytest.raises(CorpusError, match="offset 30"):
        text_statistics(path, chunk=7)
    assert text_statistics(path, errors="replace").frequent[-1] == ("\ufffd", 1)
    assert text_statistics(path, encoding="latin-1").frequent[-1] == ("ÿ", 1)
    with pytest.raises(CorpusError, match="empty"):
        text_statistics(write(tmp_path, b"", "empty.txt"))
    with pytest.raises(CorpusError, match="not exist"):
        text_statistics(str(tmp_path / "nosuch.txt"))
    with pytest.raises(UsageError, match="encoding"):
        text_statistics(path, encoding="nosuch")


def test_memory_does_not_grow_with_the_text():
    class Endless(io.RawIOBase):
        left = 24 << 20

        def read(self, size=-1):
            count = min(size, self.left)
            self.left -= count
            return b"abcdefg\n" * (count // 8)

    tracemalloc.start()
    try:
        found = text_statistics("-", stdin=Endless())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.bytes == 24 << 20
    assert peak < 32 << 20
    assert found.bigram == pytest.approx(0.0, abs=1e-9)
