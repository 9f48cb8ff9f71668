"""How runs of each task are begun and continued, one file a task."""

from __future__ import annotations

from charrnn.errors import UsageError, setting
from charrnn.train.recipes.base import Recipe


def of(task: str) -> Recipe:
    """Return the recipe of a task."""
    if task == "classify":
        from charrnn.train.recipes.classify import Classification

        return Classification()
    if task == "lm":
        from charrnn.train.recipes.language import Language

        return Language()
    raise UsageError(f"{setting('task')} {task} cannot be trained here", "use the Python classes")
