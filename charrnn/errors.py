"""The exceptions that charrnn raises on purpose: what failed, and what to do about it.

A message names a setting by a mark, :func:`setting`, since the same setting is an option on the
command line and a parameter in Python. Whoever shows the message chooses the words.
"""

import re
from collections.abc import Callable

_MARK = re.compile("\x02([a-z][a-z0-9_]*)\x03")


def setting(name: str) -> str:
    """Return the mark of a setting, to be put into a message: :func:`in_words` replaces it."""
    return f"\x02{name}\x03"


def option(name: str) -> str:
    """Return what a setting is called on the command line: ``--seq-len`` for ``seq_len``."""
    return "--" + name.replace("_", "-")


def in_words(text: str, word: Callable[[str], str] = str) -> str:
    """Return text with its marks replaced by ``word(name)``; by default by the bare names."""
    return _MARK.sub(lambda mark: word(mark[1]), text)


class CharRNNError(Exception):
    """A failure that the user can act on.

    Parameters
    ----------
    message
        What failed, naming the thing (file, option, character, offset). One line.
    remedy
        What to do about it. One line, or empty where nothing can be advised.

    Both may hold marks of settings. As a string the exception is in the words of Python.
    """

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(message, remedy)

    def told(self, word: Callable[[str], str] = str) -> str:
        """Return message and remedy in one line, settings named by ``word`` (:func:`option`)."""
        return in_words(f"{self.message}; {self.remedy}" if self.remedy else self.message, word)

    def __str__(self) -> str:
        return self.told()


class UsageError(CharRNNError):
    """An option or argument that cannot be: a value out of range, two that exclude each other."""

    exit_code = 2


class CheckpointError(CharRNNError):
    """A file that is no checkpoint, is damaged, or belongs to another format version."""


class CorpusError(CharRNNError):
    """A text that is missing, unreadable, empty, too short or wrongly encoded."""


class VocabularyError(CharRNNError):
    """Text holds a symbol that the model's vocabulary does not."""


class PluginError(CharRNNError):
    """A plug-in that cannot be loaded, or whose names are taken."""


class BackendError(CharRNNError):
    """The array backend that was asked for cannot run here."""
