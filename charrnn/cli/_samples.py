"""The samples of ``charrnn sample``: drawn as its options say, and written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from charrnn.cli.parsing.shared import note
from charrnn.cli.process.output import Output, json_line, json_text, utf8
from charrnn.cli.process.progress import progress
from charrnn.display import count
from charrnn.errors import UsageError, VocabularyError, option
from charrnn.sampling.options import SampleOptions, check_spans

if TYPE_CHECKING:
    from charrnn.model.language import LanguageModel
    from charrnn.sampling import Frame, Novelty, Sample, Stepper
    from charrnn.storage.checkpoint import Checkpoint
    from charrnn.text.vocabulary import Vocabulary

SEPARATOR = b"---\n"
FEW = 100
"""Symbols of a sample that are drawn before BLAS is asked for its threads, which takes 10 ms."""
LONG, LONG_SEARCH = 10_000, 1000
"""After so many symbols a note says that an endless sample, or search, has not ended."""

Text = str | bytes
Show = Callable[[str], object]


@dataclass(frozen=True)
class Samples:
    """Samples of one model, drawn as the command line says, and written as they end.

    Attributes
    ----------
    model, vocabulary
        The model.
    options, novelty, seed
        How symbols are drawn.
    beam
        Hypotheses of a beam search for the most likely text; 0 to draw at random.
    ends
        Arguments of :func:`charrnn.sampling.stream`: ``length``, ``until``, ``unknown``, ``frame``.
    count
        Samples for each prime.
    as_json, echo
        Whether JSON objects are written; whether the prime is written before the text.
    label
        The label of the texts, of a generator.
    """

    model: LanguageModel
    vocabulary: Vocabulary
    options: SampleOptions
    novelty: Novelty
    seed: int | None
    beam: int
    ends: dict[str, Any]
    count: int
    as_json: bool
    echo: bool
    label: str | None = None

    def after(self, prime: Text, spans: dict[str, int | None]) -> None:
        """Write samples that continue one prime; ``spans`` as for ``check_spans``."""
        if self.ends["length"]:
            check_spans(self.ends["length"] + self._frame.read(self.vocabulary, prime), **spans)
        out = Output()
        note_skipped(self.skipped(prime))
        if self.count == 1 and not (self.as_json or self.beam):
            self._stream(out, prime, self._drawing())
            if self._on_lines:
                out.write(b"\n")
            out.finish()
            return
        lines = self._frame.examples == "line" or self._on_lines
        separator, end = b"" if lines else SEPARATOR, b"\n"
        with progress("drawing" if not self.beam else "searching") as show:
            for number, one in enumerate(self._made(prime, self._drawing(), show), 1):
                if sys.stdout.isatty():
                    show.end()
                if self.as_json:
                    out.write(self._record({"sample": number}, prime, one))
                else:
                    text = self._text(prime, one)
                    if number > 1:
                        out.write(separator if end == b"\n" else b"\n" + separator)
                    out.write(text)
                    end = text[-1:] or end
                out.flush()
        if lines and end != b"\n":
            out.write(b"\n")
        out.finish()

    def after_each(self, lines: Iterable[Text]) -> None:
        """Write one line or object for each line, as soon as the line has been read."""
        from charrnn.sampling import Stepper

        stepper, out, skipped = Stepper(self.model, self.beam or 1), Output(), 0
        for number, line in enumerate(lines, 1):
            skipped += self.skipped(line)
            drawing = self._drawing(number - 1, stepper)
            try:
                if self.as_json:
                    for one in self._made(line, drawing):
                        out.write(self._record({"line": number}, line, one))
                elif self.beam:
                    for one in self._made(line, drawing):
                        out.write(self._text(line, one))
                else:
                    self._stream(out, line, drawing)
            except VocabularyError as problem:
                raise VocabularyError(f"line {number}: {problem.message}", problem.remedy) from None
            if not self.as_json:
                out.end_line()
            out.flush()
        note_skipped(skipped)

    def skipped(self, prime: Text) -> int:
        """Return how many symbols of a prime are left out because the model does not know them."""
        return skipped(self.vocabulary, prime) if self._skipping else 0

    @property
    def _skipping(self) -> bool:
        return bool(self.ends["unknown"] == "skip")

    def _drawing(self, first: int = 0, stepper: Stepper | None = None) -> dict[str, Any]:
        """Return the arguments that choose the random numbers, and the text not to copy."""
        if self.beam:
            return {"stepper": stepper}
        return {"stepper": stepper, "seed": self.seed, "first": first, "novelty": self.novelty}

    def _stream(self, out: Output, prime: Text, drawing: dict[str, Any]) -> None:
        """Write a sample as it is drawn."""
        from charrnn.sampling import stream

        symbols = self._frame.shown(
            stream(self.model, self.vocabulary, self.options, prime=prime, **self.ends, **drawing)
        )
        first = next(symbols)  # errors in the prime are raised before anything is printed
        if self.echo:
            out.write(utf8(prime))
        out.write(utf8(first))
        for symbol in islice(symbols, FEW):
            out.write(utf8(symbol))
        with self.model.inference(1):
            for symbol in symbols:
                out.write(utf8(symbol))

    def _made(
        self,
        prime: Text,
        drawing: dict[str, Any],
        show: Callable[[str], object] = lambda text: None,
    ) -> Iterator[Sample]:
        """Yield whole samples; ``show`` is told how far they have come."""
        from charrnn.sampling import in_order, most_likely

        more = {"prime": prime, "count": self.count, **self.ends, **drawing}
        end = "--until" if self.ends["until"] else "the --join of the run"
        tell = _tell_of_no_end(self.ends["length"], end, LONG_SEARCH if self.beam else LONG)

        def made(number: int) -> None:
            done = "of each text searched" if self.beam else "of each sample drawn"
            show(f"{count(number, 'symbol')} {done}")
            tell(number)

        more["progress"] = made
        if self.beam:
            more |= {"beam": self.beam, "no_repeat": self.options.no_repeat}
            yield from most_likely(self.model, self.vocabulary, **more)
        else:
            more["log_probs"] = self.as_json
            yield from in_order(self.model, self.vocabulary, self.options, **more)

    def _text(self, prime: Text, one: Sample) -> bytes:
        shown = b"".join(map(utf8, self._frame.shown([one.text])))
        return utf8(prime) + shown if self.echo else shown

    def _record(self, numbered: dict[str, int], prime: Text, one: Sample) -> bytes:
        """Return a sample as a line of JSON."""
        text = one.text
        if self.label is not None:
            text = self.vocabulary.join(self._frame.shown([text]))
        facts = {"seed": self.seed, "prime": json_text(prime), "text": json_text(text)}
        facts |= {} if self.label is None else {"label": self.label}
        nats = {"log_probs": one.log_probs, "log_prob": one.log_prob}
        more = {"skipped": self.skipped(prime)} if self._skipping else {}
        return json_line(numbered | facts | nats | more)

    @property
    def _on_lines(self) -> bool:
        """Whether each text is written on a line of its own: it is a label's, without newlines."""
        return self.label is not None and self.vocabulary.newline is None

    @property
    def _frame(self) -> Frame:
        frame: Frame = self.ends["frame"]
        return frame


