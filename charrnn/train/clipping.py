"""Gradient clipping: by value, then by the norm of the whole gradient (Pascanu et al. 2013)."""

from __future__ import annotations

from typing import Any

from charrnn.backend import Array
from charrnn.backend.operations import operation


def by_value(xp: Any, flat: Array, limit: float) -> None:
    """Move every element into [-limit, limit], in place."""
    xp.clip(flat, -limit, limit, out=flat)


@operation
def scale_for_norm(xp: Any, size: Array, limit: float) -> Array:
    """Return limit / max(size, limit), 0-d: the factor that brings the norm down to ``limit``.

    Computed on the backend, so that a GPU is not synchronised. A norm of zero gives 1.
    """
    return limit / xp.maximum(size, limit)
