"""The options of a model's samples: checked, and turned into arguments of ``sampling``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from charrnn.api import arguments
from charrnn.config import DataConfig
from charrnn.errors import UsageError, setting
from charrnn.options import Option
from charrnn.sampling import Frame, Novelty, SampleOptions, Seen
from charrnn.sampling.options import MAX_SPAN, check_spans
from charrnn.sampling.seen import broken
from charrnn.text import Vocabulary
from charrnn.text.layout import WHOLE, Layout

_SPAN = Option(1, "", least=1, most=MAX_SPAN)


@dataclass(frozen=True)
class Drawing:
    """How the samples of a model are drawn, and where they end."""

    options: SampleOptions
    frame: Frame
    prime: str | bytes
    arguments: dict[str, Any]
    """Further arguments of :func:`charrnn.sampling.stream`."""


def drawing(
    vocabulary: Vocabulary,
    data: DataConfig | None,
    length: Any,
    given: Mapping[str, Any],
    *,
    lines: bool = False,
) -> Drawing:
    """Return how samples of a model are drawn.

    ``data`` says how its text was read; ``given`` holds options of
    :meth:`charrnn.api.model.Model.stream`; the others have their defaults. With ``lines`` the
    primes are not known yet.

    Raises
    ------
    UsageError
        If a value is of the wrong type or invalid, or two exclude each other.
    """
    names = {f.name for f in fields(SampleOptions)}
    options = SampleOptions(**{name: value for name, value in given.items() if name in names})
    frame = Frame.of(data, arguments.flag(given.get("until_join", False), "until_join"))
    novelty = _novelty(vocabulary, data, frame, given)
    until = arguments.text_of(given.get("until", ""), vocabulary, "until")
    checked = arguments.length(length)
    options.check_sample(checked, until or frame.end, novelty.lines is not None)
    prime = arguments.text_of(given.get("prime", ""), vocabulary, "prime")
    if checked and not lines:
        symbols = checked + frame.read(vocabulary, prime)
        check_spans(symbols, no_repeat=options.no_repeat, novel_span=given.get("novel_span"))
    more = {
        "length": checked,
        "until": until,
        "seed": arguments.seed(given.get("seed", 0)),
        "unknown": arguments.unknown(given.get("unknown", "error")),
        "frame": frame,
        "novelty": novelty,
    }
    return Drawing(options, frame, prime, more)


def _novelty(
    vocabulary: Vocabulary, data: DataConfig | None, frame: Frame, given: Mapping[str, Any]
) -> Novelty:
    """Return the indexes of the text that samples must not copy."""
    lines = arguments.flag(given.get("novel", False), "novel")
    span, text = given.get("novel_span"), given.get("novel_text")
    span = None if span is None else _SPAN.check("novel_span", span)
    either = f"{setting('novel')} or {setting('novel_span')}"
    if not lines and span is None:
        if text is not None:
            raise UsageError(
                f"{setting('novel_text')} only applies to {either}", "give one of them"
            )
        return Novelty()
    if text is None:
        raise UsageError(f"{either} needs the text that is not to be copied", "give novel_text")
    known = [arguments.text_of(one, vocabulary, "novel_text") for one in arguments.text_list(text)]
    layout = Layout.of(data or DataConfig())
    if len(known) == 1 and not layout.examples:
        layout = WHOLE  # nothing stands between texts
    pieces: list[Any] = layout.pieces_of(known)
    if not layout.examples:
        pieces = [pieces[0][:0].join(pieces)] if pieces else []
    ends = frame.line_ends(vocabulary)
    if vocabulary.newline is None:
        pieces = [line for piece in pieces for line in piece.split(vocabulary.text("\n"))]
    ids = [vocabulary.encode(piece, "skip") for piece in pieces]
    if vocabulary.newline is None:
        ids, ends = broken(ids, ends, len(vocabulary))
    apart = bool(layout.examples) and not layout.end
    return Novelty(
        Seen.of(ids, ends, apart=apart) if lines else None,
        None if span is None else Seen.of(ids, ends, span, apart=apart),
    )
