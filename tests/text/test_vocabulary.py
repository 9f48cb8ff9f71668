"""The vocabulary: ids and back, unknown symbols, and what a checkpoint may hold."""

import json
import random

import numpy as np
import pytest

from charrnn.errors import CheckpointError, VocabularyError
from charrnn.text.symbols.counts import SymbolCounts
from charrnn.text.vocabulary import Vocabulary, build_vocabulary

TEXT = "Zwölf Boxkämpfer jagen Viktor 😀 über\r\n中文\u2028e\u0301\ufeff"


def vocabulary_of(text, level, min_count=1):
    counts = SymbolCounts(level)
    counts.add(text)
    return counts.vocabulary(min_count)


@pytest.mark.parametrize("level", ["char", "word", "byte"])
def test_text_survives_encoding_and_decoding(level):
    text = TEXT.encode() if level == "byte" else TEXT
    vocabulary = vocabulary_of(text, level)
    ids = vocabulary.encode(text)
    assert vocabulary.decode(ids) == text
    assert vocabulary.decode(ids.tolist()) == text
    assert list(vocabulary.symbols) == sorted(set(vocabulary.symbols))
    assert set(ids.tolist()) == set(range(len(vocabulary)))
    assert vocabulary.unknown is None


def test_ids_are_places_in_code_point_order():
    vocabulary = vocabulary_of("é😀ab\uffee", "char")
    assert vocabulary.symbols == ("a", "b", "é", "\uffee", "😀")
    assert vocabulary.encode("b😀a").tolist() == [1, 4, 0]


@pytest.mark.parametrize("seed", range(5))
def test_encoding_agrees_with_a_dictionary(seed):
    rng = random.Random(seed)
    pools = ["abcdef \n", "äöüß", "中文字", "😀🎉", "\x00\x7f\x80\xff"]
    pool = "".join(rng.sample(pools, 3))
    text = "".join(rng.choices(pool, k=rng.randint(1, 400)))
    vocabulary = vocabulary_of(text, "char")
    place = {c: i for i, c in enumerate(sorted(set(text)))}
    assert vocabulary.encode(text).tolist() == [place[c] for c in text]


