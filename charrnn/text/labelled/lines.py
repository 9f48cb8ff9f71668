"""One example a line: ``label<TAB>text``, or fastText's ``__label__NAME text``."""

from __future__ import annotations

from typing import NamedTuple

from charrnn.display import brief

PREFIX = "__label__"
MAX_LABEL = 200
"""Maximum characters of a label."""


class Row(NamedTuple):
    """An example: its label and text, and the line of its file on which it begins."""

    label: str
    text: str
    line: int


class UnfitError(Exception):
    """A line that is not an example; the message completes ``FILE line N …``."""


def parse(line: str) -> tuple[str, str]:
    """Return the label and the text of a line without its end.

    Raises
    ------
    UnfitError
        If the line is not an example.
    """
    if line.startswith(PREFIX):
        label, _, text = line.partition(" ")
        if text.startswith(PREFIX):
            raise UnfitError("has several labels, but an example has one")
        return checked(label.removeprefix(PREFIX)), text
    label, tab, text = line.partition("\t")
    if not tab:
        raise UnfitError("has no tab between a label and a text")
    return checked(label), text


def checked(label: str) -> str:
    """Return a label without the blanks around it.

    Raises
    ------
    UnfitError
        If it is empty, too long, or holds control characters.
    """
    label = label.strip()
    if not label:
        raise UnfitError("has an empty label")
    if len(label) > MAX_LABEL:
        raise UnfitError(f"has a label of more than {MAX_LABEL} characters: is it label<TAB>text?")
    if not label.isprintable():
        raise UnfitError(f"has a label with control characters: {brief(label)}")
    return label
