"""Whether plug-ins are installed, found out with little work: every command asks.

Reading the files takes a millisecond, importing ``importlib.metadata`` twenty.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path


@cache
def plugins_are_installed() -> bool:
    """Return whether any installed package declares a plug-in."""
    for folder in map(Path, sys.path):
        if folder.is_file():  # an archive: left to importlib.metadata
            return True
        for file in folder.glob("*-info/entry_points.txt"):
            if b"[charrnn." in file.read_bytes():
                return True
    return False
