"""The subject of a diagnosis: a model, the text to examine it on, and how it is trained.

A subject is made from a checkpoint (:func:`of_checkpoint`), a model in memory (:func:`of_model`) or
an architecture (:func:`untrained`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Backend
from charrnn.config import ModelConfig, TrainConfig
from charrnn.diagnosis.losses import recorded
from charrnn.diagnosis.measures.broken import find_broken
from charrnn.errors import CorpusError, either
from charrnn.evaluate.course import Outcome
from charrnn.model.language import LanguageModel
from charrnn.model.network import Network
from charrnn.storage import heldout
from charrnn.storage.checkpoint import Checkpoint
from charrnn.text import iter_ids, iter_lines
from charrnn.text.layout import WHOLE, Layout
from charrnn.text.reading import iter_documents
from charrnn.text.tally import Tally
from charrnn.text.units.examples import Units
from charrnn.text.units.pieces import TextIds

if TYPE_CHECKING:
    from charrnn.text.vocabulary import Unknown, Vocabulary

MAX_SYMBOLS = 4_000_000
"""Maximum number of symbols read from a text that is given for a checkpoint."""


class Examined(Protocol):
    """What all subjects have, whatever the task of the model; see :class:`Subject`."""

    @property
    def model(self) -> Network:
        """The model, in the dtype and on the backend in which it is used."""

    @property
    def train(self) -> TrainConfig:
        """How it is, or would be, trained."""

    @property
    def name(self) -> str:
        """Its name in the report."""

    @property
    def text(self) -> str:
        """The name of the text."""

    @property
    def moments(self) -> dict[str, NDArray[Any]]:
        """The optimizer's moments, flat (P,)."""

    @property
    def step(self) -> int:
        """The number of updates."""

    @property
    def fresh(self) -> bool:
        """Whether it is known to be untrained."""

    @property
    def judged(self) -> bool:
        """Whether clipping and learning rate are judged."""

    @property
    def outcome(self) -> Outcome | None:
        """What the losses of the model's run say, if they are known."""

    @property
    def symbols(self) -> int:
        """Symbols of the text."""

    @property
    def units(self) -> int | None:
        """The number of examples that are read whole; None for a text."""

    @property
    def monotonous(self) -> bool:
        """Whether there is but one thing to predict."""


@dataclass
class Subject:
    """The model to examine, and the text to examine it on.

    Attributes
    ----------
    model
        In the dtype and on the backend in which it is used, without counted n-grams.
    ids
        The text, 1-D, in the model's vocabulary, or the examples that it consists of.
    examples
        The examples that the text was joined from, once it was.
    train
        How the model is, or would be, trained.
    name, text
        The names of the model and the text in the report.
    moments, step
        The optimizer's moments, flat (P,), and the number of updates, from a checkpoint.
    fresh
        Whether the model is known to be untrained.
    judged
        Whether clipping and learning rate are judged: if ``train`` is the model's own or was given
        explicitly.
    outcome
        What the losses of the model's run say, if they are known.
    """

    model: LanguageModel
    ids: NDArray[Any] | Units
    train: TrainConfig
    name: str = ""
    text: str = ""
    moments: dict[str, NDArray[Any]] = field(default_factory=dict)
    step: int = 0
    fresh: bool = False
    judged: bool = True
    outcome: Outcome | None = None
    examples: Units | None = None

    def __post_init__(self) -> None:
        self.model = self.model.alone()  # gradients are the network's

    @property
    def symbols(self) -> int:
        """Symbols of the text, without those that are read before its examples."""
        return len(self.ids) if self.examples is None else len(self.examples)

    @property
    def units(self) -> int | None:
        """None: the text is read in windows."""
        return None

    @property
    def monotonous(self) -> bool:
        """Whether the text is one symbol over and over."""
        ids = np.asarray(self.ids)
        return bool(len(ids)) and bool((ids == ids[0]).all())


def of_checkpoint(
    loaded: Checkpoint,
    backend: Backend,
    ids: NDArray[Any] | Units | None = None,
    text: str = "",
    assumed: Mapping[str, Any] | None = None,
) -> Subject:
    """Return the model of a checkpoint file, with its own training settings and moments.

    Parameters
    ----------
    loaded
        Read from its file with ``finite=False``: a diagnosis reports broken weights.
    backend
        Where to compute.
    ids, text
        The text, 1-D, and its name. By default the validation text next to the checkpoint; a broken
        model is diagnosed without one.
    assumed
        Training settings to assume in place of the run's own
        (:data:`charrnn.diagnosis.settings.ASSUMABLE`).

    Raises
    ------
    CharRNNError
        If no text is given and there is none next to the checkpoint.
    UsageError
        If an assumed setting is invalid.
    """
    assumed, path = assumed or {}, loaded.path
    remedy = either(
        "its gradients over training: charrnn train --watch, charrnn diagnose --history",
        "its gradients over training are in the metrics of its run",
    )
    model = loaded.language_model(backend, remedy)
    assert path is not None
    if ids is None:
        has_text = (path.parent / "val.npy").is_file()
        if not has_text and find_broken(model, loaded.moments):
            ids, text = np.zeros(4, loaded.vocabulary.dtype), "no text"
        else:
            ids, text = _held_out(loaded, model.V), "the run's validation text"
    own = loaded.train or TrainConfig()
    train = own.changed(**assumed)
    return Subject(
        model,
        ids,
        train,
        name=str(path),
        text=text,
        moments=loaded.moments if train.optimizer == own.optimizer else {},
        step=loaded.step,
        judged=loaded.train is not None or is_judged(assumed),
        outcome=recorded(path),
    )


