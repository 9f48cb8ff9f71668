"""The tensors of a checkpoint, by name.

Weights have the names and shapes of PyTorch modules (``embedding.weight``, ``rnn.weight_ih_l0``, …,
``decoder.bias``). For cells with a single bias, ``bias_hh`` is written as zeros, and added to the
bias when a file is read. In addition there are ``optimizer.<moment>`` (flat, in the order of the
model's parameters) and ``state.<name>_l<layer>`` (H, N), the states at the start of the next
window.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from charrnn.config import ModelConfig
from charrnn.display import brief
from charrnn.errors import CheckpointError, either
from charrnn.model.network import RNN, Network
from charrnn.model.networks import NETWORKS
from charrnn.model.parameters import Parameters
from charrnn.model.transducer.decoder import RNN as TARGET_RNN

Tensors = dict[str, np.ndarray]

_MOMENT = "optimizer."
_STATE = "state."
_BLOCK = 1 << 18


def named(
    model: Network, moments: Mapping[str, np.ndarray], states: Mapping[str, np.ndarray]
) -> Tensors:
    """Return the tensors of a checkpoint, by name.

    Parameters
    ----------
    moments
        The optimizer's moments, (P,) each.
    states
        Carried states, (H, N) each.
    """
    tensors = dict(model.weights)
    for name, like in _single_biases(model):
        tensors[name] = np.zeros_like(tensors[like])
    tensors |= {_MOMENT + name: array for name, array in moments.items()}
    tensors |= {_STATE + name: array for name, array in states.items()}
    return tensors


def require_finite(tensors: Tensors) -> None:
    """Raise :class:`CheckpointError` if a tensor holds NaN or an infinity."""
    for name, array in tensors.items():
        flat = array.reshape(-1)
        for start in range(0, flat.size, _BLOCK):
            if not np.isfinite(flat[start : start + _BLOCK]).all():
                raise CheckpointError(
                    f"tensor {brief(name)} holds a value that is not a finite number",
                    "use another checkpoint of the run, or see "
                    + either("charrnn diagnose", "charrnn.diagnose"),
                )


def weights(config: ModelConfig, V: int, outputs: int, tensors: Tensors) -> np.ndarray:
    """Return the flat vector (P,); all shapes are checked before it is allocated."""
    if config.layers > len(tensors):
        raise CheckpointError(f"it has too few tensors for {config.layers} layers")
    shapes = NETWORKS[config.task].describe(config, V, outputs)
    dtype = np.dtype(config.dtype)
    for name, shape in shapes.items():
        if name not in tensors or tensors[name].shape != shape or tensors[name].dtype != dtype:
            raise CheckpointError(f"tensor {name} is missing or does not fit its configuration")
    flat: np.ndarray = np.empty(sum(prod(shape) for shape in shapes.values()), dtype)
    parameters = Parameters(shapes, flat)
    for name, array in parameters.items():
        array[...] = tensors.pop(name)
    model = NETWORKS[config.task](config, V, None, flat, outputs=outputs)
    for name, like in _single_biases(model):
        if name in tensors:
            if tensors[name].shape != parameters[like].shape or tensors[name].dtype != dtype:
                raise CheckpointError(f"tensor {name} does not fit its configuration")
            second = tensors.pop(name)
            if second.any():  # to add zeros would turn -0.0 into 0.0
                parameters[like][...] += second
    return flat


def _single_biases(model: Network) -> list[tuple[str, str]]:
    """Return (second bias, first bias), by name, for cells with two in PyTorch and one here."""
    if model.stack.cell.suffix or "bias_hh" in model.stack.layers[0].shapes:
        return []
    stacks = (f"{RNN}bias_ih_l", f"{TARGET_RNN}bias_ih_l")
    first = [name for name in model.weights if name.startswith(stacks)]
    return [(name.replace("bias_ih", "bias_hh"), name) for name in first]


def training(
    tensors: Tensors, H: int, P: int, dtype: np.dtype[np.generic]
) -> tuple[Tensors, Tensors]:
    """Return what the weights leave, as moments (P,) and states (H, N).

    Raises
    ------
    CheckpointError
        If there is another tensor, or one that does not fit.
    """
    moments: Tensors = {}
    states: Tensors = {}
    for name, array in tensors.items():
        fits = array.dtype == dtype
        if fits and name.startswith(_MOMENT) and array.shape == (P,):
            moments[name.removeprefix(_MOMENT)] = array
        elif fits and name.startswith(_STATE) and array.ndim == 2 and array.shape[0] == H:
            states[name.removeprefix(_STATE)] = array
        else:
            raise CheckpointError(f"unexpected tensor {brief(name)}")
    return moments, states
