"""Moving a model to another vocabulary: shared symbols keep their weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn.config import ModelConfig
from charrnn.display import count
from charrnn.errors import UsageError, setting
from charrnn.model.counted.counting import Table
from charrnn.model.language import LanguageModel
from charrnn.model.network import DECODER, EMBEDDING, RNN
from charrnn.model.networks import NETWORKS
from charrnn.model.parameters import FIXED
from charrnn.model.sequences.generator import LABELS, Generator
from charrnn.model.sequences.ngrams import NGRAMS
from charrnn.model.sequences.writer import PREFIX as WRITER
from charrnn.model.transducer.decoder import EMBEDDING as TARGET_EMBEDDING
from charrnn.model.transducer.decoder import RNN as TARGET_RNN
from charrnn.model.transducer.model import Transducer
from charrnn.storage.checkpoint import Checkpoint
from charrnn.text.layout import DOCUMENTS
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
    _require_level(checkpoint, vocabulary)
    checkpoint.language_model(remedy=f"name a run of {setting('task')} lm")
    old, source = checkpoint.vocabulary, checkpoint.model().weights
    fresh = LanguageModel.fresh(config, len(vocabulary), seed)
    target = fresh.weights
    new_ids, old_ids = _shared(old.symbols, vocabulary.symbols)
    first_input = RNN + fresh.stack.name("weight_ih", 0)
    for name, array in target.trained.items():
        if name == EMBEDDING or name.startswith(DECODER):
            array[new_ids] = source[name][old_ids]
        elif name == first_input and not config.embed:
            array[:, new_ids] = source[name][:, old_ids]
        else:
            array[...] = source[name]
    known, new = set(old.symbols), set(vocabulary.symbols)
    change = Change(
        added=tuple(s for s in vocabulary.symbols if s not in known),
        dropped=tuple(s for s in old.symbols if s not in new),
        shared=len(new_ids),
    )
    return target.flat, change


def counted(checkpoint: Checkpoint, vocabulary: Vocabulary) -> Table | None:
    """Return the n-grams that a language model has counted, by the ids of another vocabulary."""
    model = checkpoint.language_model()
    if model.counted is None:
        return None
    numbers = np.full(len(checkpoint.vocabulary), -1)
    new_ids, old_ids = _shared(checkpoint.vocabulary.symbols, vocabulary.symbols)
    numbers[old_ids] = new_ids
    return model.counted.known(model.weights, numbers)


def transfer_to_labels(
    checkpoint: Checkpoint,
    config: ModelConfig,
    vocabulary: Vocabulary,
    labels: tuple[str, ...],
    seed: int,
) -> tuple[np.ndarray, str]:
    """Return flat host weights of a classifier or tagger that begin with a run's, and a note.

    The run may be a language model or another one of the task (Dai and Le 2015, "Semi-supervised
    sequence learning"). Symbols that it knows keep their input weights, and labels that it knows
    their output weights; layers keep theirs. What it does not have is drawn from ``seed``: other
    labels, and in both directions the layers that read backwards.

    Raises
    ------
    UsageError
        If the two vocabularies are of different levels.
    """
    _require_level(checkpoint, vocabulary)
    old, source = checkpoint.vocabulary, _without_labels(checkpoint)
    network = NETWORKS[config.task]
    fresh = network.fresh(config, len(vocabulary), seed, outputs=len(labels))
    symbols = _shared(old.symbols, vocabulary.symbols)
    own = checkpoint.labels if checkpoint.config.task == config.task else ()
    outputs = _shared(own, labels)
    inputs = {RNN + name for name in fresh.stack.input_weights()}
    same = (old.symbols, own) == (vocabulary.symbols, labels)
    drawn = 0
    for name, array in fresh.weights.items():
        if name.startswith(FIXED):  # the recipe's
            continue
        if name == NGRAMS or name.startswith(WRITER):  # of one vocabulary and its labels
            if same and name in source and source[name].shape == array.shape:
                array[...] = source[name]
        elif name.startswith(DECODER):
            if own and array.shape[1:] == source[name].shape[1:]:
                array[outputs[0]] = source[name][outputs[1]]
        elif name == EMBEDDING:
            array[symbols[0]] = source[name][symbols[1]]
        elif name in inputs and not config.embed and name in source:
            array[:, symbols[0]] = source[name][:, symbols[1]]
        elif name in source and source[name].shape == array.shape:
            array[...] = source[name]
        else:
            drawn += 1
    parts = [f"{count(len(symbols[0]), 'symbol')} of {len(vocabulary):,} keep their weights"]
    if own:
        parts.append(f"{count(len(outputs[0]), 'label')} of {len(labels):,} keep theirs")
    parts += [f"{count(drawn, 'parameter')} of the layers drawn anew"] if drawn else []
    return fresh.weights.flat, "; ".join(parts)


def transfer_to_generator(
    checkpoint: Checkpoint,
    config: ModelConfig,
    vocabulary: Vocabulary,
    labels: tuple[str, ...],
    seed: int,
) -> tuple[np.ndarray, str]:
    """Return flat host weights of a generator that begin with those of a run, and a note.

    Symbols that a run knows keep their input weights, and if it predicts symbols their output
    weights; layers keep theirs. If it does not know the symbol that ends a text, that begins as its
    newline does. Of another generator the labels keep their embeddings. What the run does not have
    is drawn from ``seed``.

    Raises
    ------
    UsageError
        If the two vocabularies are of different levels.
    """
    _require_level(checkpoint, vocabulary)
    task, source = checkpoint.config.task, checkpoint.model().weights
    fresh = Generator.fresh(config, len(vocabulary), seed, outputs=len(labels))
    old, newline = list(checkpoint.vocabulary.symbols), checkpoint.vocabulary.newline
    end = vocabulary.symbols[DOCUMENTS.start(vocabulary)]
    if newline is not None and end not in old:
        old[newline] = end
    symbols = _shared(tuple(old), vocabulary.symbols)
    known = _shared(checkpoint.labels if task == "generate" else (), labels)
    inputs, width = {RNN + name for name in fresh.stack.input_weights()}, config.embed
    columns = np.stack([np.arange(width)] * 2) if width else symbols
    drawn = 0
    for name, array in fresh.weights.items():
        before = source.get(name)
        if before is None or (name.startswith(DECODER) and task not in ("lm", "generate")):
            drawn += name != LABELS
        elif name == LABELS:
            array[known[0]] = before[known[1]]
        elif name == EMBEDDING or name.startswith(DECODER):
            array[symbols[0]] = before[symbols[1]]
        elif name in inputs:
            array[:, columns[0]] = before[:, columns[1]]
            if task == "generate":
                array[:, -fresh.beside :] = before[:, -fresh.beside :]
        elif before.shape == array.shape:
            array[...] = before
        else:
            drawn += 1
    parts = [f"{count(len(symbols[0]), 'symbol')} of {len(vocabulary):,} keep their weights"]
    if task == "generate":
        parts.append(f"{count(len(known[0]), 'label')} of {len(labels):,} keep theirs")
    parts += [f"{count(drawn, 'parameter')} {'is' if drawn == 1 else 'are'} new"] if drawn else []
    return fresh.weights.flat, "; ".join(parts)


def transfer_to_targets(
    checkpoint: Checkpoint,
    config: ModelConfig,
    vocabulary: Vocabulary,
    targets: tuple[str, ...],
    seed: int,
) -> tuple[np.ndarray, str]:
    """Return flat host weights of a transducer that begin with those of a run, and a note.

    A language model or a classifier gives its stack and embedding to the encoder, and another
    transducer everything, for the symbols that both know.

    Raises
    ------
    UsageError
        If the two vocabularies are of different levels.
    """
    _require_level(checkpoint, vocabulary)
    old, source = checkpoint.vocabulary, _without_labels(checkpoint)
    fresh = Transducer.fresh(config, len(vocabulary), seed, outputs=len(targets))
    read, written = _shared(old.symbols, vocabulary.symbols), np.empty((2, 0), np.intp)
    if checkpoint.config.task == "transduce":  # the ends, which come last, are shared, too
        ends = [[len(vocabulary), len(targets)], [len(old), len(checkpoint.labels)]]
        read = np.append(read, [[ends[0][0]], [ends[1][0]]], axis=1)
        shared = _shared(checkpoint.labels, targets)
        written = np.append(shared, [[ends[0][1]], [ends[1][1]]], axis=1)
    columns = {RNN + name: read for name in fresh.stack.input_weights()}
    columns |= {TARGET_RNN + name: written for name in fresh.decoder.stack.input_weights()}
    rows = {EMBEDDING: read, TARGET_EMBEDDING: written}
    rows |= {f"{DECODER}weight": written, f"{DECODER}bias": written}
    drawn = 0
    for name, array in fresh.weights.items():
        new, before = rows.get(name), source.get(name)
        if before is None or (name.startswith(DECODER) and not written.size):
            drawn += 1
        elif new is not None:
            array[new[0]] = before[new[1]]
        elif name in columns and not config.embed:
            array[:, columns[name][0]] = before[:, columns[name][1]]
        elif before.shape == array.shape:
            array[...] = before
        else:
            drawn += 1
    known = len(_shared(old.symbols, vocabulary.symbols)[0])
    note = f"{count(known, 'symbol')} of {len(vocabulary):,} keep their weights"
    return fresh.weights.flat, note + (
        f"; {count(drawn, 'parameter')} {'is' if drawn == 1 else 'are'} new" if drawn else ""
    )


def _without_labels(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """Return a run's weights by name, without those by which a generator reads a label."""
    model = checkpoint.model()
    weights = dict(model.weights)
    if isinstance(model, Generator):
        for name in model.stack.input_weights():
            weights[RNN + name] = weights[RNN + name][:, : -model.beside]
    return weights


def _shared(old: tuple[Any, ...], new: tuple[Any, ...]) -> np.ndarray:
    """Return the places of what is in both, in the new and in the old order, (2, shared)."""
    known = {one: index for index, one in enumerate(old)}
    pairs = [(i, known[one]) for i, one in enumerate(new) if one in known]
    return np.array(pairs, dtype=np.intp).reshape(-1, 2).T


def _require_level(checkpoint: Checkpoint, vocabulary: Vocabulary) -> None:
    """Raise :class:`UsageError` if a vocabulary is of another level than a model's."""
    old = checkpoint.vocabulary.level
    if old != vocabulary.level:
        raise UsageError(
            f"the model reads {old}s, not {vocabulary.level}s", f"give {setting('level')} {old}"
        )
