"""Subjects whose examples are read whole: of a checkpoint, or of a model in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from charrnn.backend import Backend
from charrnn.config import TrainConfig
from charrnn.diagnosis import tasks
from charrnn.diagnosis.losses import recorded
from charrnn.diagnosis.subjects import is_judged
from charrnn.diagnosis.tasks.base import ExamplesSubject
from charrnn.errors import UsageError, setting
from charrnn.model.network import Network
from charrnn.storage import heldout
from charrnn.storage.checkpoint import Checkpoint
from charrnn.text.vocabulary import Vocabulary
from charrnn.train.recipes.applies import unused_by_task


def of_checkpoint(
    loaded: Checkpoint,
    backend: Backend,
    data: Any,
    text: str,
    assumed: Mapping[str, Any],
) -> ExamplesSubject:
    """Return the model of a checkpoint file, with its own training settings and moments.

    Parameters
    ----------
    loaded
        Read from its file with ``finite=False``: a diagnosis reports broken weights.
    data, text
        The examples, and their name.
    assumed
        Training settings to assume in place of the run's own.

    Raises
    ------
    UsageError
        If an assumed setting is invalid, or has no effect.
    """
    refuse_of_text(loaded.config.task, assumed)
    own = loaded.train or TrainConfig()
    train = own.changed(**assumed)
    return ExamplesSubject(
        tasks.of(loaded.model(backend), data, loaded.vocabulary),
        train,
        name=str(loaded.path),
        text=text,
        moments=loaded.moments if train.optimizer == own.optimizer else {},
        step=loaded.step,
        judged=loaded.train is not None or is_judged(assumed),
        outcome=recorded(loaded.path),
    )


def of_model(
    model: Network,
    vocabulary: Vocabulary,
    data: Any,
    train: TrainConfig | None,
    assumed: Mapping[str, Any],
) -> ExamplesSubject:
    """Return a model in memory, its examples, and how it was trained if that is known.

    Raises
    ------
    UsageError
        If an assumed setting is invalid, or has no effect.
    """
    refuse_of_text(model.config.task, assumed)
    judged = train is not None or is_judged(assumed)
    plan = (train or TrainConfig()).changed(**assumed)
    name, text = "a model in memory", "the examples given"
    examples = tasks.of(model, data, vocabulary)
    return ExamplesSubject(examples, plan, name=name, text=text, judged=judged)


def held_out(loaded: Checkpoint) -> Any:
    """Return the validation examples next to a checkpoint.

    Raises
    ------
    CharRNNError
        If there are none.
    """
    assert loaded.path is not None
    symbols, outputs = len(loaded.vocabulary), len(loaded.labels)
    read = heldout.read_pairs if loaded.config.task == "transduce" else heldout.read_labelled
    return read(loaded.path, "val", symbols, outputs)


def refuse_unmeasured(subject: ExamplesSubject, given: Iterable[str]) -> None:
    """Raise :class:`UsageError` if a setting was given of what is not defined for the task."""
    for name in given:
        if name in subject.examples.unused:
            why = f"has no effect: {subject.examples.unused[name]}"
            raise UsageError(f"{setting(name)} {why}", "leave it out")


def refuse_of_text(task: str, given: Mapping[str, Any]) -> None:
    """Raise :class:`UsageError` if a setting was given that is for a text read in windows."""
    unused = unused_by_task(task)
    for name in given:
        if name in unused:
            raise UsageError(f"{setting(name)} {unused[name]}", "leave it out")