def _held_out(loaded: Checkpoint, symbols: int) -> NDArray[Any] | Units:
    assert loaded.path is not None
    if loaded.data is None or not loaded.data.examples:
        return heldout.read(loaded.path, "val", symbols)
    start = Layout.of(loaded.data).start(loaded.vocabulary)
    return heldout.read_examples(loaded.path, "val", start, symbols)


def of_model(
    model: LanguageModel,
    ids: NDArray[Any] | Units,
    assumed: Mapping[str, Any] | None = None,
    train: TrainConfig | None = None,
) -> Subject:
    """Return a model in memory.

    ``train`` are the settings that it was trained with, if they are known; ``assumed`` replaces
    some of them.

    Raises
    ------
    UsageError
        If an assumed setting is invalid.
    """
    assumed = assumed or {}
    judged = train is not None or is_judged(assumed)
    own = (train or TrainConfig()).changed(**assumed)
    name, text = "a model in memory", "the text given"
    return Subject(model, ids, own, name=name, text=text, judged=judged)


def untrained(
    config: ModelConfig,
    symbols: int,
    ids: TextIds | Units,
    text: str,
    train: TrainConfig,
    backend: Backend,
) -> Subject:
    """Return a fresh model of the given architecture for a vocabulary of ``symbols``.

    Its weights are drawn from ``train.seed``.
    """
    model = LanguageModel.fresh(config, symbols, train.seed, backend)
    read = np.asarray(ids)
    return Subject(model, read, train, name="an untrained model", text=text, fresh=True)


def is_judged(assumed: Mapping[str, Any]) -> bool:
    """Whether the assumed settings include one that verdicts on training are about."""
    return bool({"lr", "clip_norm"} & set(assumed))


def read_text(
    sources: Sequence[str],
    vocabulary: Vocabulary,
    unknown: Unknown = "error",
    encoding: str = "utf-8",
    errors: str = "strict",
    layout: Layout = WHOLE,
) -> tuple[NDArray[Any] | Units, list[str]]:
    """Read the first :data:`MAX_SYMBOLS` symbols of a text for a model with the given vocabulary.

    Parameters
    ----------
    sources, encoding, errors, layout
        Files, directories, ``-`` or built-in corpora, as in :func:`charrnn.text.open_corpus`.
    unknown
        What to do with symbols outside the vocabulary: ``error`` or ``skip``.

    Returns
    -------
    ids, notes
        1-D array of the vocabulary's dtype, or the examples of such a layout, and notes for the
        user.

    Raises
    ------
    CorpusError
        If the text cannot be read or no symbol is left.
    VocabularyError
        If it holds an unknown symbol and ``unknown`` is ``error``.
    """
    parts: list[NDArray[Any]] = []
    notes: list[str] = []
    count, tally = 0, Tally()
    how = {"encoding": encoding, "errors": errors, "layout": layout, "unknown": unknown}
    for ids in _pieces(sources, vocabulary, layout.examples, tally, how | {"tell": notes.append}):
        parts.append(ids)
        count += len(ids)
        if count >= MAX_SYMBOLS:
            notes.append(f"the text is long: its first {MAX_SYMBOLS:,} symbols are read")
            break
    if tally.skipped:
        notes.append(tally.note())
    if not count:
        raise CorpusError("the text has no symbol that the run knows", "name another text")
    if layout.examples:
        return Units.joined([ids for ids in parts if len(ids)], layout.start(vocabulary)), notes
    return np.concatenate(parts)[:MAX_SYMBOLS], notes


def _pieces(
    sources: Sequence[str],
    vocabulary: Vocabulary,
    examples: str | None,
    tally: Tally,
    how: dict[str, Any],
) -> Iterator[NDArray[Any]]:
    """Yield the ids of a text, or of each of its examples."""
    if examples is None:
        yield from iter_ids(list(sources), vocabulary, **how, tally=tally)
        return
    read = iter_lines if examples == "line" else iter_documents
    for text, ids in read(list(sources), vocabulary, **how):
        tally.add(vocabulary, text, ids)
        yield ids
