"""The files that charrnn writes into runs and caches, and how to recognise them."""

from __future__ import annotations

import os
import re
from collections.abc import Set
from pathlib import Path

from charrnn import __version__, files

METRICS = "metrics.jsonl"
HELD_OUT = tuple(
    f"{split}{of}.npy"
    for split in ("val", "test")
    for of in ("", "-ends", "-labels", "-targets", "-targets-ends")
)
NOVEL = re.compile(r"novel-(lines|[0-9]{1,19})\.npy")
"""An index of a run's text, for samples that do not copy it."""
SUFFIX = ".safetensors"
CHECKPOINT_BEGINNING = b'{"__metadata__":{"charrnn":"{\\"digest\\":\\"'
"""How the header of a checkpoint begins, after the 8 bytes that hold its length."""
METRICS_BEGINNING = b'{"event": "start"'
SWEEP, JOURNAL, BEST_RUN = "sweep.json", "journal.jsonl", "best-run"
"""The files of a sweep: its settings, its trials, and which of them is the best."""
SWEEP_BEGINNING = b'{"charrnn_sweep": '
CACHED = ("ids.bin", "meta.json")
_GENERATOR = '<meta name="generator" content="charrnn'
PAGE_MARK = f'{_GENERATOR} {__version__}">'
"""Stands among the first :data:`PAGE_HEAD` bytes of a web page."""
PAGE_HEAD = 200
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")

_CACHE_ENTRY = re.compile(r"[0-9a-f]{64}|tmp-.*")


def is_checkpoint(path: Path) -> bool:
    """Whether a file begins as a checkpoint does."""
    beginning = _beginning(path, 8 + len(CHECKPOINT_BEGINNING))
    return beginning is not None and beginning[8:] == CHECKPOINT_BEGINNING


def is_other_file(path: Path) -> bool:
    """Whether a file can be read and does not begin as a checkpoint does."""
    return _beginning(path, 0) is not None and not is_checkpoint(path)


def is_pickle(path: Path) -> bool:
    """Whether a file begins as one of ``torch.save`` does.

    The length of a safetensors header may begin with the same bytes; a brace follows it.
    """
    beginning = _beginning(path, 9)
    return beginning is not None and beginning.startswith(_PICKLES) and beginning[8:] != b"{"


def is_metrics(path: Path) -> bool:
    """Whether a file begins as the metrics of a run do."""
    return _beginning(path, len(METRICS_BEGINNING)) == METRICS_BEGINNING


def is_sweep(path: Path) -> bool:
    """Whether a file begins as the settings of a sweep do."""
    return _beginning(path, len(SWEEP_BEGINNING)) == SWEEP_BEGINNING


def is_page(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a web page of charrnn."""
    return _GENERATOR.encode() in head[:PAGE_HEAD]


def own(folder: Path, names: Set[str]) -> set[str]:
    """Return which files in a folder are those of a run, a sweep or the cache.

    Parameters
    ----------
    folder
        The folder.
    names
        The names of its files.
    """
    found = {name for name in names if name.endswith(SUFFIX) and is_checkpoint(folder / name)}
    if METRICS in names and is_metrics(folder / METRICS):
        found.add(METRICS)
    if found:  # the folder of a run
        found |= names & set(HELD_OUT)
        found |= {name for name in names if NOVEL.fullmatch(name)}
    if SWEEP in names and is_sweep(folder / SWEEP):
        found |= names & {SWEEP, JOURNAL, BEST_RUN}
    if _CACHE_ENTRY.fullmatch(folder.name) and folder.absolute().parent.name == "corpora":
        found |= names & set(CACHED)
    return found


def _beginning(path: Path, size: int) -> bytes | None:
    """Return the first bytes of a regular file; None if it cannot be read."""
    try:
        with os.fdopen(files.open_regular(path, follow=True), "rb") as file:
            return file.read(size)
    except (OSError, ValueError):
        return None
