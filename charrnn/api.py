"""The Python interface: a model with its vocabulary, loaded, trained, sampled, scored and saved.

::

    import charrnn

    model = charrnn.fit("hello" * 200, hidden=32, steps=200, lr=0.01)
    print(model.sample(length=20, prime="he", temperature=0))
    print(model.evaluate("hellohello").bits_per_char)
    model.save("hello.safetensors")
    model = charrnn.load("hello.safetensors")
    print(charrnn.diagnose(model, "hello" * 100).verdicts)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from charrnn.backend import Backend, select
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.diagnosis.settings import ASSUMABLE, Settings
from charrnn.errors import CorpusError, UsageError
from charrnn.evaluate import Score, score
from charrnn.model.language import LanguageModel
from charrnn.registry import OPTIMIZERS
from charrnn.sampling import SampleOptions, stream
from charrnn.settings import Configuration
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs
from charrnn.storage.checkpoint import Checkpoint
from charrnn.text import Corpus, Vocabulary, corpus_from_text
from charrnn.text.tally import Tally
from charrnn.train.opening import required_memory
from charrnn.train.records import Record
from charrnn.train.request import Request
from charrnn.train.rollback import in_memory
from charrnn.train.session import language_loop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from charrnn.diagnosis.report import Report
    from charrnn.diagnosis.subjects import Subject
    from charrnn.text import Level

_DATA = {"level", "min_count", "val_frac", "test_frac"}


class Model:
    """A language model and its vocabulary.

    Made by :func:`load` and :func:`fit`.

    Attributes
    ----------
    network
        The :class:`~charrnn.model.language.LanguageModel` with its weights.
    vocabulary
        Its symbols.
    """

    def __init__(self, network: LanguageModel, vocabulary: Vocabulary) -> None:
        self.network = network
        self.vocabulary = vocabulary

    @property
    def config(self) -> ModelConfig:
        """The architecture."""
        return self.network.config

    @property
    def weights(self) -> Mapping[str, Any]:
        """The parameters by their PyTorch names; arrays of the backend, not copies."""
        return self.network.weights

    def stream(
        self,
        length: int = 0,
        *,
        prime: str | bytes = "",
        temperature: float = 0.8,
        top_k: int = 0,
        top_p: float = 1.0,
        min_p: float = 0.0,
        until: str | bytes = "",
        seed: int = 0,
        unknown: Literal["error", "skip"] = "error",
    ) -> Iterator[str | bytes]:
        """Yield a sample symbol by symbol; ``length`` 0 means endless.

        See :func:`charrnn.sampling.stream` for the parameters.

        Raises
        ------
        UsageError
            If a value is invalid.
        VocabularyError
            If the prime holds a symbol that the model does not know, or ``until`` can never occur.
        """
        options = SampleOptions(temperature, top_k, top_p, min_p)
        return stream(
            self.network,
            self.vocabulary,
            options,
            length=length,
            prime=prime,
            until=until,
            seed=seed,
            unknown=unknown,
        )

    def sample(self, length: int = 500, **options: Any) -> str | bytes:
        """Return a sample of ``length`` symbols without the prime; bytes at byte level.

        Takes the options of :meth:`stream`.
        """
        if length < 1 and not options.get("until"):
            raise UsageError(f"a sample of length {length} never ends", "give a length or until")
        parts: Any = list(self.stream(length, **options))
        empty: Any = b"" if self.vocabulary.level == "byte" else ""
        joined: str | bytes = empty.join(parts)
        return joined

    def evaluate(self, text: str | bytes, *, unknown: Literal["error", "skip"] = "error") -> Score:
        """Return the exact score of a text, read once from a zero state.

        With ``unknown="skip"``, symbols that the model does not know are left out; the score's
        ``skipped`` is their number.

        Raises
        ------
        CorpusError
            If the text has fewer than 2 symbols.
        VocabularyError
            If it holds a symbol that the model does not know.
        """
        ids, tally = self.vocabulary.encode(text, unknown), Tally()
        tally.add(self.vocabulary, text, ids)
        return score(self.network, [ids], tally=tally)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model to a checkpoint file.

        Raises
        ------
        CharRNNError
            If it cannot be written.
        """
        weights = self.network.backend.get(self.network.weights.flat)
        checkpoints.save(Path(path), Checkpoint(self.config, self.vocabulary, weights))


def load(run: str | PathLike[str] | None = None, *, backend: str | Backend = "auto") -> Model:
    """Return the model of a run.

    Parameters
    ----------
    run
        A run folder, a checkpoint file, or a run's name under ``checkpoints/``; the newest run by
        default. A run stands for its best checkpoint.
    backend
        ``auto`` (a working GPU, else NumPy), ``numpy`` or ``cupy``.

    Raises
    ------
    CharRNNError
        If there is no such run or its checkpoint cannot be read.
    """
    found = checkpoints.load(runs.resolve(None if run is None else str(run)))
    engine = select(backend) if isinstance(backend, str) else backend
    return Model(found.model(engine), found.vocabulary)


