"""Pages in headless Chromium, without a network."""

import shutil
import subprocess

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
needed = pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")


def browse(page, *options, at=""):
    """Open a page, at a place in it, and return what Chromium prints: with --dump-dom, the page."""
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         "--host-resolver-rules=MAP * ~NOTFOUND", *options, page.as_uri() + at],
        capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout.decode()
