"""Pages of HTML on how well a model of examples does: labels and their confusion, or attention."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from charrnn.display import count, label, printable
from charrnn.report.attention import END
from charrnn.report.confusion import Matrix
from charrnn.report.confusion import table as matrix_table
from charrnn.report.diagnose.document import Tabs, document, tiles
from charrnn.report.diagnose.elements import bar, table
from charrnn.report.maps import Map

if TYPE_CHECKING:
    from charrnn.evaluate.labels import LabelScores
    from charrnn.evaluate.pairs import TargetScores
    from charrnn.evaluate.tags import TagScores

KIND = "charrnn eval"
FOOTER = (
    "Definitions: charrnn's documentation, on classifying, on labelling symbols and words and on "
    "turning one text into another."
)
CELL, WIDE = 16, 9
"""Pixels of a cell of a map, and of a character of a label."""
LONGEST = 14
"""The most characters of a symbol that a map shows."""


class Drawn(NamedTuple):
    """A map of attention with the texts that it is of; ``wanted`` is the right target."""

    source: str
    target: str
    wanted: str
    map: Map


def labels_page(scores: LabelScores, names: Sequence[str], run: str, source: str) -> str:
    """Return the page of a classifier: figures of all texts and labels, and the confusion."""
    figures = [
        ("accuracy", f"{scores.accuracy:.3f}", "of the texts"),
        ("macro F1", f"{scores.macro_f1:.3f}", "the mean over the labels"),
        ("loss", f"{scores.nats:.3f}", "nats per text"),
    ]
    scored = f"{count(scores.examples, 'text')} of {printable(source)}"
    return _by_label(scores, names, figures, "texts", run, scored)


def tags_page(scores: TagScores, names: Sequence[str], run: str, source: str) -> str:
    """Return the page of a tagger: figures of all labels, of each and of spans, the confusion."""
    figures = [
        ("accuracy", f"{scores.accuracy:.3f}", "of the labels"),
        ("macro F1", f"{scores.macro_f1:.3f}", "the mean over the kinds"),
        ("loss", f"{scores.nats:.3f}", "nats per label"),
    ]
    if scores.spans is not None:
        figures.insert(2, ("span F1", f"{scores.spans.f1:.3f}", count(scores.spans.true, "span")))
    sequences, labels = count(scores.examples, "sequence"), count(scores.tokens, "label")
    scored = f"{sequences} of {printable(source)}, {labels}"
    return _by_label(scores, names, figures, "support", run, scored)


def _by_label(
    scores: LabelScores,
    names: Sequence[str],
    figures: list[tuple[str, str, str]],
    support: str,
    run: str,
    scored: str,
) -> str:
    """Return a page of the figures of all, those of each label, and the confusion.

    ``support`` heads the column of how many have a label, ``scored`` says what was scored.
    """
    rows = [
        [
            escape(label(name)),
            f"{one.precision:.3f}",
            f"{one.recall:.3f}",
            f"{one.f1:.3f}",
            bar(one.f1),
            f"{one.support:,}",
        ]
        for name, one in zip(names, scores.labels, strict=True)
    ]
    by_label = table(["label", "precision", "recall", "F1", "", support], rows)
    tabs: Tabs = [
        ("Labels", tiles(figures) + by_label),
        ("Confusion", matrix_table(Matrix.of(scores.confusion, names))),
    ]
    return document(KIND, printable(run), f"on {escape(scored)}", tabs, FOOTER)


def targets_page(scores: TargetScores, maps: Sequence[Drawn], run: str, source: str) -> str:
    """Return the page of a transducer: figures of all pairs, and what it attends to."""
    figures = [
        ("exact match", f"{scores.exact_match:.3f}", "of the targets"),
        ("edits", f"{scores.cer:.3f}", "per symbol of the targets"),
        ("loss", f"{scores.nats_per_symbol:.3f}", "nats per symbol"),
    ]
    shown = "".join(f"<figure>{_caption(each)}{_map(each)}</figure>" for each in maps)
    said = (
        f"<p>The first {count(len(maps), 'pair')}: a row for each symbol of the target, a column "
        f"for each of the source; {END} is the end of a text.</p>"
        if maps
        else '<p class="none">The model has no attention.</p>'
    )
    tabs: Tabs = [
        ("Scores", tiles(figures)),
        ("Attention", f'{said}<div class="maps">{shown}</div>'),
    ]
    lead = f"on {count(scores.examples, 'pair')} of {escape(printable(source))}"
    return document(KIND, printable(run), lead, tabs, FOOTER)


def _caption(each: Drawn) -> str:
    """Return source and target, and the right one if it is another."""
    wrong = each.target != each.wanted
    sign = "✗" if wrong else "✓"
    said = f"{printable(each.source)} → {printable(each.target)} {sign}"
    right = f"<br><small>right: {escape(printable(each.wanted))}</small>" if wrong else ""
    return f"<figcaption>{escape(said)}{right}</figcaption>"


def _map(each: Drawn) -> str:
    """Return the map as inline SVG."""
    columns = [_short(symbol) for symbol in each.map.source] + [END]
    rows = [_short(symbol) or END for symbol in each.map.target]
    left = 10 + WIDE * max(map(len, rows))
    words = max(map(len, columns)) > 1
    top = 10 + (WIDE * max(map(len, columns)) if words else 12)
    width, height = left + CELL * len(columns) + 4, top + CELL * len(rows) + 4
    body = []
    for k, name in enumerate(columns):
        x = left + CELL * (k + 0.5)
        turn = f' transform="rotate(-90 {x:.0f} {top - 6})" text-anchor="start"' if words else ""
        anchor = "" if words else ' text-anchor="middle"'
        body.append(f'<text x="{x:.0f}" y="{top - 6}"{anchor}{turn}>{escape(name)}</text>')
    for j, name in enumerate(rows):
        y = top + CELL * j
        body.append(f'<text x="{left - 6}" y="{y + 12}" text-anchor="end">{escape(name)}</text>')
        for k, share in enumerate(each.map.attention[j].tolist()):
            said = f"{name} ← {columns[k]}: {share:.2f}"
            body.append(
                f'<rect class="f0" x="{left + CELL * k}" y="{y}" width="{CELL - 1}" '
                f'height="{CELL - 1}" fill-opacity="{0.04 + 0.96 * share:.3f}">'
                f"<title>{escape(said)}</title></rect>"
            )
    label = escape(f"Attention from {printable(each.target)} to {printable(each.source)}")
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">'
        f'<svg class="chart map" style="width:{width}px" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{label}">{"".join(body)}</svg></div>'
    )


def _short(symbol: str) -> str:
    """Return a symbol as a label."""
    shown = printable(symbol).replace(" ", "·")
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"
