"""For ONNX: one graph of symbols and states, time first, in float32.

ONNX orders the gates of an LSTM i, o, f, c and those of a GRU z, r, h; ``linear_before_reset`` is 1
for a GRU that resets after the product (ONNX operators: LSTM, GRU, RNN).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from charrnn import __version__, files
from charrnn.display import one_line
from charrnn.errors import CharRNNError
from charrnn.exchange.layout import rows
from charrnn.exchange.portable import VOCABULARY, Layer, Portable

OPSET, IR_VERSION = 17, 8
"""Of 2022: every runtime in use reads them."""
_MAX_BYTES = (1 << 31) - 1
_CODE = """\
import json

import numpy
import onnxruntime

session = onnxruntime.InferenceSession({path!r})
names = [each.name for each in session.get_inputs()]  # {names}
symbols = json.loads(session.get_modelmeta().custom_metadata_map["{vocabulary}"])["symbols"]


def run(ids, states=None):
    \"\"\"Symbols (steps, batch) and states -> logits (steps, batch, {V}) and states.\"\"\"
    ids = numpy.asarray(ids, numpy.int64)
    if states is None:
        states = [numpy.zeros((1, ids.shape[1], {H}), numpy.float32)] * {states}
    logits, *states = session.run(None, dict(zip(names, [ids, *states])))
    return logits, states
"""


def write(portable: Portable, path: Path) -> str:
    """Write the graph; return code that runs it in onnxruntime."""
    if find_spec("onnx") is None:
        raise CharRNNError("a graph for ONNX needs onnx", "pip install 'charrnn[exchange]'")
    import onnx

    names, model = _model(portable)
    onnx.checker.check_model(model)
    data = model.SerializeToString()
    if len(data) > _MAX_BYTES:
        raise CharRNNError(
            f"cannot write {one_line(path)}: an ONNX file holds at most 2 GiB",
            "export the model for torch",
        )
    files.write(path, [data])
    config = portable.config
    return _CODE.format(
        path=str(path),
        names=", ".join(names),
        vocabulary=VOCABULARY,
        V=len(portable.vocabulary),
        H=config.hidden,
        states=len(names) - 1,
    )


def _model(portable: Portable) -> tuple[list[str], Any]:
    """Return the names of the inputs, and the model."""
    from onnx import TensorProto, helper, numpy_helper

    H, V = portable.config.hidden, len(portable.vocabulary)
    constants: dict[str, np.ndarray] = {"axis": np.array([1], np.int64)}
    nodes = [_first(portable, constants)]
    x, before, after = "x_l0", list[str](), list[str]()
    for index, layer in enumerate(portable.layers()):
        node, states = _recurrent(portable, layer, index, x, constants)
        x = f"x_l{index + 1}"
        nodes += [node, helper.make_node("Squeeze", [f"y_l{index}", "axis"], [x])]
        before += states
        after += [f"{name}_next" for name in states]
    weight, bias = portable.decoder
    constants |= {"decoder_weight": weight.T, "decoder_bias": bias}
    nodes.append(helper.make_node("MatMul", [x, "decoder_weight"], ["products"]))
    nodes.append(helper.make_node("Add", ["products", "decoder_bias"], ["logits"]))
    state, numbers = (1, "batch", H), TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "charrnn",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ("steps", "batch")),
            *(helper.make_tensor_value_info(name, numbers, state) for name in before),
        ],
        [
            helper.make_tensor_value_info("logits", numbers, ("steps", "batch", V)),
            *(helper.make_tensor_value_info(name, numbers, state) for name in after),
        ],
        [numpy_helper.from_array(_stored(array), name) for name, array in constants.items()],
    )
    model = helper.make_model(
        graph,
        producer_name="charrnn",
        producer_version=__version__,
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    helper.set_model_props(model, portable.facts())
    return ["ids", *before], model


def _first(portable: Portable, constants: dict[str, np.ndarray]) -> Any:
    """Return the node that turns ids into the inputs of the first layer."""
    from onnx import helper

    if portable.embedding is not None:
        constants["embedding"] = portable.embedding
        return helper.make_node("Gather", ["embedding", "ids"], ["x_l0"])
    constants["symbols"] = np.array(len(portable.vocabulary), np.int64)
    constants["off_on"] = np.array([0, 1], np.float32)
    return helper.make_node("OneHot", ["ids", "symbols", "off_on"], ["x_l0"])


def _recurrent(
    portable: Portable, layer: Layer, index: int, x: str, constants: dict[str, np.ndarray]
) -> tuple[Any, list[str]]:
    """Return the node of a layer, and the names of its states.

    Its weights are W (1, G·H, D), R (1, G·H, H) and both biases (1, 2·G·H).
    """
    from onnx import helper

    layout, gates = portable.layouts.onnx, portable.cell.gates
    W, R, *biases = (rows(layout, gates, array) for array in layer)
    names = [f"{name}_l{index}" for name in ("W", "R", "B")]
    values = (W[None], R[None], np.concatenate(biases)[None])
    constants |= dict(zip(names, values, strict=True))
    states = [f"{name}_l{index}" for name in portable.cell.states]
    node = helper.make_node(
        layout.name,
        [x, *names, "", *states],
        [f"y_l{index}", *(f"{name}_next" for name in states)],
        hidden_size=portable.config.hidden,
        **layout.settings,
    )
    return node, states


def _stored(array: np.ndarray) -> np.ndarray:
    """Return an array as the file stores it: numbers in float32."""
    kind = np.float32 if array.dtype.kind == "f" else array.dtype
    return np.ascontiguousarray(array, kind)
