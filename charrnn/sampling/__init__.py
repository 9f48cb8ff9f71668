"""Sampling: the filters on a distribution, one step of the model, streams of symbols.

The names below load their modules when first used, so that importing the package is light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charrnn.sampling.draw import Sample, next_symbols, samples, stream
    from charrnn.sampling.frame import Frame
    from charrnn.sampling.options import SampleOptions

_HOME = {
    "Frame": "frame",
    "Sample": "draw",
    "SampleOptions": "options",
    "next_symbols": "draw",
    "samples": "draw",
    "stream": "draw",
}

__all__ = ["Frame", "Sample", "SampleOptions", "next_symbols", "samples", "stream"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
