"""Moving a model to another vocabulary: shared symbols keep their weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from charrnn.config import ModelConfig
from charrnn.display import count
from charrnn.errors import UsageError, setting
from charrnn.model.language import LanguageModel
from charrnn.model.network import DECODER, EMBEDDING, RNN
from charrnn.storage.checkpoint import Checkpoint
from charrnn.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Change:
    """Which symbols a new vocabulary adds, drops and shares with the old one."""

    added: tuple[str | int, ...]
    dropped: tuple[str | int, ...]
    shared: int

    def __str__(self) -> str:
        kept = "keeps its" if self.shared == 1 else "keep their"
        parts = [f"{count(self.shared, 'symbol')} {kept} weights"]
        parts += [f"{len(self.added)} added: {_listed(self.added)}"] if self.added else []
        parts += [f"{len(self.dropped)} dropped: {_listed(self.dropped)}"] if self.dropped else []
        return "; ".join(parts)


def _listed(symbols: tuple[str | int, ...], most: int = 12) -> str:
    shown = " ".join(repr(symbol) for symbol in symbols[:most])
    return shown + (" …" if len(symbols) > most else "")


def transfer(
    checkpoint: Checkpoint, config: ModelConfig, vocabulary: Vocabulary, seed: int
) -> tuple[np.ndarray, Change]:
    """Return flat host weights for ``vocabulary``, and what changed.

    Symbols that the model knows keep their rows of the embedding (or columns of the first input
    matrix) and of the output layer; new ones get fresh weights drawn from ``seed``; everything in
    between is kept.

    Raises
    ------
    UsageError
        If the two vocabularies are of different levels.
    """
    old = checkpoint.vocabulary
    if old.level != vocabulary.level:
        raise UsageError(
            f"the model reads {old.level}s, not {vocabulary.level}s",
            f"give {setting('level')} {old.level}",
        )
    source = checkpoint.model().weights
    fresh = LanguageModel.fresh(config, len(vocabulary), seed)
    target = fresh.weights
    known = {symbol: index for index, symbol in enumerate(old.symbols)}
    pairs = [(i, known[s]) for i, s in enumerate(vocabulary.symbols) if s in known]
    new_ids, old_ids = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
    first_input = RNN + fresh.stack.name("weight_ih", 0)
    for name, array in target.items():
        if name == EMBEDDING or name.startswith(DECODER):
            array[new_ids] = source[name][old_ids]
        elif name == first_input and not config.embed:
            array[:, new_ids] = source[name][:, old_ids]
        else:
            array[...] = source[name]
    new = set(vocabulary.symbols)
    change = Change(
        added=tuple(s for s in vocabulary.symbols if s not in known),
        dropped=tuple(s for s in old.symbols if s not in new),
        shared=len(pairs),
    )
    return target.flat, change
