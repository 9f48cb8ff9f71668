"""What ``charrnn eval`` prints of each line, or of each symbol, of a text."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import TYPE_CHECKING, Any

from charrnn import display
from charrnn.cli.process.output import Output, json_line, json_text, utf8
from charrnn.cli.scoring.text import ScoredText
from charrnn.errors import UsageError

if TYPE_CHECKING:
    from charrnn.evaluate import Score
    from charrnn.model.language import LanguageModel
    from charrnn.text.vocabulary import Vocabulary


def newline(vocabulary: Vocabulary) -> int:
    """Return the newline of a vocabulary.

    Raises
    ------
    UsageError
        If it has none.
    """
    if vocabulary.newline is None:
        raise UsageError(
            "the model does not know the newline, so no line can be scored after one",
            "leave out --start newline",
        )
    return vocabulary.newline


def per_line_scores(
    source: ScoredText, model: LanguageModel, start: int | None, as_json: bool
) -> None:
    """Print the score of each line."""
    from charrnn.evaluate import LINES, score_lines

    out = Output()
    scores = score_lines(model, source.lines(), start=start, tally=source.tally_of)
    for number, scored in enumerate(scores, 1):
        line = source.shown(scored.line)
        out.write(
            _line_record(number, line, scored.score) if as_json else _line(line, scored.score)
        )
        if number % LINES == 0:  # the next line may take a while
            out.flush()
    out.finish()


def _line(line: str | bytes, score: Score) -> bytes:
    shown = _safe(line)
    amount = f"{score.nats_per_char:.6f}" if score.chars else "-"
    return amount.encode() + b"\t" + shown + (b"" if shown.endswith(b"\n") else b"\n")


def _safe(line: str | bytes) -> bytes:
    """Return a line of text with control characters escaped, all but tabs and its end."""
    if isinstance(line, bytes):
        line = line.decode("utf-8", "backslashreplace")
    return utf8(display.printable(line))


def _line_record(number: int, line: str | bytes, score: Score) -> bytes:
    text: Any = line
    record = {
        "line": number,
        "chars": score.chars,
        "nats_per_char": finite(score.nats_per_char),
        "nats": finite(score.nats),
        "bytes": score.bytes,
        "skipped": score.skipped,
        "text": json_text(text.removesuffix(b"\n" if isinstance(line, bytes) else "\n")),
    }
    return json_line(record)


def per_char_scores(
    source: ScoredText, model: LanguageModel, vocabulary: Vocabulary, as_json: bool
) -> None:
    """Print the surprisal of each symbol."""
    from charrnn.evaluate import example_surprisals, surprisals

    out = Output()
    if source.examples is None:
        scores, amount = surprisals(model, source.chunks(), tally=source.tally), "-"
    else:
        scores, amount = example_surprisals(model, _tallied(source), source.start), ""
    shown = [display.symbol(symbol) for symbol in vocabulary.symbols]
    for ids, nats in scores:
        for i, value in zip(ids.tolist(), nats.tolist(), strict=True):
            if as_json:
                symbol = vocabulary.symbols[i]
                out.write(json_line({"symbol": symbol, "nats": finite(value)}))
            else:
                out.write(utf8(f"{shown[i]}\t{amount or format(value, '.6f')}\n"))
                amount = ""
    out.finish()


def _tallied(source: ScoredText) -> Iterator[Any]:
    """Yield the symbols of examples, and count them."""
    for text, ids in source.each():
        source.tally_of(text, ids)
        yield ids


def finite(value: float) -> float | None:
    """Return a number; None if it is not finite."""
    return value if isfinite(value) else None
