"""An HTML page of tabs: no network, light and dark, usable with the keyboard alone."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from pathlib import Path

from charrnn import __version__
from charrnn.display import one_line
from charrnn.errors import CharRNNError
from charrnn.files import save
from charrnn.own import PAGE_MARK

Tabs = list[tuple[str, str]]
"""Names of tabs, and the HTML under each."""


def document(kind: str, title: str, lead: str, tabs: Tabs, footer: str) -> str:
    """Return a page; ``lead`` is HTML, ``kind``, ``title`` and ``footer`` are text."""
    buttons, bodies = _tabs(tabs)
    part = files("charrnn.report.diagnose")
    style = part.joinpath("page.css").read_text(encoding="utf-8")
    scripts = "".join(
        f"<script>{part.joinpath(name).read_text(encoding='utf-8')}</script>"
        for name in ("hover.js", "page.js")  # which hides all parts but one
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"{PAGE_MARK}"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(kind)}: {escape(title)}</title><style>{style}</style></head><body>"
        f'<header><p class="kind">{escape(kind)}</p><h1>{escape(title)}</h1><p>{lead}</p>'
        f'</header><nav role="tablist" aria-label="Parts of the report">{buttons}</nav>'
        f"<main>{bodies}</main><footer>charrnn {__version__}. {escape(footer, quote=False)}"
        f"</footer>{scripts}</body></html>\n"
    )


def write_document(path: Path, page: str) -> None:
    """Write a page.

    Raises
    ------
    CharRNNError
        If the file cannot be written.
    """
    try:
        save(path, [page.encode("utf-8", "replace")])
    except OSError as problem:
        raise CharRNNError(
            f"cannot write {one_line(path)}: {problem.strerror}", "name another file"
        ) from None


def tiles(figures: list[tuple[str, str, str]]) -> str:
    """Return figures, large: what each is, its value, and what it counts; empty if there are none.

    All is text.
    """
    inner = "".join(
        f'<div class="tile"><span>{escape(what)}</span><b>{escape(value)}</b>'
        f"<span>{escape(of)}</span></div>"
        for what, value, of in figures
    )
    return f'<div class="tiles">{inner}</div>' if figures else ""


def _tabs(tabs: Tabs) -> tuple[str, str]:
    """Return the buttons, and the panels that they open; the first is open."""
    buttons = "".join(
        f'<button role="tab" id="t{i}" aria-controls="p{i}" '
        f'aria-selected="{"false" if i else "true"}" tabindex="{-1 if i else 0}">'
        f"{escape(name)}</button>"
        for i, (name, _) in enumerate(tabs)
    )
    bodies = "".join(
        f'<section role="tabpanel" id="p{i}" aria-labelledby="t{i}" tabindex="0">'
        f"<h2>{escape(name)}</h2>{body}</section>"
        for i, (name, body) in enumerate(tabs)
    )
    return buttons, bodies
