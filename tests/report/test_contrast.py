"""Text on the pages can be read: WCAG 2.2 asks for a contrast of 4.5 (success criterion 1.4.3)."""

import re
from importlib.resources import files
from itertools import product

import pytest

LEAST = 4.5
PAGES = {
    "charrnn.exchange.page": (("ink", "dim", "ahead", "net", "bad"), ("bg", "card")),
    "charrnn.report.diagnose": (("fg", "dim", "good", "bad", "warn"), ("bg", "card")),
}
"""The package of a style sheet; its colours of text, and of what is behind it."""


def schemes(package):
    """Return the colours of a style sheet in light and in dark."""
    text = files(package).joinpath("page.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{([^}]*)\}", text)[:2]
    return [dict(re.findall(r"--(\w+): (#\w+)", part)) for part in (light, dark)]


def luminance(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard():
    assert contrast("#000", "#fff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("package", PAGES)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_can_be_read(package, dark):
    colours = schemes(package)[dark]
    found = {
        (text, behind): contrast(colours[text], colours[behind])
        for text, behind in product(*PAGES[package])
    }
    assert {pair: round(value, 2) for pair, value in found.items() if value < LEAST} == {}
