"""How well a classifier labels texts, and a generator predicts those of each label, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from charrnn.display import count, label
from charrnn.report.tables import aligned

if TYPE_CHECKING:
    from charrnn.evaluate.generated import TextScores
    from charrnn.evaluate.labels import LabelScores
    from charrnn.evaluate.tags import TagScores

MAX_COLUMNS = 12
"""The most labels of which the confusion matrix is shown."""


def labels_text(scores: LabelScores, names: Sequence[str]) -> str:
    """Return the figures of all texts and of each label, and which labels are confused."""
    head = (
        f"{count(scores.examples, 'example')}: accuracy {scores.accuracy:.4f}, "
        f"macro F1 {scores.macro_f1:.4f}, {scores.nats:.4f} nats per example\n\n"
    )
    return head + _by_label(scores, names, "examples")


def _by_label(scores: LabelScores, names: Sequence[str], support: str) -> str:
    """Return the figures of each label, and which labels are confused."""
    shown = [label(name) for name in names]
    rows = [
        (name, f"{one.precision:.3f}", f"{one.recall:.3f}", f"{one.f1:.3f}", f"{one.support:,}")
        for name, one in zip(shown, scores.labels, strict=True)
    ]
    table = aligned(("label", "precision", "recall", "F1", support), rows)
    return table + "\n" + _confusion(scores, shown)


def tags_text(scores: TagScores, names: Sequence[str]) -> str:
    """Return the figures of all labels of sequences and of each, and which are confused."""
    spans = "" if scores.spans is None else f", span F1 {scores.spans.f1:.4f}"
    head = (
        f"{count(scores.examples, 'sequence')}, {count(scores.tokens, 'label')}: "
        f"accuracy {scores.accuracy:.4f}, macro F1 {scores.macro_f1:.4f}{spans}, "
        f"{scores.nats:.4f} nats per label\n\n"
    )
    return head + _by_label(scores, names, "support")


def generated_text(scores: TextScores, unit: str) -> str:
    """Return the figures of all texts and of those of each label; ``unit`` is what a symbol is."""
    total = scores.total
    head = (
        f"{count(scores.examples, 'example')}: {total.nats_per_char:.4f} nats per {unit}, "
        f"{total.bits_per_char:.4f} bits, perplexity {total.perplexity:.4f}\n\n"
    )
    rows = [
        (label(name), f"{one.nats_per_char:.4f}", f"{one.chars:,}", f"{examples:,}")
        for name, (examples, one) in scores.labels.items()
    ]
    return head + aligned(("label", f"nats per {unit}", f"{unit}s", "examples"), rows)


def _confusion(scores: LabelScores, names: list[str]) -> str:
    """Return the confusion matrix if it is small, else the pairs that are most often confused."""
    matrix = scores.confusion
    if len(names) <= MAX_COLUMNS:
        rows = [(n, *map(str, row)) for n, row in zip(names, matrix.tolist(), strict=True)]
        return aligned(("right \\ given", *names), rows)
    pairs = [
        (-number, right, given)
        for right, row in enumerate(matrix.tolist())
        for given, number in enumerate(row)
        if number and right != given
    ]
    if not pairs:
        return "there is no wrong label\n"
    body = [(names[right], names[given], f"{-n:,}") for n, right, given in sorted(pairs)[:10]]
    return aligned(("right", "given", "times"), body, left=2)
