"""The exceptions that charrnn raises on purpose: what failed, and what to do about it."""


def shown(text: object) -> str:
    """Return text for one line on a terminal: as it is, or with what is unprintable escaped."""
    line = str(text)
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


class CharRNNError(Exception):
    """A failure that the user can act on.

    Parameters
    ----------
    message
        What failed, naming the thing (file, option, character, offset). One line.
    remedy
        What to do about it. One line, or empty where nothing can be advised.
    """

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(f"{message}; {remedy}" if remedy else message)


class UsageError(CharRNNError):
    """An option or argument that cannot be: a value out of range, two that exclude each other."""

    exit_code = 2


class CheckpointError(CharRNNError):
    """A file that is no checkpoint, is damaged, or belongs to another format version."""


class CorpusError(CharRNNError):
    """A text that is missing, unreadable, empty, too short or wrongly encoded."""


class VocabularyError(CharRNNError):
    """Text holds a symbol that the model's vocabulary does not."""


class BackendError(CharRNNError):
    """The array backend that was asked for cannot run here."""
