"""How runs of each task are begun and continued, one file a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from charrnn.train.recipes.base import Recipe


def of(task: str) -> Recipe:
    """Return the recipe of a task."""
    if task == "classify":
        from charrnn.train.recipes.classify import Classification

        return Classification()
    if task == "tag":
        from charrnn.train.recipes.tag import Tagging

        return Tagging()
    if task == "transduce":
        from charrnn.train.recipes.transduce import Transduction

        return Transduction()
    if task == "generate":
        from charrnn.train.recipes.generate import Generation

        return Generation()
    from charrnn.train.recipes.language import Language

    return Language()
