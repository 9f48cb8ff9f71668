"""Spans of BIO labels, counted as the script ``conlleval`` of CoNLL-2000 counts them.

Labels are ``O``, outside, and ``B-TYPE`` and ``I-TYPE``, the beginning and the inside of a span;
the type may be missing. A span begins at each B, and at an I that does not continue one: after O,
after another type, or at the beginning of a sequence. It ends before the next O, B, other type, or
at the end of the sequence. A span that was found is right if begin, end and type are those of a
true one.

Tjong Kim Sang and Buchholz 2000, "Introduction to the CoNLL-2000 shared task: chunking".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_BIO = re.compile(r"O|([BI])(?:-(.*))?", re.DOTALL)

Span = tuple[int, int, str]
"""Begin, end (exclusive) and type."""


def is_bio(names: Iterable[str]) -> bool:
    """Whether labels mark spans: all are O, B or I, with or without a type, and one is a B."""
    names = list(names)
    return all(map(_BIO.fullmatch, names)) and any(name.startswith("B") for name in names)


def spans(labels: Sequence[str]) -> set[Span]:
    """Return the spans of the labels of one sequence."""
    found: set[Span] = set()
    begin: int | None = None
    kind = ""
    for at, label in enumerate([*labels, "O"]):
        match = _BIO.fullmatch(label)
        mark, own = (None, "") if match is None else (match[1], match[2] or "")
        if begin is not None and (mark != "I" or own != kind):
            found.add((begin, at, kind))
            begin = None
        if begin is None and mark is not None:
            begin, kind = at, own
    return found


@dataclass
class SpanCounts:
    """How many spans there are, were found, and of these are right."""

    true: int = 0
    found: int = 0
    right: int = 0

    def add(self, right: Sequence[str], given: Sequence[str]) -> None:
        """Count the spans of one sequence, from its right labels and those given."""
        true, found = spans(right), spans(given)
        self.true += len(true)
        self.found += len(found)
        self.right += len(true & found)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall; 0 if there is no span."""
        return 2 * self.right / max(1, self.true + self.found)
