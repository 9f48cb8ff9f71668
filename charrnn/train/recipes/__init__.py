"""How runs of each task are begun and continued, one file a task."""

from __future__ import annotations

from charrnn.train.recipes.base import Recipe


def of(task: str) -> Recipe:
    """Return the recipe of a task."""
    if task == "classify":
        from charrnn.train.recipes.classify import Classification

        return Classification()
    if task == "transduce":
        from charrnn.train.recipes.transduce import Transduction

        return Transduction()
    from charrnn.train.recipes.language import Language

    return Language()
