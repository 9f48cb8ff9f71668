"""Sampling: the filters on a distribution, one step of the model, streams of symbols.

The names below load their modules when first used, so that importing the package is light.
"""

from typing import TYPE_CHECKING

from charrnn.lazy import exports

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

__getattr__, __dir__ = exports(__name__, _HOME)
