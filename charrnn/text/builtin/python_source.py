"""``python-source``: the source code of the running Python's standard library."""

import hashlib
import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from charrnn.display import one_line
from charrnn.errors import CorpusError
from charrnn.text.builtin._base import Builtin

_SKIPPED = frozenset(
    {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}
)


def _files() -> list[Path]:
    """Return the files in the order of their paths below the library's folder."""
    root = Path(sysconfig.get_path("stdlib"))
    files: list[tuple[str, Path]] = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        for name in names:
            # _sysconfigdata holds the settings of the machine that built this Python.
            if name.endswith(".py") and not name.startswith("_sysconfigdata"):
                path = Path(folder, name)
                if path.is_file():
                    files.append((path.relative_to(root).as_posix(), path))
    if not files:
        raise CorpusError(
            "this Python comes without the source of its standard library",
            "install the full standard library, or name a text file",
        )
    return [path for _, path in sorted(files)]


class PythonSource(Builtin):
    """The .py files of the standard library, without tests and files that are not UTF-8."""

    description = "Python code: the standard library of the running Python, without its tests"
    is_random = False
    default_chars = None

    def stream(self, seed: int) -> Iterator[str]:
        """Yield one file after the other."""
        for path in _files():
            try:
                text = path.read_bytes().decode("utf-8")
            except UnicodeDecodeError:
                continue
            except OSError as error:
                raise CorpusError(
                    f"cannot read {one_line(path)} ({error.strerror})", "make it readable"
                ) from error
            if text:
                yield text if text.endswith("\n") else text + "\n"

    def entropy(self, seed: int) -> None:
        """Return None: it is unknown."""

    def length(self) -> int:
        """Return the number of characters; reads every file."""
        return sum(len(text) for text in self.stream(0))

    def alphabet_size(self) -> int:
        """Return the number of different characters; reads every file."""
        symbols: set[str] = set()
        for text in self.stream(0):
            symbols.update(text)
        return len(symbols)

    def origin(self) -> str:
        """Return implementation and version of the running Python, and a digest of its files."""
        digest = hashlib.sha256()
        for path in _files():
            digest.update(f"{path} {path.stat().st_size}\n".encode("utf-8", "surrogateescape"))
        return f"{sys.implementation.name} {sys.version} {digest.hexdigest()}"


BUILTIN = PythonSource
