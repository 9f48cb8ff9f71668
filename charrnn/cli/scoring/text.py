"""The text that ``charrnn eval`` scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.cli.parsing.shared import note
from charrnn.display import count

if TYPE_CHECKING:
    from charrnn.text.layout import Layout
    from charrnn.text.tally import Tally
    from charrnn.text.vocabulary import Vocabulary

_CHUNK = 1 << 20


class ScoredText:
    """The text to be scored: files, or a held-out text of the run.

    Parameters
    ----------
    text, split
        The names of files; or, if there are none, which of the run's own texts.
    checkpoint
        The file of the run's checkpoint.
    vocabulary
        The run's vocabulary.
    options
        How files are read: arguments of :func:`charrnn.text.iter_ids`.

    Attributes
    ----------
    tally
        Counts of what has been read.
    examples
        ``line`` or ``document`` if the run was trained on examples, else None.
    """

    def __init__(
        self,
        text: list[str],
        split: str | None,
        checkpoint: Path,
        vocabulary: Vocabulary,
        options: dict[str, Any],
    ) -> None:
        self.text, self.split, self.checkpoint = text, split, checkpoint
        self._layout: Layout = options["layout"]
        self.examples = self._layout.examples
        self._vocabulary, self._options = vocabulary, options
        from charrnn.text.tally import Tally

        self.tally = Tally()
        self._lines = 0  # with skipped symbols

    @property
    def level(self) -> str:
        """What a symbol is."""
        return self._vocabulary.level

    @property
    def skipping(self) -> bool:
        """Whether symbols may be skipped."""
        return self._options.get("unknown") == "skip"

    def skipped(self, as_json: bool) -> str:
        """Return a note on all skipped symbols; empty if there are none."""
        skipped = self.tally.note()
        lines = f", in {count(self._lines, self.examples or 'line')}" if self._lines else ""
        advice = " (--json counts them)" if lines and not as_json else ""
        return skipped and skipped + lines + advice

    def shown(self, line: str | bytes) -> str | bytes:
        """Return a line with the line end that the model read."""
        return self._vocabulary.newlines(line)

    def tally_of(self, line: str | bytes, ids: Any) -> Tally:
        """Return the counts of one line, and add them to those of the text."""
        from charrnn.text.tally import Tally

        own = Tally()
        if self.split is None:
            own.add(self._vocabulary, line, ids)
        else:
            own.add_ids(self._vocabulary, ids)
        self.tally.skipped += own.skipped
        self.tally.returns += own.returns
        self.tally.folded += own.folded
        self._lines += own.skipped > own.returns
        return own

    def chunks(self) -> Iterator[Any]:
        """Yield arrays of symbols."""
        if self.split is None:
            from charrnn.text.reading import iter_ids

            yield from iter_ids(
                self.text, self._vocabulary, **self._options, tally=self.tally, tell=note
            )
            return
        from charrnn.storage import heldout

        ids = heldout.read(self.checkpoint, self.split, len(self._vocabulary))
        for start in range(0, len(ids), _CHUNK):
            self.tally.add_ids(self._vocabulary, ids[start : start + _CHUNK])
            yield ids[start : start + _CHUNK]

    def lines(self) -> Iterator[tuple[str | bytes, Any]]:
        """Yield lines with their symbols."""
        if self.split is None:
            from charrnn.text.reading import iter_lines

            how = self._options
            if self.examples == "document":  # the end of a document is no part of a line
                join = None if "join" in self._layout.inherited else self._layout.join
                how = how | {"layout": replace(self._layout, examples=None, join=join)}
            return iter_lines(self.text, self._vocabulary, **how, tell=note)
        from charrnn.evaluate import split_lines

        if self.examples != "document":
            return split_lines(self.chunks(), self._vocabulary)
        documents = map(self._without_end, self._held_out())
        return (line for ids in documents for line in split_lines([ids], self._vocabulary))

    def _held_out(self) -> Any:
        """Return the examples that the run has held out."""
        from charrnn.storage import heldout

        known = len(self._vocabulary)
        return heldout.read_examples(self.checkpoint, str(self.split), self.start, known)

    def _without_end(self, document: Any) -> Any:
        """Return a document's symbols without its end; a newline follows a value."""
        import numpy as np

        vocabulary = self._vocabulary
        end = vocabulary.encode(vocabulary.text(self._layout.end), "skip")
        ids = document[: len(document) - len(end)]
        if not self._layout.values or vocabulary.newline is None:
            return ids
        return np.append(ids, np.array([vocabulary.newline], ids.dtype))

    @property
    def start(self) -> int:
        """The symbol that is read before each example."""
        return self._layout.start(self._vocabulary)

    def each(self) -> Iterator[tuple[str | bytes, Any]]:
        """Yield examples with their symbols."""
        if self.split is not None:
            for ids in self._held_out():
                yield self._vocabulary.decode(ids), ids
        elif self.examples == "line":
            yield from self.lines()
        else:
            from charrnn.text.reading import iter_documents

            yield from iter_documents(self.text, self._vocabulary, **self._options, tell=note)
