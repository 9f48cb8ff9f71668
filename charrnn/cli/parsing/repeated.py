"""Options that are given more than once, with several values, though they take one.

The last value counts, so that a script can add options to those that it has. That holds for all
numbers and choices. Where a person is likely to want both values, one line says which one counts;
where both have a place, or the last is hardly meant, the command is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from charrnn.cli.parsing.shared import note
from charrnn.display import one_line, quoted
from charrnn.errors import UsageError

_LISTED = ("compare", "fail_on")
"""Options whose value is a list."""
_ONE = {
    "unit": "one unit is shown at a time: run the command for each, or give --html FILE alone, "
    "a page that shows any unit",
    "split": "run the command for each",
    "config": "put their options into one file",
    "column": "texts are read from one column: leave one of them out",
    "field": "texts are read from one field: leave one of them out",
    "label_column": "labels are read from one column: leave one of them out",
    "label_field": "labels are read from one field: leave one of them out",
}
"""Options that are refused, and what to do."""
_NOTED = (
    "init_from",
    "label",
    "plot",
    "html",
    "prime",
    "prime_file",
    "resume",
    "run",
    "tensorboard",
    "to",
    "until",
)
"""Options of which it is said that the last one counts."""


def refuse_repeated(words: Sequence[str], named: Mapping[str, Any]) -> None:
    """Raise :class:`UsageError` for an option that has several values and should have one.

    ``named`` are the options of the command, by all their names.
    """
    for param, name, values in _repeated(words, named):
        said = f"{name} is given {_times(values)}, as {_listing(values)}"
        if param.name in _LISTED:
            raise UsageError(said, f"list them: {name} {quoted(','.join(values))}")
        if param.name in _ONE:
            raise UsageError(said, _ONE[param.name])


def note_repeated(words: Sequence[str], params: Sequence[Any]) -> None:
    """Note which value counted of an option that had several.

    A command says so at its end, for one that fails says a single line.
    """
    named = {name: param for param in params for name in (*param.opts, *param.secondary_opts)}
    for param, name, values in _repeated(words, named):
        if param.name in _NOTED:
            note(f"{name} is given {_times(values)}: the last one counts, {_shown(values[-1])}")


def _times(values: Sequence[str]) -> str:
    return "twice" if len(values) == 2 else f"{len(values)} times"


def _listing(values: Sequence[str]) -> str:
    *others, last = map(_shown, values)
    return f"{', '.join(others)} and {last}"


def _shown(value: str) -> str:
    return one_line(quoted(value))


def _repeated(
    words: Sequence[str], named: Mapping[str, Any]
) -> Iterator[tuple[Any, str, list[str]]]:
    """Yield the options that take one value and have several, with a name and all the values."""
    found: dict[str, tuple[Any, str, list[str]]] = {}
    rest = iter(words)
    for word in rest:
        if word == "--":
            break
        name, sign, value = word.partition("=")
        if name not in named and word[:2] in named and word[:1] != word[1:2]:
            name, sign, value = word[:2], "=", word[2:]
        param = named.get(name)
        if param is None or getattr(param, "is_flag", False):
            continue
        value = value if sign else next(rest, "")
        if not getattr(param, "multiple", False):
            found.setdefault(param.name, (param, name, []))[2].append(value)
    for param, name, values in found.values():
        if len(set(values)) > 1:
            yield param, name, values
