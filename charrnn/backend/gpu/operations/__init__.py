"""CUDA for operations: one file of launchers per subject, with its ``.cu`` file next to it.

Loaded only when a GPU is used. A launcher names the operation that it implements and takes the same
arguments as its plain definition, except that a :class:`~charrnn.backend.gpu.kernels.Gpu` replaces
the array module.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from charrnn.backend.gpu.kernels import Gpu, Launcher, launchers


def implementation(name: str, xp: Any) -> Callable[..., Any] | None:
    """Return the implementation of operation ``name`` for arrays of ``xp``, if there is one."""
    _load()
    launcher: Launcher | None = launchers().get(name)
    return None if launcher is None else partial(launcher.launch, Gpu(xp, launcher.source))


@cache
def _load() -> None:
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
