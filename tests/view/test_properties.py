"""The properties of a text."""

import numpy as np
import pytest

from charrnn.text.symbols.lookup import TOKEN
from charrnn.text.vocabulary import Vocabulary, build_vocabulary
from charrnn.view.properties import of_symbols, of_text


def marks(name, text):
    """Return the values of a property: digits, and dots for zeros."""
    (found,) = (one for one in of_text(text) if one.name == name)
    return "".join("." if value == 0 else str(int(value)) for value in found.values)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("inside quotes", 'a "b c" d', "..1111..."),
        ("inside quotes", "« a » “b”", "1111..11."),
        ("inside quotes", '5" and\n\n"x" y', "........11..."),
        ("inside single quotes", "don't 'say no' it's", "......1111111......"),
        ("inside parentheses", "a(b[c])d)(", ".11111...."),
        ("inside square brackets", "a(b[c]d)", "...11..."),
        ("inside parentheses", "1) a (b", "......."),
        ("inside braces", "{(}", "11."),
        ("depth of brackets", "([a]{})(", "122121.."),
        ("inside a comment", "a # b\nc", "..111.."),
        ("inside a comment", "x = '#' http://a", "................"),
        ("inside a comment", 'a /* b */ "// c"', "..1111111......."),
        ("position in the line", "ab\n\nc", "12..1"),
        ("what is left of the line", "abc\nd\n", "21...."),
        ("in the indentation", "  a b\n\tc", "11....1."),
        ("indentation of the line", "  a b\nc", "12222.."),
        ("inside a word", "ab, é!", "11..1."),
        ("position in the word", "ab_c d", "12.1.1"),
        ("upper case", "aBÉ1", ".11."),
        ("digit", "a1b", ".1."),
    ],
)
def test_a_property_holds_where_it_should(name, text, expected):
    assert marks(name, text) == expected


def test_bytes_and_words_have_the_properties_of_their_characters():
    text = 'É "né" Ab'
    for level in ("byte", "word"):
        whole = text.encode() if level == "byte" else text
        words = [(word, 1) for word in TOKEN.findall(text)]
        symbols = Vocabulary("byte", tuple(range(256)))
        vocabulary = build_vocabulary("word", words) if level == "word" else symbols
        ids = vocabulary.encode(whole)
        for of_char, found in zip(of_text(text), of_symbols(vocabulary, ids), strict=True):
            if level == "byte":
                sizes = [len(char.encode()) for char in text]
                expected = np.repeat(of_char.values, sizes)
            else:
                ends = np.cumsum([len(str(vocabulary.symbols[i])) for i in ids]) - 1
                expected = of_char.values[ends]
            np.testing.assert_array_equal(found.values, expected)
    broken = Vocabulary("byte", tuple(range(257)), 256).encode(b"\xff(\xc3)")
    assert len(of_symbols(Vocabulary("byte", tuple(range(256))), broken)[0].values) == 4
