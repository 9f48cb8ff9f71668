"""The language model of one label of a generator, as a checkpoint of its own."""

from __future__ import annotations

from dataclasses import replace

from charrnn.display import brief, brief_list
from charrnn.errors import UsageError, setting
from charrnn.model.sequences.generator import Generator
from charrnn.storage.checkpoint import Checkpoint


def given(checkpoint: Checkpoint, label: str | None) -> Checkpoint:
    """Return the model of a label, as a checkpoint of a language model that writes documents.

    A checkpoint of a language model is returned as it is.

    Raises
    ------
    UsageError
        If the model is a generator and has no such label, or none is given; or if it is none and a
        label is.
    """
    generates = checkpoint.config.task == "generate"
    if label is None and not generates:
        return checkpoint
    if not generates:
        raise UsageError(
            f"{setting('label')} only applies to a generator, which {checkpoint.name} is not",
            "leave it out",
        )
    known = checkpoint.labels
    if label is None:
        raise UsageError(
            f"{checkpoint.name} writes texts that have a label",
            f"give {setting('label')} one of {brief_list(known)}",
        )
    model = checkpoint.model()
    assert isinstance(model, Generator)
    one = model.given(number_of(label, known, checkpoint.name))
    return replace(checkpoint, config=one.config, weights=one.weights.flat, labels=())


def number_of(label: str, known: tuple[str, ...], name: str) -> int:
    """Return the number of a label.

    Raises
    ------
    UsageError
        If it is not ``known`` to the model ``name``; the message lists the labels near it.
    """
    if label in known:
        return known.index(label)
    from difflib import get_close_matches

    folded = {each.casefold(): each for each in known}
    near = [folded[each] for each in get_close_matches(label.casefold(), folded, n=3)]
    listed = f"near it: {brief_list(near)}" if near else f"its labels: {brief_list(known)}"
    raise UsageError(f"{name} has no label {brief(label)}", listed)
