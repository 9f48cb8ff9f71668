"""Escapes and units."""

import shutil
import subprocess
from unicodedata import category

import pytest

from charrnn.display import (
    brief,
    count,
    duration,
    one_line,
    printable,
    safe_json,
    shell,
    size,
    symbol,
    unit,
)


def test_text_of_several_lines_keeps_newlines_and_tabs():
    assert printable("a\tb\n\x9b\r\\é") == "a\tb\n\\x9b\\r\\é"


def test_text_for_one_line_escapes_newlines_too():
    assert one_line("é \\x") == "é \\x"
    assert one_line("a\n\tb\x1b\u202e\ud800") == r"a\n\tb\x1b\u202e\ud800"


BIDI = [0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2066, 0x2067, 0x2068, 0x2069]


def test_exactly_the_unsafe_characters_are_escaped():
    def is_unsafe(code):
        return category(chr(code)) in ("Cc", "Cs", "Zl", "Zp") or code in BIDI

    def escaped(text, codes):
        return text.translate({c: chr(c).encode("unicode_escape").decode() for c in codes})

    assigned = (*range(0, 0x40000, 0x1000), *range(0xE0000, 0xE1000, 0x1000), 0x10F000)
    for start in assigned:
        codes = range(start, start + 0x1000)
        text, unsafe = "".join(map(chr, codes)), [*filter(is_unsafe, codes)]
        assert one_line(text) == escaped(text, unsafe)
        assert printable(text) == escaped(text, set(unsafe) - {0x9, 0xA})


@pytest.mark.parametrize(
    "text",
    [
        "Oui\u00a0!\u202f?",
        "\u3000雨",
        "می\u200cخواهم",
        "\u05d0\u200f!\u200e",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "zero\u200bwidth\ufeff soft\u00adhyphen",
        "private \ue0b0",
        "\U0001f3f4\U000e0067\U000e0062\U000e007f",
    ],
)
def test_spaces_joiners_and_marks_are_text(text):
    assert one_line(text) == printable(text) == text
    assert symbol(text) == safe_json(text) == text


WORDS = [
    "plain",
    "my run",
    "it's",
    "$HOME `x`",
    "-x",
    "a\nb",
    "a\\\x1b'",
    "é\u202e",
    "\udc92",
    "*?!",
    "",
]


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize("word", WORDS)
def test_what_is_written_for_a_shell_is_read_back_by_it(word):
    written = shell(word)
    assert one_line(written) == written
    command = ["bash", "-c", f"printf %s {written}"]
    read = subprocess.run(command, capture_output=True, check=True).stdout
    assert read == (f"./{word}" if word.startswith("-") else word).encode(
        "utf-8", "surrogateescape"
    )


def test_symbols_are_told_apart():
    assert [symbol(s) for s in ("é", "\t", "\\t", "\u2028")] == ["é", "\\t", "\\\\t", "\\u2028"]
    assert [symbol(s) for s in (" ", "\xa0", "\u200d", "a\u200c")] == [
        *(" ", "\\xa0", "\\u200d", "a\u200c")
    ]
    assert [symbol(b) for b in (65, 10, 92, 127, 255, 256)] == [
        "A",
        r"\n",
        r"\\",
        r"\x7f",
        r"\xff",
        "?",
    ]


def test_a_value_in_a_message_is_short_and_harmless():
    assert brief("é你\x1b\u202e") == r"'é你\x1b\u202e'"
    assert brief(None) == "None"
    assert brief("x" * 99) == "'" + "x" * 59 + "…"


def test_json_loses_its_control_characters_only():
    line = '{"a": "\x7f\x9b\u202eé\u2069"}'
    assert safe_json(line) == r'{"a": "\u007f\u009b\u202eé\u2069"}'


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (2.5e10, "25 GB"),
        (9.999e11, "1 TB"),
    ],
)
def test_sizes_have_the_unit_that_fits(amount, text):
    assert size(amount) == text


def test_numbers_of_things():
    assert [count(n, "symbol") for n in (0, 1, 2345)] == ["0 symbols", "1 symbol", "2,345 symbols"]
    assert [count(n, "minute") for n in (0.5, 1.0, 2.0)] == ["0.5 minutes", "1 minute", "2 minutes"]


def test_symbols_are_called_by_their_level():
    assert [unit(level) for level in ("char", "byte", "word")] == ["character", "byte", "word"]


def test_durations():
    seconds = (-1, 0.4, 59.4, 59.6, 3599, 3600, 7625)
    assert [duration(s) for s in seconds] == [
        *("0 s", "0 s", "59 s", "1 m 00 s", "59 m 59 s", "1 h 00 m", "2 h 07 m")
    ]
