"""Which units mean something: a table, and JSON objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from charrnn.report.diagnose.terminal import heading, table
from charrnn.view.meanings import Meaning, Meanings

if TYPE_CHECKING:
    from rich.console import RenderableType

HEAD = ("property", "unit", "", "A", "untrained", "symbol", "p")


def meanings_parts(meanings: Meanings, run: str) -> list[RenderableType]:
    """Return the pairs as a table, and what they were sought among."""
    from rich.text import Text

    parts: list[RenderableType] = [heading("Units that mean something", run)]
    if meanings.found:
        parts.append(table(HEAD, [_row(one) for one in meanings.found], left=3))
    else:
        parts.append(Text("None: no unit tells a property better than untrained networks do."))
    said = (
        f"{meanings.series:,} values of units held against {len(meanings.sought)} properties; "
        f"chosen on {meanings.half:,} symbols, judged on the next {meanings.half:,}. "
        "A: area under the ROC curve there (of a number (1 + ρ) / 2); untrained: the best A of "
        "untrained networks; symbol: A of the symbol alone; p: of shifted texts, corrected. "
        "Shown are units that leave at most half of the error 1 - A of untrained networks, or a "
        "tenth where the symbol tells the property."
    )
    parts.append(Text(f"\n{said}", style="dim"))
    if meanings.absent:
        parts.append(Text(f"Too rare here: {', '.join(meanings.absent)}.", style="dim"))
    return [*parts, ""]


def _row(one: Meaning) -> list[str]:
    figures = (f"{value:.3f}" for value in (one.area, one.untrained, one.symbol))
    turned = "high" if one.sign > 0 else "low"
    return [one.name, str(one.unit), turned, *figures, f"{one.p:.1g}"]


def meaning_records(meanings: Meanings) -> Iterator[dict[str, Any]]:
    """Yield a JSON object for each pair."""
    for one in meanings.found:
        yield {
            "property": one.name,
            "numeric": one.numeric,
            "unit": str(one.unit),
            "high": one.sign > 0,
            "auc": one.area,
            "auc_chosen": one.chosen,
            "auc_untrained": one.untrained,
            "auc_symbol": one.symbol,
            "p": one.p,
        }
