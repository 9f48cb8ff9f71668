"""The texts at which a sample ends."""

from __future__ import annotations

from typing import Any

from charrnn.display import brief
from charrnn.errors import VocabularyError, setting
from charrnn.text.vocabulary import Vocabulary

Text = str | bytes


class End:
    """The end of a sample: the first occurrence of a text in symbols that come one by one.

    There may be several such texts; an empty one ends nothing.

    Attributes
    ----------
    never
        Whether there is no such text.

    Raises
    ------
    VocabularyError
        If no symbols that can be drawn form a text, so that the sample would never end with it.
    """

    def __init__(self, vocabulary: Vocabulary, *until: Text) -> None:
        texts: list[Any] = []
        for text in until:
            if not text:
                continue
            text = vocabulary.text(text)
            _check(vocabulary, text)
            texts.append(text)
        self._until, self.never = texts, not texts
        self._keep = max(map(len, texts), default=0) - 1
        self._tail: Any = vocabulary.join([])

    def take(self, symbol: Any) -> tuple[Any, bool]:
        """Return the symbol, cut at the end of the text, and whether a text ends in it."""
        if self._keep < 0:
            return symbol, False
        seen, old = self._tail + symbol, len(self._tail)
        ends = [seen.find(text, max(0, old - len(text) + 1)) + len(text) for text in self._until]
        ends = [end for end, text in zip(ends, self._until, strict=True) if end >= len(text)]
        if ends:
            return symbol[: min(ends) - old], True
        self._tail = seen[max(0, len(seen) - self._keep) :]
        return symbol, False


def _check(vocabulary: Vocabulary, until: Text) -> None:
    """Raise an error if symbols that can be drawn never form the text."""
    drawn: list[Any] = [s for i, s in enumerate(vocabulary.symbols) if i != vocabulary.unknown]
    if vocabulary.level == "word":
        if isinstance(until, str) and until and not _can_form(drawn, until):
            raise _impossible(until, f"no words of the vocabulary form {brief(until)}")
        return
    known = set(drawn)
    for symbol in until:
        if symbol not in known:
            kind, name = "character", brief(symbol)
            if isinstance(symbol, int):
                kind, name = "byte", f"0x{symbol:02x}"
            raise _impossible(until, f"the vocabulary has no {kind} {name}")


def _impossible(until: Text, why: str) -> VocabularyError:
    return VocabularyError(
        f"{setting('until')} {brief(until)} cannot occur: {why}", "name a text that can be drawn"
    )


def _can_form(words: list[str], text: str) -> bool:
    """Whether a text can lie in joined words; it may begin and end inside a word."""
    if any(text in word for word in words):
        return True
    ends = {k for k in range(len(text)) if any(word.endswith(text[:k]) for word in words)}
    for at in range(len(text)):  # the text up to here can be formed
        if at not in ends:
            continue
        for word in words:
            if word.startswith(text[at:]):
                return True
            if text.startswith(word, at):
                ends.add(at + len(word))
    return False
