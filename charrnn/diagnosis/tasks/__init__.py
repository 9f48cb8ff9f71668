"""The diagnosis of models that read whole examples, one file a task."""

from __future__ import annotations

from typing import Any

from charrnn.diagnosis.tasks.base import Examples
from charrnn.errors import UsageError, either
from charrnn.model.network import Network
from charrnn.text.layout import DOCUMENTS
from charrnn.text.vocabulary import Vocabulary


def refuse_unexamined(task: str) -> None:
    """Raise :class:`UsageError` if models of a task are not examined."""
    if task == "tag":
        raise UsageError(
            "taggers cannot be examined",
            either(
                "of their training there is charrnn diagnose --history",
                "their gradients over training are in the metrics of a run",
            ),
        )


def of(model: Network, data: Any, vocabulary: Vocabulary) -> Examples:
    """Return the examples that a model is examined on, as its task is examined.

    ``data`` are those of its task: labelled texts, or pairs.
    """
    if model.config.task == "transduce":
        from charrnn.diagnosis.tasks.transduce import SourcesAndTargets

        return SourcesAndTargets(model, data)
    if model.config.task == "generate":
        from charrnn.diagnosis.tasks.generate import TextsToWrite

        return TextsToWrite(model, data, DOCUMENTS.start(vocabulary))
    from charrnn.diagnosis.tasks.classify import LabelledTexts

    return LabelledTexts(model, data)
