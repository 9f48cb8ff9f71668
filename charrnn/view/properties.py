"""Simple properties of a text, known after each character was read.

A property either holds or not (1 or 0), or is a number. An opening quotation mark or bracket
belongs to what is inside it, a closing one does not: it is outside once it has been read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.text.vocabulary import Vocabulary

Floats = NDArray[np.float64]

QUOTES = re.compile(r'"(?:[^"\n]|\n(?!\s*\n))*"|“[^“”]*”|«[^«»]*»|„[^„“”]*[“”]', re.DOTALL)
"""Straight ones within a paragraph, the others whatever is between them."""
SINGLE = re.compile(r"(?<!\w)'(?=\S)[^'\n]*?(?:(?<=\w)'(?=\w)[^'\n]*?)*'(?!\w)|‘[^‘’\n]*’(?!\w)")
"""Single quotation marks, on one line; an apostrophe inside a word is none."""
COMMENT = re.compile(
    r"""/\*.*?\*/|<!--.*?-->|(?:^|(?<=[\s;{}(),]))(?:\#|//|--\s)[^\n]*""", re.DOTALL | re.MULTILINE
)
"""Of C, HTML, and to the end of the line after #, // or --, which stand after a space or a sign."""
PAIRS = {")": "(", "]": "[", "}": "{"}
KINDS = {"(": "parentheses", "[": "square brackets", "{": "braces"}


@dataclass(frozen=True)
class Property:
    """A property of a text: its name, its value at each of L places, and whether it is a number."""

    name: str
    values: Floats
    numeric: bool = False

    def at(self, places: NDArray[np.int64]) -> Property:
        """Return the property at some places."""
        return Property(self.name, self.values[places], self.numeric)


def of_symbols(vocabulary: Vocabulary, ids: NDArray[np.integer]) -> list[Property]:
    """Return the properties of a text after each of its L symbols.

    After a word they are those of its last character; after a byte, those of the character that it
    is a part of.
    """
    if vocabulary.level == "byte":
        data = bytes(min(255, int(vocabulary.symbols[i])) for i in ids.tolist())
        text = data.decode("utf-8", "surrogateescape")
        sizes = [len(char.encode("utf-8", "surrogateescape")) for char in text]
        places = np.repeat(np.arange(len(text)), sizes)
    else:
        words = [str(vocabulary.symbols[i]) for i in ids.tolist()]
        text, places = "".join(words), np.cumsum([len(word) for word in words]) - 1
    return [each.at(places) for each in of_text(text)]


def of_text(text: str) -> list[Property]:
    """Return the properties of a text after each of its characters."""
    double, single = _matched(QUOTES, text), _matched(SINGLE, text)
    comment = _spans(_outside(double, COMMENT.finditer(text)), len(text), closed=False)
    brackets, depth = _brackets(text)
    position, left = _lines(text)
    indented, indentation = _indentation(text)
    return [
        Property("inside quotes", double),
        Property("inside single quotes", single),
        *(Property(f"inside {KINDS[kind]}", inside) for kind, inside in brackets.items()),
        Property("depth of brackets", depth, numeric=True),
        Property("inside a comment", comment),
        Property("position in the line", position, numeric=True),
        Property("what is left of the line", left, numeric=True),
        Property("in the indentation", indented),
        Property("indentation of the line", indentation, numeric=True),
        Property("inside a word", _each(text, str.isalnum)),
        Property("position in the word", _word(text), numeric=True),
        Property("upper case", _each(text, str.isupper)),
        Property("digit", _each(text, str.isdigit)),
    ]


def _each(text: str, holds: Callable[[str], bool]) -> Floats:
    return np.fromiter((holds(char) for char in text), float, len(text))


def _matched(pattern: re.Pattern[str], text: str) -> Floats:
    return _spans(pattern.finditer(text), len(text), closed=True)


def _outside(inside: Floats, found: Iterator[re.Match[str]]) -> Iterator[re.Match[str]]:
    """Yield the matches that do not begin where a property holds."""
    return (match for match in found if not inside[match.start()])


def _spans(found: Iterator[re.Match[str]], count: int, *, closed: bool) -> Floats:
    """Return 1 inside each match; ``closed`` says that its last character is outside."""
    values = np.zeros(count)
    for match in found:
        values[match.start() : match.end() - closed] = 1.0
    return values


def _brackets(text: str) -> tuple[dict[str, Floats], Floats]:
    """Return what is inside brackets of each kind, and how many are open.

    Only brackets that are closed by one of their kind count.
    """
    changes = {kind: np.zeros(len(text)) for kind in KINDS}
    opened: list[tuple[str, int]] = []
    for at, char in enumerate(text):
        if char in KINDS:
            opened.append((char, at))
        elif char in PAIRS:
            kinds = [kind for kind, _ in opened]
            if PAIRS[char] not in kinds:
                continue
            while opened[-1][0] != PAIRS[char]:
                opened.pop()
            kind, start = opened.pop()
            changes[kind][start] += 1.0
            changes[kind][at] -= 1.0
    depths = {kind: np.cumsum(change) for kind, change in changes.items()}
    inside = {kind: (depth > 0).astype(float) for kind, depth in depths.items()}
    return inside, np.sum(list(depths.values()), axis=0)


def _lines(text: str) -> tuple[Floats, Floats]:
    """Return how many characters of the line have been read, 0 after its end, and how many follow.

    They are one number with opposite signs if all lines have the same length.
    """
    read, follow = np.zeros(len(text)), np.zeros(len(text))
    start = 0
    for line in text.split("\n"):
        stop = start + len(line)
        read[start:stop] = np.arange(1, len(line) + 1)
        follow[start:stop] = np.arange(len(line) - 1, -1, -1)
        start = stop + 1
    return read, follow


def _indentation(text: str) -> tuple[Floats, Floats]:
    """Return whether a place is in the indentation of its line, and how much of that was read."""
    inside, width = np.zeros(len(text)), np.zeros(len(text))
    start = 0
    for line in text.split("\n"):
        stop, size = start + len(line), len(line) - len(line.lstrip(" \t"))
        inside[start : start + size] = 1.0
        width[start:stop] = np.minimum(np.arange(1, len(line) + 1), size)
        start = stop + 1
    return inside, width


def _word(text: str) -> Floats:
    """Return how many characters of the word have been read; 0 outside."""
    values = np.zeros(len(text))
    for match in re.finditer(r"[^\W_]+", text):
        values[match.start() : match.end()] = np.arange(1, match.end() - match.start() + 1)
    return values
