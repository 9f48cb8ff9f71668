"""Sampling: the filters on a distribution, one step of the model, streams of symbols.

The names below load their modules when first used, so that importing the package is light.
"""

from typing import TYPE_CHECKING

from charrnn.lazy import exports

if TYPE_CHECKING:
    from charrnn.sampling.beam import most_likely
    from charrnn.sampling.draw import in_order, next_symbols, samples, stream
    from charrnn.sampling.frame import Frame
    from charrnn.sampling.options import SampleOptions
    from charrnn.sampling.seen import Novelty, Seen
    from charrnn.sampling.stepper import Stepper
    from charrnn.sampling.written import Sample

_HOME = {
    "Frame": "frame",
    "Novelty": "seen",
    "Sample": "written",
    "SampleOptions": "options",
    "Seen": "seen",
    "Stepper": "stepper",
    "in_order": "draw",
    "most_likely": "beam",
    "next_symbols": "draw",
    "samples": "draw",
    "stream": "draw",
}

__all__ = [
    "Frame",
    "Novelty",
    "Sample",
    "SampleOptions",
    "Seen",
    "Stepper",
    "in_order",
    "most_likely",
    "next_symbols",
    "samples",
    "stream",
]

__getattr__, __dir__ = exports(__name__, _HOME)
