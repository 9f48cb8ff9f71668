"""The base class of built-in corpora; how their options are declared and checked."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from charrnn.options import check_fields, declare, declared


def option(default: int | float, low: int | float, high: int | float, help: str) -> Any:
    """Declare an option of a generator: a dataclass field with its inclusive range and its help.

    Its type, int or float, is that of the default.
    """
    return declare(default, help, least=low, most=high)


@dataclass(frozen=True)
class Builtin(ABC):
    """A built-in corpus. Its fields are the options of its generator.

    Raises
    ------
    UsageError
        If the value of an option has the wrong type or is out of range.
    """

    description: ClassVar[str]
    """One line."""
    version: ClassVar[int] = 1
    """Increment when the same options and seed produce a different text."""
    is_random: ClassVar[bool] = True
    """Whether the text depends on the seed."""
    has_random_entropy: ClassVar[bool] = False
    """Whether the entropy rate depends on the seed."""
    of_examples: ClassVar[bool] = False
    """Whether each line is an example, of which a part is of no use."""
    default_chars: ClassVar[int | None] = 1_000_000
    """Number of characters by default; None: the whole text."""

    def __post_init__(self) -> None:
        check_fields(self)

    @abstractmethod
    def stream(self, seed: int) -> Iterator[str]:
        """Yield the text in chunks of bounded size; a generated text never ends."""

    @abstractmethod
    def entropy(self, seed: int) -> float | None:
        """Return the entropy rate in nats per character; None if it is unknown."""

    @abstractmethod
    def alphabet_size(self) -> int:
        """Return the number of different characters that the text can hold."""

    def length(self) -> int | None:
        """Return the number of characters of the whole text; None if it never ends."""
        return None

    def size(self) -> int:
        """Return the number of characters by default."""
        chars = self.length() if self.default_chars is None else self.default_chars
        if chars is None:
            raise TypeError(f"{type(self).__name__} has neither a length nor a default size")
        return chars

    def origin(self) -> str:
        """Return anything else that the text depends on, such as the running Python."""
        return ""

    def options(self) -> dict[str, int | float]:
        """Return every option and its value."""
        return {name: getattr(self, name) for name in declared(type(self))}