@pytest.mark.parametrize("seed", range(4))
def test_counts_agree_with_counting_one_by_one(seed):
    rng = random.Random(seed)
    size = (1 << 17) + rng.randint(0, 3)  # long enough for the counting of pairs
    data = bytes(rng.choices(range(rng.choice([3, 256])), k=size))
    for min_count in (size // 256, size // 3):
        kept = {b for b in set(data) if data.count(b) >= min_count}
        vocabulary = vocabulary_of(data, "byte", min_count)
        assert set(vocabulary.symbols) - {256} == kept


def test_the_last_byte_of_an_odd_number_is_counted():
    assert vocabulary_of(b"a" * (1 << 17) + b"b", "byte").symbols == (97, 98)


def test_words_keep_punctuation_and_spacing():
    vocabulary = vocabulary_of("Don't  go_now,\tnaïve x2!\n", "word")
    ids = vocabulary.encode("Don't  go_now,")
    assert [vocabulary.symbols[i] for i in ids] == ["Don", "'", "t", " ", " ", "go_now", ","]


@pytest.mark.parametrize(
    ("count", "dtype"),
    [(1, "u1"), (256, "u1"), (257, "u2"), (65536, "u2"), (65537, "u4")],
)
def test_the_smallest_type_holds_all_ids(count, dtype):
    symbols = tuple(chr(0x20000 + i) for i in range(count))
    vocabulary = Vocabulary("char", symbols)
    assert vocabulary.dtype == np.dtype(dtype)
    ids = vocabulary.encode(symbols[-1] + symbols[0])
    assert ids.dtype == np.dtype(dtype)
    assert ids.tolist() == [count - 1, 0]


def test_ascii_in_a_large_vocabulary_has_the_large_type():
    vocabulary = vocabulary_of("ab" + "".join(map(chr, range(0x4E00, 0x5000))), "char")
    ids = vocabulary.encode("abba")
    assert ids.dtype == np.uint16
    assert ids.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize(
    ("text", "known", "name"),
    [
        ("abxc", "abc", "'x' (U+0078, at character offset 2)"),
        ("a中b😀", "abé中", "'😀' (U+1F600, at character offset 3)"),
        ("ab\x1b[", "abc", "'\\x1b' (U+001B, at character offset 2)"),
        ("cé", "abc", "'é' (U+00E9, at character offset 1)"),
    ],
)
def test_an_unknown_character_is_named_with_its_place(text, known, name):
    vocabulary = vocabulary_of(known, "char")
    with pytest.raises(VocabularyError) as caught:
        vocabulary.encode(text)
    assert name in str(caught.value)
    assert "set unknown to skip" in str(caught.value)
    assert vocabulary.decode(vocabulary.encode(text, "skip")) == "".join(
        c for c in text if c in known
    )


@pytest.mark.parametrize("code", [0xEA, 0xEB, 0xEB + 0x61, 0x3000, 0x10FFFF])
def test_characters_above_the_greatest_known_one_are_unknown(code):
    vocabulary = vocabulary_of("aé", "char")
    with pytest.raises(VocabularyError, match=f"U\\+{code:04X}"):
        vocabulary.encode("aé" + chr(code))


def test_unknown_bytes_and_words_are_named_with_their_place():
    with pytest.raises(VocabularyError, match=r"byte 0xff \(at byte offset 12\)"):
        vocabulary_of(b"\x00ab", "byte").encode(b"a\x00\xff", offset=10)
    words = vocabulary_of("to be or not", "word")
    with pytest.raises(VocabularyError, match=r"word 'two' \(at character offset 106\)"):
        words.encode("to be two", offset=100)
    assert words.decode(words.encode("to be two", "skip")) == "to be "


def test_every_byte_has_an_id_when_all_are_known():
    data = bytes(range(256))
    vocabulary = vocabulary_of(data, "byte")
    assert vocabulary.encode(data).tolist() == list(range(256))
    assert vocabulary.dtype == np.uint8


@pytest.mark.parametrize(
    "known", ["aaab", "aaabéé", "aaab中中" + "".join(map(chr, range(300, 600))) * 2]
)
def test_rare_characters_become_the_unknown_symbol(known):
    vocabulary = vocabulary_of(known, "char", 2)
    assert "b" not in vocabulary.symbols
    assert vocabulary.unknown == vocabulary.symbols.index("\ufffd")
    assert list(vocabulary.symbols) == sorted(vocabulary.symbols)
    for text in ("ab", "abñ😀"):
        expected = "".join(c if c in "aé中" else "\ufffd" for c in text)
        assert vocabulary.decode(vocabulary.encode(text)) == expected


def test_rare_words_and_bytes_become_the_unknown_symbol():
    words = vocabulary_of("a a b", "word", 2)
    assert words.symbols == (" ", "a", "\ufffd")
    assert words.decode(words.encode("a b c")) == "a \ufffd \ufffd"
    data = vocabulary_of(b"aab", "byte", 2)
    assert data.symbols == (97, 256)
    assert data.decode(data.encode(b"abz")) == b"a??"


def test_a_replacement_character_in_the_text_is_the_unknown_symbol():
    vocabulary = vocabulary_of("aa\ufffd\ufffdb", "char", 2)
    assert vocabulary.symbols == ("a", "\ufffd")
    assert vocabulary.unknown == 1
    assert vocabulary_of("aa\ufffd\ufffd", "char", 2).unknown is None


def test_a_byte_vocabulary_of_257_symbols_works():
    vocabulary = Vocabulary("byte", tuple(range(257)), 256)
    assert vocabulary.encode(b"\x00\xff").tolist() == [0, 255]
    assert vocabulary.decode([255, 256]) == b"\xff?"


def test_ids_belong_to_the_caller():
    vocabulary = vocabulary_of("ab", "char")
    ids = vocabulary.encode("abab")
    ids[0] = 1
    assert vocabulary.decode(ids) == "bbab"


def test_empty_text_has_no_ids():
    vocabulary = vocabulary_of("ab", "char")
    assert vocabulary.encode("").shape == (0,)
    assert vocabulary.decode([]) == ""
    assert vocabulary_of(b"x", "byte").decode([]) == b""


def test_str_and_bytes_are_not_mixed():
    with pytest.raises(TypeError):
        vocabulary_of("ab", "char").encode(b"ab")
    with pytest.raises(TypeError):
        vocabulary_of(b"ab", "byte").encode("ab")


@pytest.mark.parametrize("level", ["char", "word", "byte"])
@pytest.mark.parametrize("min_count", [1, 2])
def test_json_round_trip(level, min_count):
    vocabulary = vocabulary_of(TEXT.encode() if level == "byte" else TEXT, level, min_count)
    copy = Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json())))
    assert copy == vocabulary
    assert copy.dtype == vocabulary.dtype


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"level": "letter", "symbols": ["a"], "unknown": None},
        {"level": ["char"], "symbols": ["a"], "unknown": None},
        {"level": "char", "symbols": [], "unknown": None},
        {"level": "char", "symbols": "abc", "unknown": None},
        {"level": "char", "symbols": ["a", 1], "unknown": None},
        {"level": "char", "symbols": ["a", "bc"], "unknown": None},
        {"level": "char", "symbols": ["a", ""], "unknown": None},
        {"level": "char", "symbols": ["b", "a"], "unknown": None},
        {"level": "char", "symbols": ["a", "a"], "unknown": None},
        {"level": "char", "symbols": ["a", "\ud800"], "unknown": None},
        {"level": "char", "symbols": ["a", "\ufffd"], "unknown": 2},
        {"level": "char", "symbols": ["a", "\ufffd"], "unknown": -1},
        {"level": "char", "symbols": ["a", "\ufffd"], "unknown": 0},
        {"level": "char", "symbols": ["a", "\ufffd"], "unknown": True},
        {"level": "word", "symbols": ["a b"], "unknown": None},
        {"level": "word", "symbols": ["\ud800"], "unknown": None},
        {"level": "byte", "symbols": ["a"], "unknown": None},
        {"level": "byte", "symbols": [1, 257], "unknown": None},
        {"level": "byte", "symbols": [-1, 5], "unknown": None},
        {"level": "byte", "symbols": [True, 5], "unknown": None},
        {"level": "byte", "symbols": [1.0], "unknown": None},
        {"level": "byte", "symbols": [1, 256], "unknown": None},
    ],
)
def test_a_damaged_vocabulary_is_refused(data):
    with pytest.raises(CheckpointError, match="vocabulary is damaged"):
        Vocabulary.from_json(data)


