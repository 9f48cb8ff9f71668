"""Pieces of the HTML page: tables, bars, histograms."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1, caption: str = ""
) -> str:
    """Return a table; the first ``left`` columns are names, the others figures.

    The cells of ``rows`` are HTML, all else is text.
    """
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = ""
    for row in rows:
        cells = [
            f'<th scope="row">{cell}</th>' if index < left else f"<td>{cell}</td>"
            for index, cell in enumerate(row)
        ]
        body += f"<tr>{''.join(cells)}</tr>"
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption or head[0])}">'
        f"<table>{title}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def bar(share: float, colour: int = 0) -> str:
    """Return a horizontal bar of ``share`` (0 … 1); empty for NaN."""
    width = min(100.0, max(0.0, 100 * share)) if share == share else 0.0
    return f'<span class="bar"><i class="f{colour}" style="width:{width:.1f}%"></i></span>'


def stacked_bar(shares: Sequence[tuple[str, float]]) -> str:
    """Return a wide bar divided into ``shares`` of 1, each with the class of its colour."""
    pieces = "".join(
        f'<i class="{kind}" style="width:{100 * share:.1f}%"></i>' for kind, share in shares
    )
    return f'<span class="bar wide">{pieces}</span>'


def histogram(shares: Sequence[float]) -> str:
    """Return a small histogram; ``shares`` are those of the bins."""
    top = max(shares) or 1.0
    bars = "".join(
        f'<rect class="f0" x="{5 * i}" y="{24 * (1 - s / top):.1f}" width="4" '
        f'height="{24 * s / top:.1f}"/>'
        for i, s in enumerate(shares)
    )
    return f'<svg class="small" viewBox="0 0 {5 * len(shares)} 24" aria-hidden="true">{bars}</svg>'
