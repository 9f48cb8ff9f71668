"""The model in a page: what it is, as JSON, and its weights in base64.

The cells are the operators of ONNX, with its order of gates (:mod:`charrnn.exchange.onnx_graph`).
The weights follow one another as ``network.js`` reads them, all little-endian: the embedding, if
there is one; for each layer W (G·H, D), R (G·H, H) and both biases (G·H,); the output (V, H) and
its bias (V,). Of a matrix its scales come first (float32), and then its integers.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import numpy as np

from charrnn.exchange.layout import rows
from charrnn.exchange.portable import Portable
from charrnn.exchange.rounding import quantise
from charrnn.text.layout import WHOLE, Layout


def facts(portable: Portable, bits: int) -> dict[str, Any]:
    """Return what the scripts have to know of a model besides its weights.

    ``start`` holds the ids that are read where no text is given. With ``examples`` they are read
    before every text, and ``end`` holds the ids that end one.
    """
    config, vocabulary, layout = portable.config, portable.vocabulary, portable.layouts.onnx
    how = Layout.of(portable.data) if portable.data is not None else WHOLE
    return {
        "bits": bits,
        "cell": {"operator": layout.name, **layout.settings},
        "layers": config.layers,
        "hidden": config.hidden,
        "embed": config.embed,
        **vocabulary.to_json(),
        "start": _start(portable, how),
        "examples": bool(how.examples),
        "end": vocabulary.encode(vocabulary.text(how.end), "skip").tolist(),
    }


def _start(portable: Portable, how: Layout) -> list[int]:
    """Return what a sample begins after, as :meth:`charrnn.sampling.frame.Frame.start` does."""
    vocabulary = portable.vocabulary
    if how.join and not how.examples:
        ids: list[int] = vocabulary.encode(vocabulary.text(how.join), "skip").tolist()
        if ids:
            return ids
    return [how.start(vocabulary)]


def as_script(found: Any) -> str:
    """Return JSON that may stand in a script element, whatever the strings in it.

    It is ASCII, and without ``<`` no ``</script>`` and no comment can begin.
    """
    return json.dumps(found, separators=(",", ":")).replace("<", "\\u003c")


def weights(portable: Portable, bits: int) -> str:
    """Return the weights in base64."""
    return b64encode(b"".join(_parts(portable, bits))).decode("ascii")


def _parts(portable: Portable, bits: int) -> Iterator[bytes]:
    for array in _arrays(portable):
        if array.ndim == 2:
            integers, scales = quantise(array, bits)
            yield scales.astype("<f4").tobytes()
            yield integers.tobytes()
        else:
            yield array.astype("<f4").tobytes()


def _arrays(portable: Portable) -> Iterator[np.ndarray]:
    layout, gates = portable.layouts.onnx, portable.cell.gates
    if portable.embedding is not None:
        yield portable.embedding
    for layer in portable.layers():
        for array in layer:
            yield rows(layout, gates, array)
    yield from portable.decoder
