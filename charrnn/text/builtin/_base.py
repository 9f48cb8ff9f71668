"""What a built-in corpus is, and how its options are declared and checked."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields
from typing import Any, ClassVar

from charrnn.errors import UsageError


def option(default: int | float, low: int | float, high: int | float, help: str) -> Any:
    """Declare an option of a generator: a dataclass field with its range (inclusive) and help.

    Its type, int or float, is that of the default.
    """
    return field(default=default, metadata={"low": low, "high": high, "help": help})


def kind_of(item: Field[Any]) -> type[int] | type[float]:
    """Return the type of an option: int or float, that of its default."""
    return float if isinstance(item.default, float) else int


@dataclass(frozen=True)
class Builtin(ABC):
    """A built-in corpus: its fields are the options of its generator.

    Raises
    ------
    UsageError
        An option's value is of the wrong type or out of range.
    """

    description: ClassVar[str]
    """One line."""
    version: ClassVar[int] = 1
    """Raised whenever the same options and seed would give another text."""
    default_chars: ClassVar[int | None] = 1_000_000
    """Characters generated when no number is asked for; None: all that there are."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value, kind = getattr(self, item.name), kind_of(item)
            flag = f"--{item.name.replace('_', '-')}"
            low, high = item.metadata["low"], item.metadata["high"]
            accepted = (int, float) if kind is float else (int,)
            if isinstance(value, bool) or not isinstance(value, accepted):
                word = "a number" if kind is float else "an integer"
                raise UsageError(f"{flag} is {value!a}", f"give {word}")
            if not (math.isfinite(value) and low <= value <= high):
                raise UsageError(
                    f"{flag} {value} is out of range", f"give a value from {low} to {high}"
                )
            object.__setattr__(self, item.name, kind(value))

    @abstractmethod
    def stream(self, seed: int) -> Iterator[str]:
        """Yield the text in chunks of bounded size; a generated text has no end."""

    @abstractmethod
    def entropy(self, seed: int) -> float | None:
        """Return the entropy rate in nats a character, None where it is not known."""

    @abstractmethod
    def alphabet_size(self) -> int:
        """Return the number of distinct characters that the text can hold."""

    def length(self) -> int | None:
        """Return the number of characters that there are, None for a text without end."""
        return None

    def size(self) -> int:
        """Return the number of characters generated when no number is asked for."""
        chars = self.length() if self.default_chars is None else self.default_chars
        if chars is None:
            raise TypeError(f"{type(self).__name__} has neither a length nor a default size")
        return chars

    def origin(self) -> str:
        """Return what the text depends on besides version and options (the running Python)."""
        return ""

    def options(self) -> dict[str, int | float]:
        """Return every option with its value."""
        return {item.name: getattr(self, item.name) for item in fields(self)}
