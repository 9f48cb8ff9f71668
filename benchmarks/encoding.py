"""Encoding: megabytes of text per second into memory-mapped ids, by level, and the second start.

The first start reads the text twice (counting symbols, then mapping them), writes the ids and waits
until they are on the disk. The second finds them in the cache. Beside them, for the character
level, what most scripts do: a dictionary over a list comprehension, all in memory.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import script
from harness.pairs import interleave
from harness.result import Column, Result

if TYPE_CHECKING:
    from charrnn.text import Level

MB = 1e6
ASCII = "abcdefghijklmnopqrstuvwxyz" * 3 + "ETAOINSHRDLU" + "0123456789"
MIXED = ASCII + "äöüßéèñ" + "αβγδεζηθ" + "的一是不了人我在有他这" + "😀😅🙃"

COLUMNS = (
    Column("level", "level"),
    Column("text", "text"),
    Column("size_mb", "MB", ".0f"),
    Column("rate", "MB/s", ",.0f"),
    Column("spread", "spread", ".0%"),
    Column("second_ms", "second start ms", ".1f"),
    Column("plain_rate", "dictionary MB/s", ",.0f"),
)


def make_text(letters: str, size: int, seed: int = 5) -> str:
    """Return about ``size`` characters of words of random letters; the same block repeats."""
    rng = random.Random(seed)
    block = []
    for _ in range(20_000):
        block.append("".join(rng.choices(letters, k=rng.randint(1, 10))))
        block.append(rng.choice(("\n", ", ", ". ", " ", " ", " ", " ", " ")))
    text = "".join(block)
    return (text * (size // len(text) + 1))[:size]


class Encode:
    """One start on a file, with the cache emptied before each, or kept."""

    def __init__(self, path: Path, level: Level, *, keep: bool) -> None:
        self._path, self._level, self._keep = path, level, keep

    def run(self, count: int) -> float:
        """Return the seconds of ``count`` starts."""
        from charrnn.text import clear_cache, open_corpus

        seconds = 0.0
        for _ in range(count):
            if not self._keep:
                clear_cache()
            begun = time.perf_counter()
            corpus = open_corpus(self._path, level=self._level)
            seconds += time.perf_counter() - begun
            if corpus.cached != self._keep:
                raise RuntimeError(f"cached is {corpus.cached}, expected {self._keep}")
        return seconds


class Dictionary:
    """The usual few lines: all in memory, an index by dictionary."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def run(self, count: int) -> float:
        """Return the seconds of ``count`` encodings."""
        import numpy as np

        begun = time.perf_counter()
        for _ in range(count):
            text = self._path.read_text("utf-8")
            index = {symbol: i for i, symbol in enumerate(sorted(set(text)))}
            np.array([index[symbol] for symbol in text], dtype=np.uint16)
        return time.perf_counter() - begun


def row(level: Level, kind: str, path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one level on one text."""
    size = path.stat().st_size
    plan = script.plan(options)
    made: dict[str, Any] = {"first": Encode(path, level, keep=False)}
    if level == "char":
        made["plain"] = Dictionary(path)
    samples = interleave(made, plan)
    second = interleave({"second": Encode(path, level, keep=True)}, plan)
    return {
        "level": level,
        "text": kind,
        "size_mb": size / MB,
        "rate": size / MB / samples.median("first"),
        "spread": samples.spread("first"),
        "second_ms": 1e3 * second.median("second"),
        "plain_rate": size / MB / samples.median("plain") if level == "char" else None,
        "seconds": dict(samples.seconds) | dict(second.seconds),
    }


def notices_change(path: Path) -> bool:
    """Tell whether a file of the same length but other content is encoded anew."""
    from charrnn.text import open_corpus

    before = open_corpus(path).sha256
    text = path.read_bytes()
    path.write_bytes(b"#" + text[1:])
    after = open_corpus(path)
    return not after.cached and after.sha256 != before


def measure(options: argparse.Namespace) -> Result:
    """Measure every level on ASCII text, and the character level on a mixture."""
    result = Result("encoding", COLUMNS, script.plain(options))
    size = 50_000 if options.quick else options.megabytes * 1_000_000
    cases: list[tuple[Level, str]] = [
        ("char", "ASCII"),
        ("byte", "ASCII"),
        ("word", "ASCII"),
        ("char", "mixed"),
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before = os.environ.get("CHARRNN_CACHE")
        os.environ["CHARRNN_CACHE"] = str(folder / "cache")
        try:
            for kind, letters in (("ASCII", ASCII), ("mixed", MIXED)):
                (folder / kind).write_text(make_text(letters, size), "utf-8", newline="")
            for level, kind in cases:
                script.note(f"{level} level, {kind} text")
                result.rows.append(row(level, kind, folder / kind, options))
            changed = notices_change(folder / "ASCII")
        finally:
            if before is None:
                del os.environ["CHARRNN_CACHE"]
            else:
                os.environ["CHARRNN_CACHE"] = before
    result.notes.append(
        "MB = 10⁶ bytes of UTF-8. A file that changed is "
        + ("encoded again." if changed else "NOT noticed.")
    )
    return result


def main() -> None:
    """Run as a script."""
    made = script.parser(__doc__, rounds=5)
    made.add_argument("--megabytes", type=int, default=50, help="characters / 10⁶ of each text")
    script.main(made, measure)


if __name__ == "__main__":
    main()
