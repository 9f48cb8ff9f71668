"""Built-in corpora: text that needs no download, most of it of known entropy.

Every module here whose name has no leading underscore is one corpus: ``copy_lag.py`` is
``copy-lag``, and its ``BUILTIN`` is a class derived from ``Builtin``. A new corpus is a new file.
"""

import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from charrnn.display import count
from charrnn.errors import UsageError, setting
from charrnn.options import declared
from charrnn.text.builtin._base import Builtin

__all__ = [
    "NAMES",
    "Builtin",
    "Info",
    "create",
    "fingerprint",
    "generate",
    "get",
    "info",
    "whole_lines",
]

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
    """Facts about a built-in corpus with given options."""

    name: str
    description: str
    chars: int
    """Number of characters by default."""
    alphabet: int
    """Number of different characters that the text can hold."""
    entropy: float | None
    """Entropy rate in nats per character; None if it is unknown."""
    options: dict[str, int | float]
    """Every option of the generator, with its value."""


def get(name: str) -> type[Builtin]:
    """Return the class of a built-in corpus.

    Raises
    ------
    UsageError
        If no built-in corpus has this name.
    """
    if name not in NAMES:
        raise UsageError(f"no built-in corpus is called {name!r}", f"choose one of {_join(NAMES)}")
    builtin: type[Builtin] = import_module(f"{__name__}.{name.replace('-', '_')}").BUILTIN
    return builtin


def create(name: str, **options: Any) -> Builtin:
    """Return a built-in corpus with the given options of its generator.

    Raises
    ------
    UsageError
        If there is no such corpus, it has no such option, or a value is out of range.
    """
    kind = get(name)
    known = declared(kind)
    for option in options:
        if option not in known:
            raise UsageError(
                f"{name} has no option {setting(option)}",
                f"its options are {_join(map(setting, known))}" if known else "it has no options",
            )
    return kind(**options)


def generate(name: str, chars: int | None = None, seed: int = 0, **options: Any) -> Iterator[bytes]:
    """Yield a built-in corpus as UTF-8, in chunks of bounded size.

    Parameters
    ----------
    name
        One of ``NAMES``.
    chars
        Exact number of characters (code points). The text is cut there, even inside a line; a
        longer text begins with every shorter one. None: the default size.
    seed
        Non-negative integer. ``hello`` and ``python-*`` make no random choices: their text is the
        same for every seed.
    options
        Options of the generator.

    Raises
    ------
    UsageError
        If there is no such corpus or option, a value is out of range, or ``chars`` is more than the
        corpus has.
    CorpusError
        If the running Python lacks the text.
    """
    builtin = create(name, **options)
    _check_seed(seed)
    if chars is None:
        chars = builtin.default_chars
    elif chars < 1:
        raise UsageError(f"{setting('chars')} must be at least 1, not {chars}")
    else:
        length = builtin.length()
        if length is not None and chars > length:
            raise UsageError(
                f"{name} has only {count(length, 'character')}, not {chars:,}",
                f"lower {setting('chars')} to at most {length}",
            )
    return _cut(builtin.stream(seed), chars)


def fingerprint(name: str) -> str:
    """Return a string that changes whenever the default text of a built-in corpus may change.

    It holds the name, the generator's version and default options, and for the ``python-*``
    corpora the identity of the running Python.
    """
    builtin = create(name)
    defaults = [f"{key}={value!r}" for key, value in builtin.options().items()]
    return " ".join([name, f"v{builtin.version}", *defaults, builtin.origin()]).strip()


def info(name: str, seed: int = 0, **options: Any) -> Info:
    """Return facts about a built-in corpus.

    The entropy rate is computed from the generator's own transition probabilities, which depend on
    the seed for ``markov``.

    Raises
    ------
    UsageError
        If there is no such corpus or option, or a value is out of range.
    CorpusError
        If the running Python lacks the text.
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
        raise UsageError(f"{setting('seed')} must be at least 0, not {seed}")


def _cut(chunks: Iterator[str], chars: int | None) -> Iterator[bytes]:
    """Encode chunks up to ``chars`` characters; None: all of them."""
    left = chars
    for chunk in chunks:
        if left is None:
            yield chunk.encode()
            continue
        yield chunk[:left].encode()
        left -= len(chunk)
        if left <= 0:
            return


def whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a text up to the end of its last whole line; all of it if there is none."""
    left, found = b"", False
    for chunk in chunks:
        left += chunk
        end = left.rfind(b"\n") + 1
        if end:
            found = True
            yield left[:end]
            left = left[end:]
    if not found:
        yield left


def _join(names: Iterable[str]) -> str:
    return ", ".join(names)
