"""A language model of PyTorch, from its state dict in a safetensors file.

The modules are found by the names that ``torch.nn`` gives their parameters, whatever stands before
them: one ``RNN``, ``GRU`` or ``LSTM``, one ``Linear``, and at most one ``Embedding``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from charrnn import cells, own
from charrnn.cells.base import Cell
from charrnn.config import DataConfig, ModelConfig
from charrnn.display import brief, one_line, shell
from charrnn.errors import CharRNNError, CheckpointError, UsageError, either, setting
from charrnn.exchange import symbols
from charrnn.exchange.portable import DATA, MODEL, VOCABULARY
from charrnn.exchange.symbols import Symbols
from charrnn.model.language import LanguageModel
from charrnn.model.network import DECODER, EMBEDDING, RNN
from charrnn.model.parameters import Parameters
from charrnn.registry import CELLS
from charrnn.storage import container
from charrnn.storage.checkpoint import Checkpoint
from charrnn.text.vocabulary import Vocabulary

_RECURRENT = re.compile(
    r"(?P<prefix>(?:.*\.)?)(?P<name>(?:weight|bias)_(?:ih|hh|hr))(?P<suffix>(?:_[a-z]+)?)"
    r"_l(?P<layer>[0-9]{1,4})(?P<reverse>(?:_reverse)?)"
)

Tensors = dict[str, np.ndarray]


class Modules(NamedTuple):
    """What was found in a state dict.

    ``layers`` holds the parameters of each layer by their names in it, ``suffix`` what follows
    these names; ``embedding`` is (V, D) or None.
    """

    layers: list[Tensors]
    suffix: str
    embedding: np.ndarray | None
    weight: np.ndarray
    bias: np.ndarray


_WRITE = "write one in Python: safetensors.torch.save_file(model.state_dict(), FILE)"


def read(
    path: Path, given: Symbols | None = None, options: Mapping[str, Any] | None = None
) -> Checkpoint:
    """Return the model in a safetensors file.

    Parameters
    ----------
    given
        Its symbols; None if the file lists them, as one of ``charrnn export`` does.
    options
        Options of the cell that its weights do not show, such as ``activation``.

    Raises
    ------
    CharRNNError
        If a file cannot be read, or is no character model that charrnn can compute.
    """
    _refuse_others(path)
    try:
        tensors, metadata = container.read_plain(path)
    except CheckpointError as problem:
        raise CheckpointError(problem.message, problem.remedy or _WRITE * path.is_file()) from None
    try:
        facts = {name: json.loads(metadata[name]) for name in metadata.keys() & {MODEL, DATA}}
        config = ModelConfig.from_json(facts[MODEL]) if MODEL in facts else None
        data = DataConfig.from_json(facts[DATA]) if DATA in facts else None
        of_file = _symbols_of(metadata)
        modules = _modules(tensors)
        if config is None:
            config = _configuration(modules, options or {})
        elif options:
            name = setting(next(iter(options)))
            raise UsageError(f"{name} has no effect: it says so itself", "leave it out")
        listed = given or of_file
        if listed is None:
            raise UsageError(
                "it does not say which symbols its ids stand for",
                f"list them: {setting('vocabulary')}",
            )
        weights = _weights(modules, config, listed)
    except UsageError as problem:
        raise UsageError(f"{one_line(path)}: {problem.message}", problem.remedy) from None
    except (CheckpointError, ValueError, RecursionError) as problem:
        message = getattr(problem, "message", "its metadata is malformed")
        remedy = getattr(problem, "remedy", "")
        raise CheckpointError(f"cannot use {one_line(path)}: {message}", remedy) from None
    level = listed.vocabulary.level
    if data is not None and data.level != level:
        data = None
    return Checkpoint(config, listed.vocabulary, weights, data=data)


def _refuse_others(path: Path) -> None:
    """Raise an error if a file is a checkpoint of charrnn, or a pickle."""
    if own.is_checkpoint(path):
        raise UsageError(
            f"{one_line(path)} is a checkpoint of charrnn, which needs no import",
            either(
                f"use it where a run is named: charrnn sample {shell(path)}",
                "charrnn.load opens it",
            ),
        )
    if own.is_pickle(path):
        name = str(path.with_suffix(own.SUFFIX))
        raise CharRNNError(
            f"{one_line(path)} is a pickle, which may run code when it is read",
            f"convert it in Python: state = torch.load({str(path)!r}, weights_only=True); "
            f"safetensors.torch.save_file(state, {name!r})",
        )


def _symbols_of(metadata: Mapping[str, str]) -> Symbols | None:
    """Return the symbols that the file itself lists."""
    if VOCABULARY not in metadata:
        return None
    return symbols.known(Vocabulary.from_json(json.loads(metadata[VOCABULARY])))


def _modules(tensors: Tensors) -> Modules:
    """Divide a state dict among the modules of a character model."""
    rest, found, places = dict(tensors), dict[int, Tensors](), set()
    for name in tensors:
        match = _RECURRENT.fullmatch(name)
        if match is None:
            continue
        if match["reverse"]:
            raise CheckpointError("its recurrent layers read in both directions")
        if match["name"] == "weight_hr":
            raise CheckpointError("its LSTM projects its hidden states (proj_size)")
        places.add((match["prefix"], match["suffix"]))
        array = found.setdefault(int(match["layer"]), {})[match["name"]] = rest.pop(name)
        if array.ndim != (2 if match["name"].startswith("weight") else 1):
            raise CheckpointError(f"{brief(name)} has {array.ndim} dimensions")
    if len(places) != 1:
        what = "several recurrent modules" if places else "no torch.nn.RNN, GRU or LSTM"
        raise CheckpointError(f"it holds {what}", "a character model has one")
    if sorted(found) != list(range(len(found))) or not all(
        {"weight_ih", "weight_hh"} <= layer.keys() for layer in found.values()
    ):
        raise CheckpointError("a layer of its recurrent module is missing, or a part of it")
    ((_, suffix),) = places
    layers = [found[index] for index in range(len(found))]
    return Modules(layers, suffix, *_ends(rest, layers[0]["weight_ih"].shape[-1]))


def _ends(rest: Tensors, inputs: int) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """Return the embedding, and weight and bias of the output, which are all that may remain."""
    weights = [name for name in rest if name.endswith("weight") and rest[name].ndim == 2]
    linear = [name for name in weights if name.removesuffix("weight") + "bias" in rest]
    tables = [name for name in weights if name not in linear]
    if not linear:  # without a bias: the one that is not an embedding
        named = [name for name in tables if "emb" not in name.lower()]
        linear = named if len(named) == 1 else tables if len(tables) == 1 else []
        tables = [name for name in tables if name not in linear]
    if len(linear) != 1:
        what = "several" if linear else "no"
        raise CheckpointError(f"it holds {what} torch.nn.Linear after the recurrent module")
    (name,) = linear
    used = {name, name.removesuffix("weight") + "bias", *tables}
    for other in rest:
        if other not in used or len(tables) > 1:
            raise CheckpointError(
                f"it holds more than an Embedding, a recurrent module and a Linear: {brief(other)}"
            )
    weight = rest[name]
    bias = rest.get(name.removesuffix("weight") + "bias", np.zeros(len(weight), weight.dtype))
    table = rest[tables[0]] if tables else None
    if table is not None and table.shape != (len(weight), inputs):
        raise CheckpointError(f"{brief(tables[0])} does not fit the layers before and after it")
    return table, weight, bias


def _configuration(modules: Modules, options: Mapping[str, Any]) -> ModelConfig:
    """Return the configuration of the first cell that has such weights."""
    rows, H = modules.layers[0]["weight_hh"].shape
    V, D = len(modules.weight), modules.layers[0]["weight_ih"].shape[-1]
    tensors = [modules.weight, *(array for layer in modules.layers for array in layer.values())]
    kept = "float64" if all(array.dtype == np.float64 for array in tensors) else "float32"
    sizes = {"layers": len(modules.layers), "hidden": max(H, 1), "dtype": kept}
    sizes["embed"] = 0 if modules.embedding is None else D
    for name in CELLS.names():
        for chosen in _variants(CELLS.get(name)):
            if not options.items() <= chosen.items():
                continue
            config = ModelConfig(cell=name, **chosen, **sizes)
            cell = cells.create(config)
            fits = len(cell.gates) * H == rows and cell.suffix == modules.suffix
            if fits and cell.layouts is not None and (sizes["embed"] or D == V):
                return config
    if not sizes["embed"] and D != V:
        raise CheckpointError(f"its first layer reads {D} inputs, but there are {V} symbols")
    given = ", ".join(f"{setting(name)} {value}" for name, value in options.items())
    of = f" with {given}" if given else ""
    raise CheckpointError(f"no cell{of} has recurrent weights ({rows}, {H}){modules.suffix}")


def _variants(cell: type[Cell]) -> Iterator[dict[str, Any]]:
    """Yield the choices among the options of a cell, defaults first."""
    choices = {name: option.valid for name, option in cell.options.items() if option.valid}
    for values in product(*choices.values()):
        yield dict(zip(choices, values, strict=True))


def _weights(modules: Modules, config: ModelConfig, listed: Symbols) -> np.ndarray:
    """Return the flat vector of weights (P,), with the symbols in the order of the vocabulary."""
    V, order = len(listed.vocabulary), listed.ids
    if config.task != "lm" or config.layers != len(modules.layers):
        raise CheckpointError("its metadata and its tensors differ")
    if len(modules.weight) != V:
        raise CheckpointError(
            f"it predicts {len(modules.weight)} symbols, but the vocabulary has {V}"
        )
    cell = cells.create(config)
    if cell.layouts is None or cell.suffix != modules.suffix:
        raise CheckpointError("its metadata and its tensors differ")
    given: Tensors = {f"{DECODER}weight": modules.weight[order], f"{DECODER}bias": modules.bias}
    if modules.embedding is not None:
        given[EMBEDDING] = modules.embedding[order]
    for index, layer in enumerate(modules.layers):
        own_names = cell.shapes(1, config.hidden)
        for name, array in _as_cell(layer, own_names).items():
            given[f"{RNN}{name}{cell.suffix}_l{index}"] = array
    first = f"{RNN}weight_ih{cell.suffix}_l0"
    if modules.embedding is None and given[first].shape[-1:] == (V,):
        given[first] = given[first][..., order]
    return _flat(given, config, V, order)


def _as_cell(layer: Tensors, names: Mapping[str, Any]) -> Tensors:
    """Return the parameters of a layer as a cell has them: biases that it lacks are zero.

    If the cell has one bias, it is the sum of the two.
    """
    zero = np.zeros(len(layer["weight_hh"]), layer["weight_hh"].dtype)
    first, second = layer.get("bias_ih", zero), layer.get("bias_hh", zero)
    if first.shape != second.shape:
        raise CheckpointError("the two biases of a layer differ in length")
    if "bias_hh" not in names:
        return {**layer, "bias_ih": first + second if second.any() else first}
    return {**layer, "bias_ih": first, "bias_hh": second}


def _flat(given: Tensors, config: ModelConfig, V: int, order: np.ndarray) -> np.ndarray:
    """Return all tensors in one vector, after checking the shape of each."""
    shapes = LanguageModel.describe(config, V)
    for name, shape in shapes.items():
        if name not in given or given[name].shape != shape:
            raise CheckpointError(f"{name} is missing or does not fit the other tensors")
    given[f"{DECODER}bias"] = given[f"{DECODER}bias"][order]
    flat = np.empty(sum(given[name].size for name in shapes), config.dtype)
    parameters = Parameters(shapes, flat)
    for name, array in parameters.items():
        array[...] = given[name]
    if not np.isfinite(flat).all():
        raise CheckpointError("it holds a weight that is not a finite number")
    return flat
