"""The page: one file, which asks for nothing from outside.

Its security policy allows only the style and the script that are written here, by their digests,
and no connection at all. The model is in script elements of other types, which are never run.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from importlib.resources import files as resources
from pathlib import Path
from string import Template

from charrnn import __version__, files
from charrnn.display import one_line, size
from charrnn.errors import CharRNNError
from charrnn.exchange.page import contents, words
from charrnn.exchange.page.words import About
from charrnn.exchange.portable import Portable
from charrnn.exchange.rounding import DEFAULT_BITS
from charrnn.own import PAGE_MARK

SCRIPTS = ("network.js", "text.js", "reader.js", "page.js")
_MAX_BYTES = 500_000_000
"""Browsers hold no longer strings, and the weights are one."""


def write(
    portable: Portable, path: Path, bits: int = DEFAULT_BITS, about: About | None = None
) -> str:
    """Write the page; return a line on it.

    Raises
    ------
    CharRNNError
        If the page would be too large for a browser, or cannot be written.
    """
    data = page(portable, bits, about or About()).encode("utf-8", "replace")
    if len(data) > _MAX_BYTES:
        raise CharRNNError(
            f"the page would have {size(len(data))}, and browsers open at most {size(_MAX_BYTES)}",
            "export the model for torch",
        )
    files.write(path, [data])
    return f"{one_line(path)}: {size(len(data))}, weights in {bits} bits\n"


def page(portable: Portable, bits: int, about: About) -> str:
    """Return the page, for weights in 8 or 16 bits."""
    part = resources("charrnn.exchange.page")
    style = part.joinpath("page.css").read_text(encoding="utf-8")
    script = "\n".join(part.joinpath(name).read_text(encoding="utf-8") for name in SCRIPTS)
    numbers = contents.weights(portable, bits)
    frame = Template(part.joinpath("page.html").read_text(encoding="utf-8"))
    return frame.substitute(
        mark=PAGE_MARK,
        policy=policy(style, script),
        title=escape(words.title(about)),
        lead=escape(words.lead(portable, about)),
        footing=escape(words.footing(portable, about, bits, len(numbers) * 3 // 4)),
        version=__version__,
        style=style,
        script=script,
        model=contents.as_script(contents.facts(portable, bits)),
        weights=numbers,
    )


def policy(style: str, script: str) -> str:
    """Return a security policy by which only this style and this script count, and no network."""
    return (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src {_digest(style)}; script-src {_digest(script)}"
    )


def _digest(text: str) -> str:
    """Return a source of a security policy: the digest of what stands in the element."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode('ascii')}'"
