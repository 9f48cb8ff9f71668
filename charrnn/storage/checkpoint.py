"""A checkpoint: the complete state of a run at one step, in one safetensors file.

:mod:`charrnn.storage.tensors` says which tensors there are, :mod:`charrnn.storage.container` is the
file format, and :func:`charrnn.files.write` makes the file durable.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from charrnn import __version__
from charrnn.architecture import LABELLED
from charrnn.backend import Backend
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.display import brief, one_line, shell
from charrnn.errors import CharRNNError, CheckpointError, UsageError, either
from charrnn.model.language import LanguageModel
from charrnn.model.network import Network
from charrnn.model.networks import NETWORKS
from charrnn.model.parameters import Parameters
from charrnn.own import METRICS, is_checkpoint, is_metrics, is_other_file
from charrnn.settings import refuse_unknown
from charrnn.storage import container, runs
from charrnn.storage.progress import Progress
from charrnn.storage.tensors import named, require_finite, training, weights
from charrnn.text.labelled.lines import MAX_LABELS, is_label
from charrnn.text.pairs.symbols import LEVELS, is_symbol
from charrnn.text.vocabulary import Vocabulary

FORMAT = 1
_FACTS = {
    *("digest", "format", "version", "head", "model", "data", "train"),
    *("corpus_sha256", "heldout_sha256", "progress", "vocabulary", "labels"),
}


@dataclass
class Checkpoint:
    """A model and, if it was saved by training, everything needed to continue.

    Attributes
    ----------
    config, vocabulary
        Architecture and symbols.
    weights
        Flat host vector (P,) in the order of the model's parameters.
    data, train
        How the text was read and the model trained; None for a model saved outside training.
    corpus_sha256, heldout_sha256
        Digests of the bytes of the training text and of separate held-out files; may be empty.
    progress
        Step, epoch, losses, seconds.
    moments
        The optimizer's moments, (P,) each.
    states
        Carried states, (H, N) each.
    path
        The file it was read from; None if it was not read.
    version
        The version of charrnn that wrote it.
    labels
        The names of the labels of a classifier, a tagger or a generator, or the symbols of a
        transducer's targets, in the order of their numbers.
    """

    config: ModelConfig
    vocabulary: Vocabulary
    weights: np.ndarray
    data: DataConfig | None = None
    train: TrainConfig | None = None
    corpus_sha256: str = ""
    heldout_sha256: str = ""
    progress: Progress = field(default_factory=Progress)
    moments: dict[str, np.ndarray] = field(default_factory=dict)
    states: dict[str, np.ndarray] = field(default_factory=dict)
    path: Path | None = None
    version: str = __version__
    labels: tuple[str, ...] = ()

    @property
    def weights_sha256(self) -> str:
        """The digest of the weights' bytes: equal for equal models only."""
        from hashlib import sha256  # only this needs it

        flat = self.weights.astype(self.weights.dtype.newbyteorder("<"), copy=False)
        return sha256(flat.tobytes()).hexdigest()

    @property
    def step(self) -> int:
        """Number of updates made."""
        return self.progress.step

    def model(self, backend: Backend | None = None) -> Network:
        """Return the model on the given backend."""
        network, symbols = NETWORKS[self.config.task], len(self.vocabulary)
        return network(self.config, symbols, backend, self.weights, outputs=len(self.labels))

    def language_model(self, backend: Backend | None = None, remedy: str = "") -> LanguageModel:
        """Return the model, which must be a language model.

        Raises
        ------
        CharRNNError
            If it is of another task; the message ends with ``remedy``.
        """
        model = self.model(backend)
        if not isinstance(model, LanguageModel):
            raise CharRNNError(f"{self.name} is a {model.kind}, not a language model", remedy)
        return model

    @property
    def name(self) -> str:
        """The name of the run, or of the file, for messages."""
        return one_line(self.path.parent if self.path is not None else "the model")

    @property
    def parameters(self) -> int:
        """Number of trainable parameters."""
        network, symbols = NETWORKS[self.config.task], len(self.vocabulary)
        shapes = network.describe(self.config, symbols, len(self.labels))
        return int(Parameters(shapes, self.weights).trained.flat.size)


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint durably: when this returns, it survives a power failure.

    Raises
    ------
    CharRNNError
        If it cannot be written. An earlier checkpoint of that path is intact.
    """
    model = checkpoint.model()
    facts = {
        "format": FORMAT,
        "version": checkpoint.version,
        "head": model.kind,
        "model": checkpoint.config.to_json(),
        "data": checkpoint.data.to_json() if checkpoint.data else None,
        "train": checkpoint.train.to_json() if checkpoint.train else None,
        "corpus_sha256": checkpoint.corpus_sha256,
        "heldout_sha256": checkpoint.heldout_sha256,
        "progress": checkpoint.progress.to_json(),
        "vocabulary": checkpoint.vocabulary.to_json(),
    }
    if checkpoint.labels:
        facts["labels"] = list(checkpoint.labels)
    container.write(path, named(model, checkpoint.moments, checkpoint.states), facts)


def load(path: Path, *, finite: bool = True) -> Checkpoint:
    """Read and fully validate a checkpoint.

    No allocation trusts a size that the file claims, and no path in the file is followed.

    Parameters
    ----------
    finite
        Refuse a tensor that holds NaN or an infinity, which training never saves. False is for a
        diagnosis of such a model.

    Raises
    ------
    CheckpointError
        If the file is not a checkpoint, is damaged, has another format version, or (with
        ``finite``) holds NaN or an infinity.
    """
    try:
        tensors, facts = container.read(path)
    except CheckpointError as problem:
        remedy = problem.remedy or _instead(path)
        if not remedy and is_other_file(path):
            remedy = _NO_RUN
        raise CheckpointError(problem.message, remedy) from None
    try:
        refuse_unknown(facts, _FACTS)
        if type(facts["format"]) is not int or facts["format"] != FORMAT:
            raise CheckpointError(
                f"it has format version {brief(facts['format'])}, but this charrnn reads {FORMAT}",
                "use the version of charrnn that wrote it",
            )
        if facts["head"] not in [network.kind for network in NETWORKS.values()]:
            raise CheckpointError(f"unknown head kind {brief(facts['head'])}")
        if finite:
            require_finite(tensors)
        config = ModelConfig.from_json(facts["model"])
        if facts["head"] != NETWORKS[config.task].kind:
            raise CheckpointError(f"its head is not that of the task {config.task}")
        labels = _labels(facts.get("labels", []), config)
        tags = config.task == "tag"
        vocabulary = Vocabulary.from_json(facts["vocabulary"], separated=tags)
        if tags and vocabulary.unknown is None:
            raise CheckpointError("its vocabulary has no unknown symbol")
        checkpoint = Checkpoint(
            config=config,
            vocabulary=vocabulary,
            weights=weights(config, len(vocabulary), len(labels), tensors),
            data=None if facts["data"] is None else DataConfig.from_json(facts["data"]),
            train=None if facts["train"] is None else TrainConfig.from_json(facts["train"]),
            corpus_sha256=_text(facts, "corpus_sha256"),
            heldout_sha256=_text(facts, "heldout_sha256"),
            progress=Progress.from_json(facts["progress"]),
            path=path,
            version=_text(facts, "version"),
            labels=labels,
        )
    except CheckpointError as problem:
        message = f"cannot use {one_line(path)}: {problem.message}"
        raise CheckpointError(message, problem.remedy or _instead(path)) from None
    except UsageError as problem:  # the remedy, for an unknown cell for example, names an option
        raise CheckpointError(f"cannot use {one_line(path)}: {problem.message}") from None
    except KeyError as problem:
        raise CheckpointError(f"{one_line(path)} is damaged: {problem} is missing") from None
    if checkpoint.data and checkpoint.data.level != vocabulary.level:
        raise CheckpointError(
            f"{one_line(path)} is damaged: the levels of its text and vocabulary differ"
        )
    try:
        checkpoint.moments, checkpoint.states = training(
            tensors, config.hidden, checkpoint.parameters, checkpoint.weights.dtype
        )
    except CheckpointError as problem:
        raise CheckpointError(f"{one_line(path)} is damaged: {problem.message}") from None
    return checkpoint


_NO_RUN = either(
    "name a run: charrnn runs lists them, and charrnn train makes one of a text",
    "charrnn.load takes what model.save wrote, and charrnn.fit makes a model of a text",
)


def _instead(path: Path) -> str:
    """Return which other checkpoint of a run to name; empty if there is none, or it is no run."""
    if not is_metrics(path.parent / METRICS) and path.stem not in ("best", "last"):
        return ""
    others = (other for other in runs.checkpoints(path.parent) if other != path)
    found = next(filter(is_checkpoint, others), None)
    return "" if found is None else f"name another checkpoint of the run, {shell(found)}"


def _text(facts: dict[str, Any], name: str) -> str:
    if not isinstance(facts[name], str) or len(facts[name]) > 100 or not facts[name].isprintable():
        raise CheckpointError(f"its {name} is not a short printable string")
    return str(facts[name])


def _labels(found: object, config: ModelConfig) -> tuple[str, ...]:
    """Return the labels of a checkpoint, or the symbols of its targets.

    A classifier and a generator have at least two labels, a transducer symbols, others have none.
    """
    if config.task == "transduce":
        return _target_symbols(found)
    if not isinstance(found, list) or not all(
        isinstance(label, str) and is_label(label, config.task == "tag") for label in found
    ):
        raise CheckpointError("its labels are not a list of names")
    if len(set(found)) < len(found) or len(found) > MAX_LABELS:
        raise CheckpointError("its labels are not different, or too many")
    if (len(found) >= 2) is not (config.task in (*LABELLED, "tag")):
        raise CheckpointError(f"it has {len(found)} labels, which does not fit its task")
    return tuple(found)


def _target_symbols(found: object) -> tuple[str, ...]:
    """Return the symbols of the targets of a checkpoint, sorted."""
    if not isinstance(found, list) or not all(
        isinstance(symbol, str) and any(is_symbol(symbol, level) for level in LEVELS)
        for symbol in found
    ):
        raise CheckpointError("its target symbols are not a list of symbols")
    if not found or any(a >= b for a, b in pairwise(found)):
        raise CheckpointError("its target symbols are none, repeat or are out of order")
    return tuple(found)
