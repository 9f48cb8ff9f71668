"""``charrnn.load``: the model of a run, whatever its task."""

from __future__ import annotations

from os import PathLike

from charrnn.api import arguments
from charrnn.api.classifier import Classifier
from charrnn.api.generator import Generator
from charrnn.api.model import Model
from charrnn.api.tagger import Tagger
from charrnn.api.transducer import Transducer
from charrnn.backend import Backend
from charrnn.own import METRICS, is_metrics
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs

OF: dict[str, type[Classifier] | type[Tagger] | type[Transducer] | type[Generator]] = {
    "classify": Classifier,
    "tag": Tagger,
    "transduce": Transducer,
    "generate": Generator,
}
"""The model of each task, but the language model."""


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
    found: Model | Classifier | Tagger | Transducer | Generator
    if checkpoint.config.task in OF:
        found = OF[checkpoint.config.task].of(checkpoint, engine)
    else:
        model = checkpoint.language_model(engine)
        found = Model(model, checkpoint.vocabulary, checkpoint.train, checkpoint.data)
    folder = checkpoint.path.parent if checkpoint.path is not None else None
    if folder is not None and is_metrics(folder / METRICS):
        found.recorded = folder
    return found
