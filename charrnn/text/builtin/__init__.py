"""Built-in corpora: text that needs no download, most of it with a known entropy.

Every module of this package whose name has no leading underscore is one corpus: ``copy_lag.py`` is
``copy-lag``, and its ``BUILTIN`` is a class derived from `Builtin`. A new corpus is a new file.
"""

import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any

from charrnn.errors import UsageError
from charrnn.text.builtin._base import Builtin

__all__ = ["NAMES", "Builtin", "Info", "create", "fingerprint", "generate", "get", "info"]

NAMES: tuple[str, ...] = tuple(
    sorted(
        module.name.replace("_", "-")
        for module in pkgutil.iter_modules(__path__)
        if not module.name.startswith("_")
    )
)
"""Names of the built-in corpora, sorted."""


@dataclass(frozen=True)
class Info:
    """What is known about a built-in corpus under given options."""

    name: str
    description: str
    chars: int
    """Characters generated when no number is asked for."""
    alphabet: int
    """Number of distinct characters that the text can hold."""
    entropy: float | None
    """Entropy rate in nats a character, None where it is not known."""
    options: dict[str, int | float]
    """Every option of the generator with its value."""


def get(name: str) -> type[Builtin]:
    """Return the class of a built-in corpus.

    Raises
    ------
    UsageError
        No built-in corpus has this name.
    """
    if name not in NAMES:
        raise UsageError(f"no built-in corpus is called {name!a}", f"choose one of {_join(NAMES)}")
    builtin: type[Builtin] = import_module(f"{__name__}.{name.replace('-', '_')}").BUILTIN
    return builtin


def create(name: str, **options: Any) -> Builtin:
    """Return a built-in corpus under the given options of its generator.

    Raises
    ------
    UsageError
        No such corpus, an option that it does not have, or a value out of range.
    """
    kind = get(name)
    known = [field.name for field in fields(kind)]
    for option in options:
        if option not in known:
            flags = _join([f"--{key.replace('_', '-')}" for key in known])
            raise UsageError(
                f"{name} has no option --{option.replace('_', '-')}",
                f"its options are {flags}" if known else "it has no options",
            )
    return kind(**options)


def generate(name: str, chars: int | None = None, seed: int = 0, **options: Any) -> Iterator[bytes]:
    """Generate a built-in corpus as UTF-8, in chunks of bounded size.

    Parameters
    ----------
    name
        One of `NAMES`.
    chars
        Exact number of characters (code points); the text is cut there, in the middle of a line
        if need be, and a longer text begins with every shorter one. None: the default size.
    seed
        Non-negative integer. ``hello`` and ``python-*`` make no random choice: their text is the
        same for every seed.
    options
        Options of the generator.

    Raises
    ------
    UsageError
        No such corpus or option, a value out of range, or more characters than the corpus has.
    CorpusError
        The running Python lacks the text.
    """
    builtin = create(name, **options)
    _check_seed(seed)
    if chars is None:
        chars = builtin.default_chars
    elif chars < 1:
        raise UsageError(f"--chars {chars} leaves no text", "ask for at least 1 character")
    else:
        length = builtin.length()
        if length is not None and chars > length:
            raise UsageError(
                f"{name} has {length:,} characters and --chars asks for {chars:,}",
                f"ask for at most {length}",
            )
    return _cut(builtin.stream(seed), chars)


def fingerprint(name: str) -> str:
    """Return a string that changes when the default text of a built-in corpus may have changed.

    It holds the name, the generator's version and default options, and for the ``python-*``
    corpora what identifies the running Python.
    """
    builtin = create(name)
    defaults = [f"{key}={value!r}" for key, value in builtin.options().items()]
    return " ".join([name, f"v{builtin.version}", *defaults, builtin.origin()]).strip()


def info(name: str, seed: int = 0, **options: Any) -> Info:
    """Describe a built-in corpus.

    The entropy rate is computed from the generator's own transition probabilities; for ``markov``
    these depend on the seed.

    Raises
    ------
    UsageError
        No such corpus or option, or a value out of range.
    CorpusError
        The running Python lacks the text.
    """
    builtin = create(name, **options)
    _check_seed(seed)
    return Info(
        name=name,
        description=builtin.description,
        chars=builtin.size(),
        alphabet=builtin.alphabet_size(),
        entropy=builtin.entropy(seed),
        options=builtin.options(),
    )


def _check_seed(seed: int) -> None:
    if seed < 0:
        raise UsageError(f"--seed {seed} is negative", "give an integer of at least 0")


def _cut(chunks: Iterator[str], chars: int | None) -> Iterator[bytes]:
    """Encode chunks, ending after `chars` characters (None: with the chunks)."""
    left = chars
    for chunk in chunks:
        if left is None:
            yield chunk.encode()
            continue
        yield chunk[:left].encode()
        left -= len(chunk)
        if left <= 0:
            return


def _join(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names)
