"""The site: ``sphinx-build -W docs site`` makes it of the pages in this folder."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parent.parent
PROJECT = {
    "security": "SECURITY.md",
    "contributing": "CONTRIBUTING.md",
    "changelog": "CHANGELOG.md",
}
"""Pages of the site whose text is a file at the root of the repository."""

project = "charrnn"
author = "The charrnn authors"
release = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
extensions = ["myst_parser"]
exclude_patterns = ["site"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"charrnn {release}"
html_copy_source = False
html_show_sphinx = False


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
