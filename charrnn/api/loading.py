"""``charrnn.load``: the model of a run, whatever its task."""

from __future__ import annotations

from os import PathLike

from charrnn.api import arguments
from charrnn.api.classifier import Classifier, classifier
from charrnn.api.generator import Generator, generator
from charrnn.api.model import Model
from charrnn.api.tagger import Tagger, tagger
from charrnn.api.transducer import Transducer, transducer
from charrnn.backend import Backend
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs


def load(
    run: str | PathLike[str] | None = None, *, backend: str | Backend = "auto"
) -> Model | Classifier | Tagger | Transducer | Generator:
    """Return the model of a run: its language model, classifier, tagger, transducer or generator.

    Parameters
    ----------
    run
        A run folder, a checkpoint file, or a run's name under ``checkpoints/``; the newest run by
        default. A run stands for its best checkpoint.
    backend
        ``auto`` (a working GPU, else the CPU), ``numpy`` (the CPU) or ``cupy`` (a GPU).

    Raises
    ------
    CharRNNError
        If there is no such run or its checkpoint cannot be read, or an argument is of the wrong
        type.
    """
    path = None if run is None else arguments.path(run, "run")
    engine = arguments.backend(backend)
    checkpoint = checkpoints.load(runs.resolve(path))
    if checkpoint.config.task == "classify":
        return classifier(checkpoint, engine)
    if checkpoint.config.task == "tag":
        return tagger(checkpoint, engine)
    if checkpoint.config.task == "transduce":
        return transducer(checkpoint, engine)
    if checkpoint.config.task == "generate":
        return generator(checkpoint, engine)
    model = checkpoint.language_model(engine)
    return Model(model, checkpoint.vocabulary, checkpoint.train, checkpoint.data)
