"""The site: ``sphinx-build -W docs site`` makes it of the pages in this folder."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(Path(__file__).parent))
PROJECT = {
    "security": "SECURITY.md",
    "contributing": "CONTRIBUTING.md",
    "changelog": "CHANGELOG.md",
}
"""Pages of the site whose text is a file at the root of the repository."""

project = "charrnn"
author = "The charrnn authors"
release = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["site"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
smartquotes = False
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"charrnn {release}"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False


def _made_from_the_code(_: Sphinx, page: str, text: list[str]) -> None:
    """Fill in the parts of the reference that are made from the code."""
    if page.startswith("reference/"):
        from generated import fill

        text[0] = fill(text[0])


def _of_the_project(_: Sphinx, page: str, text: list[str]) -> None:
    """Put the text of a file of the project in place of the page that stands for it."""
    if page not in PROJECT:
        return
    links = {name: f"{there}.md" for there, name in PROJECT.items()} | {"README.md": "index.md"}
    text[0] = (ROOT / PROJECT[page]).read_text("utf-8")
    text[0] = re.sub(
        r"\]\(([^)#:]+\.md)\)",
        lambda link: f"]({links.get(link[1], link[1].removeprefix('docs/'))})",
        text[0],
    )


def setup(app: Sphinx) -> None:
    """Connect what changes pages as they are read."""
    app.connect("source-read", _of_the_project)
    app.connect("source-read", _made_from_the_code)
