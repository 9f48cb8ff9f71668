"""The colours of ``charrnn view``."""

from math import nan

import pytest

from charrnn.report.view.coloured import (
    DIVERGING,
    HEAT,
    PLAIN,
    between,
    bits_legend,
    coloured_text,
    scale_legend,
    surprise,
)


def test_surprisal_has_the_shade_that_the_legend_names():
    names = dict(bits_legend())
    for bits, name in ((0.0, "<1"), (1.0, "1-2"), (3.9, "2-4"), (7.9, "6-8"), (80.0, "8+")):
        assert surprise(bits) == names[name]
    assert surprise(nan) == PLAIN
    assert len(names) == len(HEAT)


def test_a_scale_ends_where_the_values_end():
    shade = between(-2.0, 2.0)
    assert (shade(-2.0), shade(0.0), shade(2.0)) == (DIVERGING[0], PLAIN, DIVERGING[-1])
    assert (shade(-9.0), shade(9.0), shade(nan)) == (DIVERGING[0], DIVERGING[-1], PLAIN)
    for name, expected in scale_legend(-2.0, 2.0):
        assert shade(float(name)) == expected


def test_without_colours_the_text_is_the_text():
    symbols = [*"a\tb\x1b[2J\n", "\u202e", "é\\"]
    out = coloured_text(symbols, [HEAT[-1]] * len(symbols), "bits", bits_legend()).decode()
    head, empty, *text = out.splitlines()
    assert head.startswith("bits")
    assert empty == ""
    assert text == [r"a\tb\x1b[2J↵", "\\u202eé\\"]


@pytest.mark.parametrize("symbol", ["\n", "x" * 300])
def test_lines_are_not_wrapped(symbol):
    out = coloured_text([symbol], [PLAIN], "", []).decode()
    assert ("x" * 300 in out) or out.endswith("↵\n\n")
