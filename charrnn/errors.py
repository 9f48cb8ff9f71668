"""The exceptions of charrnn: what failed, and what to do about it.

A setting is an option on the command line and a parameter in Python. A message names it by a mark,
:func:`setting`, and the code that shows the message fills in the name.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_MARK = re.compile("\x02([a-z][a-z0-9_]*)\x03")
_EITHER = re.compile("\x02([^\x02\x03\x1f]*)\x1f([^\x02\x03\x1f]*)\x03")

STANDARD_OUTPUT = "standard output"


@contextmanager
def to_standard_output() -> Iterator[None]:
    """Write to standard output in the body: an error of the system there bears its name."""
    try:
        yield
    except OSError as problem:
        problem.filename = STANDARD_OUTPUT
        raise


def setting(name: str) -> str:
    """Return the mark of a setting for a message, which :func:`in_words` replaces."""
    return f"\x02{name}\x03"


def option(name: str) -> str:
    """Return the name of a setting on the command line: ``--seq-len`` for ``seq_len``."""
    return "--" + name.replace("_", "-")


def either(shell: str, python: str) -> str:
    """Return a mark of an advice that is one thing on the command line and another in Python."""
    return f"\x02{shell}\x1f{python}\x03"


def in_words(text: str, word: Callable[[str], str] = str) -> str:
    """Return text with each mark replaced by ``word(name)``, by default the bare name.

    Where a mark has a text for each language (:func:`either`), bare names are Python's.
    """
    language = 2 if word is str else 1
    return _MARK.sub(lambda mark: word(mark[1]), _EITHER.sub(lambda mark: mark[language], text))


class CharRNNError(Exception):
    """A failure that the user can act on.

    Parameters
    ----------
    message
        The failure, naming the file, setting, character or offset. One line.
    remedy
        What to do about it. One line, or empty if there is nothing to advise.

    Both may hold marks of settings. ``str()`` uses the Python names.
    """

    exit_code = 1
    everywhere = False
    """Whether all processes that train one model together raise it alike."""

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(message, remedy)

    def line(self, word: Callable[[str], str] = str) -> str:
        """Return message and remedy in one line, settings named by ``word`` (:func:`option`)."""
        return in_words(f"{self.message}; {self.remedy}" if self.remedy else self.message, word)

    def __str__(self) -> str:
        return self.line()


class UsageError(CharRNNError):
    """An invalid option or argument: a value out of range, or two that exclude each other."""

    exit_code = 2


class CheckpointError(CharRNNError):
    """A file that is not a checkpoint, is damaged, or has another format version."""


class CorpusError(CharRNNError):
    """A text that is missing, unreadable, empty, too short or wrongly encoded."""


class VocabularyError(CharRNNError):
    """A text that holds a symbol outside the model's vocabulary."""


class OutOfMemoryError(CharRNNError):
    """A model that does not fit into the memory of its machine or GPU."""


class PluginError(CharRNNError):
    """A plug-in that cannot be loaded, or whose names are taken."""


class BackendError(CharRNNError):
    """A backend that cannot run here."""
