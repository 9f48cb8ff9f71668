"""What a wrong command line was meant to be: words in another order, numbers in other forms."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from charrnn.display import quoted, shell
from charrnn.errors import UsageError

_EXTRA = re.compile(r"extra argument(?:\(s\)|s)? \((.*)\)")
_OF_EXTRA = {"sample": "prime", "export": "out", "diagnose": "corpus"}
"""What a second word after the run is likely to be."""
_NOT_A = re.compile(r"'(.*)' is not a valid (int|float)")
_GROUPED = re.compile(r"\d{1,3}([,_' ]\d{3})+")
_THOUSANDS = {"k": 1e3, "m": 1e6}
_UNITS = {"s": 1 / 60, "sec": 1 / 60, "m": 1.0, "min": 1.0, "h": 60.0, "d": 1440.0}
"""Units of time in minutes."""
_MEASURED = re.compile(r"([0-9.]+)\s*([a-z%]+)", re.I)


def of_group(words: Sequence[str], commands: Collection[str], problem: Exception) -> Exception:
    """Return what to say of an option that stands before the command; else ``problem``."""
    at = next((n for n, word in enumerate(words) if word in commands), 0)
    if not at or not hasattr(problem, "possibilities"):
        return problem
    line = " ".join(map(quoted, [words[at], *words[at + 1 :], *words[:at]]))
    message = f"{words[0]} stands before the command {words[at]}"
    return UsageError(message, f"options follow it: charrnn {line}")


def of_command(words: Sequence[str], commands: Collection[str]) -> UsageError | None:
    """Return what to say of a command that does not exist, by how help and versions are asked."""
    name = words[0].lower()
    rest = [word for word in words[1:2] if word in commands]
    if name in ("help", "version"):
        asked = [*rest, "--help"] if name == "help" else ["--version"]
        line = " ".join(["charrnn", *asked])
        return UsageError(f"No such command: {words[0]}", f"it is {line}")
    if name in commands:
        return UsageError(f"No such command: {words[0]}", f"it is charrnn {name}")
    return None


def of_number(problem: Any) -> str:
    """Return what to write for a number in another form; empty if that is not clear."""
    found = _NOT_A.search(str(getattr(problem, "message", "")))
    param = getattr(problem, "param", None)
    if found is None or param is None:
        return ""
    name = param.opts[0]
    value = _number(found[1].strip(), found[2] == "int", name.endswith("minutes"))
    if value is None:
        return ""
    return f"write {name} {int(value) if value.is_integer() else f'{value:g}'}"


def of_extra(problem: Any, path: str, words: Sequence[str]) -> str:
    """Return the command in which the one word too many has its option; empty if none is clear."""
    found = _EXTRA.search(str(getattr(problem, "message", "")))
    name = _OF_EXTRA.get(path.rpartition(" ")[2], "")
    if found is None or not name or found[1] not in words or f"--{name}" in words:
        return ""
    rest = [quoted(word) for word in words if word != found[1]]
    value = quoted(found[1]) if name == "prime" else shell(found[1])
    return f"write {' '.join([path, *rest, f'--{name}', value])}"


def of_file(words: Sequence[str]) -> tuple[str, str] | None:
    """Return a file among the words whose name begins with a dash, and what to write for it."""
    for word in words:
        with suppress(OSError, ValueError):
            if word[:1] == "-" and word[1:] and Path(word).exists():
                return word, f"for the file write {shell(word)}"
    return None


def _number(text: str, whole: bool, minutes: bool) -> float | None:
    """Return the number that a text is in another form; None if that is not clear."""
    if whole and _GROUPED.fullmatch(text):
        return float(re.sub(r"\D", "", text))
    if not whole and re.fullmatch(r"\d*,\d+", text):
        return float(text.replace(",", "."))
    measured = _MEASURED.fullmatch(text)
    value: float | None = None
    with suppress(ValueError):
        if measured is None:
            value = float(text)
        elif measured[2] == "%" and not whole:
            value = float(measured[1]) / 100
        elif minutes and (unit := measured[2].lower()) in _UNITS:
            value = float(measured[1]) * _UNITS[unit]
        elif not minutes and measured[2].lower() in _THOUSANDS:
            value = float(measured[1]) * _THOUSANDS[measured[2].lower()]
    if value is None or (whole and not value.is_integer()):
        return None
    return value
