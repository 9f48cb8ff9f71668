"""Settings declared once: default, help text, type and valid values.

The configurations carry an :class:`Option` on each field, and every cell, optimizer and schedule
declares its own. Values are checked against the declaration, and the command line builds its
options from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from operator import index
from typing import Any

from charrnn.display import brief, one_line
from charrnn.errors import UsageError, setting

Choices = tuple[str, ...] | Callable[[], tuple[str, ...]]

TEXT, MODEL, TRAINING, SAVING = "Text", "Model", "Training", "Saving and reports"
"""The groups of options, which are the headings of a command's help."""

_KEY = "option"
_ESCAPE = re.compile(r"\\([ntr\\]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})")
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}
MAX_FREE_TEXT = 1000
"""Maximum number of characters of a free string."""
_LIMIT = 2**63
_WORDS = {int: "an integer", float: "a number", str: "a string"}


@dataclass(frozen=True)
class Option:
    r"""One setting.

    Attributes
    ----------
    default
        Used if no value is given. None: the setting may stay unset. An empty tuple: the setting
        is a tuple of strings, and its command-line option may be repeated.
    help
        What it does, for the command line's help.
    kind
        The type of one value: ``bool``, ``int``, ``float`` or ``str``; by default that of
        ``default``.
    group
        The heading under which help shows it.
    choices
        The valid strings, or a function that returns them.
    least, most, above, below
        A number must be ≥ ``least``, ≤ ``most``, > ``above`` and < ``below``, if they are given.
    remedy
        Advice for an invalid value, if the range is not self-explanatory.
    shown
        Shown in help as the default, in place of ``default``.
    pattern
        A regular expression that a string must match as a whole, if it is given.
    metavar
        Shown in help for the value.
    flags
        Further names on the command line, besides ``--name``.
    free
        Whether a string may hold any characters, also those that a terminal must not get.
    escapes
        Whether the command line reads ``\n`` and the like in it as what they stand for.
    switch
        Whether the command line can also switch it off, with ``--no-name``.
    tasks
        The tasks on which it has an effect; empty: on all.
    """

    default: Any
    help: str
    kind: Any = None
    group: str = ""
    choices: Choices = ()
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    remedy: str = ""
    shown: str = ""
    pattern: str = ""
    metavar: str | None = None
    flags: tuple[str, ...] = ()
    free: bool = False
    escapes: bool = False
    switch: bool = False
    tasks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind is None:
            object.__setattr__(self, "kind", str if self.repeatable else type(self.default))

    @property
    def repeatable(self) -> bool:
        """Whether the setting is a tuple of strings."""
        return isinstance(self.default, tuple)

    @property
    def valid(self) -> tuple[str, ...]:
        """The valid strings; empty if any string is valid."""
        return self.choices() if callable(self.choices) else self.choices

    def check(self, name: str, value: Any) -> Any:
        """Return ``value`` in the setting's own type.

        Raises
        ------
        UsageError
            If it has the wrong type or is not one of the valid values; the message calls the
            setting ``name``.
        """
        if value is None and self.default is None:
            return None
        if self.repeatable:
            if isinstance(value, str):
                raise UsageError(f"{setting(name)} must be a list of strings, not a string")
            if not isinstance(value, list | tuple):
                raise UsageError(f"{setting(name)} must be a list of strings, not {brief(value)}")
            return tuple(self._string(name, item) for item in value)
        if self.kind is bool:
            if not isinstance(value, bool):
                raise UsageError(f"{setting(name)} must be true or false, not {brief(value)}")
            return value
        if self.kind is str:
            return self._string(name, value)
        return self._number(name, value)

    def _string(self, name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise UsageError(f"{setting(name)} must be a string, not {brief(value)}")
        if self.free and len(value) > MAX_FREE_TEXT:
            raise UsageError(f"{setting(name)} has more than {MAX_FREE_TEXT:,} characters")
        if self.pattern and not re.fullmatch(self.pattern, value):
            raise UsageError(f"{setting(name)} {brief(value)} is invalid", self.remedy)
        valid = self.valid
        if valid and value not in valid:
            raise UsageError(
                f"{setting(name)} {brief(value)} is invalid", self.remedy or choose_one_of(valid)
            )
        return value

    def read(self, typed: str) -> str:
        """Return the string that was meant by what was typed on a command line."""
        return _ESCAPE.sub(lambda found: _meant(found[1]), typed) if self.escapes else typed

    def typed(self, value: object) -> str:
        """Return what to type on a command line for a value, before it is quoted."""
        text = str(value)
        return one_line(text.replace("\\", "\\\\")) if self.escapes else text

    def words(self, flag: str, value: object) -> tuple[str, ...]:
        """Return the words of a command line that give a value."""
        if self.kind is bool:
            return (flag if value else off(flag),)
        return (flag, self.typed(value))

    def _number(self, name: str, value: Any) -> int | float:
        number: int | float
        try:
            if isinstance(value, bool | str):
                raise TypeError
            number = index(value) if self.kind is int else float(value)
        except (TypeError, ValueError, OverflowError):
            wanted = _WORDS[self.kind]
            raise UsageError(f"{setting(name)} must be {wanted}, not {brief(value)}") from None
        if self.kind is int and not -_LIMIT <= number < _LIMIT:
            raise UsageError(f"{setting(name)} must be below 2^63")
        if not isfinite(number):
            raise UsageError(f"{setting(name)} must be a finite number, not {number}", self.remedy)
        if not self._in_range(number):
            raise UsageError(f"{setting(name)} must be {self.range}, not {number}", self.remedy)
        return number

    def _in_range(self, number: float) -> bool:
        return (
            (self.least is None or number >= self.least)
            and (self.most is None or number <= self.most)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )

    @property
    def range(self) -> str:
        """The valid numbers in words, such as ``at least 0 and below 1``; empty if all are."""
        limits = {
            "at least": self.least,
            "above": self.above,
            "at most": self.most,
            "below": self.below,
        }
        return " and ".join(
            f"{word} {limit}" for word, limit in limits.items() if limit is not None
        )


def _meant(escape: str) -> str:
    return _LETTERS[escape] if escape in _LETTERS else chr(int(escape[1:], 16))


def off(flag: str) -> str:
    """Return the flag that switches off what ``flag`` switches on."""
    return f"{flag[:2]}no-{flag[2:]}"


def declare(default: Any, help: str, **rest: Any) -> Any:
    """Return a dataclass field that carries an :class:`Option` of these attributes."""
    return field(default=default, metadata={_KEY: Option(default, help, **rest)})


def declared(record: type[Any]) -> dict[str, Option]:
    """Return the options that the fields of a dataclass carry, by name."""
    return {f.name: f.metadata[_KEY] for f in fields(record) if _KEY in f.metadata}


def check_fields(record: Any) -> None:
    """Check every field of a dataclass instance that carries an option.

    Meant for ``__post_init__``, also of a frozen class: each value is replaced by what
    :meth:`Option.check` returns.
    """
    for name, option in declared(type(record)).items():
        object.__setattr__(record, name, option.check(name, getattr(record, name)))


def check_values(options: Mapping[str, Option], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checked value for each option; its default if ``values`` has none."""
    return {name: o.check(name, values.get(name, o.default)) for name, o in options.items()}


def choose_one_of(names: tuple[str, ...]) -> str:
    """Return the remedy that lists the choices."""
    return f"choose one of {', '.join(names)}"
