"""Sampling: the filters on a distribution, one step of the model, streams of symbols.

The names below load their modules when first used, so that importing the package is light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charrnn.sampling.draw import (
        Draw,
        Prediction,
        Sample,
        draws,
        encode_prime,
        next_symbols,
        samples,
        stream,
    )
    from charrnn.sampling.options import SampleOptions
    from charrnn.sampling.stepper import Stepper

_HOME = {
    "Draw": "draw",
    "Prediction": "draw",
    "Sample": "draw",
    "SampleOptions": "options",
    "Stepper": "stepper",
    "draws": "draw",
    "encode_prime": "draw",
    "next_symbols": "draw",
    "samples": "draw",
    "stream": "draw",
}

__all__ = [
    "Draw",
    "Prediction",
    "Sample",
    "SampleOptions",
    "Stepper",
    "draws",
    "encode_prime",
    "next_symbols",
    "samples",
    "stream",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
