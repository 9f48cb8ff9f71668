"""Gates and units over a text: saturation, time constants, units that are dead or constant.

A logistic gate is left-saturated if it is below 0.1 and right-saturated if it is above 0.9
(Karpathy, Johnson and Fei-Fei 2015, arXiv 1506.02078); a tanh is saturated if its magnitude is
above 0.9.
The shares are of time and units. If a unit keeps the share f_t of its state at step t, the state
decays as the product of the f_t: its time constant is -1 / mean(ln f_t) in steps, where f is the
forget gate of an LSTM and the update gate z of a GRU.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array, Backend
from charrnn.config import TrainConfig
from charrnn.diagnosis.measures.values import Floats, part_of
from charrnn.model.language import LanguageModel
from charrnn.model.layer import Layer
from charrnn.model.stack import Stack
from charrnn.model.window import Window
from charrnn.tasks.language import resets_of, training_streams
from charrnn.text.units.examples import Units

LEFT, RIGHT = 0.1, 0.9
STILL = 1e-4
"""A unit is still if the standard deviation of its output over the text is below this."""
BINS = 20


@dataclass(frozen=True)
class Gate:
    """One gate of one layer.

    ``left`` and ``right`` are shares of time and units; ``histogram`` counts values in equal bins
    over ``range``, as shares; ``kind`` is ``logistic`` or ``tanh``.
    """

    gate: str
    kind: str
    mean: float
    left: float
    right: float
    histogram: list[float]
    range: tuple[float, float]


@dataclass(frozen=True)
class TimeConstants:
    """Time constants of a layer's units in steps: quartiles and the longest.

    ``beyond_window`` is the share of units whose time constant is longer than a training window;
    NaN for examples, which are read whole.
    """

    gate: str
    q25: float
    median: float
    q75: float
    longest: float
    beyond_window: float


@dataclass(frozen=True)
class UnitActivity:
    """Outputs of a layer's units.

    ``saturated`` is the share of time and units with |h| > 0.9 (0 for rectifiers), ``stuck`` the
    share of units that are saturated 90 % of the time, ``dead`` the share of rectifiers that are
    never above zero (None for other units), ``still`` the share of units that are constant.
    """

    saturated: float
    stuck: float
    dead: float | None
    still: float


@dataclass(frozen=True)
class LayerGates:
    """Gates and units of one layer over ``samples`` steps of all streams.

    ``part`` is which of several readers of the model, and empty if there is one.
    """

    layer: int
    gates: list[Gate]
    time_constants: TimeConstants | None
    units: UnitActivity
    samples: int
    part: str = ""

    @property
    def name(self) -> str:
        """The layer, with its part of the model."""
        return f"{self.part} {self.layer}".strip()


def measure(
    model: LanguageModel, text: NDArray[Any] | Units, train: TrainConfig, windows: int
) -> list[LayerGates]:
    """Read ``windows`` successive windows as in training, and measure every gate and unit.

    ``text`` is 1-D, or the examples it consists of; ``train`` says how it is cut into windows.
    """
    streams = training_streams(text, train)
    window = model.window(train.seq_len, train.batch, backward=False)
    sums = Sums(model.backend, train.seq_len)
    carried = train.state == "carry" and streams.windows_per_epoch > 1
    for number in range(windows + carried):
        part = streams.batch_at(number)
        window.start(part.reset, model.backend)
        window.resets = resets_of(part, model.backend, model.weights.flat.dtype)
        model.forward(window, model.backend.put(part.inputs))
        if number >= carried:
            sums.add(model.stack, window)
        window.carry()
    return sums.layers()


class Sums:
    """Running sums over the values that forward passes leave, of every layer.

    ``seq_len`` is the training window in steps; None for examples, which are read whole.
    """

    def __init__(self, backend: Backend, seq_len: int | None) -> None:
        self._backend, self._seq_len = backend, seq_len
        self._layers: dict[tuple[str, int, str], _Layer] = {}

    def add(
        self,
        stack: Stack,
        window: Window,
        real: NDArray[np.bool_] | None = None,
        part: str = "",
    ) -> None:
        """Add the last forward pass of a stack.

        ``real`` (T, N), on the host, says which steps count, in the order in which each direction
        reads; by default all of them. ``part`` is what the stack is called.
        """
        for index, (layer, ws) in enumerate(zip(stack.layers, window.layers, strict=True)):
            for reading in layer.readings(window.staged[index], ws):
                key = (part, index, reading.suffix)
                if key not in self._layers:
                    name = part_of(part, reading.suffix)
                    self._layers[key] = _Layer(self._backend, reading.layer, index, name)
                self._layers[key].add(reading.space, window.used, real)

    def layers(self) -> list[LayerGates]:
        """Return means over all steps: the parts one after the other, bottom layer first."""
        return [layer.result(self._seq_len) for layer in self._layers.values()]


class _Layer:
    """Running sums over time of one layer, (H,) each, in float64 on the host."""

    def __init__(self, backend: Backend, layer: Layer, index: int, part: str) -> None:
        self.backend, self.index, self.part = backend, index, part
        self.layer, self.cell, self.H = layer, layer.cell, layer.H
        self.steps = 0
        self.sums: dict[str, Floats] = {}
        self.histograms: dict[str, Floats] = {}
        self._real: NDArray[np.bool_] | None = None

    def add(self, ws: Any, steps: int, real: NDArray[np.bool_] | None) -> None:
        """Add the values that a forward pass of ``steps`` steps left in a workspace."""
        self._real = real
        self.steps += steps * ws.work.shape[2] if real is None else int(real.sum())
        for gate, values in self.layer.gate_values(ws, steps).items():
            low, high = (-RIGHT, RIGHT) if gate in self.cell.candidates else (LEFT, RIGHT)
            self._sum(f"{gate}.left", values < low)
            self._sum(f"{gate}.right", values > high)
            self._sum(f"{gate}.mean", values)
            self._count(gate, values)
            if gate == self.cell.memory:
                xp = self.backend.xp
                self._sum("ln", xp.log(xp.maximum(values, np.finfo(np.float32).tiny)))
        h = ws.states[self.cell.states[0]][1 : steps + 1]
        self._sum("saturated", (h < -RIGHT) | (h > RIGHT))
        self._sum("fires", h > 0)
        shift = self.sums.setdefault("shift", self.backend.get(h[0, :, 0]).astype(float))
        moved = h - self.backend.put(shift, h.dtype)[:, None]
        self._sum("h", moved)
        self._sum("h2", moved * moved)

    def _sum(self, name: str, values: Array) -> None:
        if self._real is not None:
            values = self.backend.xp.where(self.backend.put(self._real)[:, None], values, 0)
        total = self.backend.get(values.sum(axis=2, dtype=np.float64)).sum(axis=0)
        self.sums[name] = self.sums.get(name, 0.0) + total

    def _count(self, gate: str, values: Array) -> None:
        low = -1.0 if gate in self.cell.candidates else 0.0
        host = self.backend.get(values)
        if self._real is not None:
            host = host.transpose(0, 2, 1)[self._real]
        counts, _ = np.histogram(host, BINS, (low, 1.0))
        self.histograms[gate] = self.histograms.get(gate, np.zeros(BINS)) + counts

    def result(self, seq_len: int | None) -> LayerGates:
        """Return means over time from the sums."""
        means = {name: total / self.steps for name, total in self.sums.items()}
        gates = []
        for gate, counts in self.histograms.items():
            tanh = gate in self.cell.candidates
            gates.append(
                Gate(
                    gate,
                    "tanh" if tanh else "logistic",
                    float(means[f"{gate}.mean"].mean()),
                    float(means[f"{gate}.left"].mean()),
                    float(means[f"{gate}.right"].mean()),
                    (counts / max(1.0, counts.sum())).tolist(),
                    (-1.0 if tanh else 0.0, 1.0),
                )
            )
        constants = None
        if "ln" in means:
            steps = -1.0 / np.minimum(means["ln"], -1e-12)
            q25, median, q75 = np.percentile(steps, (25, 50, 75)).tolist()
            beyond = nan if seq_len is None else float((steps > seq_len).mean())
            constants = TimeConstants(
                self.cell.memory, q25, median, q75, float(steps.max()), beyond
            )
        units = self._units(means)
        return LayerGates(self.index, gates, constants, units, self.steps, self.part)

    def _units(self, means: dict[str, Floats]) -> UnitActivity:
        variance = np.maximum(means["h2"] - means["h"] ** 2, 0.0)
        saturated = means["saturated"]
        return UnitActivity(
            0.0 if self.cell.rectified else float(saturated.mean()),
            0.0 if self.cell.rectified else float((saturated > 0.9).mean()),
            float((means["fires"] == 0.0).mean()) if self.cell.rectified else None,
            float((np.sqrt(variance) < STILL).mean()),
        )
