"""Escapes and units."""

import pytest

from charrnn.display import brief, duration, number, one_line, printable, safe_json, size, symbol


def test_text_of_several_lines_keeps_newlines_and_tabs():
    assert printable("a\tb\n\x9b\r\\é") == "a\tb\n\\x9b\\r\\é"


def test_text_for_one_line_keeps_printable_characters():
    assert one_line("é \\x") == "é \\x"
    assert one_line("a\nb\x1b\u202e\ud800\U000e0001") == r"a\nb\x1b\u202e\ud800\U000e0001"


def test_symbols_are_told_apart():
    assert [symbol(s) for s in ("é", "\t", "\\t", "\u2028")] == ["é", "\\t", "\\\\t", "\\u2028"]
    assert [symbol(b) for b in (65, 10, 92, 127, 255, 256)] == [
        "A",
        r"\n",
        r"\\",
        r"\x7f",
        r"\xff",
        "?",
    ]


def test_a_value_in_a_message_is_short_and_ascii():
    assert brief("é\x1b") == r"'\xe9\x1b'"
    assert brief(None) == "None"
    assert brief("x" * 99) == "'" + "x" * 59 + "…"


def test_json_loses_its_control_characters_only():
    line = '{"a": "\x7f\x9b\u202eé\u2069"}'
    assert safe_json(line) == r'{"a": "\u007f\u009b\u202eé\u2069"}'


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (2.5e10, "25 GB"), (9.999e11, "1 TB")],
)
def test_sizes_have_the_unit_that_fits(count, text):
    assert size(count) == text


def test_numbers_of_things():
    assert [number(n, "symbol") for n in (0, 1, 2345)] == ["0 symbols", "1 symbol", "2,345 symbols"]


def test_durations():
    seconds = (-1, 0.4, 59.4, 59.6, 3599, 3600, 7625)
    assert [duration(s) for s in seconds] == [
        *("0 s", "0 s", "59 s", "1 m 00 s", "59 m 59 s", "1 h 00 m", "2 h 07 m")
    ]
