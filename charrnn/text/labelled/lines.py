"""One example a line: ``label<TAB>text``, or fastText's ``__label__NAME text``."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from charrnn.display import brief
from charrnn.errors import CorpusError
from charrnn.text.pairs.symbols import is_symbol

PREFIX = "__label__"
MAX_LABEL = 200
"""Maximum characters of a label."""
MAX_LABELS = 1 << 16
"""Maximum number of labels of a model."""


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


def is_label(label: str, single: bool = False) -> bool:
    """Whether a string may be a label: a name or, if ``single``, also any single character."""
    if single and is_symbol(label, "char"):
        return True
    return 0 < len(label) <= MAX_LABEL and label.isprintable()


def refuse_labels(labels: Collection[str], single: bool = False) -> None:
    """Raise :class:`CorpusError` if a checkpoint could not hold the labels of a model."""
    if len(labels) > MAX_LABELS:
        raise CorpusError(
            f"the examples have {len(labels):,} labels, more than the {MAX_LABELS:,} of a model",
            "check what is read as the label, or leave out rare labels",
        )
    for label in labels:
        if not is_label(label, single):
            wanted = f"give it a name of 1 to {MAX_LABEL} printable characters"
            raise CorpusError(f"{brief(label)} cannot be a label", wanted)


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