def check_typed(vocabulary: Vocabulary, **texts: str) -> None:
    """Say how a newline or a tab is typed, if its escape is, and refuse what is not text.

    A vocabulary that has a backslash can mean it: then that is a note, else an error.
    """
    from charrnn.text.vocabulary import SURROGATE

    for name, typed in texts.items() if vocabulary.level != "byte" else ():
        if SURROGATE.search(typed):
            encoding = sys.getfilesystemencoding()
            how = "set LC_ALL=C.UTF-8" if encoding == "ascii" else f"type it in {encoding}"
            how += ", or give a --prime-file with its --encoding" if name == "prime" else ""
            raise UsageError(f"{option(name)} has bytes that are not text in {encoding}", how)
    backslash: Any = ord("\\") if vocabulary.level == "byte" else "\\"
    known = backslash in vocabulary.symbols
    for name, typed in texts.items():
        for escape, meant in ((r"\n", "newline"), (r"\t", "tab"), (r"\r", "carriage return")):
            if escape not in typed:
                continue
            advice = f"write a {meant} as $'{escape}'"
            if not known:
                message = f"{option(name)} holds a backslash, which the vocabulary does not have"
                raise VocabularyError(message, advice)
            note(f"{option(name)} holds a backslash and a letter, {escape}; {advice}")


def skipped(vocabulary: Vocabulary, prime: Text) -> int:
    """Return how many symbols of a prime the vocabulary does not have."""
    return vocabulary.count(prime) - len(vocabulary.encode(prime, "skip"))


def note_skipped(number: int, returns: int = 0) -> None:
    """Note how many symbols of primes were left out, carriage returns of line ends among them."""
    if number:
        from charrnn.text.tally import Tally

        note(Tally(number, returns).note())


def note_top_k(top_k: int, vocabulary: Vocabulary) -> None:
    """Note that ``--top-k`` has no effect if it keeps all symbols that can be drawn."""
    symbols = len(vocabulary) - (vocabulary.unknown is not None)
    if top_k >= symbols:
        note(f"--top-k {top_k:,} has no effect: the model writes {count(symbols, 'symbol')}")


def _tell_of_no_end(length: int, end: str, most: int) -> Callable[[int], object]:
    """Return a callback that notes once that samples do not end, if only a text can end them."""

    def tell(drawn: int) -> None:
        if length == 0 and drawn == most:
            note(f"{most:,} symbols are drawn and {end} has not come; --length sets a limit")

    return tell


def end_of_line(vocabulary: Vocabulary, length: int) -> str:
    """Return the text that ends a line; empty if only ``--length`` ends it."""
    if vocabulary.newline is not None:
        return "\n"
    if length == 0:
        raise UsageError("--length 0 never ends: the model knows no newline", "give a --length")
    return ""


def novelty_of(
    loaded: Checkpoint,
    lines: bool,
    span: int | None,
    texts: list[str] | None,
    frame: Frame,
    how: dict[str, Any],
) -> Novelty:
    """Return the indexes of the text that samples must not copy."""
    from charrnn.sampling import Novelty

    if not lines and span is None:
        return Novelty()
    from charrnn.sampling import kept

    spans = ([0] if lines else []) + ([] if span is None else [span])
    with progress("reading the text that is not to be copied", texts or ()):
        if texts:
            ends = frame.line_ends(loaded.vocabulary)
            found = kept.of_text(texts, loaded.vocabulary, ends, spans, **how, tell=note)
        else:
            found = [kept.of_run(loaded, one) for one in spans]
    return Novelty(found[0] if lines else None, None if span is None else found[-1])
