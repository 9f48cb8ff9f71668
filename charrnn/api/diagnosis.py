"""``charrnn.diagnose``: how gradients behave in a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

from charrnn.api import arguments
from charrnn.api.classifier import Classifier
from charrnn.api.generator import Generator
from charrnn.api.loading import OF
from charrnn.api.model import Model
from charrnn.api.tagger import Tagger
from charrnn.api.transducer import Transducer
from charrnn.backend import Backend
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.diagnosis.settings import ASSUMABLE, Settings
from charrnn.display import brief
from charrnn.errors import CorpusError, UsageError
from charrnn.registry import OPTIMIZERS
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs
from charrnn.text import Layout, corpus_from_text
from charrnn.text.units.examples import Units

if TYPE_CHECKING:
    from charrnn.diagnosis.report import Report
    from charrnn.diagnosis.subjects import Subject
    from charrnn.diagnosis.tasks.base import ExamplesSubject
    from charrnn.storage.checkpoint import Checkpoint
    from charrnn.text import Level
    from charrnn.text.vocabulary import Unknown, Vocabulary

OfExamples = Classifier | Transducer | Generator


def diagnose(
    model: Model
    | Classifier
    | Transducer
    | Generator
    | ModelConfig
    | str
    | PathLike[str]
    | None = None,
    text: Any = None,
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
        A run or checkpoint file as in :func:`load`, a :class:`Model`, :class:`Classifier`,
        :class:`Transducer` or :class:`Generator`, or a :class:`~charrnn.config.ModelConfig` of a
        language model, from which a fresh one is made.
    text
        The text to examine it on: a string; at byte level, bytes or a string; or a list of them;
        for a classifier or generator (text, label) pairs, for a transducer (source, target) pairs.
        By default what the run held out for validation.
    level
        ``char`` (default), ``byte`` or ``word``, for a configuration.
    unknown
        What to do with symbols that the model does not know.
    backend
        Where to compute a run or configuration: ``auto``, ``numpy`` or ``cupy``.
    progress
        Called with the name of each part of the examination as it begins.
    **options
        How much to measure: the fields of :class:`~charrnn.diagnosis.settings.Settings` (with
        ``seed=None`` a new seed is drawn, which ``to_json()`` reports); and
        ``seq_len``, ``batch``, ``state``, ``optimizer`` and its options, ``lr``, ``clip_norm`` to
        assume in place of the run's own.

    Returns
    -------
    The report, with ``verdicts`` and ``to_json()``.

    Raises
    ------
    UsageError
        For an unknown option, an invalid value or an argument of the wrong type.
    CorpusError
        If the text is missing or too short.
    VocabularyError
        If it holds a symbol that the model does not know.
    CharRNNError
        If there is no such run or its checkpoint cannot be read.
    """
    # not needed to load, train and sample
    from charrnn.diagnosis.examine import examine
    from charrnn.diagnosis.subjects import Subject
    from charrnn.diagnosis.tasks.subjects import refuse_unmeasured

    names = {f.name for f in fields(Settings)}
    training = {k for k in options if k in ASSUMABLE or OPTIMIZERS.owners(k)}
    arguments.refuse_unknown(options, names | training, "diagnose", ASSUMABLE)
    if "seed" in options:
        options["seed"] = arguments.seed(options["seed"])
    settings = Settings(**{k: v for k, v in options.items() if k in names})
    assumed = {k: v for k, v in options.items() if k in training}
    arguments.function(progress, "progress")
    engine, unknown = arguments.backend(backend), arguments.unknown(unknown)
    subject = _subject(model, text, level, unknown, engine, assumed, settings.seed)
    if not isinstance(subject, Subject):
        refuse_unmeasured(subject, options)
    return examine(subject, settings, progress)


def _subject(
    model: Any,
    text: Any,
    level: Level | None,
    unknown: Literal["error", "skip"],
    engine: Backend,
    assumed: dict[str, Any],
    seed: int,
) -> Subject | ExamplesSubject:
    """Return what :func:`diagnose` examines."""
    from charrnn.diagnosis import subjects
    from charrnn.diagnosis.tasks import refuse_unexamined

    if isinstance(model, ModelConfig) and model.task != "lm":
        raise UsageError(
            f"only a language model is made from a configuration, not {brief(model.task)}",
            "give a model that was fitted",
        )
    if level is not None and not isinstance(model, ModelConfig):
        raise UsageError(
            "level only applies to a configuration: a model has its own", "leave it out"
        )
    if text is None and isinstance(
        model, Model | Classifier | Transducer | Generator | ModelConfig
    ):
        raise CorpusError("there is no text to examine the model on", "give text")
    if isinstance(model, Tagger):
        refuse_unexamined("tag")
    if isinstance(model, Classifier | Transducer | Generator):
        return _of_examples(model, text, assumed)
    if isinstance(model, ModelConfig):
        text = arguments.texts_of(text)
        of_level = "char" if level is None else arguments.level(level)
        corpus = corpus_from_text(text or "", level=of_level, val_frac=0.0)
        plan = TrainConfig(**assumed, seed=seed)
        symbols = len(corpus.vocabulary)
        return subjects.untrained(model, symbols, corpus.train, "the text given", plan, engine)
    if isinstance(model, Model):
        known = arguments.text_of(arguments.texts_of(text), model.vocabulary)
        encoded = _encoded(known, model.vocabulary, model.data, unknown)
        return subjects.of_model(model.network, encoded, assumed, model.training)
    path = runs.resolve(None if model is None else arguments.path(model, "model"))
    loaded = checkpoints.load(path, finite=False)  # broken weights are reported, not refused
    if loaded.config.task != "lm":
        return _of_run_of_examples(loaded, text, engine, assumed)
    ids = None
    if text is not None:
        known = arguments.text_of(arguments.texts_of(text), loaded.vocabulary)
        ids = _encoded(known, loaded.vocabulary, loaded.data, unknown)
    return subjects.of_checkpoint(loaded, engine, ids, "the text given", assumed)


def _of_examples(model: OfExamples, pairs: Any, assumed: dict[str, Any]) -> ExamplesSubject:
    """Return a model in memory with the examples that it is examined on."""
    from charrnn.diagnosis.tasks import subjects

    data = model.encoded(pairs)
    return subjects.of_model(model.network, model.vocabulary, data, model.training, assumed)


def _of_run_of_examples(
    loaded: Checkpoint, pairs: Any, engine: Backend, assumed: dict[str, Any]
) -> ExamplesSubject:
    """Return the model of a run with the examples that it is examined on."""
    from charrnn.diagnosis.tasks import refuse_unexamined, subjects

    task = loaded.config.task
    refuse_unexamined(task)
    if pairs is None:
        data, name = subjects.held_out(loaded), "the run's validation examples"
    else:
        data, name = OF[task].of(loaded, engine).encoded(pairs), "the examples given"
    return subjects.of_checkpoint(loaded, engine, data, name, assumed)


def _encoded(
    text: str | bytes, vocabulary: Vocabulary, data: DataConfig | None, unknown: Unknown
) -> NDArray[Any] | Units:
    """Return a text for a model, read as its training text was: as one text, or as examples."""
    if data is None or not data.examples:
        return vocabulary.encode(text, unknown)
    layout = Layout.of(data)
    examples = [vocabulary.encode(one, unknown) for one in layout.examples_of(text)]
    if not any(map(len, examples)):
        raise CorpusError("the text has no symbol that the model knows", "give another text")
    return Units.joined([ids for ids in examples if len(ids)], layout.start(vocabulary))
