"""For Keras 3: an archive ``.keras`` with the layers and their weights, batch first.

Kernels are transposed: (D, G·H) and (H, G·H). Keras orders the gates of an LSTM i, f, c, o and
those of a GRU z, r, h. It has one bias (G·H,), but for a GRU that resets after the product, which
has both, (2, 3·H). One-hot vectors are the rows of an embedding that is the identity.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from charrnn import files
from charrnn.errors import CharRNNError
from charrnn.exchange.layout import rows
from charrnn.exchange.portable import VOCABULARY, Layer, Portable

_VERSION = "3.0.0"
_CODE = """\
import json
import zipfile

import keras

model = keras.models.load_model({path!r})  # symbols (batch, steps) -> logits (batch, steps, {V})
facts = json.loads(zipfile.ZipFile({path!r}).read("metadata.json"))
symbols = json.loads(facts["{vocabulary}"])["symbols"]  # in the order of their ids
"""


class _Layer(NamedTuple):
    """A layer of Keras: its class, its settings, where the variables are, and these."""

    kind: str
    settings: dict[str, Any]
    place: str
    variables: list[np.ndarray]


def write(portable: Portable, path: Path) -> str:
    """Write the archive; return code that loads it."""
    if find_spec("h5py") is None:
        raise CharRNNError("an archive for Keras needs h5py", "pip install 'charrnn[exchange]'")
    layers = _layers(portable)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(
            "metadata.json", json.dumps({"keras_version": _VERSION, **portable.facts()})
        )
        archive.writestr("config.json", json.dumps(_configuration(layers, portable.config.dtype)))
        archive.writestr("model.weights.h5", _weights(layers))
    files.write(path, [data.getvalue()])
    return _CODE.format(path=str(path), V=len(portable.vocabulary), vocabulary=VOCABULARY)


def _layers(portable: Portable) -> list[_Layer]:
    """Return the layers, the first one first."""
    V, dtype = len(portable.vocabulary), portable.config.dtype
    table = portable.embedding
    table = np.eye(V, dtype=dtype) if table is None else table
    sizes = {"input_dim": V, "output_dim": table.shape[1]}
    found = [_Layer("Embedding", sizes | {"trainable": bool(portable.config.embed)}, "", [table])]
    found += [_recurrent(portable, layer) for layer in portable.layers()]
    weight, bias = portable.decoder
    return [*found, _Layer("Dense", {"units": V}, "", [weight.T, bias])]


def _recurrent(portable: Portable, layer: Layer) -> _Layer:
    layout, gates = portable.layouts.keras, portable.cell.gates
    W, U, first, second = (rows(layout, gates, array) for array in layer)
    two = "bias_hh" in portable.cell.shapes(1, 1)
    settings = {"units": portable.config.hidden, "return_sequences": True, **layout.settings}
    bias = np.stack((first, second)) if two else first
    return _Layer(layout.name, settings, "cell/", [W.T, U.T, bias])


def _configuration(layers: list[_Layer], dtype: str) -> dict[str, Any]:
    """Return the object that Keras makes the model of."""

    def entry(kind: str, settings: dict[str, Any], shape: list[int | None]) -> dict[str, Any]:
        built = {"build_config": {"input_shape": shape}} if kind != "InputLayer" else {}
        facts = {"module": "keras.layers", "class_name": kind, "registered_name": None}
        return {**facts, "config": settings, **built}

    ids = {"batch_shape": [None, None], "dtype": "int64", "name": "ids"}
    entries, shape = [entry("InputLayer", ids, [])], list[int | None]([None, None])
    for number, layer in enumerate(layers):
        named = {"name": f"{_snake(layer.kind)}_{number}", "dtype": dtype, **layer.settings}
        entries.append(entry(layer.kind, named, shape))
        shape = [None, None, layer.variables[0].shape[1]]
        if layer.place:
            shape[2] = layer.settings["units"]
    config = {"name": "charrnn", "trainable": True, "dtype": dtype, "layers": entries}
    facts = {"module": "keras", "class_name": "Sequential", "registered_name": None}
    return {**facts, "config": config, "build_config": {"input_shape": [None, None]}}


def _weights(layers: list[_Layer]) -> bytes:
    """Return the HDF5 file: each layer's variables under the name of its class and its number."""
    import h5py

    data, seen = io.BytesIO(), dict[str, int]()
    with h5py.File(data, "w") as file:
        for layer in layers:
            name = _snake(layer.kind)
            number = seen[name] = seen.get(name, -1) + 1
            group = f"layers/{name}_{number}" if number else f"layers/{name}"
            for index, array in enumerate(layer.variables):
                file[f"{group}/{layer.place}vars/{index}"] = np.ascontiguousarray(array)
    return data.getvalue()


def _snake(kind: str) -> str:
    """Return the name that Keras makes of a class: ``simple_rnn`` of ``SimpleRNN``."""
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", kind)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