def test_folding_keeps_symbols_at_the_limit():
    vocabulary = build_vocabulary("char", [("a", 3), ("b", 2), ("c", 4)], 3)
    assert vocabulary.symbols == ("a", "c", "\ufffd")


def test_symbols_are_counted_at_every_level():
    assert vocabulary_of("ab", "char").count("aäxb") == 4
    assert vocabulary_of(b"ab", "byte").count("ä".encode()) == 2
    assert vocabulary_of("ab c", "word").count("new words, ab") == 6


def test_the_size_of_ids_is_that_of_their_text_in_utf_8():
    for level in ("char", "word"):
        vocabulary = vocabulary_of(TEXT, level)
        assert vocabulary.size(vocabulary.encode(TEXT)) == len(TEXT.encode())
    assert vocabulary_of(b"ab", "byte").size(np.array([0, 1, 1])) == 3
    folded = vocabulary_of("aaab", "char", 2)
    assert folded.size(folded.encode("aa")) == 2
    assert folded.size(folded.encode("ab")) is None


@pytest.mark.parametrize(("level", "expected"), [("char", "abc"), ("byte", b"abc")])
def test_pieces_are_joined_in_the_type_of_the_level(level, expected):
    vocabulary = vocabulary_of(expected, level)
    assert vocabulary.join([expected[:1], expected[1:]]) == expected
    assert vocabulary.join([]) == expected[:0]


def test_the_newline_is_known_by_its_id():
    assert vocabulary_of("a\nb", "char").newline == 0
    assert vocabulary_of(b"\x01\n", "byte").newline == 1
    assert vocabulary_of("a b\n", "word").newline == 0
    assert vocabulary_of("ab", "char").newline is None
