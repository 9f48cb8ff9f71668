"""The arguments of the Python interface: checked, or refused in one line that names them.

Numbers and names are checked by :class:`~charrnn.options.Option`, as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from os import PathLike, fsencode, fspath
from typing import Any, Literal

from charrnn.backend import Backend, select
from charrnn.display import brief, did_you_mean
from charrnn.errors import CorpusError, UsageError
from charrnn.exchange.export import FORMATS
from charrnn.exchange.synonyms import RUN, TEXT, bare, meanings, setting_meant, value_meant
from charrnn.options import Option
from charrnn.randomness import new_seed
from charrnn.text.vocabulary import LEVELS, Level, Vocabulary

Text = str | bytes
BYTES = bytes | bytearray | memoryview
_LENGTH = Option(0, "", least=0, remedy="0 means endless")
_COUNT = Option(1, "", least=1)
_SEED = Option(0, "")
_LEVEL = Option("char", "", choices=LEVELS)
_LIBRARY = Option("", "", choices=tuple(FORMATS))
_UNKNOWN = Option("error", "", choices=("error", "skip"))


def length(value: Any) -> int:
    """Return the number of symbols of a sample, 0 for an endless one."""
    checked: int = _LENGTH.check("length", value)
    return checked


def seed(value: Any) -> int:
    """Return a seed; None draws a new one."""
    checked: int = _SEED.check("seed", new_seed() if value is None else value)
    return checked


def count(value: Any) -> int:
    """Return the number of samples."""
    checked: int = _COUNT.check("count", value)
    return checked


def level(value: Any) -> Level:
    """Return a level of text."""
    checked: Level = _LEVEL.check("level", value)
    return checked


def unknown(value: Any) -> Literal["error", "skip"]:
    """Return what to do with symbols that a model does not know."""
    checked: Literal["error", "skip"] = _UNKNOWN.check("unknown", value)
    return checked


def backend(value: Any) -> Backend:
    """Return a backend, which may be given by its name."""
    if isinstance(value, Backend):
        return value
    if not isinstance(value, str):
        raise UsageError(f"backend must be auto, numpy or cupy, not {brief(value)}")
    return select(value)


def library(value: Any) -> str:
    """Return the name of a library that models are exported to."""
    checked: str = _LIBRARY.check("to", value)
    return checked


def function(value: Any, name: str) -> Callable[..., object]:
    """Return a callback."""
    if not callable(value):
        raise UsageError(f"{name} must be a function, not {brief(value)}")
    return value  # type: ignore[no-any-return]


def flag(value: Any, name: str) -> bool:
    """Return a truth value."""
    if not isinstance(value, bool):
        raise UsageError(f"{name} must be True or False, not {brief(value)}")
    return value


def path(value: Any, name: str) -> str:
    """Return the path of a file or folder."""
    name_of_file = fspath(value) if isinstance(value, str | PathLike) else None
    if not isinstance(name_of_file, str):
        raise UsageError(f"{name} must be a path, not {brief(value)}")
    if not name_of_file or "\0" in name_of_file or not _can_be_a_name(name_of_file):
        raise UsageError(f"{name} {brief(name_of_file)} cannot be a path", "name a file")
    return name_of_file


def _can_be_a_name(path: str) -> bool:
    """Return whether the file system can have a file of this name."""
    try:
        fsencode(path)
    except UnicodeEncodeError:
        return False
    return True


def text_of(value: Any, vocabulary: Vocabulary, name: str = "text") -> Text:
    """Return a text for a model; at byte level, bytes: a string is encoded as UTF-8."""
    if not isinstance(value, str | BYTES):
        raise UsageError(f"{name} must be {_wanted(vocabulary.level)}, not {brief(value)}")
    if vocabulary.level == "byte":
        return _bytes(value, name) if isinstance(value, str) else bytes(value)
    if isinstance(value, BYTES):
        raise UsageError(
            f"{name} must be a string, not bytes: the model reads {vocabulary.level}s", "decode it"
        )
    return value


def texts_of(value: Any) -> Text:
    """Return the text given as a string, bytes, or an iterable of strings or bytes.

    The texts of an iterable are joined with nothing between them, as files are.
    """
    parts: list[Any] = text_list(value)
    joined: Text = (b"" if parts and isinstance(parts[0], bytes) else "").join(parts)
    return joined


def text_list(value: Any) -> list[Text]:
    """Return the texts that a string, bytes, or an iterable of them stands for."""
    if isinstance(value, str | BYTES):
        return [value if isinstance(value, str) else bytes(value)]
    if isinstance(value, PathLike):
        raise UsageError(
            f"text must be the text itself, not its path {brief(fspath(value))}",
            "read it first: pathlib.Path(...).read_text(encoding='utf-8')",
        )
    try:
        parts = None if isinstance(value, Set | dict) else iter(value)
    except TypeError:
        parts = None
    if parts is None:
        raise UsageError(f"text must be a string, bytes, or a list of them, not {brief(value)}")
    parts = list(parts)
    kinds = {str if isinstance(part, str) else bytes for part in parts}
    for index, part in enumerate(parts):
        if not isinstance(part, str | BYTES):
            raise UsageError(f"text {index} of the list must be a string, not {brief(part)}")
    if len(kinds) > 1:
        raise UsageError("the texts of the list are strings and bytes", "give one kind")
    return [part if isinstance(part, str) else bytes(part) for part in parts]


def lines(value: Any) -> Iterator[Any]:
    """Return an iterator of lines."""
    if not isinstance(value, str | BYTES | PathLike | Set | dict):
        try:
            return iter(value)
        except TypeError:
            pass
    raise UsageError(f"lines must be a list of strings or another iterable, not {brief(value)}")


def pairs(value: Any, first: str, second: str) -> list[tuple[Any, str]]:
    """Return pairs of texts; ``first`` and ``second`` say what they are.

    Raises
    ------
    UsageError
        If ``value`` is not a list or another iterable of pairs.
    """
    if isinstance(value, str | BYTES):
        raise UsageError(f"pairs must be a list of ({first}, {second}), not a string")
    found = []
    for number, pair in enumerate(lines(value)):
        fits = isinstance(pair, tuple | list) and len(pair) == 2
        if not fits or not isinstance(pair[0], str | bytes) or not isinstance(pair[1], str):
            message = f"pair {number} must be a {first} and its {second}, two strings"
            raise UsageError(f"{message}, not {brief(pair)}")
        found.append((pair[0], pair[1]))
    return found


def refuse_unknown(
    options: Mapping[str, Any], known: Iterable[str], owner: str, also: Iterable[str] = ()
) -> None:
    """Raise :class:`UsageError` if there is an option that is not known.

    ``also`` are parameters of the function that are not among its options.
    """
    known = set(known)
    if unknown := set(options) - known:
        name = min(unknown)
        remedy = _meant(name, options[name], known.union(also))
        remedy = remedy or (owner == "fit" and _of_fit(name)) or f"see help(charrnn.{owner})"
        raise UsageError(f"unknown option {name!r}", remedy)


def _meant(name: str, value: Any, known: Set[str]) -> str:
    """Return which option is meant, by the names of other programs or by its letters."""
    if meant := setting_meant(name, known, value):
        return f"here it is {meant}: {meant}={brief(value_meant(meant, value))}"
    return did_you_mean(name, sorted(known))


def _of_fit(name: str) -> str:
    """Return what is done otherwise than by an option of ``charrnn.fit``; empty if nothing."""
    meant = meanings(bare(name))
    if {"name", "out"}.intersection((*meant, name)):
        return "fit writes no file: model.save(path) does"
    if {RUN, "resume"}.intersection((*meant, name)):
        return "fit trains a new model: charrnn.load(path) returns one that was saved"
    return "the text is the first argument" if TEXT in meant else ""


def _wanted(level: Level) -> str:
    return "bytes or a string" if level == "byte" else "a string"


def _bytes(text: str, name: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as problem:
        raise CorpusError(
            f"{name} holds a lone surrogate at character offset {problem.start}",
            "remove it",
        ) from None