def fit(
    text: str | bytes,
    *,
    report: Callable[[Record], object] | None = None,
    backend: str | Backend = "auto",
    **options: Any,
) -> Model:
    """Train a new model on a text in memory and return it as it is at the end.

    Parameters
    ----------
    text
        A string, or bytes for ``level="byte"``.
    report
        Called with every record of the training run (see :mod:`charrnn.train.records`).
    backend
        ``auto`` (a working GPU, else NumPy), ``numpy`` or ``cupy``.
    **options
        The options of ``charrnn train``: fields of :class:`~charrnn.config.ModelConfig` and
        :class:`~charrnn.config.TrainConfig`, options of the chosen cell, optimizer and schedule
        (``forget_bias=2``), and ``level``, ``min_count``, ``val_frac``, ``test_frac``. Nothing is
        saved, so ``keep`` has no effect, nor has ``sample_every``.

    Raises
    ------
    UsageError
        For an unknown option or an invalid value.
    CorpusError
        If the text is too short.
    CharRNNError
        If the machine does not have enough memory.
    DivergedError
        If training diverges more often than ``max_rollbacks`` allows.
    """
    request, data = _request(options)
    config, plan = request.fresh_model(), request.fresh_train()
    corpus: Corpus = corpus_from_text(text, **data)
    engine = select(backend) if isinstance(backend, str) else backend
    required_memory(config, corpus, plan, engine)
    network = LanguageModel.fresh(config, len(corpus.vocabulary), plan.seed, engine)
    loop, _ = language_loop(network, corpus.train, np.asarray(corpus.val), plan)
    for record in in_memory(loop):
        if report is not None:
            report(record)
    return Model(network, corpus.vocabulary)


def diagnose(
    model: Model | ModelConfig | str | PathLike[str] | None = None,
    text: str | bytes | None = None,
    *,
    level: Level | None = None,
    unknown: Literal["error", "skip"] = "error",
    backend: str | Backend = "auto",
    progress: Callable[[str], object] = lambda stage: None,
    **options: Any,
) -> Report:
    """Examine the gradients of a model: how far back they reach, and what is wrong with them.

    Parameters
    ----------
    model
        A run or checkpoint file as in :func:`load`, a :class:`Model`, or a
        :class:`~charrnn.config.ModelConfig`, from which a fresh model is made.
    text
        The text to examine it on: a string; at byte level, bytes or a string. By default the
        validation text of the run.
    level
        ``char`` (default), ``byte`` or ``word``, for a configuration.
    unknown
        What to do with symbols that the model does not know.
    backend
        Where to compute a run or configuration: ``auto``, ``numpy`` or ``cupy``.
    progress
        Called with the name of each part of the examination as it begins.
    **options
        How much to measure: the fields of :class:`~charrnn.diagnosis.settings.Settings`; and
        ``seq_len``, ``batch``, ``state``, ``optimizer`` and its options, ``lr``, ``clip_norm`` to
        assume in place of the run's own.

    Returns
    -------
    The report, with ``verdicts`` and ``to_json()``.

    Raises
    ------
    UsageError
        For an unknown option or an invalid value.
    CorpusError
        If the text is missing or too short.
    VocabularyError
        If it holds a symbol that the model does not know.
    CharRNNError
        If there is no such run or its checkpoint cannot be read.
    """
    from charrnn.diagnosis.examine import examine  # not needed to load, train and sample

    names = {f.name for f in fields(Settings)}
    training = {k for k in options if k in ASSUMABLE or OPTIMIZERS.owners(k)}
    _refuse_unknown(set(options) - names - training, "diagnose")
    settings = Settings(**{k: v for k, v in options.items() if k in names})
    assumed = {k: v for k, v in options.items() if k in training}
    engine = select(backend) if isinstance(backend, str) else backend
    subject = _subject(model, text, level, unknown, engine, assumed, settings.seed)
    return examine(subject, settings, progress)


def _subject(
    model: Model | ModelConfig | str | PathLike[str] | None,
    text: str | bytes | None,
    level: Level | None,
    unknown: Literal["error", "skip"],
    engine: Backend,
    assumed: dict[str, Any],
    seed: int,
) -> Subject:
    """Return what :func:`diagnose` examines."""
    from charrnn.diagnosis import subjects

    if level is not None and not isinstance(model, ModelConfig):
        raise UsageError("level is for a configuration: a model has its own", "leave it out")
    if text is None and isinstance(model, Model | ModelConfig):
        raise CorpusError("there is no text to examine the model on", "give text")
    if isinstance(model, ModelConfig):
        corpus = corpus_from_text(text or "", level=level or "char", val_frac=0.0)
        plan = TrainConfig(**assumed, seed=seed)
        symbols = len(corpus.vocabulary)
        return subjects.untrained(model, symbols, corpus.train, "the text given", plan, engine)
    if isinstance(model, Model):
        encoded = model.vocabulary.encode(text or "", unknown)
        return subjects.of_model(model.network, encoded, assumed)
    path = runs.resolve(None if model is None else str(model))
    loaded = checkpoints.load(path, finite=False)  # broken weights are reported, not refused
    ids = None if text is None else loaded.vocabulary.encode(text, unknown)
    return subjects.of_checkpoint(loaded, engine, ids, "the text given", assumed)


def _request(options: dict[str, Any]) -> tuple[Request, dict[str, Any]]:
    """Sort options by the configuration that they belong to."""

    def of(config: type[Configuration]) -> dict[str, Any]:
        return {name: value for name, value in options.items() if config.knows(name)}

    data = {name: value for name, value in options.items() if name in _DATA}
    DataConfig(**data)  # checks the values
    model, train = of(ModelConfig), of(TrainConfig)
    _refuse_unknown(options.keys() - data.keys() - model.keys() - train.keys(), "fit")
    return Request(sources=("",), model=model, train=train), data


def _refuse_unknown(names: set[str], function: str) -> None:
    """Raise :class:`UsageError` if any names are left over."""
    if names:
        raise UsageError(f"unknown option {min(names)!r}", f"see help(charrnn.{function})")
