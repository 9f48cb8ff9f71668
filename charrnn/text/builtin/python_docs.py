"""``python-docs``: the language reference that the running Python carries for its help()."""

import sys
from collections.abc import Iterator

from charrnn.errors import CorpusError
from charrnn.text.builtin._base import Builtin


def _text() -> str:
    """Return the topics in the order of their names, with blank lines in between."""
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise CorpusError(
            "this Python comes without the pydoc topics (module pydoc_data.topics)",
            "install the full standard library, or name a text file",
        ) from error
    parts = [topics[name].strip("\n") for name in sorted(topics)]
    return "\n\n".join(part for part in parts if part) + "\n"


class PythonDocs(Builtin):
    """The pydoc topics of the running Python: English prose with examples in code."""

    description = "English prose: the pydoc topics of the running Python"
    is_random = False
    default_chars = None

    def stream(self, seed: int) -> Iterator[str]:
        """Yield the whole text."""
        yield _text()

    def entropy(self, seed: int) -> None:
        """Return None: it is unknown."""

    def length(self) -> int:
        """Return the number of characters."""
        return len(_text())

    def alphabet_size(self) -> int:
        """Return the number of different characters."""
        return len(set(_text()))

    def origin(self) -> str:
        """Return implementation and version of the running Python."""
        return f"{sys.implementation.name} {sys.version}"


BUILTIN = PythonDocs
