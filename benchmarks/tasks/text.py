"""A given text as ids, for both sides alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from charrnn.text import corpus_from_text


def encoded(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of training and validation text of a UTF-8 file, split 9 : 1."""
    corpus = corpus_from_text(Path(text).read_bytes().decode())
    return np.asarray(corpus.train), np.asarray(corpus.val)


def symbols(text: str) -> int:
    """Return how many different characters a UTF-8 file has."""
    return len(set(Path(text).read_bytes().decode()))
